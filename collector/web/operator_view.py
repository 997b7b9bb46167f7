"""Floor 1. Who carries a line, on its page: public addresses by family, NAT, and open alerts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from collector.alerts import notification
from collector.alerts.alert import Alert, AlertKind, Subject
from collector.domain.operators import History, IspPrefixes, OperatorStay, masked
from collector.registry.registry import Isp, LineKey
from collector.web.formatting import Moment, moment
from collector.web.presentation import Locale
from runtime.language import Language
from wire.record import Family

KINDS = (AlertKind.LINES_CROSSED, AlertKind.OTHER_NETWORK, AlertKind.NAT_CHANGED)
# Stays that are shown of each family, the present one included.
_SHOWN = 5


class OperatorRow(NamedTuple):
    """An address that a line had. `network` is the ISP's name, "" where no prefix covers it."""

    family: str
    address: str
    network: str
    nat: str
    first: Moment
    last: Moment


class OperatorSection(NamedTuple):
    """The section of the line page; `whole`: the addresses are."""

    rows: list[OperatorRow]
    found: list[str]
    whole: bool


def operator_rows(
    history: History, isps: Iterable[Isp], locale: Locale, *, may_read: bool
) -> list[OperatorRow]:
    """The last addresses of a line, the newest first, by family.

    Args:
        history: the line's.
        isps: of the registry.
        locale: the visitor's.
        may_read: whether the visitor may read whole addresses.
    """
    known = {isp.id: isp for isp in isps}
    prefixes = IspPrefixes(known.values())

    def row(family: Family, stay: OperatorStay) -> OperatorRow:
        isp = known.get(prefixes.isp_of(stay.address) or "")
        return OperatorRow(
            family=locale.label(f"family_{family}"),
            address=stay.address if may_read else masked(stay.address),
            network=isp.name if isp else "",
            nat=notification.NATS[stay.nat].in_(locale.language),
            first=moment(stay.first_at, locale.language, locale.timezone),
            last=moment(stay.last_at, locale.language, locale.timezone),
        )

    return [
        row(family, stay)
        for family in Family
        for stay in [*history.get(family, ())][: -_SHOWN - 1 : -1]
    ]


def operator_sentences(open_alerts: Iterable[Alert], key: LineKey, locale: Locale) -> list[str]:
    """What the centre has found of the line's operator and not yet ended, as sentences."""
    vietnamese = locale.language is Language.VI
    return [
        notification.sentence(alert, locale.timezone, vietnamese=vietnamese)
        for alert in open_alerts
        if alert.key.kind in KINDS and _concerns(alert, key)
    ]


def _concerns(alert: Alert, key: LineKey) -> bool:
    """Whether it is the line's: an alert about crossed lines is every one's of them."""
    subject = alert.key.subject
    if subject == Subject(*key):
        return True
    crossed = str(alert.evidence.get("lines", "")).split(", ")
    return (subject.tenant, subject.probe) == key[:2] and key.line in crossed
