"""Floor 3. `python -m verify`: `tramdo-verify`, or which extra it needs.

It imports nothing of the rest of the product: what checks must not share a fault with what is
checked.
"""

from __future__ import annotations

import importlib
import sys

# EX_UNAVAILABLE of sysexits.h, as of our other commands.
_UNAVAILABLE = 69


def main() -> int:
    """Run the command; returns the exit code."""
    try:
        run = importlib.import_module("verify.cli").main
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name == "verify":
            raise
        sys.stderr.write(
            f"tramdo-verify: the package `{name}` is not installed: pip install 'tramdo[verify]'\n"
        )
        return _UNAVAILABLE
    return int(run())


if __name__ == "__main__":
    sys.exit(main())
