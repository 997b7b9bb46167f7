"""Floor 3. `python -m collector`: starts `tramdo-collector`, or says which extra it needs."""

from __future__ import annotations

import sys

from runtime import extra

# Known here without loading it.
_COPY = (["backup"], ["restore"])


def main() -> int:
    """Run the command; returns the exit code."""
    module = "collector.copy_cli" if sys.argv[1:2] in _COPY else "collector.cli"
    return extra.run("tramdo-collector", module, "collector")


if __name__ == "__main__":
    sys.exit(main())
