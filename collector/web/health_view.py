"""Floor 1. The centre's own health as rows of the system page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from collector.domain import health_texts
from collector.domain.centre_health import Check, CheckState
from collector.web.presentation import Badge, Locale

_LOOKS = {
    CheckState.GOOD: ("good", "✓"),
    CheckState.ATTENTION: ("warn", "△"),
    CheckState.BAD: ("bad", "✕"),
    CheckState.UNKNOWN: ("quiet", "?"),
}
_WORST_FIRST = (CheckState.BAD, CheckState.ATTENTION)


class CheckRow(NamedTuple):
    """A check; `action` is empty where nothing is to be done."""

    name: str
    badge: Badge
    finding: str
    limit: str
    action: str


def check_row(check: Check, locale: Locale) -> CheckRow:
    """The row of a check."""
    language = locale.language
    return CheckRow(
        health_texts.NAMES[check.name].in_(language),
        _badge(check.state, locale),
        health_texts.finding(check, locale.timezone).in_(language),
        health_texts.limit(check.name).in_(language),
        health_texts.action(check).in_(language),
    )


def summary(checks: Sequence[Check], locale: Locale) -> Badge:
    """The worst state, with how many checks have it."""
    for state in _WORST_FIRST:
        if count := sum(check.state is state for check in checks):
            look = _badge(state, locale)
            return look._replace(word=f"{look.word}: {locale.number(count)}")
    return _badge(CheckState.GOOD, locale)


def _badge(state: CheckState, locale: Locale) -> Badge:
    tone, sign = _LOOKS[state]
    return Badge(tone, sign, locale.label(f"check_{state}"))
