"""A newer table of communes: what it changes, what is refused, and what becomes of old codes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec
import pytest

from collector import cli
from collector.domain.lines import known_lines
from collector.registry.changes import COMMUNE_TABLE
from collector.registry.commune_table import COLUMNS, distance_km
from collector.registry.communes import official
from collector.store.sqlite import SqliteStore
from collector.web.registry_words import change_rows
from tests import seeded_centre
from tests.unit.test_centre_pages import VI, heard
from wire.site import Site

PACKAGED = Path(__file__).parents[2] / "collector/registry/data/vn_communes.csv"
NOWHERE = "no commune of the table has its name or names its code"
Rows = dict[str, dict[str, str]]


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))


class Centre:
    """A store with a registry of four offices, and the command."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._capsys = folder, capsys
        self._config = folder / "collector.toml"
        self._config.write_text(
            f'[broker]\nhost = "127.0.0.1"\n[store]\npath = "{folder}/results.sqlite"\n'
        )
        self.registry("apply", seeded_centre.REGISTRY)

    def table(self, change: Callable[[Rows], object], name: str = "new.csv") -> Path:
        """The packaged table with something changed."""
        rows = {row["commune_code"]: row for row in rows_of(PACKAGED)}
        change(rows)
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows.values())
        path = self._folder / name
        path.write_text(text.getvalue(), encoding="utf-8")
        return path

    def communes(self, *arguments: str | Path) -> tuple[int, str]:
        code = cli.main(["communes", *map(str, arguments), "--config", str(self._config)])
        shown = self._capsys.readouterr()
        return code, shown.out + shown.err

    def registry(self, action: str, text: str) -> tuple[int, str]:
        path = self._folder / "registry.toml"
        path.write_text(text, encoding="utf-8")
        code = cli.main(["registry", action, str(path), "--config", str(self._config)])
        shown = self._capsys.readouterr()
        return code, shown.out + shown.err

    def export(self) -> str:
        assert cli.main(["registry", "export", "--config", str(self._config)]) == 0
        return self._capsys.readouterr().out

    def store(self) -> SqliteStore:
        return SqliteStore(self._folder / "results.sqlite")


