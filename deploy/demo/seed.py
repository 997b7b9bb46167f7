"""Floor 3. Fills a centre with the district's past: registry, signed results, alerts, a user.

    python -m deploy.demo.seed FOLDER            a folder that tramdo-collector can run on
    python -m deploy.demo.seed FOLDER --reports  the reports that its timers would have issued

Everything goes the way it goes in service: each probe has a key and a certificate of the demo's
authority and signs its results by the probe's own code; each message is validated, its signatures
are checked, it is stored and rolled up; alerts come from the collector's rules.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

from msgspec import structs

from collector import config as configuration
from collector.alerts.alert import changes
from collector.alerts.alert_store import AlertLocation, AlertStore
from collector.alerts.rules import LineObservation, ProbeObservation, Rules, Snapshot, evaluate
from collector.domain import thresholds_file
from collector.ingest.pipeline import tune_interpreter
from collector.ingest.signature_check import SignatureCheck
from collector.ingest.validation import validate
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.reports.report import ReportKind
from collector.reports.service import ReportService, sources_of
from collector.rollup.periods import local_day, month_of, start_of_day, week_of
from collector.store.records import BatchResult
from collector.store.sqlite import SqliteStore
from collector.store.store import Store
from deploy.authority import authority
from deploy.authority.authority import Authority
from deploy.demo import district, month, settings
from deploy.demo.district import OFFICES, Fault, Office
from deploy.demo.past import Past, health
from deploy.demo.settings import TENANT
from probe.deliver.signature_chain import SignatureChain, unpack
from probe.deliver.signing_key import SigningKey
from tests import samples
from wire import messages, topics
from wire.envelope import encode_envelope
from wire.messages import Presence, State
from wire.result import Result, encode_result
from wire.signature import SignatureBlock

_ENVELOPE_RESULTS = 50
# Results of one commit.
_BATCH_MESSAGES = 500
# Nobody else waits for the store, so a roll-up may be long; many would merge each day many times.
_ROLL_UP_RESULTS = 200_000
_DAY = timedelta(days=1)
_OF_LATE = timedelta(days=8)
_SILENT_AFTER = timedelta(minutes=Rules().silent_after_minutes)

# A step, and how much of it is done, 0 to 1.
Progress = Callable[[str, float], None]


class Message(NamedTuple):
    """A message as its probe published it."""

    at: datetime
    topic: str
    payload: bytes


class SigningOffice:
    """An office's probe: what it publishes, signed by its own key, in one epoch.

    Args:
        office: which.
        past: the time that it measured in.
        key: of its certificate.
    """

    def __init__(self, office: Office, past: Past, key: SigningKey) -> None:
        self._office, self._past, self._key = office, past, key
        self._faults = district.faults(past.begins, past.now)
        self._epoch: UUID = uuid4()
        self._chain = SignatureChain(TENANT, office.probe, _ENVELOPE_RESULTS)
        self._chain.signer = key
        self._next = 1
        self._until = past.now - timedelta(days=office.unplugged_days)

    def published(self) -> Iterator[Message]:
        """Every message, by time."""
        yield self._status(self._past.begins, "info", self._info(self._past.begins))
        for midnight in self._past.days(self._until):
            if midnight == month_of(local_day(midnight)).starts_at:
                yield self._status(midnight, "info", self._info(midnight))
            ends = min(midnight + _DAY, self._until)
            of_late = self._past.now - midnight < _OF_LATE
            latency = month.LATENCY_OF_LATE_A_DAY if of_late else month.LATENCY_A_DAY
            made = month.day_results(self._office, midnight, ends, self._faults, latency)
            for _, some in groupby(sorted(made, key=attrgetter("kind")), attrgetter("kind")):
                results = sorted(some, key=attrgetter("started_at"))
                for first in range(0, len(results), _ENVELOPE_RESULTS):
                    yield self._envelope(results[first : first + _ENVELOPE_RESULTS], ends)
        yield self._status(self._until, "health", health(self._office, self._past, self._until))
        unplugged = self._office.unplugged_days > 0
        presence = Presence.LOST if unplugged else Presence.ONLINE
        yield self._status(self._until, "state", State(presence, self._until))

    def _envelope(self, results: Sequence[Result], at: datetime) -> Message:
        first, kind = self._next, results[0].kind
        bodies = [encode_result(result) for result in results]
        self._next += len(bodies)
        signed = self._chain.signed(self._epoch, first, [(kind, body) for body in bodies])
        self._chain.on_stored(signed)
        payload = encode_envelope(
            TENANT,
            self._office.probe,
            self._epoch,
            self._office.site,
            at,
            list(enumerate(bodies, first)),
            signatures=list(_blocks(first, signed.signatures)),
        )
        return Message(at, topics.measurement(TENANT, self._office.probe, kind), payload)

    def _status(self, at: datetime, channel: str, payload: messages.Payload) -> Message:
        topic = topics.of_probe(TENANT, self._office.probe, channel)
        return Message(at, topic, messages.encode(payload))

    def _info(self, at: datetime) -> messages.Info:
        day = [
            month.LineDay(place, one, at, at, ()) for place, one in enumerate(self._office.lines)
        ]
        return structs.replace(
            samples.info(lines=[one.wire_line for one in day], epoch=self._epoch),
            probe_version=month.PROBE_VERSION,
            site=self._office.site,
            plan=month.plan_of(self._office),
            started_at=at,
            certificate=self._key.certificate,
        )


def _blocks(first: int, packed: Sequence[bytes | None]) -> Iterator[SignatureBlock]:
    for seq, one in enumerate(packed, first):
        if one is not None and (block := unpack(one, seq)) is not None:
            yield block


def _messages_of(office: Office, past: Past, files: tuple[Path, Path]) -> list[Message]:
    """What an office published; run in a process of its own."""
    return list(SigningOffice(office, past, SigningKey(*files)).published())


def seed(folder: Path, now: datetime, progress: Progress = lambda _step, _done: None) -> None:
    """Make the authority, registry, results, alerts of a centre in a folder.

    Args:
        folder: with the files that `settings.collector_toml` names.
        now: where the past ends.
        progress: called with a step (a word) and how much of it is done, 0 to 1.
    """
    past = Past.until(now)
    progress("keys", 0.0)
    files = _certified(folder / "authority", past.begins - _DAY)
    store = SqliteStore(folder / "collector.sqlite")
    try:
        text = district.registry_toml(local_day(past.begins), local_day(now))
        registry = parse_toml(text, "registry.toml", official())
        store.registry.apply(registry, "demo", "registry.toml", past.begins)
        check = SignatureCheck((folder / "authority" / "ca.pem").read_bytes(), store.certificates)
        _store(store, check, _measured(past, files, progress), progress)
        _roll_up(store, now, progress)
    finally:
        store.close()
    _alerts(folder / "alerts.sqlite", past)


def _certified(folder: Path, at: datetime) -> list[tuple[Path, Path]]:
    """The certificate and key of each office's probe."""
    authority.init(folder, "Tramdo demo", None, at)
    issuer = Authority(folder)
    found = []
    for office in OFFICES:
        key, request = folder / f"{office.probe}.key", folder / f"{office.probe}.csr"
        authority.request(key, request, office.probe, None)
        found.append((issuer.sign(request.read_bytes(), at), key))
    return found


