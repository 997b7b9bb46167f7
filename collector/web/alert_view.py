"""Floor 1. One alert as its page shows it, and the silence that its form asks for."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from collector.alerts.alert import Alert
from collector.alerts.silence import Note, Silence
from collector.web.formatting import Moment, moment
from collector.web.presentation import Locale

# How long a silence may be asked for, in hours: a box that nobody wants to hear of for longer is
# retired in the registry.
HOURS = (4, 24, 72, 168, 720)
_USUAL_HOURS = "24"


class RefusedForm(NamedTuple):
    """What was typed into a form that is shown again, and the label of why it was refused."""

    problem: str = ""
    do: str = ""
    text: str = ""
    hours: str = _USUAL_HOURS
    scope: str = ""


class NoteRow(NamedTuple):
    """What somebody wrote."""

    at: Moment
    author: str
    acknowledged: bool
    text: str


def note_rows(notes: Iterable[Note], locale: Locale) -> list[NoteRow]:
    """Notes in the order in which they were written."""
    return [
        NoteRow(
            moment(one.at, locale.language, locale.timezone),
            one.author,
            one.acknowledged,
            one.text,
        )
        for one in notes
    ]


def durations(locale: Locale) -> list[tuple[str, str]]:
    """The durations of a silence to choose from, as (text, hours)."""
    return [(locale.label(f"alert_hours_{hours}"), str(hours)) for hours in HOURS]


def typed_text(fields: Mapping[str, str]) -> str:
    """The field `text`. Browsers send each line end as two characters, and count it as one."""
    text = unicodedata.normalize("NFC", fields.get("text", ""))
    return text.replace("\r\n", "\n").strip()


def refused_form(fields: Mapping[str, str], problem: str) -> RefusedForm:
    """The form again with what was typed."""
    return RefusedForm(
        problem=f"alert_problem_{problem}",
        do=fields.get("do", ""),
        text=typed_text(fields),
        hours=fields.get("hours", _USUAL_HOURS),
        scope=fields.get("scope", ""),
    )


def silence_of(alert: Alert, fields: Mapping[str, str], author: str, now: datetime) -> Silence:
    """The silence that a form asks for (`hours`, `scope`, `text`).

    Raises:
        ValueError: the duration is none of `HOURS`; a sentence.
    """
    hours = fields.get("hours", _USUAL_HOURS)
    if hours not in {str(one) for one in HOURS}:
        raise ValueError(f"`hours` is one of {', '.join(map(str, HOURS))}")
    subject = alert.key.subject
    # An alert of the centre itself has no probe, so there is nothing wider.
    whole_probe = fields.get("scope") == "probe" and bool(subject.probe)
    return Silence(
        kind="" if whole_probe else alert.key.kind.value,
        tenant=subject.tenant,
        probe=subject.probe,
        line="" if whole_probe else subject.line,
        name="" if whole_probe else subject.name,
        starts_at=now,
        ends_at=now + timedelta(hours=int(hours)),
        author=author,
        reason=typed_text(fields),
    )