@pytest.fixture
def centre(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Centre:
    return Centre(tmp_path, capsys)


def recoded(rows: Rows) -> None:
    """Phủ Thông (01969) has the code 09999; Vĩnh Thông (01981) has become a part of it."""
    rows["01969"] |= {"commune_code": "09999", "former_codes": "01981"}
    del rows["01981"]


def several(rows: Rows) -> None:
    recoded(rows)
    rows["02008"]["commune_name"] = "Xã Cẩm Giàng Mới"
    rows["02014"]["latitude"] = "22.5000"
    del rows["00004"]
    rows["00008"] |= {"province_code": "99", "province_name": "Tỉnh Mới"}
    rows["new"] = rows["00025"] | {"commune_code": "09998", "commune_name": "Phường Hoàn Toàn Mới"}


def test_the_packaged_table_changes_nothing(centre: Centre) -> None:
    code, shown = centre.communes(PACKAGED)
    assert (code, shown) == (
        0,
        f"{PACKAGED}: sound; 0 changes would be made (--apply makes them)\n",
    )


def test_each_change_is_named_and_nothing_is_written(centre: Centre) -> None:
    before = centre.export()
    code, shown = centre.communes(centre.table(several))
    assert code == 0
    lines = shown.splitlines()
    province = "Tỉnh Thái Nguyên"
    assert lines[:4] == [
        "+ 09998 Phường Hoàn Toàn Mới, Thành phố Hà Nội",
        f"- 00004 Phường Ba Đình, Thành phố Hà Nội: {NOWHERE}",
        f"= 01969 Xã Phủ Thông, {province}: its code is 09999 now",
        f"> 01981 Xã Vĩnh Thông, {province}: a part of 09999 Xã Phủ Thông, {province} now",
    ]
    assert "~ 02008 Xã Cẩm Giàng, Tỉnh Thái Nguyên: called Xã Cẩm Giàng Mới now" in lines
    assert "~ 00008 Phường Ngọc Hà, Thành phố Hà Nội: in Tỉnh Mới now" in lines
    (moved,) = [line for line in lines if "has moved by" in line]
    now = msgspec.structs.replace(official()["02014"], latitude=22.5)
    assert moved.endswith(f"by {distance_km(official()['02014'], now):.1f} km")
    assert lines[-1].endswith("7 changes would be made (--apply makes them)")
    place = "probe bach-thong/tram-01969-1 (Văn phòng UBND xã Phủ Thông)"
    assert f"{place}: 01969 becomes 09999" in lines
    assert "group bach-thong-cu: 01981 becomes 09999" in lines
    assert centre.export() == before


def test_a_degree_of_latitude_is_111_km() -> None:
    one = official()["02014"]
    north = msgspec.structs.replace(one, latitude=one.latitude + 1)
    assert distance_km(one, north) == pytest.approx(111.19, abs=0.01)
    assert distance_km(one, one) == 0


def test_an_adopted_table_is_that_of_registry_and_pages(centre: Centre) -> None:
    code, _ = centre.communes(centre.table(several), "--apply", "--since", "2026-12-01")
    assert code == 0
    store = centre.store()
    registry = store.registry.read()
    assert registry.probes["bach-thong", "tram-01969-1"].commune == "09999"
    assert registry.probes["bach-thong", "tram-01981-1"].commune == "09999"
    assert registry.groups["bach-thong-cu"].communes == ("09999", "02008", "02014")
    assert registry.communes["09998"].valid_from == date(2026, 12, 1)
    assert registry.communes["00004"].valid_to == date(2026, 12, 1)
    assert "01969" not in registry.communes
    former = registry.former_codes["01969"]
    assert (former.present, former.until) == ("09999", date(2026, 12, 1))
    # A probe that still reports its old code is at its commune.
    probe = msgspec.structs.replace(heard(), tenant="t", site=Site("01969", "UBND xã Phủ Thông"))
    places = {line.place for line in known_lines(registry, [probe]) if line.key.tenant == "t"}
    assert places == {"Xã Phủ Thông"}
    rows = change_rows((one.change for one in store.registry.changes()), registry, VI)
    assert "Bảng xã, phường mới từ ngày 01/12/2026" in [row.subject for row in rows]
    store.close()
    # Taken once, it changes nothing more.
    assert "0 changes would be made" in centre.communes(centre.table(several))[1]


def test_a_registry_with_old_codes_goes_on_working_and_is_told(centre: Centre) -> None:
    centre.communes(centre.table(recoded), "--apply", "--since", "2026-12-01")
    # The four offices under their old codes; two communes of the group are one now.
    code, shown = centre.registry("check", seeded_centre.REGISTRY)
    assert code == 0, shown
    assert "0 changes would be made" in shown
    assert (
        "registry.toml: probe[1].commune: code 01969 is 09999 (Xã Phủ Thông) since 2026-12-01: use "
        "the new one" in shown
    )
    assert "group[1].communes: code 01969 is 09999" in shown
    # What is exported has the present ones, and none of the table's communes.
    exported = centre.export()
    assert 'commune = "09999"' in exported
    assert "[[commune]]" not in exported
    assert centre.registry("check", exported)[1].endswith("0 changes would be made\n")


def test_codes_that_have_changed_hands_are_followed_by_name(centre: Centre) -> None:
    def swapped(rows: Rows) -> None:
        names = rows["01969"]["commune_name"], rows["02008"]["commune_name"]
        rows["02008"]["commune_name"], rows["01969"]["commune_name"] = names

    code, shown = centre.communes(centre.table(swapped), "--apply")
    assert code == 0
    assert "! 01969: Xã Phủ Thông before, Xã Cẩm Giàng now" in shown
    store = centre.store()
    registry = store.registry.read()
    assert registry.probes["bach-thong", "tram-01969-1"].commune == "02008"
    assert registry.probes["bach-thong", "tram-02008-1"].commune == "01969"
    assert "01969" not in registry.former_codes
    store.close()


def test_a_second_table_leads_old_codes_further(centre: Centre) -> None:
    centre.communes(centre.table(recoded), "--apply", "--since", "2026-12-01")

    def further(rows: Rows) -> None:
        recoded(rows)
        rows["01969"] |= {"commune_code": "09997", "former_codes": ""}

    assert centre.communes(centre.table(further), "--apply", "--since", "2027-01-01")[0] == 0
    store = centre.store()
    former = store.registry.read().former_codes
    assert {code: former[code].present for code in ("01969", "01981", "09999", "06978")} == {
        "01969": "09997", "01981": "09997", "09999": "09997", "06978": "06970",
    }  # fmt: skip
    assert former["01969"].until == date(2026, 12, 1)
    store.close()


def test_a_table_of_another_release_s_list_is_no_longer_in_force(centre: Centre) -> None:
    centre.communes(centre.table(recoded), "--apply")
    store = centre.store()
    (stored,) = [one for one in store.registry.changes() if one.change.thing == COMMUNE_TABLE]
    text = stored.change.after or ""
    with store.database.transaction() as transaction:
        transaction.execute(
            "UPDATE registry_changes SET after = ? WHERE thing = ?",
            (text.replace('"base":"2026-11-30"', '"base":"2026-07-25"'), COMMUNE_TABLE),
        )
    assert "01969" in store.registry.read().communes
    store.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"commune_code": "1969"}, "commune_code: a commune's code has 5 digits"),
        ({"commune_code": "00004"}, "commune_code: 00004 is there twice"),
        ({"kind": "thi_tran"}, "kind: is one of: xa, phuong, dac_khu"),
        ({"commune_name": "Phủ Thông"}, "commune_name: has to be «Xã …»"),
        ({"province_code": "1"}, "province_code: a province's code has 2 digits"),
        ({"province_name": "Tỉnh Khác"}, "province_name: 19 is Tỉnh Thái Nguyên above"),
        ({"province_name": ""}, "province_name: is empty"),
        ({"latitude": "105.85"}, "latitude: is in degrees, 6 … 24"),
        ({"longitude": "105,85"}, "longitude: is in degrees, 102 … 118"),
        ({"latitude": "nan"}, "latitude: is in degrees"),
        ({"former_codes": "1981"}, "former_codes: a commune's code has 5 digits"),
        ({"former_codes": "01981 01981"}, "former_codes: 01981 is there twice"),
    ],
)
def test_a_broken_row_is_refused_with_row_and_column(
    centre: Centre, change: dict[str, str], message: str
) -> None:
    def broken(rows: Rows) -> None:
        rows["01969"] |= change

    path = centre.table(broken)
    number = 1 + next(
        number
        for number, row in enumerate(rows_of(path), start=1)
        if row["commune_name"].endswith("Phủ Thông")
    )
    before = centre.export()
    code, shown = centre.communes(path, "--apply")
    assert code == 2
    assert f"new.csv:{number}: {message}" in shown
    assert centre.export() == before


def test_a_table_that_was_cut_off_is_refused(centre: Centre) -> None:
    def cut(rows: Rows) -> None:
        for code in list(rows)[500:]:
            del rows[code]

    code, shown = centre.communes(centre.table(cut), "--apply")
    assert code == 2
    assert "has 500 communes and lacks 2821 of the present ones: is it whole?" in shown


def test_a_code_that_is_present_and_former_is_refused(centre: Centre) -> None:
    def both(rows: Rows) -> None:
        rows["01969"]["former_codes"] = "00004"

    code, shown = centre.communes(centre.table(both))
    assert (code, "00004 is a present code and a former one" in shown) == (2, True)


def test_an_empty_table_is_refused(centre: Centre) -> None:
    code, shown = centre.communes(centre.table(lambda rows: rows.clear()))
    assert (code, "there is no commune in it" in shown) == (2, True)


def test_the_table_is_read_as_spreadsheets_write_it(centre: Centre, tmp_path: Path) -> None:
    lines = PACKAGED.read_text(encoding="utf-8").replace(",", ";")
    path = tmp_path / "excel.csv"
    path.write_bytes(lines.encode("utf-16"))
    assert "sound; 0 changes would be made" in centre.communes(path)[1]
