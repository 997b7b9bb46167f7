"""Floor 3. `python -m deploy.authority`: `tramdo-authority`, or which extra it needs."""

from __future__ import annotations

import sys

from runtime import extra


def main() -> int:
    """Run the command; returns the exit code."""
    return extra.run("tramdo-authority", "deploy.authority.cli", "authority")


if __name__ == "__main__":
    sys.exit(main())
