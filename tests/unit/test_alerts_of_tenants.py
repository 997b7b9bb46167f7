"""Alerts where several collectors share a store: each tenant's are those of its holder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from collector.alerts.alert import AlertKind, Begin, Key, RuleResult, RuleState, Subject
from collector.alerts.alert_store import AlertLocation, AlertStore
from collector.alerts.monitor import AlertMonitor
from collector.alerts.notification import AlertEvent, Transition
from collector.alerts.notifier import Notifier
from collector.alerts.settings import AlertsConfig
from collector.domain import thresholds_file
from collector.domain.read_model import ReadModel
from collector.store.leases import LeaseLostError, SoleCollector
from collector.store.sqlite import SqliteStore

NOW = datetime(2026, 8, 3, 1, 0, tzinfo=UTC)


class HoldsNorth(SoleCollector):
    """Holds "north"; "south" is another's."""

    is_shared = True

    def holds(self, tenant: str) -> bool:
        return tenant in ("", "north")

    def lost(self, error: LeaseLostError) -> None:
        raise AssertionError(error)


def test_what_another_holds_stays_and_is_not_delivered_here(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "results.sqlite")
    alerts = AlertStore(tmp_path / "alerts.sqlite")
    begun = [
        Begin(
            RuleResult(
                key=Key(AlertKind.PROBE_SILENT, Subject(tenant, "box")), state=RuleState.HOLDS
            ),
            NOW,
        )
        for tenant in ("north", "south")
    ]
    alerts.write(begun, ["mail"], lambda _: AlertLocation(None, None))
    leases = HoldsNorth(())
    mailed: list[AlertEvent] = []
    notifier = Notifier(alerts, {"mail": mailed.extend}, holds=leases.holds)
    AlertMonitor(
        ReadModel(store, thresholds_file.read()),
        alerts,
        notifier,
        AlertsConfig(path="unused"),
        [],
        lambda: True,
        lambda: None,
        lambda _: (),
        leases,
    ).check(NOW)
    assert [key.subject.tenant for key in alerts.open_alerts()] == ["south"]
    notifier.notify(0.0)
    # North's probe is not monitored any more, which ends its alert.
    ended = [(one.alert.key.subject.tenant, one.transition) for one in mailed]
    assert ended == [("north", Transition.END)]
    left = [(one.alert.key.subject.tenant, one.transition) for one in alerts.pending("mail")]
    assert left == [("south", Transition.BEGIN)]
    alerts.close()
    store.close()
