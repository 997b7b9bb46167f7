"""Floor 3. The commands `tramdo-collector backup | restore`: loads only what a copy needs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from collector.store import backup
from collector.store.settings import StoreConfig, describe
from collector.store.store_error import StoreError

OK, FAILED, BAD_INPUT = 0, 1, 2
COMMANDS = {
    "backup": "Write a whole copy of the store into a file, while the collector runs.",
    "restore": "Make the store of such a copy; no collector may run, and no store be there.",
}


def add_arguments(name: str, command: argparse.ArgumentParser) -> None:
    """Add the arguments of one of `COMMANDS`."""
    if name == "backup":
        command.add_argument("file", type=Path, help="the copy")
        command.add_argument(
            "--check", action="store_true", help="read the whole copy once it is written"
        )
        return
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("file", type=Path, nargs="?", help="the copy")
    source.add_argument(
        "--in-place",
        action="store_true",
        help="the database has been restored already (pgBackRest, a copied file): what remains "
        "to be done before a collector runs on it",
    )


def run(options: argparse.Namespace, config: StoreConfig) -> int:
    """Run one of `COMMANDS`; returns the exit code."""
    store = describe(config)
    try:
        if options.command == "backup":
            backup.backup(config, options.file, check=options.check)
            read = ", read whole" if options.check else ""
            print(f"{options.file}: a copy of {store}{read}")
        elif options.in_place:
            backup.finish_restore(config)
            print(f"{store}: results get numbers that nobody has seen; start it")
        else:
            backup.restore(config, options.file)
            print(f"{options.file} is now {store}")
    except StoreError as error:
        print(error, file=sys.stderr)
        return FAILED
    return OK
