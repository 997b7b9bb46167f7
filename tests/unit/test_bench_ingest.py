"""What `bench.ingest` compares: the same work for both builds, and what a ratio is of."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bench import build_driver, builds, ingest, workload
from bench.ingest import Found
from bench.report import CannotMeasureError
from bench.workload import Workload
from collector.ingest.validation import validate
from collector.store.messages import ResultsMessage
from wire.envelope import decode_envelope
from wire.result import decode_result

DAY = datetime(2026, 7, 25, tzinfo=UTC)


def test_the_same_seed_makes_the_same_messages_and_another_makes_others() -> None:
    work = Workload(60, 2, 3, DAY)
    assert list(workload.messages(work)) == list(workload.messages(work))
    assert list(workload.messages(work)) != list(workload.messages(work._replace(seed=15)))


def test_every_message_is_one_that_the_centre_accepts_with_results_of_every_kind() -> None:
    work = Workload(1_000, 2, 4, DAY)
    kinds: set[str] = set()
    results = 0
    for topic, payload in workload.messages(work):
        validated = validate(topic, payload, DAY)
        assert isinstance(validated, ResultsMessage)
        results += len(json.loads(payload)["records"])
        kinds.add(topic.rpartition("/")[2])
    assert results == 1_000
    assert kinds == {
        *("latency", "throughput", "dns", "web", "path", "availability", "outage"),
    }


def test_no_two_latency_results_are_alike_and_their_figures_are_of_their_echoes() -> None:
    bodies = list(workload.bodies(Workload(120, 1, 1, DAY)))
    assert len(set(bodies)) == 120
    addresses = set()
    for body in bodies:
        values = msgspec.to_builtins(decode_result(body).values)
        rtt_us = values["rtt_us"]
        addresses.add(values["address"])
        assert values["sent"] == workload.ECHOES == len(rtt_us) + values["lost"]
        assert values["rtt_max_ms"] == max(rtt_us) / 1_000
        assert values["rtt_min_ms"] == min(rtt_us) / 1_000
    assert len(addresses) == 6  # three targets over both families


def test_later_fields_are_left_out_for_builds_that_refuse_them() -> None:
    later = {"family", "operator", "lease"}
    for _, payload in workload.messages(Workload(400, 1, 100, DAY)):
        (record,) = json.loads(payload)["records"]
        assert not later & record["result"].keys()


def test_numbers_of_a_probe_go_on_from_envelope_to_envelope() -> None:
    work = Workload(30, 3, 2, DAY)
    seqs: dict[str, list[int]] = {}
    for _, payload in workload.messages(work):
        envelope = decode_envelope(payload)
        seqs.setdefault(envelope.probe, []).extend(record.seq for record in envelope.records)
    assert list(seqs.values()) == [list(range(1, 16))] * 2


def test_a_ratio_is_of_this_build_over_the_older_and_of_medians() -> None:
    found: Found = {("sqlite", "rows/s, envelopes of 2"): {"old": [1.0, 2.0, 9.0], "this": [6.0]}}
    (row,) = ingest.rows_of(found, "old", "this")
    assert (row["old"], row["this"], row["ratio"]) == (2.0, 6.0, 3.0)
    targets = {target.name: target for target in ingest.targets_of(found, "old", "this")}
    rate = targets["sqlite: rows/s, envelopes of 2, ratio"]
    assert (rate.value, rate.limit, rate.met) == (3.0, 3.0, True)
    assert ingest.ratio(None, 1.0) is None
    assert ingest.ratio(0.0, 1.0) is None


def test_what_was_not_measured_is_not_met() -> None:
    targets = list(ingest.targets_of({}, "old", "this"))
    assert not any(target.met for target in targets)
    assert len({target.name for target in targets}) == len(targets) == len(ingest.LIMITS) + 2


def test_the_page_that_got_slowest_is_the_one_that_is_named() -> None:
    found: Found = {
        ("sqlite", f"page {path}, ms"): {"old": [10.0], "this": [this]}
        for path, this in (("/", 9.0), ("/isps", 12.0), ("/alerts", 8.0))
    }
    named = next(t for t in ingest.targets_of(found, "old", "this") if "slowest" in t.name)
    assert "/isps" in named.name
    assert (named.value, named.met) == (1.2, False)


def test_a_driver_takes_the_first_name_that_a_build_has() -> None:
    assert build_driver.named("no.such:thing", "json:no_such", "json:dumps") is json.dumps
    with pytest.raises(ImportError, match="this build has none"):
        build_driver.named("no.such:thing")


def test_a_driver_ingests_and_maintains_in_a_process_of_its_own(tmp_path: Path) -> None:
    messages = tmp_path / "messages"
    work = Workload(90, 2, 3, datetime.now(UTC))
    messages.write_bytes(msgspec.msgpack.encode(list(workload.messages(work))))
    this = builds.this_build()
    for expected in (90, 0):  # the second time everything is known
        did = this.step("ingest", tmp_path / "results.sqlite", messages)
        assert did["stored"] == expected
        assert did["wall_s"] > 0
    assert this.step("maintain", tmp_path / "results.sqlite", 4)["wall_s"] >= 0


def test_a_build_that_fails_or_is_not_there_says_so() -> None:
    with pytest.raises(CannotMeasureError, match="no-such-file"):
        builds.this_build().step("ingest", "/no-such-store/x", "/no-such-file")
    with pytest.raises(CannotMeasureError, match="rev-parse"):
        builds.older_build("0" * 40)


def test_chunks_hold_every_message_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "_CHUNK", 20)
    work = Workload(51, 3, 2, DAY)
    sizes, seen = [], []
    for file, results in ingest._chunks(tmp_path, workload.messages(work), 3):
        sizes.append(results)
        seen += msgspec.msgpack.decode(file.read_bytes(), type=list[tuple[str, bytes]])
    assert sizes == [21, 21, 9]
    assert seen == list(workload.messages(work))


def test_the_driver_needs_nothing_of_this_build() -> None:
    driver = builds.ROOT / "bench" / "build_driver.py"
    code = f"import runpy, sys; runpy.run_path({str(driver)!r}); print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    rooms = {name.partition(".")[0] for name in ended.stdout.split()}
    assert not rooms & {"bench", "collector", "probe", "tests", "wire", "runtime"}
