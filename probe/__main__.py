"""Floor 3. `python -m probe`: starts `tramdo-probe`, or says which extra it needs."""

from __future__ import annotations

import sys

from runtime import extra


def main() -> int:
    """Run the command; returns the exit code."""
    return extra.run("tramdo-probe", "probe.cli", "probe")


if __name__ == "__main__":
    sys.exit(main())
