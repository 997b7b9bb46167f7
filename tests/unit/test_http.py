"""Kind `http`, the pure part: the stop rule on made-up transfers, statistics, the Finding."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import jinja2
import pytest
from msgspec import structs

from deploy.measurement_server.http_server import TEMPLATE, HttpServer, render
from probe.config import HttpConfig, ServerConfig
from probe.measure.failure import Failure
from probe.measure.http.early_stop import EarlyFigure, TransferSample, early_figure
from probe.measure.http.method import (
    calibrates,
    longest_s,
    ping_statistics,
    rate_bps,
    steady_part,
)
from probe.measure.http.results import HttpTest, TransferRecord, raw_result
from probe.measure.measurement import RawResult
from wire.http import EMPTY_PATH, SINK_PATH, SIZES_BYTES, random_path
from wire.result import Family, HttpValues, Outcome, Reason, Validity

LINE_BPS = 80e6
SLOT = datetime(2026, 7, 25, 5, 0, tzinfo=UTC)


def samples(rate_at: Callable[[float], float], length_s: float = 13.0) -> list[TransferSample]:
    """A transfer whose rate is a function of time, counted every 100 ms."""
    counted, total_bits = [TransferSample(0.0, 0)], 0.0
    for number in range(1, round(length_s * 10) + 1):
        total_bits += rate_at(number / 10 - 0.05) * 0.1
        counted.append(TransferSample(number / 10, round(total_bits / 8)))
    return counted


def first(counted: list[TransferSample]) -> EarlyFigure | None:
    """What the rule says first, asked after every sample as a transfer asks it."""
    said = (early_figure(counted[:count]) for count in range(1, len(counted) + 1))
    return next((figure for figure in said if figure is not None), None)


def test_a_steady_line_is_known_in_a_second_and_a_half() -> None:
    counted = samples(lambda _: LINE_BPS)
    figure = first(counted)
    assert figure is not None
    assert figure.at_s == 1.5
    assert figure.rate_bps == pytest.approx(LINE_BPS, rel=1e-6)
    assert figure.total_bytes == round(LINE_BPS * 1.5 / 8)


@pytest.mark.parametrize(
    ("rate_at", "least_from_s", "most_at_s"),
    [
        (lambda s: LINE_BPS * min(1.0, 2 ** (s * 5) / 150), 0.9, 3.7),
        (lambda s: 3 * LINE_BPS if s < 0.8 else LINE_BPS, 0.5, 3.5),
        (lambda s: LINE_BPS / 2 if s < 1.0 else LINE_BPS, 0.5, 4.0),
        (lambda s: 2 * LINE_BPS if s < 1.0 else LINE_BPS, 0.8, 4.0),
        (lambda s: LINE_BPS * {2: 0.0, 3: 2.0}.get(int(s * 10) % 7, 1.0), 0.0, 3.0),
    ],
    ids=["slow start", "policed", "step up", "step down", "stalls"],
)
def test_what_comes_before_the_line_s_rate_is_left_out(
    rate_at: Callable[[float], float], least_from_s: float, most_at_s: float
) -> None:
    figure = first(samples(rate_at))
    assert figure is not None
    assert figure.rate_bps == pytest.approx(LINE_BPS, rel=0.03)
    assert figure.from_s >= least_from_s
    assert figure.at_s <= most_at_s


def test_slow_start_that_goes_on_is_not_taken_for_the_rate() -> None:
    """Ten per cent more each second: two seconds of it look flat enough to a stability rule."""
    figure = first(samples(lambda s: LINE_BPS * min(1.0, 0.2 + 0.1 * s)))
    assert figure is None or figure.at_s > 5.0


def test_nothing_transferred_is_never_a_figure() -> None:
    assert first(samples(lambda _: 0.0)) is None


def test_a_line_that_dies_is_not_called_stable_on_its_past() -> None:
    counted = samples(lambda s: LINE_BPS if s < 1.2 else 0.0, 4.0)
    assert first(counted) is None


def test_noise_costs_accuracy_within_bounds() -> None:
    """Others take 0 to 40 % of the line, anew five times a second: as bad as it gets."""
    errors = []
    for seed in range(200):
        draw = random.Random(seed)
        levels = [draw.uniform(0.6, 1.0) * LINE_BPS for _ in range(66)]
        counted = samples(lambda s, levels=levels: levels[int(s / 0.2)])  # type: ignore[misc]
        figure = first(counted)
        full = steady_part(counted, 3.0)
        assert full is not None
        full_bps = rate_bps(*full)
        assert full_bps is not None
        errors.append(0.0 if figure is None else abs(figure.rate_bps / full_bps - 1))
    errors.sort()
    assert errors[99] < 0.05
    assert errors[189] < 0.15


def test_when_it_was_counted_does_not_matter() -> None:
    """A probe is woken late now and then: the time of each sample counts, not its number."""
    draw = random.Random(1)
    at_s = sorted(draw.uniform(0.0, 4.0) for _ in range(60))
    counted = [TransferSample(0.0, 0), *(TransferSample(s, round(LINE_BPS * s / 8)) for s in at_s)]
    figure = first(counted)
    assert figure is not None
    assert figure.rate_bps == pytest.approx(LINE_BPS, rel=1e-5)


def test_rates_are_bits_over_the_time_between_two_samples() -> None:
    assert rate_bps(TransferSample(1.0, 1_000), TransferSample(3.0, 2_000)) == 4_000
    assert rate_bps(TransferSample(1.0, 1_000), TransferSample(1.0, 1_000)) is None


def test_the_steady_part_begins_after_the_warm_up() -> None:
    counted = samples(lambda s: LINE_BPS if s > 1 else 0.0, 3.0)
    assert steady_part(counted, 1.0) == (counted[10], counted[30])
    assert steady_part(counted, 3.0) is None, "nothing is left of it"
    assert steady_part(counted, 4.0) is None


def test_pings_by_hand() -> None:
    pings = ping_statistics([10.0, 14.0, 11.0, 13.0])
    assert (pings.min_ms, pings.p50_ms) == (10.0, 11.0)
    assert pings.jitter_abs_mean_ms == pytest.approx((4 + 3 + 2) / 3)
    assert pings.jitter_std_ms == pytest.approx(math.sqrt((4 + 4 + 1 + 1) / 3))
    assert ping_statistics([7.0]) == (7.0, 7.0, None, None)
    assert ping_statistics([]) == (None, None, None, None)


def test_a_tenth_of_the_slots_is_drawn_the_same_for_everybody() -> None:
    slots = [SLOT + timedelta(minutes=7 * number) for number in range(5_000)]
    drawn = [calibrates("bach-thong/tram-1/vnpt", slot, 0.1) for slot in slots]
    assert drawn == [calibrates("bach-thong/tram-1/vnpt", slot, 0.1) for slot in slots]
    assert 0.085 < sum(drawn) / len(drawn) < 0.115
    assert drawn != [calibrates("bach-thong/tram-1/viettel", slot, 0.1) for slot in slots]
    assert calibrates("x", SLOT, 1.0)
    assert not calibrates("x", SLOT, 0.0)
    assert not calibrates("x", None, 1.0), "nobody planned it, so nobody draws it"


def test_the_longest_test_is_within_its_bound() -> None:
    config = HttpConfig(pings=10, warm_up_s=3, duration_s=10, timeout_s=2.0)
    assert longest_s(config) == 2 + 20 + 2 * (4 + 13)


def told(test: HttpTest) -> RawResult:
    server = ServerConfig(name="hn-1", host="203.0.113.10", http_port=8080)
    return raw_result(server, 8080, HttpConfig(), test, "2.8.0")


def values_of(made: RawResult) -> HttpValues:
    assert isinstance(made.values, HttpValues)
    return made.values


FULL = TransferRecord(
    samples(lambda s: LINE_BPS / 2 if s < 3 else LINE_BPS),
    early=EarlyFigure(0.6 * LINE_BPS, 0.5, 2.5, 7),
)
EARLY = TransferRecord(
    samples(lambda _: LINE_BPS, 2.0),
    early=EarlyFigure(1.1 * LINE_BPS, 0.5, 2.0, 20_000_000),
    early_stopped=True,
)
TEST = HttpTest(address="203.0.113.10", pings_ms=[1.0, 2.0], download=FULL, upload=EARLY)


def test_a_full_length_figure_stands_beside_what_the_rule_would_have_said() -> None:
    values = values_of(told(TEST))
    assert values.download is not None
    assert values.download_bps == pytest.approx(LINE_BPS)
    assert values.download_whole_bps == pytest.approx(LINE_BPS * 11.5 / 13)
    assert (values.download.steady_s, values.download.whole_s) == (10.0, 13.0)
    assert values.download.early_bps == 0.6 * LINE_BPS
    assert (values.download.early_at_s, values.download.early_bytes) == (2.5, 7)
    assert not values.download.early_stopped
    assert values.download.sample_at_ms[:2] == [100, 200]
    assert len(values.download.sample_bytes) == 130


def test_an_early_figure_is_marked() -> None:
    made = told(TEST)
    assert made.validity == [Validity.EARLY_STOPPED]
    values = values_of(made)
    assert values.upload is not None
    assert values.upload_bps == 1.1 * LINE_BPS
    assert (values.upload.steady_s, values.upload.whole_s) == (1.5, 2.0)
    assert values.upload.early_stopped
    assert told(structs.replace(TEST, upload=FULL)).validity == []


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        (Reason.CONNECTION_LOST, Outcome.FAILED),
        (Reason.SERVER_BUSY, Outcome.SKIPPED),
        (Reason.SHUTTING_DOWN, Outcome.SKIPPED),
    ],
)
def test_a_broken_transfer_keeps_its_samples_but_no_headline(
    reason: Reason, outcome: Outcome
) -> None:
    broken = structs.replace(FULL, failure=Failure(reason, "It is so."), connections_lost=4)
    made = told(structs.replace(TEST, download=broken, upload=None))
    assert (made.outcome, made.reason) == (outcome, reason)
    assert made.detail == "download: It is so."
    assert made.validity == [Validity.SHORT]
    values = values_of(made)
    assert (values.download_bps, values.download_whole_bps, values.upload) == (None, None, None)
    assert values.download is not None
    assert not values.download.complete
    assert values.download.error == "It is so."
    assert values.download.connections_lost == 4
    assert values.ping_min_ms == 1.0


def test_bytes_that_the_lines_own_card_did_not_carry_are_flagged() -> None:
    total = FULL.samples[-1].total_bytes
    for carried, flags in (
        (round(total * 1.05), []),
        (None, []),
        (total // 2, [Validity.INTERFACE_MISMATCH]),
    ):
        made = told(
            structs.replace(
                TEST, download=structs.replace(FULL, interface_bytes=carried), upload=FULL
            )
        )
        assert made.validity == flags
        values = values_of(made)
        assert values.download is not None
        assert values.download.interface_bytes == carried


@pytest.mark.parametrize("upload", [False, True], ids=["download", "upload"])
@pytest.mark.parametrize(
    ("tcp_bytes", "carried", "flagged"),
    [
        # Half a megabyte of a slow line: headers alone; a tenth of somebody else's; what TCP sent
        # and the server has not acknowledged yet is the test's own.
        (500_000, 524_000, False),
        (500_000, 560_000, True),
        (700_000, 735_000, False),
        (None, 9_000_000, False),
        (500_000, None, False),
    ],
)
def test_each_direction_is_held_against_its_own_connections(
    upload: bool, tcp_bytes: int | None, carried: int | None, flagged: bool
) -> None:
    slow = structs.replace(
        FULL, samples=[TransferSample(0.0, 0), TransferSample(4.0, 500_000)], tcp_bytes=tcp_bytes,
        interface_bytes=carried,
    )  # fmt: skip
    made = told(structs.replace(TEST, download=FULL, upload=FULL))
    assert Validity.CROSS_TRAFFIC not in made.validity
    made = told(structs.replace(TEST, **{"upload" if upload else "download": slow}))
    assert (Validity.CROSS_TRAFFIC in made.validity) is flagged
    values = values_of(made)
    transfer = values.upload if upload else values.download
    assert transfer is not None
    assert (transfer.tcp_bytes, transfer.interface_bytes) == (tcp_bytes, carried)


def test_a_server_that_cannot_be_reached_is_stated_by_address_and_family() -> None:
    failure = Failure(Reason.CONNECTION_REFUSED, "Nothing listens.")
    made = told(HttpTest(address="203.0.113.10", failure=failure))
    assert (made.outcome, made.reason) == (Outcome.FAILED, Reason.CONNECTION_REFUSED)
    assert (made.detail, made.family) == ("Nothing listens.", Family.IPV4)
    values = values_of(made)
    assert (values.address, values.pings, values.ping_p50_ms) == ("203.0.113.10", 0, None)
    assert (values.download_bps, values.upload_bps) == (None, None)


def test_a_busy_server_and_an_unknown_address_have_no_values() -> None:
    busy = Failure(Reason.SERVER_BUSY, "It is busy.")
    assert told(HttpTest(address="203.0.113.10", failure=busy)).values is None
    unknown = told(HttpTest(failure=Failure(Reason.NAME_RESOLUTION, "No address.")))
    assert (unknown.values, unknown.family) == (None, None)


def test_the_method_names_its_rule_and_settings() -> None:
    method = told(TEST).method
    assert method is not None
    assert (method.tool, method.version) == ("urllib3", "2.8.0")
    assert method.settings["stop_rule"] == "mser-relaxing-1"
    assert method.settings["warm_up_s"] == 3


def test_the_server_s_configuration_says_what_its_settings_say() -> None:
    server = HttpServer(
        listen=["203.0.113.10:8080", "[2001:db8::1]:8080"],
        root="/srv/tramdo",
        runtime_directory="/run/tramdo-http",
        connections=99,
    )
    lines = [line.strip() for line in render(TEMPLATE.read_text("utf-8"), server).splitlines()]
    assert [line for line in lines if line.startswith("listen")] == [
        "listen 203.0.113.10:8080;",
        "listen [2001:db8::1]:8080;",
    ]
    assert "limit_conn all_connections 99;" in lines
    assert f"location = {EMPTY_PATH} {{" in lines
    assert f"location = {SINK_PATH} {{" in lines
    assert f"client_max_body_size {max(SIZES_BYTES)};" in lines
    assert "gzip off;" in lines
    assert "access_log off;" in lines
    assert not any("{{" in line or "{%" in line for line in lines)


def test_a_template_that_asks_for_more_is_refused() -> None:
    server = HttpServer(listen=["80"], root="/", runtime_directory="/run")
    with pytest.raises(jinja2.UndefinedError):
        render("{{ no_such_setting }}", server)


def test_paths_and_sizes() -> None:
    assert random_path(1_048_576) == "/tramdo/random/1048576"
    assert sorted(SIZES_BYTES) == list(SIZES_BYTES)
    assert all(size % 2**20 == 0 for size in SIZES_BYTES), "whole blocks, as they are written"
