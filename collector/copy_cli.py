"""Floor 3. `tramdo-collector backup` and `restore`: started without what the other commands load.

To load pages, reports and their libraries takes longer than to copy a store of some months.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collector import config as configuration
from collector.config import Config
from collector.store import backup_cli
from runtime import settings_file
from runtime.settings import SettingsError

DEFAULT_CONFIG = Path("/etc/tramdo/collector.toml")
EPILOG = """exit codes:
  0  all went well; `run` was ended by SIGTERM or SIGINT
  1  something failed at run time: the store, the broker, the pages' address;
     (command) the probe refused or did not answer
  3  (signatures) signed results are missing or were changed;
     (rollup check) roll-ups differ from raw results
  2  the command line or the configuration is wrong; nothing was started
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `backup` or `restore`; returns the exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    if (config := read_config(options.config)) is None:
        return backup_cli.BAD_INPUT
    return backup_cli.run(options, config.store)


def read_config(path: Path) -> Config | None:
    """The configuration; None when it is wrong, with every problem on standard error."""
    try:
        return configuration.parse(settings_file.content(path), str(path))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return None


def add_command(
    commands: Any,  # noqa: ANN401 - argparse names no public type
    name: str,
    text: str,
    aliases: Sequence[str] = (),
) -> argparse.ArgumentParser:
    """Add a command of `tramdo-collector` with the option that each has; returns its parser."""
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        aliases=aliases,
        help=text,
        description=text,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "-c",
        "--config",
        type=Path,
        default=DEFAULT_CONFIG,
        help="configuration file (default: %(default)s)",
    )
    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tramdo-collector", description="Copies the store, and makes one of a copy."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in backup_cli.COMMANDS:
        backup_cli.add_arguments(name, add_command(commands, name, backup_cli.COMMANDS[name]))
    return parser
