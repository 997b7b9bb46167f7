"""Alerts where several collectors share a store: each tenant's are those of its holder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from collector.alerts.alert import AlertKind, Begin, Key, RuleResult, RuleState, Subject
from collector.alerts.alert_store import AlertLocation, AlertStore
from collector.alerts.monitor import AlertMonitor
from collector.alerts.notification import Transition
from collector.alerts.notifier import Notifier
from collector.alerts.settings import AlertsConfig
from collector.domain import thresholds_file
from collector.domain.read_model import ReadModel
from collector.store.leases import LeaseLostError, SoleCollector
from collector.store.sqlite import SqliteStore

NOW = datetime(2026, 8, 3, 1, 0, tzinfo=UTC)


class HoldsNorth(SoleCollector):
    """Holds "north"; "south" is another's, and of "west" it is not known."""

    is_shared = True

    def holds(self, tenant: str) -> bool:
        return tenant in ("", "north")

    def is_elsewhere(self, tenant: str) -> bool:
        return tenant == "south"

    def lost(self, error: LeaseLostError) -> None:
        raise AssertionError(error)


def test_what_another_holds_is_withdrawn_without_a_word_and_what_nobody_holds_stays(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path / "results.sqlite")
    alerts = AlertStore(tmp_path / "alerts.sqlite")
    begun = [
        Begin(
            RuleResult(
                key=Key(AlertKind.PROBE_SILENT, Subject(tenant, "box")), state=RuleState.HOLDS
            ),
            NOW,
        )
        for tenant in ("north", "south", "west")
    ]
    alerts.write(begun, ["mail"], lambda _: AlertLocation(None, None))
    AlertMonitor(
        ReadModel(store, thresholds_file.read()),
        alerts,
        Notifier(alerts, {"mail": lambda _: None}),
        AlertsConfig(path="unused"),
        [],
        lambda: True,
        lambda: None,
        lambda _: (),
        HoldsNorth(()),
    ).check(NOW)
    assert [key.subject.tenant for key in alerts.open_alerts()] == ["west"]
    # North's probe is not monitored any more, which ends its alert; that is told.
    assert [(one.alert.key.subject.tenant, one.transition) for one in alerts.pending("mail")] == [
        ("north", Transition.END),
        ("west", Transition.BEGIN),
    ]
    alerts.close()
    store.close()
