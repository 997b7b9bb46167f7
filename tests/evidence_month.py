"""A signed month of one probe with two lines in a real store, and bundles of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from msgspec import structs

from collector.domain import thresholds_file
from collector.evidence.bundle import BundlePieces, BundleSources, as_of
from collector.evidence.question import Question, question_of_issue
from collector.ingest.signature_check import SignatureCheck
from collector.ingest.validation import validate
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.registry.registry import LineKey
from collector.reports.builder import NATION
from collector.reports.flat_table import from_json
from collector.reports.report import OfficeConfig, ReportKind
from collector.reports.service import ReportService, sources_of
from collector.rollup.periods import VIETNAM, Period, parse_period
from collector.store.sqlite import SqliteStore
from collector.store.store import Store
from collector.web.exported_results import exported_body, without_addresses
from tests import samples, seeded_centre
from tests.signing import SigningProbe
from wire import messages
from wire.messages import PlannedKind
from wire.record import LineOperator, Nat
from wire.result import Family, Line, Outcome, Reason, Result, Validity, encode_result
from wire.signature import CHAIN_START

PERIOD = parse_period("2026-06")
FIRST = datetime(2026, 6, 1, tzinfo=VIETNAM).astimezone(UTC)
LATER = datetime(2026, 8, 1, tzinfo=UTC)
VNPT = LineKey(samples.TENANT, samples.PROBE, "vnpt")
TESTS_A_DAY = 37
_AT_A_TIME = 10


class EvidenceMonth:
    """The store with June 2026, and the probe that signed it.

    Args:
        folder: for the store and the authority.
        tests_a_day: the throughput tests of the line; 37 are enough for a verdict.
        light_a_day: latency windows of the line.
    """

    def __init__(self, folder: Path, tests_a_day: int = TESTS_A_DAY, light_a_day: int = 8) -> None:
        self.folder = folder
        self.probe = SigningProbe(folder / "authority")
        self.store: Store = SqliteStore(folder / "results.sqlite")
        self._check = SignatureCheck(self.probe.authority_pem, self.store.certificates)
        self._next = 1
        registry = parse_toml(seeded_centre.REGISTRY.encode(), "registry.toml", official())
        self.store.registry.apply(registry, "test", "registry.toml", FIRST)
        self._publish_info()
        for day in range(-1, PERIOD.days + 1):
            self._one_day(FIRST + timedelta(days=day), tests_a_day, light_a_day)
        self.roll_up()

    def roll_up(self) -> None:
        """Roll up all that is stored."""
        while self.store.roll_up(LATER):
            pass

    def sources(self, *, whole_addresses: bool = True) -> BundleSources:
        """What a bundle is made of."""
        limits = thresholds_file.read(thresholds_file.SHIPPED)
        return BundleSources(
            store=self.store,
            report=sources_of(self.store, limits, OfficeConfig()),
            authority_pem=self.probe.authority_pem,
            shown=exported_body if whole_addresses else without_addresses(self.store),
            version="0",
        )

    def _publish_info(self) -> None:
        info = structs.replace(
            samples.info(),
            certificate=self.probe.key.certificate,
            plan=[PlannedKind("throughput", float(TESTS_A_DAY))],
        )
        topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/info"
        self._take(topic, messages.encode(info), FIRST)

    def _one_day(self, midnight: datetime, tests_a_day: int, light_a_day: int) -> None:
        rng = random.Random(midnight.day)
        made = list(_throughput(rng, midnight, tests_a_day))
        self.send("throughput", made)
        self.send("latency", list(_latency(rng, midnight, light_a_day)))
        self.send("availability", [_availability(midnight)])
        if midnight.day == 15:
            # Its clock runs fast: the centre flags it, and keeps what was signed beside it.
            at = midnight + timedelta(hours=9)
            early = at - timedelta(hours=2)
            self.send("latency", [samples.latency(line=samples.VNPT, started_at=at)], early)

    def send(self, kind: str, results: Sequence[Result], at: datetime | None = None) -> None:
        """Store signed results of one kind, received at a time, or a minute after the last."""
        topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/{kind}"
        for place in range(0, len(results), _AT_A_TIME):
            some = results[place : place + _AT_A_TIME]
            received_at = at or some[-1].started_at + timedelta(minutes=1)
            payload = self.probe.envelope(self._next, some, received_at)
            self._next += len(some)
            self._take(topic, payload, received_at)

    def begin_epoch(self, epoch: UUID) -> None:
        """Go on in another epoch, as a probe does whose outbox is new."""
        self.probe.epoch, self.probe.previous, self._next = epoch, CHAIN_START, 1

    def unsigned(self, *results: Result) -> None:
        """Store results that nobody has signed."""
        for result in results:
            at = result.started_at + timedelta(minutes=1)
            body = (self._next, encode_result(result))
            self._next += 1
            topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/{result.kind}"
            self._take(topic, self.probe.payload([body], [], at), at)

    def _take(self, topic: str, payload: bytes, at: datetime) -> None:
        self.store.store_batch(self._check.checked([validate(topic, payload, at)]), at)


def issued(month: EvidenceMonth, kind: ReportKind, period: Period) -> tuple[str, bytes]:
    """A report that was issued of every line of the registry: its name, and its JSON."""
    limits = thresholds_file.read(thresholds_file.SHIPPED)
    reports = ReportService(
        lambda: sources_of(month.store, limits, OfficeConfig()),
        month.folder / "papers",
        lambda: LATER,
    )
    name = reports.issue(kind, NATION, period)[-1].stem
    record = reports.archive.record(name)
    assert record is not None
    return name, record[0]


def issue_bundle(month: EvidenceMonth, name: str, content: bytes) -> BundlePieces:
    """The bundle of an issued report, with whole addresses."""
    question = question_of_issue(name, from_json(content), whole_addresses=True, every_line=False)
    return BundlePieces(question, month.sources(), content)


def question(*, whole_addresses: bool = True, every_line: bool = False) -> Question:
    """The question for the line's month."""
    return Question(
        lines=(VNPT,),
        period=PERIOD,
        as_of=as_of(LATER, PERIOD.ends_at),
        whole_addresses=whole_addresses,
        every_line=every_line,
    )


