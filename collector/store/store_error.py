"""Floor 1. The error of a store, in a module that loads nothing else."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot do it now (disk full, locked, gone); the text is a sentence for users."""
