"""The registry's form for one office, and its changes in the reader's words."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from collector.domain.place_search import PlaceIndex
from collector.registry.changes import differences
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.registry.registry import Commune, Group, Isp, Line, Probe, Registry
from collector.web import registry_probe_view as view
from collector.web.presentation import Locale
from collector.web.registry_words import change_rows
from runtime.language import Language
from runtime.settings import SettingsError
from tests.seeded_centre import REGISTRY

VI = Locale(Language.VI, ZoneInfo("Asia/Ho_Chi_Minh"))
EN = Locale(Language.EN, ZoneInfo("Asia/Ho_Chi_Minh"))
KNOWN = parse_toml(REGISTRY.encode(), "seeded.toml", official())
PLACES = PlaceIndex(KNOWN, date(2026, 11, 30))
KEY = ("bach-thong", "tram-01969-1")


def edited(locale: Locale = VI, /, **changed: str) -> Registry:
    """The registry after the form of a probe was sent with some fields changed."""
    fields = view.fields_of(KNOWN.probes[KEY], KNOWN, locale)
    form = {name: getattr(fields, name) for name in fields.__struct_fields__ if name != "lines"}
    for number, line in enumerate(fields.lines):
        form |= {f"line{number}_{name}": text for name, text in structs.asdict(line).items()}
    return view.registry_with(view.typed(form | changed), KEY, KNOWN, PLACES, locale)


def told(new: Registry, locale: Locale = VI) -> list[tuple[str, str, str, str]]:
    return [
        (row.sign, row.subject, "; ".join(row.before), "; ".join(row.after))
        for row in change_rows(differences(KNOWN, new), new, locale)
    ]


@pytest.mark.parametrize("locale", [VI, EN])
def test_a_form_that_is_sent_as_it_was_changes_nothing(locale: Locale) -> None:
    assert edited(locale) == KNOWN


def test_a_plan_with_its_date_is_told_in_words_and_units() -> None:
    new = edited(line0_plan_down_mbit_s="1.000,5", line0_contract_date="2026-12-01")
    ((sign, subject, before, after),) = told(new)
    assert (sign, subject) == (
        "≠",
        "Đường truyền vnpt của Văn phòng UBND xã Phủ Thông (bach-thong/tram-01969-1)",
    )
    assert before == (
        "tốc độ gói tải xuống: 300 Mbit/s từ 15/01/2026; gói có hiệu lực từ: 15/01/2026"
    )
    assert after == (
        "tốc độ gói tải xuống: 1.000,5 Mbit/s từ 01/12/2026; gói có hiệu lực từ: 01/12/2026"
    )
    line = new.probes[KEY].lines[0]
    assert (line.plan_down_bps, line.contract_date) == (1_000.5e6, date(2026, 12, 1))


def test_a_probe_is_moved_by_the_name_of_its_commune() -> None:
    new = edited(commune="vinh thong, thai nguyen")
    assert new.probes[KEY].commune == "01981"
    ((_, _, before, after),) = told(new)
    assert before == "xã: Xã Phủ Thông, Thái Nguyên (01969)"
    assert after == "xã: Xã Vĩnh Thông, Thái Nguyên (01981)"


def test_a_line_of_an_isp_that_is_new() -> None:
    new = edited(line2_id="fpt", line2_isp="FPT Telecom", line2_plan_down_mbit_s="1000")
    assert new.isps["fpt-telecom"].name == "FPT Telecom"
    rows = {(sign, subject.partition(" của")[0]): after for sign, subject, _, after in told(new)}
    assert ("+", "Đường truyền fpt") in rows
    assert "tốc độ gói tải xuống: 1.000 Mbit/s" in rows["+", "Đường truyền fpt"]
    assert any(sign == "+" and subject.startswith("Nhà mạng fpt-telecom") for sign, subject in rows)
    # Known by its name, whatever its capitals, and by its id.
    for name in ("viettel", "VIETTEL", "Viettel"):
        assert edited(line0_isp=name).probes[KEY].lines[0].isp == "viettel"


def test_a_line_without_an_id_is_left_out_and_a_probe_is_retired() -> None:
    assert [line.id for line in edited(line1_id="").probes[KEY].lines] == ["vnpt"]
    without = view.registry_without(KEY, KNOWN)
    signs = [row.sign for row in change_rows(differences(KNOWN, without), KNOWN, EN)]
    assert signs == ["−"] * 3
    assert len(without.probes) == len(KNOWN.probes) - 1


def test_a_new_line_without_an_id_gets_its_isp_s_and_is_never_dropped_in_silence() -> None:
    new = edited(line2_isp="FPT Telecom", line2_plan_down_mbit_s="1000")
    assert [line.id for line in new.probes[KEY].lines] == ["vnpt", "viettel", "fpt-telecom"]
    with pytest.raises(SettingsError) as raised:
        edited(line2_plan_down_mbit_s="1000")
    assert any("line[3]: isp" in one.in_(VI.language) for one in raised.value.problems)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"line2_isp": "VNPT"}, "vnpt có hai lần"),
        ({"commune": "tân hòa"}, "hãy ghi mã xã: "),
        ({"commune": "nowhere"}, "không có xã tên như vậy"),
        ({"commune": "99999"}, "không có xã mã 99999"),
        ({"line0_plan_up_mbit_s": "nhanh"}, "line[1]: plan_up_mbit_s"),
        ({"line0_contract_date": "hôm qua"}, "line[1]: contract_date"),
        ({"line0_isp": ""}, "line[1]: isp: còn thiếu"),
        ({"line1_id": "vnpt"}, "vnpt có hai lần"),
        ({"office": ""}, "office: còn thiếu"),
        ({"office": "a\0b"}, "NUL"),
        ({"probe": "tram-01981-1"}, "đã có trong sổ đăng ký"),
    ],
)
def test_what_is_wrong_in_a_form(changed: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        edited(**changed)
    assert problem in raised.value.in_(Language.VI)


def test_every_field_of_the_registry_has_a_name() -> None:
    for thing in (Commune, Isp, Group, Probe, Line):
        for name in thing.__struct_fields__:
            assert VI.has_label(f"field_{name}") or name == "lines"
        assert VI.has_label(f"thing_{thing.__name__.lower()}")
    assert all(text for text, _ in view.technologies(VI))
