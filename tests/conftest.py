"""For every test: hypothesis sets no time limit, a loaded machine is slower than any of them."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("tramdo", deadline=None)
settings.load_profile("tramdo")
