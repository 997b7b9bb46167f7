"""Floor 1. The live page: probes and their last results, with all labels and numbers formatted.

Templates only place them. A failed result is shown with its reason; a state always has a sign and a
word besides its colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from collector.domain.lines import presence_of
from collector.store.messages import SignatureOutcome
from collector.store.records import LastResult, StoredProbe, StoredResult, Totals
from collector.web.formatting import MISSING, Cell, Moment, cell, moment, whole_number
from collector.web.labels import measurement
from collector.web.presentation import Badge, Locale
from runtime.language import Language
from wire.messages import Presence
from wire.result import HOST_LINE, AnyResult, Line, Outcome, decode_result

# A probe of three lines has some fifty.
RESULTS_MOST = 200


class Heading(NamedTuple):
    """A column heading."""

    label: str
    unit: str


class RowView(NamedTuple):
    """A result in a table. `note` is why it failed; `earlier` marks the last successful one."""

    protocol: str
    target: str
    badge: Badge
    note: str
    detail: str
    cells: list[Cell]
    remarks: list[str]
    measured_at: Moment
    earlier: bool


class TableView(NamedTuple):
    """The last results of one kind on one line."""

    kind: str
    title: str
    headings: list[Heading]
    rows: list[RowView]


class LineView(NamedTuple):
    """A line and its tables. It is titled by its ISP."""

    id: str
    isp: str
    tables: list[TableView]


class ProbeView(NamedTuple):
    """A probe with its lines. `anchor` is its element id in the page.

    `hidden` states how many of its last results are shown, "" where all are; `signed` how many of
    them are what the probe signed, "" where none is signed.
    """

    anchor: str
    tenant: str
    probe: str
    office: str
    commune_code: str
    group: str
    presence: Badge
    presence_since: Moment | None
    last_contact: Moment | None
    pending: str | None
    version: str | None
    lines: list[LineView]
    hidden: str
    signed: str


class SummaryView(NamedTuple):
    """The counts above the list."""

    online: str
    probes: str
    results: str
    rejected: str


PRESENCE_TONES = {
    Presence.ONLINE: ("good", "●"),
    Presence.OFFLINE: ("quiet", "○"),
    Presence.LOST: ("bad", "✕"),
}
OUTCOME_TONES = {
    Outcome.OK: ("good", "✓"),
    Outcome.FAILED: ("bad", "✕"),
    Outcome.SKIPPED: ("quiet", "↷"),
}


def summary(online: int, probes: int, totals: Totals, locale: Locale) -> SummaryView:
    """The counts above the list."""
    counts = (online, probes, totals.results, sum(totals.rejected.values()))
    return SummaryView(*(whole_number(count, locale.language) for count in counts))


def probe_view(
    probe: StoredProbe,
    results: Sequence[LastResult],
    locale: Locale,
    signatures: Sequence[SignatureOutcome | None] = (),
) -> ProbeView:
    """The view of a probe. `results` are the last ones of each line, kind and target.

    At most `RESULTS_MOST` of them are shown, and the number of all is stated. `signatures`: what
    came of checking each of them.
    """
    site = probe.site
    since = probe.presence_since
    return ProbeView(
        anchor=f"probe.{probe.tenant}.{probe.probe}",
        tenant=probe.tenant,
        probe=probe.probe,
        office=site.office if site else probe.probe,
        commune_code=site.commune_code if site else "",
        group=(site.group or "") if site else "",
        presence=_presence(presence_of(probe), locale.language),
        presence_since=_moment(since, locale) if since else None,
        last_contact=_moment(probe.last_contact_at, locale) if probe.last_contact_at else None,
        pending=whole_number(probe.health.pending, locale.language) if probe.health else None,
        version=probe.info.probe_version if probe.info else None,
        lines=_lines(probe, results[:RESULTS_MOST], locale),
        hidden=_hidden(len(results), locale),
        signed=_signed(signatures, locale),
    )


def _hidden(results: int, locale: Locale) -> str:
    if results <= RESULTS_MOST:
        return ""
    return f"{locale.label('shown_of_all')} {locale.number(RESULTS_MOST)}/{locale.number(results)}"


def _signed(signatures: Sequence[SignatureOutcome | None], locale: Locale) -> str:
    if all(outcome is None for outcome in signatures):
        return ""
    checked = sum(outcome is SignatureOutcome.CHECKED for outcome in signatures)
    return f"{locale.number(checked)}/{locale.number(len(signatures))}"


def _moment(at: datetime, locale: Locale) -> Moment:
    return moment(at, locale.language, locale.timezone)


def _presence(presence: Presence | None, language: Language) -> Badge:
    if presence is None:
        return Badge("quiet", "?", measurement.PRESENCE_UNKNOWN.in_(language))
    return Badge(*PRESENCE_TONES[presence], measurement.PRESENCES[presence].in_(language))


def _lines(probe: StoredProbe, results: Sequence[LastResult], locale: Locale) -> list[LineView]:
    """The lines in the probe's order, then those that only older results have."""
    decoded = [(entry, _decode(entry.last)) for entry in results]
    known = {line.id: line for line in (probe.info.lines if probe.info else ())}
    for entry, result in decoded:
        known.setdefault(entry.last.line, result.line if result else Line(entry.last.line))
    return [
        LineView(
            id=line.id,
            isp=_line_title(line, locale),
            tables=_tables([pair for pair in decoded if pair[0].last.line == line.id], locale),
        )
        for line in known.values()
    ]


