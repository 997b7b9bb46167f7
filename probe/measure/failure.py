"""Floor 1. A failure as a value: a reason from the closed list and a sentence."""

from __future__ import annotations

from typing import NamedTuple

from wire.record import Reason


class Failure(NamedTuple):
    """Why a measurement failed; `sentence` is for the technician."""

    reason: Reason
    sentence: str
