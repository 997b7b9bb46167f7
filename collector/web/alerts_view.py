"""Floor 1. Alerts as rows of the alerts page: filtered, sorted, in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from collector.alerts import notification
from collector.alerts.alert import Alert, AlertHead, AlertKind, Subject
from collector.alerts.notification import AlertEvent, Transition
from collector.alerts.silence import Note, Silence
from collector.domain.lines import KnownLine, isps_of, provinces_of
from collector.registry.planned_maintenance import PlannedMaintenance
from collector.registry.registry import Registry
from collector.web.formatting import Moment, by_name, moment
from collector.web.presentation import Locale
from collector.web.table import Column
from runtime.language import Language

ROWS_A_PAGE = 100
# Of the filter `state`; without it, the open ones.
ENDED, EVERY = "ended", "all"
COLUMNS = (
    Column("kind", "alert"),
    Column("place", "office"),
    Column("detail", "detail", ""),
    Column("began", "began_at"),
    Column("ended", "ended_at", "desc"),
)


class AlertRow(NamedTuple):
    """A row of the alerts page. `href` leads to its probe, "" where it has none.

    `acknowledged_by` is the last who did, "" where nobody has. `held_until` is the end of the
    planned `maintenance` that holds it back.
    """

    number: int
    title: str
    place: str
    commune: str
    href: str
    sentence: str
    began: Moment
    ended: Moment | None
    acknowledged_by: str
    silenced_until: Moment | None
    held_until: Moment | None = None
    maintenance: int = 0


class SilenceRow(NamedTuple):
    """A silence in force; `place` is the probe, and the line if it is of one."""

    number: int
    place: str
    kind: str
    until: Moment
    author: str
    reason: str
    commune_code: str


class AlertPlaces:
    """Where alerts are: the lines of their probes, else what the alert itself says.

    `provinces` and `isps` are what may be chosen of, each as (name, code).
    """

    def __init__(self, lines: Sequence[KnownLine], registry: Registry) -> None:
        self._registry = registry
        self.provinces, self.isps = provinces_of(lines), isps_of(lines)
        self._lines: dict[tuple[str, str], list[KnownLine]] = {}
        for line in lines:
            self._lines.setdefault(line.key[:2], []).append(line)

    def commune(self, alert: Alert) -> str:
        """The commune's name with its province's; "" for an alert of the centre itself."""
        code = self.commune_code_of(alert)
        commune = self._registry.communes.get(code)
        return f"{commune.name}, {commune.province_name}" if commune else code

    def commune_code(self, tenant: str, probe: str) -> str:
        """The commune of a probe; "" where it is not known."""
        lines = self._lines.get((tenant, probe))
        return lines[0].commune_code if lines else ""

    def commune_code_of(self, alert: Alert) -> str:
        """The code of the commune; "" where it has none."""
        return self._code(alert.key.subject, alert.commune_code)

    def _code(self, subject: Subject, at_beginning: str | None) -> str:
        return self.commune_code(subject.tenant, subject.probe) or at_beginning or ""

    def matching(
        self, heads: Sequence[AlertHead], province: str, group: str, isp: str
    ) -> list[int]:
        """The numbers of the alerts that pass the filters; "" lets every one pass."""
        if not (province or group or isp):
            return [head.number for head in heads]
        return [head.number for head in heads if self._matches(head, province, group, isp)]

    def _matches(self, head: AlertHead, province: str, group: str, isp: str) -> bool:
        code = self._code(head.subject, head.commune_code)
        commune = self._registry.communes.get(code)
        if province and (commune is None or commune.province_code != province):
            return False
        if group and code not in self._registry.groups[group].communes:
            return False
        return not isp or any(line.isp == isp for line in self._lines_of(head.subject))

    def _lines_of(self, subject: Subject) -> Sequence[KnownLine]:
        lines = self._lines.get((subject.tenant, subject.probe), [])
        return [line for line in lines if subject.line in ("", line.key.line)]


def sort_key(column: str, places: AlertPlaces, locale: Locale) -> Callable[[Alert], Any]:
    """What alerts are sorted by for one of `COLUMNS`."""
    keys: Mapping[str, Callable[[Alert], Any]] = {
        "kind": lambda alert: _title(alert.key.kind, locale),
        "place": lambda alert: (by_name(places.commune(alert)), notification.place(alert)),
        "began": lambda alert: alert.began_at,
        "ended": lambda alert: alert.ended_at,
    }
    return keys[column]


def kinds(locale: Locale) -> list[tuple[str, str]]:
    """The kinds of alerts to choose from, by title."""
    return sorted((_title(kind, locale), kind.value) for kind in AlertKind)


def alert_row(
    alert: Alert,
    places: AlertPlaces,
    locale: Locale,
    notes: Iterable[Note] = (),
    silence: Silence | None = None,
    maintenance: PlannedMaintenance | None = None,
) -> AlertRow:
    """The row of an alert, with its notes, and what keeps it from being notified."""
    acknowledged = [note.author for note in notes if note.acknowledged]
    subject = alert.key.subject
    href = f"/probe/{subject.tenant}/{subject.probe}" if subject.probe else ""
    ended = alert.ended_at
    vietnamese = locale.language is Language.VI
    return AlertRow(
        number=alert.number,
        title=_title(alert.key.kind, locale),
        place=notification.place(alert),
        commune=places.commune(alert),
        href=href,
        sentence=notification.sentence(alert, locale.timezone, vietnamese=vietnamese),
        began=moment(alert.began_at, locale.language, locale.timezone),
        ended=None if ended is None else moment(ended, locale.language, locale.timezone),
        acknowledged_by=acknowledged[-1] if acknowledged else "",
        silenced_until=None
        if silence is None
        else moment(silence.ends_at, locale.language, locale.timezone),
        held_until=moment(maintenance.current.ends_at, locale.language, locale.timezone)
        if maintenance
        else None,
        maintenance=maintenance.number if maintenance else 0,
    )


def silence_row(silence: Silence, places: AlertPlaces, locale: Locale) -> SilenceRow:
    """The row of a silence."""
    names = (silence.tenant, silence.probe, silence.line, silence.name)
    return SilenceRow(
        number=silence.number,
        place="/".join(filter(None, names)),
        kind=_title(AlertKind(silence.kind), locale)
        if silence.kind
        else locale.label("alert_every_kind"),
        until=moment(silence.ends_at, locale.language, locale.timezone),
        author=silence.author,
        reason=silence.reason,
        commune_code=places.commune_code(silence.tenant, silence.probe),
    )


def alert_event(alert: Alert) -> dict[str, object]:
    """The last event of an alert, as the webhook's JSON object."""
    transition = Transition.BEGIN if alert.ended_at is None else Transition.END
    return notification.as_json(AlertEvent(transition, alert))


def _title(kind: AlertKind, locale: Locale) -> str:
    title = notification.title(kind, locale.language is Language.VI)
    return title[:1].upper() + title[1:]
