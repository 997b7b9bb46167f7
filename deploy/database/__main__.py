"""Floor 3. `python -m deploy.database SETTINGS.toml FOLDER`: writes a folder for each member.

Exit codes: 0 written; 1 cannot be written; 2 wrong settings, every problem on standard error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.database.render import render
from deploy.database.settings import DatabaseSettings
from runtime import settings, settings_file
from runtime.settings import SettingsError

_EPILOG = """exit codes:
  0  written
  1  a file cannot be written
  2  wrong settings; every problem is on standard error
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.database",
        description="Write the files of Patroni, etcd and pgBackRest, a folder for each member, "
        "and print the collector's connection string.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("settings", type=Path, help="TOML (deploy/database/example.toml)")
    parser.add_argument("folder", type=Path, help="where the folders are written")
    options = parser.parse_args(argv)
    try:
        content = settings_file.content(options.settings)
        read = settings.parse(content, DatabaseSettings, str(options.settings))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        _write(options.folder, read)
    except OSError as error:
        print(f"{options.folder} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(read.conninfo)
    return 0


def _write(folder: Path, read: DatabaseSettings) -> None:
    for member in read.members:
        (folder / member.name).mkdir(exist_ok=True)
        for name, text in render(read, member).items():
            (folder / member.name / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
