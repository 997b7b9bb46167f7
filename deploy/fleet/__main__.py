"""Floor 3. `python -m deploy.fleet`: starts `tramdo-fleet`, or says which extra it needs."""

from __future__ import annotations

import sys

from runtime import extra


def main() -> int:
    """Run the command; returns the exit code."""
    return extra.run("tramdo-fleet", "deploy.fleet.cli", "fleet")


if __name__ == "__main__":
    sys.exit(main())
