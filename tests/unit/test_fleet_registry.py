"""The centre's registry from an inventory: what comes out is what the centre takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from deploy.fleet import registry
from deploy.fleet.cli import BAD_INPUT, OK, REFUSED, main

ROOT = Path(__file__).parents[2]
INVENTORIES = ROOT / "ansible" / "inventories"
BOX = {
    "probe_name": "phu-thong-01",
    "probe_tenant": "bach-thong",
    "probe_site": {"commune_code": "01969", "office": "UBND", "group": "Bạch Thông (cũ)"},
    "probe_lines": [{"id": "a", "isp": "FPT Telecom", "plan_download_bps": "300e+6"}],
    "probe_broker": {"host": "broker"},
}


def box(**changes: object) -> dict[str, bytes]:
    return {"phu-thong-01": json.dumps(BOX | changes).encode()}


def test_an_inventory_is_a_registry_that_the_centre_takes(tmp_path: Path) -> None:
    """By the real ansible-inventory, of the inventory that technicians copy."""
    out = tmp_path / "registry.toml"
    given = ["registry", "--inventory", str(INVENTORIES / "bach-thong"), "--out", str(out)]
    assert main(given) == OK
    made = parse_toml(out.read_bytes(), str(out), official())
    assert sorted(probe for _, probe in made.probes) == [
        "bach-thong-01", "cam-giang-01", "phu-thong-01", "vinh-thong-01",
    ]  # fmt: skip
    one = made.probes["bach-thong", "phu-thong-01"]
    assert (one.commune, one.office) == ("01969", "Trụ sở UBND xã Phủ Thông")
    assert [(line.id, line.isp, line.plan_down_bps, line.plan_up_bps) for line in one.lines] == [
        ("vnpt", "vnpt", 300e6, 300e6), ("viettel", "viettel", 300e6, 300e6),
    ]  # fmt: skip
    assert {isp.id: isp.name for isp in made.isps.values()} == {
        "vnpt": "VNPT",
        "viettel": "Viettel",
    }
    group = made.groups["bach-thong-cu"]
    assert (group.name, group.communes) == ("Bạch Thông (cũ)", ("01969", "01981", "02008", "02014"))
    # What somebody has filled in is not written over.
    out.write_text("mine", encoding="utf-8")
    assert main(given) == REFUSED
    assert out.read_text(encoding="utf-8") == "mine"


def test_names_become_ids_and_what_is_not_known_is_left_out() -> None:
    made = parse_toml(registry.toml(box()).encode(), "r", official())
    (line,) = made.probes["bach-thong", "phu-thong-01"].lines
    assert (line.isp, line.plan_down_bps, line.plan_up_bps) == ("fpt-telecom", 300e6, None)


def test_what_an_inventory_does_not_say_is_told_with_the_box(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=r"^phu-thong-01: .* missing required field `office`"):
        registry.toml(box(probe_site={"commune_code": "01969"}))
    with pytest.raises(ValueError, match=r"^'!': no id can be made of this name"):
        registry.toml(box(probe_lines=[{"id": "a", "isp": "!"}]))
    hosts = tmp_path / "hosts.yml"
    hosts.write_text("probes: {hosts: {a-01: {probe_tenant: t}}}", encoding="utf-8")
    out = tmp_path / "registry.toml"
    assert main(["registry", "--inventory", str(hosts), "--out", str(out)]) == BAD_INPUT
    assert "a-01: the inventory does not say enough" in capsys.readouterr().err
    assert not out.exists()
