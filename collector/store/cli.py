"""Floor 3. The commands `tramdo-collector backup | restore | registry`."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from collector.registry.changes import differences
from collector.registry.communes import official
from collector.registry.file_format import parse_csv, parse_toml, to_toml
from collector.registry.registry import Registry
from collector.store import backup
from collector.store.factory import describe, open_store
from collector.store.settings import StoreConfig
from collector.store.store import StoreError
from runtime import settings_file
from runtime.settings import SettingsError

OK, FAILED, BAD_INPUT = 0, 1, 2
COMMANDS = {
    "backup": "Write a whole copy of the store into a file, while the collector runs.",
    "restore": "Make the store of such a copy; no collector may run, and no store be there.",
    "registry": "Probes, lines and plans, ISPs, groups, places: check, apply, export a file.",
}


def add_arguments(name: str, command: argparse.ArgumentParser) -> None:
    """Add the arguments of one of `COMMANDS`."""
    if name != "registry":
        command.add_argument("file", type=Path, help="the copy")
        return
    command.add_argument(
        "action",
        choices=("check", "apply", "export"),
        help="check: what the file would change; apply: change it; export: print it as TOML",
    )
    command.add_argument(
        "file", type=Path, nargs="?", help="TOML, or CSV with a row a line (groups and places stay)"
    )
    command.add_argument("--who", default=_user(), help="for the record (default: %(default)s)")


def run(options: argparse.Namespace, config: StoreConfig) -> int:
    """Run one of `COMMANDS`; returns the exit code."""
    try:
        match options.command:
            case "backup":
                backup.backup(config, options.file)
                print(f"{options.file}: a copy of {describe(config)}")
                return OK
            case "restore":
                backup.restore(config, options.file)
                print(f"{options.file} is now {describe(config)}")
                return OK
            case _:
                return _registry(options, config)
    except StoreError as error:
        print(error, file=sys.stderr)
        return FAILED


def _registry(options: argparse.Namespace, config: StoreConfig) -> int:
    if options.action != "export" and options.file is None:
        print(f"registry {options.action}: a file is wanted", file=sys.stderr)
        return BAD_INPUT
    if options.action == "export":
        store = open_store(config)
        try:
            return _export(store.registry.read(), options.file)
        finally:
            store.close()
    try:
        return _import(options, config)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT


def _import(options: argparse.Namespace, config: StoreConfig) -> int:
    """Check or apply a file. Raises SettingsError: it is invalid; nothing was changed."""
    content = settings_file.content(options.file)
    by_row = options.file.suffix.lower() == ".csv"
    # TOML is parsed before the store is opened, so that a wrong file is reported without one. CSV
    # has only lines, so it needs the current registry.
    wanted = None if by_row else parse_toml(content, str(options.file), official())
    store = open_store(config)
    try:
        if wanted is None:
            wanted = parse_csv(content, str(options.file), store.registry.read())
        if options.action == "check":
            changes = differences(store.registry.read(), wanted)
        else:
            now = datetime.now(UTC)
            changes = store.registry.apply(wanted, options.who, str(options.file), now)
    finally:
        store.close()
    for change in changes:
        sign = "+" if change.before is None else "-" if change.after is None else "~"
        print(f"{sign} {change.thing} {change.key}")
    verb = "applied" if options.action == "apply" else "would be made"
    print(f"{options.file}: sound; {len(changes)} changes {verb}")
    return OK


def _export(registry: Registry, file: Path | None) -> int:
    text = to_toml(registry, official())
    if file is None:
        sys.stdout.write(text)
        return OK
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"{file}: cannot be written: {error.strerror}", file=sys.stderr)
        return FAILED
    return OK


def _user() -> str:
    # The user who called `sudo` is the author.
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
