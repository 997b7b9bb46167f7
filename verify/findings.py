"""Floor 1. What a check finds: what agrees, what differs, what cannot be known."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """The kinds of finding."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNKNOWN = "cannot be known"


class Finding(NamedTuple):
    """One finding: of which file, epoch or line, and a sentence."""

    kind: Kind
    subject: str
    text: str


class BundleError(Exception):
    """The file is no bundle that can be read; the text is a sentence."""
