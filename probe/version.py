"""Floor 2. The version of what is installed, as every result states it."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("tramdo")