def _throughput(rng: random.Random, midnight: datetime, count: int) -> Iterator[Result]:
    for place in range(count):
        at = midnight + timedelta(hours=24 * place / max(count, 1), minutes=1)
        rate = 280e6 + rng.gauss(0, 6e6)
        result: Result = samples.throughput(
            line=samples.VNPT,
            started_at=at,
            download_bps=rate,
            upload_bps=rate * 0.7,
            intervals=0,
        )
        if place == 3:
            result = structs.replace(result, validity=[Validity.CROSS_TRAFFIC])
        elif place == 5:
            result = structs.replace(result, slot_at=None)
        elif place == 7:
            result = samples.throughput(
                line=samples.VNPT, started_at=at, outcome=Outcome.FAILED, reason=Reason.TIMEOUT
            )
        yield _with_operator(result)
        if place % 10 == 0:
            other = samples.throughput(line=samples.VIETTEL, started_at=at + timedelta(minutes=2))
            yield _with_operator(other)


def _latency(rng: random.Random, midnight: datetime, count: int) -> Iterator[Result]:
    for place in range(count):
        at = midnight + timedelta(hours=24 * place / max(count, 1), minutes=5)
        lost = rng.choice([0, 0, 0, 1, 5])
        family = (Family.IPV4, Family.IPV6, None)[place % 3]
        result = samples.latency(
            line=samples.VNPT, family=family, started_at=at, rtt_ms=10.0, lost=lost
        )
        assert result.values is not None
        delays = [rng.randrange(9_000, 14_000) for _ in range(60 - lost)]
        values = structs.replace(
            result.values,
            rtt_us=delays,
            rtt_samples=len(delays),
            rtt_mean_ms=sum(delays) / len(delays) / 1_000,
        )
        yield structs.replace(result, values=values)
        if place % 4 == 0:
            yield samples.latency(line=samples.VIETTEL, started_at=at, rtt_ms=15.0)


def _availability(midnight: datetime) -> Result:
    result = samples.availability(line=samples.VNPT)
    return structs.replace(result, started_at=midnight + timedelta(hours=1))


def _with_operator(result: Result) -> Result:
    line = Line(result.line.id, result.line.isp, result.line.interface, "192.168.1.7")
    seen = LineOperator("113.160.5.77", Nat.NAT, result.started_at)
    return structs.replace(result, line=line, operator=seen)
