"""Floor 1. What people do about alerts: acknowledge, note, silence.

A silence keeps alerts from being notified, not from being stored and shown. An alert that is still
open when its silence ends is notified then; one that ended meanwhile is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from collector.alerts.alert import Key

# The longest silence: a box that nobody wants to hear of for longer is retired in the registry.
LONGEST = timedelta(days=92)
TEXT_MOST = 500


class Note(Struct, frozen=True, kw_only=True):
    """What somebody wrote about an alert; `acknowledged`: they take care of it."""

    alert: int
    at: datetime
    author: str
    acknowledged: bool
    text: str


class Silence(Struct, frozen=True, kw_only=True):
    """No notification from `starts_at` to `ends_at`. `kind` and `line` "" are every one."""

    number: int = 0
    kind: str = ""
    tenant: str
    probe: str
    line: str = ""
    name: str = ""
    starts_at: datetime
    ends_at: datetime
    author: str
    reason: str

    def covers(self, key: Key, at: datetime) -> bool:
        """Whether an alert is silenced at that time."""
        subject = key.subject
        return (
            self.starts_at <= at < self.ends_at
            and (self.tenant, self.probe) == (subject.tenant, subject.probe)
            and self.line in ("", subject.line)
            and self.name in ("", subject.name)
            and self.kind in ("", key.kind)
        )


def silenced_by(silences: Iterable[Silence], key: Key, at: datetime) -> Silence | None:
    """The silence that covers an alert at that time and ends last; None where none does."""
    found = (one for one in silences if one.covers(key, at))
    return max(found, key=lambda one: one.ends_at, default=None)


def problem(text: str, ends_at: datetime, now: datetime) -> str | None:
    """Why a silence is refused; None if it is accepted."""
    if not text.strip() or len(text) > TEXT_MOST:
        return f"a reason of 1 to {TEXT_MOST} characters is needed"
    if not now < ends_at <= now + LONGEST:
        return f"a silence ends within {LONGEST.days} days"
    return None