def _line_title(line: Line, locale: Locale) -> str:
    """The ISP; the probe itself for results that concern no line."""
    if line.id == HOST_LINE.id:
        return locale.label("host_line")
    return line.isp or line.id


def _tables(
    decoded: Sequence[tuple[LastResult, AnyResult | None]], locale: Locale
) -> list[TableView]:
    by_kind: dict[str, list[RowView]] = {kind: [] for kind in measurement.FIGURES}
    for entry, result in decoded:
        rows = by_kind.setdefault(entry.last.kind, [])
        rows.append(_row(entry.last, result, locale))
        if entry.last_ok is not None and entry.last_ok != entry.last:
            rows.append(_row(entry.last_ok, _decode(entry.last_ok), locale, earlier=True))
    return [
        TableView(
            kind=kind,
            title=measurement.KINDS[kind].in_(locale.language)
            if kind in measurement.KINDS
            else kind,
            headings=[
                Heading(figure.label.in_(locale.language), figure.unit.in_(locale.language))
                for figure in measurement.FIGURES.get(kind, ())
            ],
            rows=rows,
        )
        for kind, rows in by_kind.items()
        if rows
    ]


def _row(
    stored: StoredResult, result: AnyResult | None, locale: Locale, *, earlier: bool = False
) -> RowView:
    language = locale.language
    protocol, target = _target(stored.target, language)
    if result is not None and result.family is not None:
        protocol = f"{protocol} {locale.label(f'family_{result.family}')}".strip()
    figures = measurement.FIGURES.get(stored.kind, ())
    if result is None:
        return RowView(
            protocol=protocol,
            target=target,
            badge=Badge("quiet", "?", locale.label("unreadable")),
            note="",
            detail="",
            cells=[Cell(MISSING) for _ in figures],
            remarks=[],
            measured_at=_moment(stored.received_at, locale),
            earlier=earlier,
        )
    badge = (
        Badge("quiet", "↳", locale.label("last_good"))
        if earlier
        else Badge(
            *OUTCOME_TONES[result.outcome], measurement.OUTCOMES[result.outcome].in_(language)
        )
    )
    return RowView(
        protocol=protocol,
        target=target,
        badge=badge,
        note=measurement.REASONS[result.reason].in_(language) if result.reason else "",
        detail=result.detail or "",
        cells=[cell(figure, result.values, language) for figure in figures],
        remarks=[measurement.VALIDITIES[validity].in_(language) for validity in result.validity],
        measured_at=_moment(result.started_at, locale),
        earlier=earlier,
    )


def _target(name: str | None, language: Language) -> tuple[str, str]:
    """`stamp:server-1` as (STAMP, server-1): protocol and target."""
    protocol, colon, target = (name or MISSING).partition(":")
    if not colon:
        protocol, target = "", protocol
    spoken = measurement.TARGETS.get(target)
    return protocol.upper(), spoken.in_(language) if spoken else target


def _decode(stored: StoredResult) -> AnyResult | None:
    """The decoded result; None where another version of the contract wrote it."""
    try:
        return decode_result(stored.body)
    except msgspec.DecodeError:
        return None
