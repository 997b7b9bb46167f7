"""Floor 1. Output of `tramdo-probe doctor`: the report in one language, as JSON or text."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from probe.doctor.check import CheckStatus, DoctorReport, has_no_errors
from runtime.language import Language, Phrase

_SIGNS = {
    CheckStatus.GOOD: Phrase("tốt", "ok"),
    CheckStatus.WATCH: Phrase("lưu ý", "watch"),
    CheckStatus.BAD: Phrase("LỖI", "BAD"),
    CheckStatus.UNKNOWN: Phrase("?", "?"),
}


class CheckDocument(Struct, frozen=True):
    """The result of a check. `part` and `verdict` are the same in every language."""

    part: str
    verdict: CheckStatus
    title: str
    seen: str
    todo: str | None


class DoctorDocument(Struct, frozen=True, kw_only=True):
    """What `tramdo-probe doctor --json` prints; `at` is UTC."""

    at: datetime
    probe: str
    version: str
    language: Language
    well: bool
    summary: str
    findings: list[CheckDocument]


def document(report: DoctorReport, language: Language) -> DoctorDocument:
    """The report as a JSON document."""
    return DoctorDocument(
        at=report.at.astimezone(UTC),
        probe=report.probe,
        version=report.version,
        language=language,
        well=has_no_errors(report.findings),
        summary=_summary(report).in_(language),
        findings=[
            CheckDocument(
                part=one.part.en,
                verdict=one.verdict,
                title=one.part.in_(language),
                seen=one.seen.in_(language),
                todo=one.todo.in_(language) if one.todo else None,
            )
            for one in report.findings
        ],
    )


def text(report: DoctorReport, language: Language) -> str:
    """The report as text; what to do is under each result that is not good."""
    findings = document(report, language).findings
    width = max((len(one.title) for one in findings), default=0)
    at = Phrase(f"{report.at:%H:%M} ngày {report.at:%d/%m/%Y}", f"{report.at:%Y-%m-%d %H:%M%z}")
    lines = [f"{report.probe}, tramdo-probe {report.version}, {at.in_(language)}", ""]
    for one in findings:
        sign = _SIGNS[one.verdict].in_(language)
        lines.append(f"{sign:>5}  {one.title:<{width}}  {one.seen}")
        if one.todo is not None:
            lines.append(f"{'':>5}  {'':<{width}}  -> {one.todo}")
    return "\n".join([*lines, "", _summary(report).in_(language)])


def _summary(report: DoctorReport) -> Phrase:
    if has_no_errors(report.findings):
        return Phrase("mọi thứ đều ổn", "all is well")
    count = sum(one.verdict is CheckStatus.BAD for one in report.findings)
    return Phrase(f"{count} lỗi cần khắc phục", f"{count} to be mended")
