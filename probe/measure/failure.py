"""Floor 1. What went wrong on the way, as a value: a reason from the closed list and a sentence."""

from __future__ import annotations

from typing import NamedTuple

from wire.result import Reason


class Failure(NamedTuple):
    """Why packets could not leave or come back; `sentence` is for the technician."""

    reason: Reason
    sentence: str
