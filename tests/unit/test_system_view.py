"""The system page: what docs/delivery.md says is seen there."""

from __future__ import annotations

from msgspec import structs

from collector.domain.name_conflicts import NameConflict
from collector.store.messages import EpochKey
from collector.store.records import StoredRejection, Totals
from collector.web.system_view import system_health
from tests import samples
from tests.unit.test_centre_pages import EN, NOW, VI, heard
from wire.ledger import Ledger
from wire.messages import Rejection

KEY = (samples.TENANT, samples.PROBE)
REUSED = StoredRejection(1, "tramdo/v1/a/b/m/latency", Rejection.NUMBER_REUSED, "", NOW, b"", 0)


def test_gaps_waiting_results_and_reused_numbers_are_seen_in_each_language() -> None:
    probe = heard()
    assert probe.health is not None
    waiting = structs.replace(probe, health=structs.replace(probe.health, pending=101))
    ledger = Ledger().with_seqs([1, 2, 5, 9])
    for locale, missing, reused in (
        (EN, "5 results missing", "number of another result"),
        (VI, "5 kết quả còn thiếu", "số thứ tự đã thuộc về kết quả khác"),
    ):
        shown = system_health(
            [waiting],
            {EpochKey(*KEY, samples.EPOCH): ledger},
            [REUSED],
            Totals(4, 1, {Rejection.NUMBER_REUSED: 1}),
            [],
            NOW,
            locale,
        )
        assert [row.why for row in shown.gaps] == [missing]
        assert [(row.tenant, row.probe) for row in shown.backlog] == [KEY]
        assert [row.reason for row in shown.rejected] == [reused]
        assert shown.rejected_by == [(reused, "1")]


def test_a_second_box_of_one_name_is_seen() -> None:
    conflict = NameConflict(*KEY, returns=3, since=NOW)
    shown = system_health([heard()], {}, [], Totals(0, 1, {}), [conflict], NOW, EN)
    (row,) = shown.names
    assert row.why.startswith("3 returns within an hour; ")