def _measured(past: Past, files: Sequence[tuple[Path, Path]], progress: Progress) -> list[Message]:
    """The messages of all offices, by time."""
    every: list[Message] = []
    with ProcessPoolExecutor() as pool:
        pasts = [past] * len(OFFICES)
        for done, some in enumerate(pool.map(_messages_of, OFFICES, pasts, files), 1):
            every += some
            progress("sign", done / len(OFFICES))
    return sorted(every, key=attrgetter("at"))


def _store(
    store: Store, check: SignatureCheck, every: Sequence[Message], progress: Progress
) -> None:
    pending: Callable[[], BatchResult] | None = None
    for first in range(0, len(every), _BATCH_MESSAGES):
        some = every[first : first + _BATCH_MESSAGES]
        validated = check.checked([validate(one.topic, one.payload, one.at) for one in some])
        if pending is not None:
            pending()
        pending = store.begin_batch(validated, some[-1].at)
        progress("store", first / len(every))
    if pending is not None:
        pending()


def _roll_up(store: Store, now: datetime, progress: Progress) -> None:
    whole = store.totals().results
    rolled = 0
    while merged := store.roll_up(now, _ROLL_UP_RESULTS):
        rolled += merged
        progress("rollup", min(1.0, rolled / max(whole, 1)))


