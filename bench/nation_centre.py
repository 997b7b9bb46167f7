"""Floor 3. A nation's centre for `bench.pages`: 3,321 communes, two lines each, alerts, users.

The roll-ups are `bench.centre_load`'s; states, alerts and users go through the product's stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from bench.centre_load import ISPS, TENANT, Loader, Nation
from collector.alerts.alert import AlertKind, Begin, End, Key, RuleResult, RuleState, Subject
from collector.alerts.alert_store import AlertLocation, AlertStore
from collector.ingest.validation import validate
from collector.registry.communes import official
from collector.rollup.periods import local_day
from collector.store.messages import ValidatedMessage
from collector.store.sqlite import SqliteStore
from collector.users import passwords
from collector.users.user import Role, User
from collector.users.user_store import UserStore
from tests import samples
from wire import messages, topics
from wire.messages import LineState, Presence, State
from wire.result import Line
from wire.site import Site

USER, PASSWORD = "trung-tam", "một câu dài dễ nhớ"
COMMUNE = "01969"
_LINES = tuple(Line(isp, isp.upper(), f"eth{number}") for number, isp in enumerate(ISPS))
_PROBES_A_BATCH = 200
# Of a hundred communes: so many probes are silent, so many have a line that is down or degraded.
_SILENT, _DOWN, _DEGRADED = 3, 4, 7
_ENDED_A_DAY = 120


def fill(folder: Path, communes: int, days: int) -> int:
    """Fill a collector's folder; how many results its store stands for."""
    folder.mkdir(parents=True, exist_ok=True)
    # However few there are, one of them is the one whose pages are opened.
    codes = tuple(dict.fromkeys([COMMUNE, *official()]))[:communes]
    nation, now = Nation(codes), datetime.now(UTC)
    store = SqliteStore(folder / "results.sqlite")
    store.registry.apply(nation.registry(), "bench", "bench", now)
    results = Loader(store, store.database, nation, local_day(now)).load(days)
    while store.carry_over():
        pass  # what a store in service has behind it
    for begin in range(0, communes, _PROBES_A_BATCH):
        numbered = enumerate(codes[begin : begin + _PROBES_A_BATCH], start=begin)
        statuses = [one for number, code in numbered for one in _statuses(number, code, now)]
        store.store_batch(statuses, now)
    store.close()
    _fill_alerts(folder / "alerts.sqlite", codes, now)
    UserStore(folder / "people.sqlite").put(
        User(name=USER, role=Role.CENTRE, communes=()), passwords.make_hash(PASSWORD)
    )
    return results


def _statuses(number: int, code: str, now: datetime) -> Iterator[ValidatedMessage]:
    """What a probe says of itself when it is connected, and that some are not."""
    name = f"tram-{code}"
    silent = number % 100 < _SILENT
    health = msgspec.structs.replace(samples.health(at=now), lines=_states(number))
    info = msgspec.structs.replace(
        samples.info(lines=_LINES, epoch=UUID(int=number + 1)),
        site=Site(code, f"UBND {official()[code].name}"),
    )
    state = State(Presence.LOST if silent else Presence.ONLINE, now)
    for channel, message in (("info", info), ("health", health), ("state", state)):
        yield validate(topics.of_probe(TENANT, name, channel), messages.encode(message), now)


def _states(number: int) -> dict[str, LineState]:
    found = dict.fromkeys(ISPS, LineState.GOOD)
    place = number % 100 - _SILENT
    if 0 <= place < _DOWN:
        found[ISPS[number % 2]] = LineState.DOWN
    elif 0 <= place < _DEGRADED:
        found[ISPS[number % 2]] = LineState.DEGRADED
    return found


def _fill_alerts(path: Path, codes: Sequence[str], now: datetime) -> None:
    """A missed plan for each second line, what is down now, and a month of outages that ended."""
    store = AlertStore(path)

    def where(subject: Subject) -> AlertLocation:
        code = subject.probe.removeprefix("tram-")
        return AlertLocation(code, f"UBND {official()[code].name}")

    def begun(kind: AlertKind, number: int, line: str, since: datetime) -> Begin:
        subject = Subject(TENANT, f"tram-{codes[number % len(codes)]}", line)
        evidence: dict[str, str | int | float] = {"limit_share": 0.8, "days": 3}
        result = RuleResult(
            key=Key(kind, subject), state=RuleState.HOLDS, since=since, evidence=evidence
        )
        return Begin(result, since)

    changes: list[Begin | End] = []
    for number in range(30 * _ENDED_A_DAY):
        since = now - timedelta(days=30) + timedelta(minutes=12 * number)
        begin = begun(AlertKind.LINE_DOWN, number * 17, ISPS[number % 2], since)
        changes += [begin, End(begin.result.key, since + timedelta(minutes=20))]
    for number in range(len(codes)):
        changes.append(begun(AlertKind.PLAN_MISSED, number, ISPS[number % 2], now))
        if number % 100 < _SILENT:
            changes.append(begun(AlertKind.PROBE_SILENT, number, "", now))
    store.write(changes, (), where)
    store.close()
