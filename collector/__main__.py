"""Floor 3. `python -m collector`: starts `tramdo-collector`, or says which extra it needs."""

from __future__ import annotations

import sys

from runtime import extra


def main() -> int:
    """Run the command; returns the exit code."""
    return extra.run("tramdo-collector", "collector.cli", "collector")


if __name__ == "__main__":
    sys.exit(main())
