"""Floor 1. What people do about alerts: acknowledge, note, silence, announce maintenance.

A silence keeps alerts from being notified, not from being stored and shown. An alert that is still
open when its silence ends is notified then; one that ended meanwhile is not. Planned maintenance
that is being done does the same to the alerts of the lines concerned, entered late or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from collector.alerts.alert import AlertKind, Key
from collector.registry.planned_maintenance import PlannedMaintenance
from collector.registry.registry import LineKey, Registry

TEXT_MOST = 500
# What work on a line may cause: of the line itself, and of a probe whose every line is concerned.
_OF_LINE = {
    AlertKind.LINE_DOWN,
    AlertKind.FAMILY_DOWN,
    AlertKind.PLAN_MISSED,
    AlertKind.LINES_CROSSED,
    AlertKind.OTHER_NETWORK,
    AlertKind.NAT_CHANGED,
}
_OF_PROBE = {AlertKind.PROBE_SILENT, AlertKind.BACKLOG_GROWING}


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


def held_by(
    going_on: Iterable[PlannedMaintenance], key: Key, registry: Registry
) -> PlannedMaintenance | None:
    """The planned maintenance that an alert is held back by; None where there is none.

    Args:
        going_on: what is being done now.
        key: the alert's.
        registry: the lines.
    """
    subject = key.subject
    if key.kind in _OF_LINE:
        lines = [LineKey(subject.tenant, subject.probe, subject.line)]
    elif key.kind in _OF_PROBE:
        probe = registry.probe(subject.tenant, subject.probe)
        lines = [
            LineKey(subject.tenant, subject.probe, line.id)
            for line in (probe.lines if probe else ())
        ]
    else:
        return None
    concerned = (one for one in going_on if lines and _concerns_all(one, lines, registry))
    return max(concerned, key=lambda one: one.current.ends_at, default=None)


def _concerns_all(one: PlannedMaintenance, lines: Iterable[LineKey], registry: Registry) -> bool:
    return all(one.concerns(line, registry) for line in lines)


class TextProblem(StrEnum):
    """Why a text is refused: a closed list, each with a label for the pages."""

    NO_TEXT = "no_text"
    TOO_LONG = "too_long"


def problem(text: str, *, may_be_empty: bool = False) -> TextProblem | None:
    """Why the text of a note or the reason of a silence is refused; None if it is accepted."""
    if not text and not may_be_empty:
        return TextProblem.NO_TEXT
    return TextProblem.TOO_LONG if len(text) > TEXT_MOST else None
