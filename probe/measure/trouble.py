"""Floor 1. What went wrong on the way, as a value: a reason from the closed list and a sentence."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from wire.result import Reason


class LineLack(StrEnum):
    """What a line has not, so that nothing can go out by it."""

    INTERFACE = "interface"
    SWITCHED_ON = "switched_on"
    CARRIER = "carrier"
    ADDRESS = "address"


class Trouble(NamedTuple):
    """Why packets could not leave or come back; `sentence` is for the technician."""

    reason: Reason
    sentence: str
