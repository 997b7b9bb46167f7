"""docs/delivery.md and docs/security.md: each section names the tests that hold it, and they exist.

What a sentence states as a number is the code's, and what is said of a run is what the run prints.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from collector.alerts import served_certificates
from collector.alerts.rules import Rules
from collector.commands import builder
from collector.config import IngestConfig
from collector.domain import name_conflicts, operators
from collector.ingest import receipts
from collector.store import batch, target_limit
from collector.users import sign_in_limiter
from collector.web import body_limit, server
from deploy.broker import limits
from probe import config, config_file
from probe.config import DeliveryConfig
from probe.deliver import publisher, writer
from probe.plan.light import light_kinds
from runtime import clock_stability
from runtime.broker import BrokerConfig
from server import lease_service, session_counts
from server.leases import LeaseLimits
from tests.chaos.__main__ import _report
from tests.chaos.faults import EDGES, deck
from tests.chaos.feeder import CONFIRMED_WITHIN_S
from wire import lease
from wire.commands import LONGEST_LIFE, CommandName
from wire.messages import MAX_NAMED_EPOCHS
from wire.result import KINDS

ROOT = Path(__file__).parents[2]
LINGER = ROOT / "docs/decisions/0099-latency-results-linger.md"
DELIVERY, VIETNAMESE, SECURITY, FIGURES = (
    ROOT / "docs" / name for name in ("delivery.md", "delivery.vi.md", "security.md", "figures.md")
)
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def text_of(page: Path) -> str:
    """A page with each run of blanks as one."""
    return " ".join(page.read_text(encoding="utf-8").split())


def sections(page: Path) -> dict[str, str]:
    """The text below each heading of the second level."""
    parts = re.split(r"^## (.+)\n", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def named(section: str) -> list[tuple[str, str]]:
    """(file, function) of each test that a section names at its end."""
    _, _, last = re.split(r"(?m)^(Tests|Bài thử):\n", section, maxsplit=1)
    return _TEST.findall(last)


@pytest.mark.parametrize("page", [DELIVERY, VIETNAMESE, SECURITY], ids=lambda page: page.name)
def test_each_section_ends_with_the_tests_that_hold_it(page: Path) -> None:
    for heading, section in sections(page).items():
        assert re.search(r"(?m)^(Tests|Bài thử):\n(`tests/[^`]+::\w+`\n)+\s*\Z", section), heading


@pytest.mark.parametrize("page", [DELIVERY, VIETNAMESE, SECURITY], ids=lambda page: page.name)
def test_each_test_that_a_page_names_exists(page: Path) -> None:
    found = _TEST.findall(page.read_text(encoding="utf-8"))
    assert len(found) > 40
    for path, function in found:
        assert (ROOT / path).is_file(), path
        if function:
            assert function in functions_of(path), f"{path}::{function}"


def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_both_languages_name_the_same_tests() -> None:
    english, vietnamese = sections(DELIVERY), sections(VIETNAMESE)
    pairs = zip(english.values(), vietnamese.values(), strict=True)
    assert [named(ours) == named(theirs) for ours, theirs in pairs] == [True] * len(english)


def test_both_languages_state_the_same_figures() -> None:
    english, vietnamese = sections(DELIVERY), sections(VIETNAMESE)
    pairs = zip(english.values(), vietnamese.values(), strict=True)
    for ours, theirs in pairs:
        assert figures_of(ours) == figures_of(theirs.translate(str.maketrans(".,", ",.")))


def figures_of(section: str) -> set[str]:
    """Numbers of three digits and more, and those with decimals: no dates, code and links."""
    plain = re.sub(r"\]\([^)]*\)|`[^`]*`", "", section)
    found = (one.replace(",", "") for one in re.findall(r"\d[\d.,]*\d", plain))
    return {one for one in found if "." in one or len(one) > 2}


def test_the_words_of_the_chaos_run_are_those_of_the_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _report([], 0, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    for page in (DELIVERY, VIETNAMESE):
        words = re.findall(r"^\| (\w+) \| ", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert [word for word in words if word in printed] == [
            word for word in printed if word != "seeds"
        ]


def rows_of_faults(page: Path) -> Iterator[list[str]]:
    """The names in the run of each row of the table of faults: shell patterns."""
    (head,) = re.findall(r"(?m)^\| [^|]+ \| [^|]+ \| (?:Names in|Tên trong).*\n.*\n", text(page))
    for line in text(page).partition(head)[2].splitlines():
        if not line.startswith("| "):
            return
        yield re.findall(r"`([^`]+)`", line.rstrip("| ").rpartition(" | ")[2])


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [DELIVERY, VIETNAMESE], ids=lambda page: page.name)
def test_each_row_of_faults_is_faults_of_the_run(page: Path) -> None:
    """And each fault of the run is in exactly one row, those that cannot be had here too."""
    had, refused = deck()
    rows = list(rows_of_faults(page))
    assert len(rows) == 12
    for fault in [*had, *refused]:
        assert sum(any(fnmatchcase(fault, one) for one in row) for row in rows) == 1, fault
    for pattern in (one for row in rows for one in row):
        assert any(fnmatchcase(fault, pattern) for fault in [*had, *refused]), pattern
    assert len(EDGES) == 6
    assert {name.split()[1] for name in had if name.startswith("kill ")} == {
        "probe", "broker", "collector",
    }  # fmt: skip


def test_each_run_s_sum_is_right() -> None:
    """`sent` is `stored`, named and lost together, as the page itself says."""
    runs = re.findall(
        r"([\d,]+) sent, ([\d,]+) stored, (?:([\d,]+) named, )?\*\*0 doubled and 0 lost",
        text_of(DELIVERY),
    )
    assert len(runs) >= 2
    for run in runs:
        sent, stored, of_them_named = (int(one.replace(",", "") or 0) for one in run)
        assert sent == stored + of_them_named


def test_the_readme_s_row_is_a_run_of_the_page() -> None:
    (row,) = re.findall(
        r"\| `(make chaos \w+=\d+)`, (\d+) faults, ([\d,]+) results", text(ROOT / "README.md")
    )
    command, faults, sent = row
    runs = re.findall(
        rf"`{command}` on [^*]*?\b(\d+) faults[^*]*?([\d,]+) sent[^*]*\*\*0 doubled and 0 lost",
        text_of(DELIVERY),
    )
    assert (faults, sent) in runs


def test_the_page_s_bytes_of_a_result_are_the_decision_s() -> None:
    """Of latency results in twenties, compressed, and alone as JSON."""
    rows = {
        cells[0]: cells
        for line in text(LINGER).splitlines()
        if len(cells := line.strip("| ").split(" | ")) == 5
    }
    page = text_of(DELIVERY)
    assert f"{rows['20'][2]} bytes of IP packets a result in envelopes of twenty" in page
    assert f"where a result alone took {rows['1'][1]} " in page


def test_the_page_s_figures_of_delivery_are_those_of_the_last_run() -> None:
    (section,) = re.findall(r"(?s)^## delivery\n(.*?)(?=^## |\Z)", text(FIGURES), re.MULTILINE)
    rows = [re.split(r" *\| *", line.strip("| ")) for line in section.splitlines()]
    by_tool = {(row[0], row[1]): int(row[2]) for row in rows if len(row) > 3 and row[2].isdigit()}
    ours, limit = "ours: outbox, store, receipts", "limit: only acknowledged"
    stated = sections(DELIVERY)["How fast"]
    bare, drain = "paho QoS 1, bare", "live, during the drain of 30 days"
    for row in ((ours, "1"), (limit, "1"), (ours, "50"), (bare, "1"), (bare, "50"), (drain, "–")):
        assert f" {by_tool[row]:,} " in stated, row
    assert f"{by_tool[ours, '1'] / by_tool[limit, '1']:.2f} of {by_tool[limit, '1']:,}" in stated


def test_a_probe_makes_as_many_results_a_day_as_the_page_says() -> None:
    """A result a minute of each latency target, and those of the other light kinds."""
    settings = config.parse(config_file.EXAMPLE.read_bytes(), "probe.toml")
    per_day = sum(
        one.per_day * (3 if one.kind == "latency" else 1)
        for line in settings.lines[:2]
        for one in light_kinds(settings, line)
    )
    assert len(settings.lines) >= 2
    assert per_day == pytest.approx(9_000, rel=0.05)
    assert "some 9,000 results a day" in text_of(DELIVERY)
    drained_s = 9_000 * 30 / 18_421
    assert drained_s == pytest.approx(15, rel=0.05)


_MINUTE_S = 60.0
STATED = [
    (DELIVERY, "lies up to half a second", publisher._IDLE_S, 0.5),
    (DELIVERY, "up to 0.2 s is waiting", writer._GATHERED_WITHIN_S, 0.2),
    (DELIVERY, "has run steadily for an hour", clock_stability.STEADY_FOR_S, 60 * _MINUTE_S),
    (DELIVERY, "double up to two minutes", BrokerConfig(host="a").reconnect_max_s, 2 * _MINUTE_S),
    (DELIVERY, "the outbox may have 1 GB", DeliveryConfig().max_bytes, 10**9),
    (DELIVERY, "some 270,000 results", DeliveryConfig().keep_days * 9_000, 270_000),
    (DELIVERY, "it waits for two minutes now", CONFIRMED_WITHIN_S, 2 * _MINUTE_S),
    (DELIVERY, "wait up to 0.2 s more for a common commit", IngestConfig().linger_s, 0.2),
    (
        DELIVERY,
        "`intake.compression` at the centre, off by default",
        IngestConfig().compression,
        False,
    ),
    (DELIVERY, "The default is `centre`", DeliveryConfig().confirm, "centre"),
    (SECURITY, "within an hour, is a second box", name_conflicts.WINDOW.total_seconds(), 3600),
    (SECURITY, "a line's addresses 90 days", operators.KEPT.days, 90),
    (SECURITY, "it holds at most 10,000", session_counts._MOST_SESSIONS, 10_000),
    (SECURITY, "holds at most 2 leases", LeaseLimits().held_per_source, 2),
    (SECURITY, "900 s of them an hour", LeaseLimits().source_s_per_hour, 900),
    (SECURITY, "8 of its requests wait", LeaseLimits().waiting_per_source, 8),
    (SECURITY, "512 wait in all", LeaseLimits().waiting, 512),
    (SECURITY, "after 120 s at the latest", LeaseLimits().longest_s, 120),
    (SECURITY, "A message is at most 1,000 bytes", lease.MOST_BYTES, 1_000),
    (SECURITY, "the first within 5 s", lease_service._FIRST_LINE_S, 5),
    (SECURITY, "names 100 epochs at most", MAX_NAMED_EPOCHS, 100),
    (SECURITY, "each 2 s at most", receipts.ANSWER_GAP_S, 2.0),
    (SECURITY, "a second later for each 2,500 ranges", receipts.RANGES_PER_S, 2_500),
    (DELIVERY, "confirmed for 30 days (`delivery.keep_days`)", DeliveryConfig().keep_days, 30),
    (
        SECURITY,
        "come back within two minutes",
        BrokerConfig(host="a").reconnect_max_s,
        2 * _MINUTE_S,
    ),
    (SECURITY, "30 days before the end there is an alert", Rules().certificate_days, 30),
    (
        SECURITY,
        "presents nothing for 15 minutes",
        served_certificates._FAULT_AFTER_S,
        15 * _MINUTE_S,
    ),
    (SECURITY, "512 bytes for each message", limits._QUEUED_MESSAGE_BYTES, 512),
    (SECURITY, "5 % of `limits.probes`", limits.HOSTILE_SHARE, 0.05),
    (SECURITY, "on each of its 13 topics", len(KINDS) + len(limits.PROBE_CHANNELS), 13),
    (SECURITY, "kept for `session_days`", limits.BrokerLimits().session_days, 7),
    (SECURITY, "Four things: `identify`, `measure`, `replay`, `reload`", len(CommandName), 4),
    (SECURITY, "expires within an hour", LONGEST_LIFE.total_seconds(), 60 * _MINUTE_S),
    (SECURITY, "of the centre within two minutes", builder.LIFETIME.total_seconds(), 120),
    (SECURITY, "reads 16 kB of a stranger's body", body_limit.STRANGER_MOST, 16 * 1024),
    (SECURITY, "5 MB of a signed-in user's", body_limit.USER_MOST, 5_000_000),
    (SECURITY, "is not whole after 60 s", server._REQUEST_S, 60.0),
    (SECURITY, "an epoch in more than 20,000 pieces", batch._MAX_RANGES, 20_000),
    (SECURITY, "lines and targets the first 100 and 1,000", target_limit.LINES_MOST, 100),
    (SECURITY, "lines and targets the first 100 and 1,000", target_limit.TARGETS_MOST, 1_000),
    (SECURITY, "Eight wrong passwords of a name", sign_in_limiter.PAIR_MAX, 8),
    (SECURITY, "or thirty of any names", sign_in_limiter.ADDRESS_MAX, 30),
    (SECURITY, "for a quarter of an hour", sign_in_limiter.WINDOW_S, 15 * _MINUTE_S),
    (SECURITY, "of IPv6: its /64", sign_in_limiter._SUBSCRIBER_BITS, 64),
]


@pytest.mark.parametrize(("page", "words", "value", "stated"), STATED, ids=[s[1] for s in STATED])
def test_a_number_that_a_page_states_is_the_code_s(
    page: Path, words: str, value: object, stated: object
) -> None:
    assert words in text_of(page)
    assert value == stated
