"""Floor 3. Evaluates the alert rules periodically, stores alerts, and has them delivered.

A thread of the collector. Its cost does not grow with the number of results: it reads probes that
changed, daily means, when each address family last answered, and the last results only of lines
whose probe reports them down.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import permutations
from pathlib import Path

import msgspec

from collector.alerts.alert import Key, Subject, changes
from collector.alerts.alert_database import AlertStoreError
from collector.alerts.alert_store import AlertLocation, AlertStore
from collector.alerts.centre_monitor import CentreMonitor
from collector.alerts.notifier import Notifier
from collector.alerts.operator_monitor import OperatorMonitor
from collector.alerts.rules import (
    BacklogSample,
    CentreObservation,
    Certificate,
    DailySpeed,
    FamilyObservation,
    LineObservation,
    LineSpeedHistory,
    ProbeObservation,
    RollUpObservation,
    Snapshot,
    evaluate,
)
from collector.alerts.served_certificates import ServedCertificates
from collector.alerts.settings import AlertsConfig
from collector.alerts.silence import held_by
from collector.domain.lines import KnownLine, LineState, certificate_ends_at, line_state
from collector.domain.name_conflicts import NameConflict
from collector.domain.read_model import ReadModel
from collector.registry.planned_maintenance import in_force
from collector.registry.registry import LineKey
from collector.rollup.periods import Period, local_day, start_of_day
from collector.rollup.summary import Summary
from collector.store.leases import LeaseLostError, SoleCollector, TenantLeases
from collector.store.records import (
    FamilyReplies,
    LastResult,
    NotedDifference,
    StoredProbe,
    StoredResult,
)
from collector.store.store import StoreError
from runtime.certificate_file import ends_at
from wire.result import GATEWAY_TARGET, AnyResult, Outcome, decode_result

# Means of past days change only with late results.
_SPEEDS_EVERY = timedelta(minutes=30)
# One query over the last results of every line.
_FAMILIES_EVERY = timedelta(minutes=5)
# An unregistered probe that was silent for longer counts as decommissioned.
_DECOMMISSIONED_AFTER = timedelta(days=7)

log = logging.getLogger("alerts")


class AlertMonitor:
    """Evaluates the rules every `look_every_s` seconds until `stop`.

    Args:
        model: the read model that the pages use too.
        alert_store: stores the alerts.
        notifier: delivers them.
        config: the table `[alerts]`.
        certificates: the centre's own certificate files, whose expiry is monitored.
        is_listening: whether the broker is connected now.
        on_change: called from this thread after alerts began or ended.
        name_conflicts: the names that two boxes use, at a time.
        leases: the tenants that this collector holds; alerts of others are another's.
        centre: the health of the centre itself.
    """

    def __init__(
        self,
        model: ReadModel,
        alert_store: AlertStore,
        notifier: Notifier,
        config: AlertsConfig,
        certificates: Sequence[Path],
        is_listening: Callable[[], bool],
        on_change: Callable[[], None],
        name_conflicts: Callable[[datetime], Sequence[NameConflict]],
        leases: TenantLeases | None = None,
        centre: CentreMonitor | None = None,
    ) -> None:
        self._model = model
        self._alert_store = alert_store
        self._notifier = notifier
        self._config = config
        named = (Path(name) for name in config.certificate_files)
        # A file that is configured twice is one alert.
        self._certificates = list(dict.fromkeys([*certificates, *named]))
        self._served = ServedCertificates(config.certificate_servers)
        self._is_listening = is_listening
        self._on_change = on_change
        self._name_conflicts = name_conflicts
        self._leases = leases or SoleCollector(())
        self._centre = centre
        self._stopping = threading.Event()
        self._listening_since: datetime | None = None
        self._backlogs: dict[tuple[str, str], deque[BacklogSample]] = {}
        self._operators = OperatorMonitor(model, alert_store, config.rules)
        self._speeds: tuple[datetime, list[LineSpeedHistory]] | None = None
        self._families: tuple[datetime, list[FamilyObservation]] | None = None
        self._last_error: str | None = None

    def run(self) -> None:
        """Check until `stop`. An error is logged once and the check is repeated.

        That includes unexpected exceptions: a message of one probe must not stop the alerts of
        the others.
        """
        while not self._stopping.is_set():
            try:
                self.check(datetime.now(UTC))
                self._notifier.notify(time.monotonic())
            except LeaseLostError as error:
                self._leases.lost(error)
            except (StoreError, AlertStoreError) as error:
                if self._last_error is None:
                    log.error("alerts cannot be checked, trying again: %s", error)  # noqa: TRY400
                self._last_error = str(error)
            except Exception as error:
                if self._last_error != repr(error):
                    log.exception("alerts cannot be checked, trying again: a bug")
                self._last_error = repr(error)
            else:
                self._last_error = None
            self._stopping.wait(self._config.look_every_s)

    def stop(self) -> None:
        """Stop after the current check. Thread-safe."""
        self._stopping.set()

    def check(self, now: datetime) -> None:
        """Evaluate all rules once; open and close alerts. Raises StoreError, AlertStoreError."""
        lines = {line.key: line for line in self._model.lines()}
        # Once for the whole check: what is taken over meanwhile has open alerts, and no rule yet.
        holds = lru_cache(maxsize=None)(self._leases.holds)
        snapshot = self._snapshot(lines, now, holds)
        own = {
            key: alert
            for key, alert in self._alert_store.open_alerts().items()
            if holds(key.subject.tenant)
        }
        held = self._held_back(now)
        self._alert_store.release(own.values(), self._notifier.names, now, held)
        begun_and_ended = changes(own, evaluate(snapshot, self._config.rules), now)
        if begun_and_ended:
            places = {key[:2]: line for key, line in lines.items()}
            self._alert_store.write(
                begun_and_ended,
                self._notifier.names,
                lambda subject: _location_of(subject, places),
                held,
            )
            self._on_change()

    def _held_back(self, now: datetime) -> Callable[[Key], bool]:
        """Whether planned maintenance that is being done holds an alert back."""
        going_on = in_force(self._model.store.maintenance.read(), now)
        registry = self._model.registry()
        return lambda key: held_by(going_on, key, registry) is not None

    def _snapshot(
        self, lines: Mapping[LineKey, KnownLine], now: datetime, holds: Callable[[str], bool]
    ) -> Snapshot:
        if not self._is_listening():
            self._listening_since = None
        elif self._listening_since is None:
            self._listening_since = now
        probes = self._model.probes()
        names = {name for name in _monitored_probes(lines, probes, now) if holds(name[0])}
        lines = {key: line for key, line in lines.items() if key[:2] in names}
        probes = {name: probe for name, probe in probes.items() if name in names}
        conflicts = {(one.tenant, one.probe): one for one in self._name_conflicts(now)}
        return Snapshot(
            now=now,
            listening_since=self._listening_since,
            probes=[
                self._probe_observation(name, probes.get(name), conflicts.get(name))
                for name in sorted(names)
            ],
            lines=list(self._line_observations(lines, probes, now)),
            families=self._family_observations(lines, now),
            speeds=self._line_speeds(lines, now),
            rollups=self._rollup_observations(lines),
            operators=self._operators.findings(lines, now),
            certificates=[*self._centre_certificates(), *_probe_certificates(probes)],
            centre=self._centre_observations(),
        )

    def _centre_observations(self) -> list[CentreObservation]:
        if self._centre is None:
            return []
        return [CentreObservation(check, since) for check, since in self._centre.bad_since()]

    def _probe_observation(
        self, name: tuple[str, str], probe: StoredProbe | None, conflict: NameConflict | None
    ) -> ProbeObservation:
        seen = self._backlogs.setdefault(name, deque())
        if probe is not None and probe.health is not None and probe.health_at is not None:
            if not seen or seen[-1].at < probe.health_at:
                seen.append(BacklogSample(probe.health_at, probe.health.pending))
            # Keep one sample from before the window: the newest is compared with it.
            window = timedelta(minutes=self._config.rules.backlog_minutes)
            while len(seen) > 2 and seen[-1].at - seen[1].at >= window:
                seen.popleft()
        contact = probe.last_contact_at if probe else None
        return ProbeObservation(
            tenant=name[0],
            probe=name[1],
            last_contact_at=contact,
            backlogs=tuple(seen),
            name_conflict=conflict,
        )

    def _line_observations(
        self,
        lines: Mapping[LineKey, KnownLine],
        probes: Mapping[tuple[str, str], StoredProbe],
        now: datetime,
    ) -> Iterator[LineObservation]:
        for key in lines:
            probe = probes.get(key[:2])
            answered = failed = None
            match line_state(probe, key.line, now):
                case LineState.GOOD | LineState.DEGRADED:
                    answered = probe.health_at if probe else None
                case LineState.DOWN:
                    answered, failed = _last_replies(
                        self._model.store.last_results(key.tenant, key.probe), key.line
                    )
                case _:
                    pass
            yield LineObservation(
                tenant=key.tenant,
                probe=key.probe,
                line=key.line,
                answered_at=answered,
                failed_at=failed,
            )

    def _family_observations(
        self, lines: Mapping[LineKey, KnownLine], now: datetime
    ) -> Sequence[FamilyObservation]:
        if self._families is None or now - self._families[0] >= _FAMILIES_EVERY:
            replies = self._model.store.family_replies()
            self._families = (now, list(_beside_each_other(replies)))
        return [
            one for one in self._families[1] if LineKey(one.tenant, one.probe, one.line) in lines
        ]

    def _line_speeds(
        self, lines: Mapping[LineKey, KnownLine], now: datetime
    ) -> Sequence[LineSpeedHistory]:
        if self._speeds is None or now - self._speeds[0] >= _SPEEDS_EVERY:
            today = local_day(now)
            days = [
                today - timedelta(days=back)
                for back in range(self._config.rules.plan_missed_days, 0, -1)
            ]
            means = {day: self._model.summaries.overview(Period(day, day)) for day in days}
            limit = self._model.thresholds.speed_share.limit
            self._speeds = (now, [line_speed(line, means, limit) for line in lines.values()])
        return [speed for speed in self._speeds[1] if _key(speed) in lines]

    def _rollup_observations(self, lines: Mapping[LineKey, KnownLine]) -> list[RollUpObservation]:
        noted: dict[LineKey, list[NotedDifference]] = defaultdict(list)
        for one in self._model.store.noted_differences():
            noted[one.line].append(one)
        return [
            RollUpObservation(
                tenant=key.tenant, probe=key.probe, line=key.line, noted=noted.get(key, ())
            )
            for key in lines
        ]

    def _centre_certificates(self) -> Iterator[Certificate]:
        for path in self._certificates:
            # By the whole path: `fullchain.pem` is a name in many folders.
            yield Certificate(str(path), ends_at(path))
        yield from self._served.certificates(time.monotonic())


def _beside_each_other(replies: Sequence[FamilyReplies]) -> Iterator[FamilyObservation]:
    """The families of each line that has two, each with the other one."""
    by_line: dict[LineKey, list[FamilyReplies]] = defaultdict(list)
    for one in replies:
        by_line[one.line].append(one)
    for line, families in by_line.items():
        for one, other in permutations(families, 2):
            yield FamilyObservation(
                tenant=line.tenant,
                probe=line.probe,
                line=line.line,
                family=one.family,
                answered_at=one.answered_at,
                asked_at=one.asked_at,
                other_answered_at=other.answered_at,
                other_asked_at=other.asked_at,
            )


def _monitored_probes(
    lines: Mapping[LineKey, KnownLine],
    probes: Mapping[tuple[str, str], StoredProbe],
    now: datetime,
) -> set[tuple[str, str]]:
    """The probes that are monitored: those registered, and those heard of lately.

    The store never deletes a probe. Removing a probe from the registry ends its alerts. With an
    empty registry every stored probe is monitored.
    """
    registered = {key[:2] for key, line in lines.items() if line.registered}
    if not registered:
        return set(probes)
    heard = {
        name
        for name, probe in probes.items()
        if probe.last_contact_at is not None and now - probe.last_contact_at < _DECOMMISSIONED_AFTER
    }
    return registered | heard


def _probe_certificates(probes: Mapping[tuple[str, str], StoredProbe]) -> Iterator[Certificate]:
    for (tenant, name), probe in probes.items():
        if (ends := certificate_ends_at(probe)) is not None:
            yield Certificate("", ends, tenant, name)


def _location_of(subject: Subject, places: Mapping[tuple[str, str], KnownLine]) -> AlertLocation:
    line = places.get((subject.tenant, subject.probe))
    return AlertLocation(line.commune_code, line.office) if line else AlertLocation(None, None)


def _last_replies(
    results: Sequence[LastResult], line: str
) -> tuple[datetime | None, datetime | None]:
    """When a target beyond the gateway last answered on a line, and when one last failed to."""
    mine = [
        word
        for word in results
        if word.last.line == line
        and word.last.kind == "latency"
        and word.last.target != GATEWAY_TARGET
    ]
    good = [_read(word.last_ok) for word in mine if word.last_ok]
    answered = [result.started_at for result in good if result]
    last = [_read(word.last) for word in mine]
    failed = [result.started_at for result in last if result and result.outcome is Outcome.FAILED]
    return max(answered, default=None), max(failed, default=None)


def _read(stored: StoredResult) -> AnyResult | None:
    """The decoded result; None where another version of the contract wrote it."""
    try:
        return decode_result(stored.body)
    except msgspec.DecodeError:
        return None


def line_speed(
    line: KnownLine, means: Mapping[date, Mapping[LineKey, Summary]], limit: float
) -> LineSpeedHistory:
    """The daily speeds of a line that may be compared with its plan."""
    days = []
    for day, summaries in means.items():
        # A day under the previous contract is not compared with this plan.
        if line.contract_date is not None and day <= line.contract_date:
            continue
        if (summary := summaries.get(line.key)) is not None:
            down = summary.metric("throughput_download_whole_bps")
            up = summary.metric("throughput_upload_whole_bps")
            days.append(
                DailySpeed(
                    start_of_day(day),
                    min(down.count, up.count),
                    _share(down.mean, line.plan_down_bps),
                    _share(up.mean, line.plan_up_bps),
                )
            )
    return LineSpeedHistory(
        tenant=line.key.tenant, probe=line.key.probe, line=line.key.line, days=days, limit=limit
    )


def _share(mean: float | None, declared: float | None) -> float | None:
    return mean / declared if mean is not None and declared else None


def _key(speed: LineSpeedHistory) -> LineKey:
    return LineKey(speed.tenant, speed.probe, speed.line)
