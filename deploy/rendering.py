"""Floor 3. What the commands that write another program's files from our settings share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from runtime import settings, settings_file
from runtime.settings import SettingsError

_EPILOG = """exit codes:
  0  written
  1  a file cannot be written
  2  wrong settings; every problem is on standard error
"""
S = TypeVar("S", bound=Struct)


def parser_of(prog: str, description: str, example: str, folder: str) -> argparse.ArgumentParser:
    """A parser of `SETTINGS FOLDER`; `example` and `folder` end their help."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("settings", type=Path, help=f"settings as TOML ({example})")
    parser.add_argument("folder", type=Path, help=f"where {folder}")
    return parser


def read_settings(path: Path, settings_type: type[S]) -> S | None:
    """The settings; None when they are wrong, with every problem on standard error."""
    try:
        return settings.parse(settings_file.content(path), settings_type, str(path))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return None


def write_files(folder: Path, files: Mapping[str, str]) -> int:
    """Write `files` (names are NAME or MEMBER/NAME) into a folder that exists; the exit code."""
    try:
        for name, text in files.items():
            path = folder / name
            if path.parent != folder:
                path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"{folder} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return 0
