"""Floor 3. The commands `tramdo-collector backup | restore | repack | communes | registry`."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from time import monotonic, sleep

from collector.registry import commune_table, import_file
from collector.registry.changes import Author, differences
from collector.registry.commune_table import ParsedTable
from collector.registry.communes import LIST_DAY, official
from collector.registry.file_format import to_toml
from collector.registry.registry import Commune, Registry
from collector.rollup.periods import local_day
from collector.store import backup_cli
from collector.store.factory import open_store
from collector.store.maintenance import REPACK_AFTER
from collector.store.settings import StoreConfig
from collector.store.store import Store, StoreError
from runtime import settings_file
from runtime.language import Language
from runtime.problem import Problem
from runtime.settings import SettingsError

OK, FAILED, BAD_INPUT = 0, 1, 2
_PROGRESS_S = 5.0
_FAILURES_MOST = 5
COMMANDS = {
    **backup_cli.COMMANDS,
    "repack": "Pack results older than half a day into fewer bytes, while the collector runs.",
    "communes": "What a newer table of communes changes; with --apply it is taken.",
    "registry": "Probes, lines and plans, ISPs, groups, places: check, apply, export a file.",
}


def add_arguments(name: str, command: argparse.ArgumentParser) -> None:
    """Add the arguments of one of `COMMANDS`."""
    if name == "repack":
        return
    if name in backup_cli.COMMANDS:
        backup_cli.add_arguments(name, command)
        return
    if name == "communes":
        _add_commune_arguments(command)
        return
    command.add_argument(
        "action",
        choices=("check", "apply", "export"),
        help="check: what the file would change; apply: change it; export: print it as TOML",
    )
    command.add_argument(
        "file",
        type=Path,
        nargs="?",
        help="TOML; or CSV or XLSX with a row a line (groups and places stay)",
    )
    command.add_argument("--who", default=_user(), help="for the record (default: %(default)s)")


def _add_commune_arguments(command: argparse.ArgumentParser) -> None:
    columns = ", ".join(commune_table.COLUMNS)
    command.add_argument("file", type=Path, help=f"CSV or XLSX with the columns {columns}")
    command.add_argument("--apply", action="store_true", help="take it; else nothing is written")
    command.add_argument(
        "--since",
        type=date.fromisoformat,
        metavar="YYYY-MM-DD",
        help="the first day on which it is in force (default: today)",
    )
    command.add_argument("--who", default=_user(), help="for the record (default: %(default)s)")


def run(options: argparse.Namespace, config: StoreConfig) -> int:
    """Run one of `COMMANDS`; returns the exit code."""
    try:
        match options.command:
            case name if name in backup_cli.COMMANDS:
                return backup_cli.run(options, config)
            case "repack":
                return _repack(config)
            case "communes":
                return _communes(options, config)
            case _:
                return _registry(options, config)
    except StoreError as error:
        print(error, file=sys.stderr)
        return FAILED


def _repack(config: StoreConfig) -> int:
    """Pack what is old enough, with progress. It can be stopped, and goes on at the next call."""
    store = open_store(config)
    done, shown_s, failures = 0, monotonic(), 0
    try:
        while True:
            try:
                some = store.repack(datetime.now(UTC) - REPACK_AFTER)
                failures = 0
            except StoreError:
                # The collector's transaction may have taken long, or a backup's.
                failures += 1
                if failures > _FAILURES_MOST:
                    raise
                sleep(1)
                continue
            if not some:
                break
            done += some
            if monotonic() - shown_s >= _PROGRESS_S:
                print(f"{done} results are packed, going on", flush=True)
                shown_s = monotonic()
    finally:
        store.close()
    print(f"{done} results are packed; those of the last {REPACK_AFTER} stay as they are")
    return OK


def _registry(options: argparse.Namespace, config: StoreConfig) -> int:
    if options.action != "export" and options.file is None:
        print(f"registry {options.action}: a file is wanted", file=sys.stderr)
        return BAD_INPUT
    if options.action == "export":
        store = open_store(config)
        try:
            listed = store.registry.official().communes
            return _export(store.registry.read(), listed, options.file)
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
    name = str(options.file)
    text = import_file.text_of(content, name)
    # TOML is parsed before the store is opened, so that a wrong file is reported without one, and
    # again where the store has a newer list of communes. CSV has only lines, so it needs the
    # current registry.
    notices: list[Problem] = []
    wanted, wrong = _parsed_alone(text, name, notices)
    try:
        store = open_store(config)
    except StoreError as error:
        raise wrong or error from None
    try:
        known, listed = store.registry.read(), store.registry.official().communes
        if wrong is not None and listed is official():
            raise wrong
        if wanted is None or listed is not official():
            notices = []
            wanted = import_file.parse(text, name, listed, known, notices)
        if options.action == "check":
            changes = differences(known, wanted)
        else:
            now = datetime.now(UTC)
            changes = store.registry.apply(wanted, options.who, str(options.file), now)
    finally:
        store.close()
    for notice in notices:
        print(notice.in_(Language.EN), file=sys.stderr)
    for change in changes:
        sign = "+" if change.before is None else "-" if change.after is None else "~"
        print(f"{sign} {change.thing} {change.key}")
    verb = "applied" if options.action == "apply" else "would be made"
    print(f"{options.file}: sound; {len(changes)} changes {verb}")
    return OK


def _parsed_alone(
    text: str, name: str, notices: list[Problem]
) -> tuple[Registry | None, SettingsError | None]:
    """The registry of a TOML file by the packaged list of communes, or what is wrong with it."""
    if import_file.is_by_row(name):
        return None, None
    try:
        return import_file.parse(text, name, official(), Registry(), notices), None
    except SettingsError as error:
        return None, error


def _communes(options: argparse.Namespace, config: StoreConfig) -> int:
    """Compare a newer table of communes with the present one; with `--apply` take it."""
    name = str(options.file)
    try:
        content = settings_file.content(options.file)
        table = commune_table.parse(import_file.text_of(content, name, commune_table.COLUMNS), name)
        with closing(open_store(config)) as store:
            return _adopt(options, store, table)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT


def _adopt(options: argparse.Namespace, store: Store, table: ParsedTable) -> int:
    name, known = str(options.file), store.registry.official()
    changes = commune_table.compare(known.communes, table, name)
    registry = store.registry.read()
    for line in commune_table.report(changes):
        print(line)
    for place in commune_table.places_to_check(changes, registry):
        print(place)
    count = changes.total
    if not options.apply:
        print(f"{name}: sound; {count} changes would be made (--apply makes them)")
        return OK
    if count:
        day = options.since or local_day(datetime.now(UTC))
        newer = commune_table.adopted(official(), LIST_DAY, known, table, changes, day)
        moved = commune_table.with_present_codes(registry, changes.successors)
        by = Author(options.who, name, datetime.now(UTC))
        store.registry.adopt(newer, moved, by)
    print(f"{name}: sound; {count} changes made")
    return OK


def _export(registry: Registry, listed: Mapping[str, Commune], file: Path | None) -> int:
    text = to_toml(registry, listed)
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
