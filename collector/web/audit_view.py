"""Floor 1. The audit trail as its page shows it, and which of it a search finds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from collector.domain.place_search import bare
from collector.users.user import AuditEvent
from collector.web.formatting import Moment, moment
from collector.web.presentation import Locale

ROWS_A_PAGE = 80
FIND_MOST = 100


class AuditRow(NamedTuple):
    """An action; `word` is what was done in the reader's language, `code` as it is stored."""

    at: Moment
    user: str
    address: str
    word: str
    code: str
    subject: str
    detail: str


def row(event: AuditEvent, locale: Locale) -> AuditRow:
    """The row of an action."""
    return AuditRow(
        moment(event.at, locale.language, locale.timezone),
        event.user,
        event.address,
        action_word(event.action, locale),
        event.action,
        event.subject,
        event.detail,
    )


def action_word(action: str, locale: Locale) -> str:
    """What was done, in words; "" of an action of another version."""
    name = f"audit_{action}"
    return locale.label(name) if locale.has_label(name) else ""


def found(events: Iterable[AuditEvent], find: str, locale: Locale) -> list[AuditEvent]:
    """The actions that have each word of `find` somewhere, marks and capitals aside."""
    words = bare(find).split()
    return [event for event in events if all(word in _text(event, locale) for word in words)]


def _text(event: AuditEvent, locale: Locale) -> str:
    word = action_word(event.action, locale)
    return bare(
        f"{event.user} {event.address} {word} {event.action} {event.subject} {event.detail}"
    )