def _alerts(path: Path, past: Past) -> None:
    """Let the rules look at the moments at which something began or ended."""
    faults = district.faults(past.begins, past.now)
    found = [one for one in faults if one.location is not None]
    look = timedelta(minutes=1)
    tolerance = timedelta(minutes=Rules().line_down_after_minutes)
    moments = {one.begins + tolerance + look for one in found}
    moments |= {one.ends + look for one in found if one.ends + look < past.now}
    moments |= {
        past.now - timedelta(days=one.unplugged_days) + _SILENT_AFTER + look
        for one in OFFICES
        if one.unplugged_days
    }
    where = {one.probe: AlertLocation(one.commune, one.office) for one in OFFICES}
    alerts = AlertStore(path)
    try:
        for at in sorted(moments):
            results = evaluate(_observed(past, at, faults), Rules())
            found_changes = changes(alerts.open_alerts(), results, at)
            alerts.write(found_changes, (), lambda subject: where[subject.probe])
    finally:
        alerts.close()


def _observed(past: Past, at: datetime, faults: Sequence[Fault]) -> Snapshot:
    return Snapshot(
        now=at,
        listening_since=past.begins,
        probes=[
            ProbeObservation(
                tenant=TENANT, probe=one.probe, last_contact_at=_contact(one, past, at)
            )
            for one in OFFICES
        ],
        lines=[
            _line_observed(one.probe, line.id, at, faults) for one in OFFICES for line in one.lines
        ],
    )


def _contact(office: Office, past: Past, at: datetime) -> datetime:
    return min(at, past.now - timedelta(days=office.unplugged_days))


def _line_observed(probe: str, line: str, at: datetime, faults: Sequence[Fault]) -> LineObservation:
    answered, failed = at, None
    for one in faults:
        if one.location is None or one.probe != probe or line not in one.lines:
            continue
        if one.begins <= at <= one.ends:
            answered, failed = one.begins, at
    return LineObservation(
        tenant=TENANT, probe=probe, line=line, answered_at=answered, failed_at=failed
    )


def issue_reports(folder: Path, now: datetime, weeks: int = 3) -> list[Path]:
    """Issue the last weeks' bulletins and the last month's report, each at its own time."""
    config = configuration.parse((folder / "collector.toml").read_bytes(), "collector.toml")
    limits = thresholds_file.read(thresholds_file.SHIPPED)
    store = SqliteStore(folder / "collector.sqlite")
    try:
        made = []
        for kind, first, at in _due(now, weeks):
            service = ReportService(
                lambda: sources_of(store, limits, config.papers.office),
                Path(config.papers.path),
                lambda at=at: at,  # type: ignore[misc]
            )
            period = week_of(first) if kind is ReportKind.WEEKLY else month_of(first)
            for area in service.areas():
                paths = service.issue(kind, area, period)
                for path in paths:
                    # The archive takes the time of an issue from its files.
                    os.utime(path, (at.timestamp(), at.timestamp()))
                made += paths
        return made
    finally:
        store.close()


def _due(now: datetime, weeks: int) -> Iterator[tuple[ReportKind, date, datetime]]:
    """Report, a day of its period, and when its timer would have issued it."""
    today = local_day(now)
    for back in range(weeks, 0, -1):
        monday = week_of(today).first - timedelta(weeks=back)
        yield ReportKind.WEEKLY, monday, _timer(monday + timedelta(weeks=1), now)
    last = month_of(month_of(today).first - _DAY)
    yield ReportKind.MONTHLY, last.first, _timer(last.last + _DAY, now)


def _timer(day: date, now: datetime) -> datetime:
    """Half past six of a day, as the timers have it; at most now."""
    return min(start_of_day(day).astimezone(UTC) + timedelta(hours=6, minutes=30), now)


def main(argv: list[str] | None = None) -> int:
    """Seed a folder, or issue its reports; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.demo.seed",
        description="Fill a folder with a centre that has watched a district for a month.",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reports", action="store_true", help="issue the reports, nothing else")
    parser.add_argument(
        "--until",
        type=datetime.fromisoformat,
        default=datetime.now(UTC),
        metavar="TIME",
        help="where the past ends, 2026-11-30T05:00:00Z (default: now)",
    )
    options = parser.parse_args(argv)
    folder: Path = options.folder
    now = options.until.astimezone(UTC)
    if options.reports:
        for path in issue_reports(folder, now):
            print(path, flush=True)
        return 0
    tune_interpreter()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "collector.toml").exists():
        toml = settings.collector_toml(("127.0.0.1", 1883), str(folder), ("127.0.0.1", 8080))
        (folder / "collector.toml").write_bytes(toml)
    seed(folder, now, lambda step, done: print(f"{step} {done or 0:.3f}", flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
