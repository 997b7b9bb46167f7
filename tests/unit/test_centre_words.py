"""What the pages say: names within sentences, weeks, lights, numbers, states beside figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from collector.domain import thresholds_file
from collector.domain.lines import LineState, known_lines
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.rollup.distribution import distribution
from collector.rollup.periods import Period
from collector.rollup.summary import EMPTY, Summary
from collector.store.records import LastResult, StoredResult
from collector.store.sqlite import SqliteStore
from collector.web import campaign_view
from collector.web.formatting import week_text
from collector.web.labels import measurement, pages, staff
from collector.web.line_table import DOWN, state_note
from collector.web.presentation import Locale
from collector.web.probe_view import host_evidence, probe_status
from runtime.language import Language, within_sentence
from tests import samples
from tests.seeded_centre import REGISTRY
from tests.unit.test_centre_pages import heard
from tests.unit.test_registry_page import NOW, Browser
from wire.result import encode_result

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
VI, EN = Locale(Language.VI, ZONE), Locale(Language.EN, ZONE)
THRESHOLDS = thresholds_file.read()
PROBES = 1_200


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("Xã Phủ Thông", "xã Phủ Thông"),
        ("Phường Ba Đình", "phường Ba Đình"),
        ("Đặc khu Trường Sa", "đặc khu Trường Sa"),
        ("Trụ sở UBND xã Phủ Thông", "trụ sở UBND xã Phủ Thông"),
        ("Thành phố Hà Nội", "thành phố Hà Nội"),
        ("Thành phố Hồ Chí Minh", "Thành phố Hồ Chí Minh"),
        ("Xãy", "Xãy"),
        ("UBND xã Phủ Thông", "UBND xã Phủ Thông"),
        ("", ""),
    ],
)
def test_a_name_within_a_sentence_begins_small(name: str, within: str) -> None:
    assert within_sentence(name) == within


def test_every_commune_within_a_sentence_begins_small() -> None:
    assert all(within_sentence(commune.name)[0].islower() for commune in official().values())


def test_a_week_is_named_as_people_name_it() -> None:
    monday = date(2026, 11, 30)
    assert week_text(monday, Language.VI) == "Tuần 49/2026"
    assert week_text(monday, Language.EN) == "Week 49 of 2026"
    # ISO 8601: the last days of 2024 are in the first week of 2025.
    assert week_text(date(2024, 12, 30), Language.VI) == "Tuần 01/2025"


def test_the_campaign_opens_on_the_last_whole_week() -> None:
    mondays = campaign_view.last_weeks(date(2026, 12, 1))
    last = campaign_view.last_whole_week(mondays)
    assert last == date(2026, 11, 23)
    # On the first of a month nearly everybody would lack samples of that month.
    assert campaign_view.month_of_week(last) == Period(date(2026, 11, 1), date(2026, 11, 30))
    assert campaign_view.month_of_week(date(2026, 11, 30)).first == date(2026, 12, 1)


def test_a_message_is_no_bulletin() -> None:
    """«Bản tin» is the text for loudspeakers; a message of MQTT is «thông điệp»."""
    labels = {**measurement.LABELS, **pages.LABELS, **staff.LABELS}
    assert {name for name, text in labels.items() if "bản tin" in text.vi.lower()} == {
        "report_bulletin",
        "report_refused_format",
        "mailing_days_month",
        "mailing_refused_day",
    }


def test_lights_are_named_as_on_the_box() -> None:
    leds = {"power": "steady", "centre": "off", "vnpt.green": "steady", "x.red": "fast_blink"}
    status = probe_status(heard(leds=leds | {"new": "glow"}), NOW, VI)
    assert [(led.name, led.does) for led in status.leds] == [
        ("Nguồn", "sáng đều"),
        ("Trung tâm", "tắt"),
        ("VNPT, đèn xanh", "sáng đều"),
        ("x, đèn đỏ", "nháy nhanh"),
        # A newer probe's light, which this centre has no word for.
        ("new", "glow"),
    ]
    english = probe_status(heard(leds=leds), NOW, EN).leds
    assert [led.name for led in english][:3] == ["Power", "Centre", "VNPT, green"]


@pytest.mark.parametrize(
    ("bps", "duplex", "vietnamese", "english"),
    [
        (1e9, "full", "1.000 Mbit/s, song công", "1,000 Mbit/s, full duplex"),
        (100e6, "half", "100 Mbit/s, bán song công", "100 Mbit/s, half duplex"),
        (2.5e9, None, "2.500 Mbit/s", "2,500 Mbit/s"),
        (1e7, "odd", "10 Mbit/s, odd", "10 Mbit/s, odd"),
        (None, "full", "–", "–"),
    ],
)
def test_a_network_port_is_described_in_words(
    bps: float | None, duplex: str | None, vietnamese: str, english: str
) -> None:
    result = samples.throughput()
    assert result.host is not None
    host = msgspec.structs.replace(result.host, link_speed_bps=bps, link_duplex=duplex)
    body = encode_result(msgspec.structs.replace(result, host=host))
    stored = StoredResult(1, "a", "b", samples.EPOCH, 1, "throughput", "vnpt", None, NOW, NOW, body)
    for locale, text in ((VI, vietnamese), (EN, english)):
        (row,) = host_evidence([LastResult(stored, stored)], locale)
        assert row.link == text


def test_a_state_and_the_figures_beside_it_are_explained() -> None:
    registry = parse_toml(REGISTRY.encode(), "seeded.toml", official())
    line = known_lines(registry, [])[0]
    half = Summary({}, metrics={DOWN: distribution([150e6] * 3)})
    whole = Summary({}, metrics={DOWN: distribution([299e6] * 3)})
    heard_of = Summary({}, sums={"availability_up_minutes": 100.0})

    def note(state: LineState, summary: Summary, locale: Locale = VI) -> str:
        return state_note(state, summary, line, THRESHOLDS, locale)

    assert note(LineState.GOOD, half) == "kết nối tốt; tốc độ trung bình thấp hơn 80% gói cước"
    assert note(LineState.GOOD, half, EN) == "connection good; mean speed below 80% of the plan"
    assert note(LineState.SILENT, heard_of).startswith("trạm chưa gửi tin")
    # What agrees needs no word.
    assert {note(LineState.GOOD, s) for s in (whole, EMPTY)} == {""}
    assert note(LineState.DOWN, half) == note(LineState.SILENT, EMPTY) == ""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqliteStore, Path]]:
    """A centre whose registry has more than a thousand probes."""
    folder = tmp_path_factory.mktemp("full")
    codes = list(official())[:PROBES]
    text = '[[isp]]\nid = "vnpt"\nname = "VNPT"\n' + "".join(
        f'[[probe]]\ntenant = "t"\nprobe = "tram-{code}-1"\ncommune = "{code}"\n'
        f'office = "UBND {code}"\n[[probe.line]]\nid = "vnpt"\nisp = "vnpt"\n'
        for code in codes
    )
    store = SqliteStore(folder / "results.sqlite")
    store.registry.apply(parse_toml(text.encode(), "full.toml", official()), "centre", "x", NOW)
    yield store, folder
    store.close()


# Of a page's text: codes of communes, years, and what stands in code or forms.
_NOT_TEXT = re.compile(r"<(script|style|textarea|pre|code|svg|option)\b.*?</\1>|<[^>]*>", re.DOTALL)
_BARE = re.compile(r"(?<![\d.,:/-])[1-9]\d{3,}(?![\d/])")


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize(
    "path", ["/", "/campaign", "/isps", "/system", "/alerts", "/papers", "/public", "/live"]
)
def test_numbers_have_one_form_on_every_page(
    full: tuple[SqliteStore, Path], path: str, language: str
) -> None:
    store, folder = full
    text = unescape(_NOT_TEXT.sub(" ", Browser(store, folder, language).get(path).text))
    found = [bare for bare in _BARE.findall(text) if bare not in official()]
    years = {"2021", "2022", "2023", "2026"}
    assert [bare for bare in found if bare not in years] == []


def test_the_table_of_isps_says_what_its_means_are_and_how_it_is_sorted(
    full: tuple[SqliteStore, Path],
) -> None:
    store, folder = full
    browser = Browser(store, folder, "vi")
    page = browser.get("/isps").text
    assert "trung bình cộng của mọi mẫu" in page
    assert "Xếp theo tên." in page
    assert "Xếp theo tên." not in browser.get("/isps?sort=down&order=asc").text


@pytest.mark.parametrize(("language", "shown"), [("vi", "1.200"), ("en", "1,200")])
def test_a_thousand_offices_are_counted_as_the_reader_writes_it(
    full: tuple[SqliteStore, Path], language: str, shown: str
) -> None:
    store, folder = full
    page = Browser(store, folder, language).get("/campaign").text
    assert page.count(f"<dd>{shown}</dd>") == 4
