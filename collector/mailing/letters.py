"""Floor 1. The mail that a report is sent with: subject, text, its id."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from collector.mailing.schedule import Delivery
from collector.reports import formatting
from collector.reports.report import ReportKind
from collector.rollup.periods import Period
from runtime.language import within_sentence

_NAMES = {
    ReportKind.WEEKLY: "Báo cáo tuần",
    ReportKind.MONTHLY: "Báo cáo tháng",
    ReportKind.BULLETIN: "Bản tin",
}
_CLOSING = (
    "Thư được gửi tự động theo lịch đặt tại trung tâm. Để ngừng nhận, đề nghị báo cho trung tâm."
)


class ReportFacts(NamedTuple):
    """What the mail states of a report; `version` None: a draft."""

    kind: ReportKind
    area: str
    period: Period
    version: int | None
    bulletin: str = ""


def letter_id(delivery: Delivery) -> str:
    """The same for the same delivery, so that a recipient's program recognises a repeat."""
    identity = f"{delivery.mailing} {delivery.occasion} {delivery.recipient}"
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def subject(facts: ReportFacts) -> str:
    """The subject in one line."""
    draft = " (bản nháp)" if facts.version is None else ""
    text = f"{_NAMES[facts.kind]}{draft} – {facts.area} – {_days(facts.period)}"
    return " ".join(text.split())


def text(facts: ReportFacts) -> str:
    """The text of the mail; a bulletin stands in it."""
    name, area = _NAMES[facts.kind].lower(), within_sentence(facts.area)
    which = (
        "Đây là bản nháp theo số liệu hiện có, chưa phát hành."
        if facts.version is None
        else f"Lần phát hành: {facts.version}."
    )
    parts = [
        "Kính gửi cơ quan, đơn vị,",
        f"Trung tâm đo chất lượng Internet gửi {name} của {area}, {_days(facts.period)}. {which}",
        facts.bulletin.strip(),
        _CLOSING,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _days(period: Period) -> str:
    return f"từ ngày {formatting.day(period.first)} đến ngày {formatting.day(period.last)}"
