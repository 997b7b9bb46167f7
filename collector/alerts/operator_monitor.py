"""Floor 3. Follows who carries each line, from the health of probes, and finds what has changed.

The histories are in the alert store; in memory they are those of every line. Only probes that
changed are read, and a history is written when it has a new stay, else hourly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from collector.alerts.alert_store import AlertStore
from collector.alerts.rules import Rules
from collector.domain.lines import KnownLine
from collector.domain.operators import (
    KEPT,
    Finding,
    History,
    IspPrefixes,
    ObservedLine,
    OperatorLimits,
    OperatorStay,
    findings,
    fresh_observations,
    with_observation,
)
from collector.domain.read_model import ReadModel
from collector.registry.registry import LineKey, Registry
from collector.store.records import StoredProbe
from wire.record import Family

# The limits are minutes; a probe with a new stay is evaluated at once.
_EVALUATE_EVERY = timedelta(minutes=5)
_WRITE_EVERY = timedelta(hours=1)
_PRUNE_EVERY = timedelta(days=1)

ProbeName = tuple[str, str]


class OperatorMonitor:
    """The operators of all lines; used by one thread.

    Args:
        model: the read model.
        alert_store: stores the histories. Each method raises AlertStoreError as it does.
        rules: their limits.
    """

    def __init__(self, model: ReadModel, alert_store: AlertStore, rules: Rules) -> None:
        self._model = model
        self._alert_store = alert_store
        self._limits = OperatorLimits(
            timedelta(minutes=rules.operator_minutes),
            timedelta(minutes=rules.operator_nat_minutes),
            timedelta(days=rules.operator_usual_days),
        )
        self._histories: dict[LineKey, History] | None = None
        self._written: dict[LineKey, datetime] = {}
        self._revision = 0
        self._evaluated: dict[ProbeName, tuple[datetime, list[Finding]]] = {}
        self._prefixes: tuple[Registry, IspPrefixes] | None = None
        self._pruned_at: datetime | None = None

    def findings(self, lines: Mapping[LineKey, KnownLine], now: datetime) -> list[Finding]:
        """The findings of these lines: three for each line whose operator was ever stated."""
        histories = self._histories
        if histories is None:
            histories = self._histories = self._alert_store.operator_histories()
        self._prune(histories, now)
        moved = self._observe(histories)
        by_probe: dict[ProbeName, list[KnownLine]] = {}
        for key, line in lines.items():
            if key in histories:
                by_probe.setdefault(key[:2], []).append(line)
        self._evaluated = {
            name: found for name, found in self._evaluated.items() if name in by_probe
        }
        for name, of_probe in by_probe.items():
            evaluated = self._evaluated.get(name)
            if evaluated is None or name in moved or now - evaluated[0] >= _EVALUATE_EVERY:
                self._evaluated[name] = (now, self._evaluate(of_probe, histories, now))
        return [one for _, found in self._evaluated.values() for one in found]

    def _observe(self, histories: dict[LineKey, History]) -> set[ProbeName]:
        """Take what probes have stated since; returns those with a new stay."""
        snapshot = self._model.snapshot()
        if snapshot.revision < self._revision:
            self._revision = 0  # a store that was restored from a backup
        moved, due = set[ProbeName](), dict[LineKey, History]()
        for probe in snapshot.changed_after(self._revision):
            for key, after in _after(probe, histories):
                before = histories.get(key, {})
                histories[key] = after
                if has_new_stay(before, after):
                    moved.add(key[:2])
                    due[key] = after
                elif newest(after) - self._written.get(key, oldest(after)) >= _WRITE_EVERY:
                    due[key] = after
        if due:
            self._alert_store.write_operator_histories(due)
            self._written |= {key: newest(one) for key, one in due.items()}
        self._revision = snapshot.revision
        return moved

    def _evaluate(
        self, lines: Iterable[KnownLine], histories: Mapping[LineKey, History], now: datetime
    ) -> list[Finding]:
        registry = self._model.registry()
        if self._prefixes is None or self._prefixes[0] is not registry:
            self._prefixes = (registry, IspPrefixes(registry.isps.values()))
        observed = [
            ObservedLine(
                key=line.key, isp=line.isp if line.registered else "", history=histories[line.key]
            )
            for line in lines
        ]
        return findings(observed, self._prefixes[1], self._limits, now)

    def _prune(self, histories: dict[LineKey, History], now: datetime) -> None:
        """Forget lines that were not seen for as long as a stay is kept."""
        if self._pruned_at is not None and now - self._pruned_at < _PRUNE_EVERY:
            return
        self._pruned_at = now
        old = [key for key, one in histories.items() if now - newest(one) >= KEPT]
        self._alert_store.delete_operator_histories(old)
        for key in old:
            del histories[key]


def _after(
    probe: StoredProbe, histories: Mapping[LineKey, History]
) -> Iterable[tuple[LineKey, History]]:
    """The histories that a probe's health changes."""
    health, heard_at = probe.health, probe.health_at
    if health is None or heard_at is None or health.operators is None:
        return
    for line, seen in health.operators.items():
        key = LineKey(probe.tenant, probe.probe, line)
        before = histories.get(key, {})
        after = dict(before)
        for one, at in fresh_observations(seen, health.at, heard_at):
            family = Family.of(one.public_address)
            after[family] = with_observation(after.get(family, ()), one, at)
        if after != before:
            yield key, after


def has_new_stay(before: History, after: History) -> bool:
    """Whether a history has a stay that began since."""
    return any(_begin(before.get(family, ())) != _begin(stays) for family, stays in after.items())


def _begin(stays: Iterable[OperatorStay]) -> datetime | None:
    return max((stay.first_at for stay in stays), default=None)


def newest(history: History) -> datetime:
    """When any operator was last seen; a history has a stay at least."""
    return max(stays[-1].last_at for stays in history.values())


def oldest(history: History) -> datetime:
    """When the first operator was first seen."""
    return min(stays[0].first_at for stays in history.values())
