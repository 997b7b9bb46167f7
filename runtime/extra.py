"""Floor 3. Starts a program; one whose packages are not installed says which extra brings them.

`pip install tramdo[probe]` installs all of our commands, also those that need another extra's
packages.
"""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

from runtime import standard_output

# EX_UNAVAILABLE of sysexits.h: 1 to 3 have meanings of each program's own.
UNAVAILABLE = 69
OURS = ("wire", "runtime", "probe", "server", "collector", "deploy")


def run(program: str, module: str, extra: str) -> int:
    """Run `main` of the program's module; returns its exit code.

    Raises:
        SystemExit: 69, with a sentence on standard error, where a package is missing.
    """
    try:
        main = importlib.import_module(module).main
    except ModuleNotFoundError as error:
        _explain(program, extra, error)
    # Some commands import what only they need when they are called.
    try:
        return standard_output.until_closed(main)
    except ModuleNotFoundError as error:
        _explain(program, extra, error)


def _explain(program: str, extra: str, error: ModuleNotFoundError) -> NoReturn:
    name = (error.name or "").partition(".")[0]
    if name in OURS:
        raise error
    sys.stderr.write(
        f"{program}: the package `{name}` is not installed: pip install 'tramdo[{extra}]'\n"
    )
    raise SystemExit(UNAVAILABLE)
