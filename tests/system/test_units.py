"""The units' sandbox, as systemd itself judges it: 2.0 at most for each."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "systemd"
# As root, each for its reason; nothing of them listens. The pull applies what was verified, by
# Ansible, and has no network; packages are dpkg's, from Debian's signed archive (decision 68).
APPLIES, INSTALLS = "tramdo-fleet-pull.service", "tramdo-fleet-packages.service"
EXPOSED = {APPLIES, INSTALLS}
# Root owns the link that it turns back: no capability, no network, and as tight as the others.
AS_ROOT = EXPOSED | {"tramdo-fleet-recover.service"}
UNITS = sorted(unit for unit in FOLDER.glob("*.service") if unit.name not in EXPOSED)
MOST = 2.0
WHY_NOT = "systemd-analyze is not installed (Debian: apt-get install systemd)"

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason=WHY_NOT)


def judged(unit: Path, tmp_path: Path) -> tuple[float, dict[str, float]]:
    """The whole exposure, and what each setting adds to it (0 where it is as tight as can be)."""
    # A template is judged as one of its instances; systemd reads the name for that.
    copy = tmp_path / unit.name.replace("@.", "@5201.")
    shutil.copy(unit, copy)
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    # Above the threshold it ends with 1; systemd counts in tenths there.
    told = subprocess.run(
        [*command, f"--threshold={MOST * 10:.0f}", copy],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SYSTEMD_COLORS": "0", "LC_ALL": "C"},
    )
    line = next(line for line in told.stdout.splitlines() if "Overall exposure" in line)
    whole = float(line.split(":")[1].split()[0])
    assert (told.returncode == 0) == (whole <= MOST), told.stdout + told.stderr
    table = subprocess.run(
        [*command, "--json=short", copy], capture_output=True, text=True, check=True
    ).stdout
    rows = json.loads(table)
    return whole, {row["json_field"]: float(row["exposure"] or 0) for row in rows}


def test_what_runs_as_root_ends_by_itself() -> None:
    for name in AS_ROOT:
        assert "Type=oneshot" in (FOLDER / name).read_text(encoding="utf-8").splitlines()


def test_there_are_units() -> None:
    assert {unit.name for unit in UNITS} >= {"tramdo-probe.service", "tramdo-collector.service"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_no_unit_is_more_exposed_than_it_may_be(unit: Path, tmp_path: Path) -> None:
    whole, parts = judged(unit, tmp_path)
    assert whole <= MOST, {name: value for name, value in parts.items() if value}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_no_unit_runs_as_root_or_may_become_it(unit: Path, tmp_path: Path) -> None:
    _, parts = judged(unit, tmp_path)
    wanted = ["NoNewPrivileges", "CapabilityBoundingSet_CAP_SYS_ADMIN"]
    if unit.name not in AS_ROOT:
        wanted.append("UserOrDynamicUser")
    for name in wanted:
        assert parts[name] == 0, name


def test_what_applies_as_root_has_no_network() -> None:
    for name in (APPLIES, "tramdo-fleet-recover.service"):
        lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
        assert {"PrivateNetwork=yes", "IPAddressDeny=any"} <= set(lines), name


def test_what_speaks_to_the_centre_sees_nothing_of_the_box() -> None:
    unit = (FOLDER / "tramdo-fleet-fetch@.service").read_text(encoding="utf-8").splitlines()
    assert {"DynamicUser=yes", "PrivateUsers=yes", "ProtectSystem=strict"} <= set(unit)
    (hidden,) = (line for line in unit if line.startswith("InaccessiblePaths="))
    assert "-/etc/tramdo" in hidden.partition("=")[2].split(), "the box's key is there"
    socket = (FOLDER / "tramdo-fleet-fetch.socket").read_text(encoding="utf-8").splitlines()
    assert "SocketMode=0600" in socket


def test_the_page_s_table_of_exposures_is_systemd_s(tmp_path: Path) -> None:
    """docs/security.md, with systemd 252; another version may weigh otherwise."""
    version = subprocess.run(
        ["systemd-analyze", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    if version != "252":
        pytest.skip(f"the table is systemd 252's, and this is {version}")
    page = (FOLDER.parent / "docs" / "security.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d\.\d) \| (`tramdo-.*) \|$", page, re.MULTILINE)
    stated = {
        f"{name}.service": float(at) for at, row in rows for name in re.findall("`(.*?)`", row)
    }
    assert stated == {
        unit.name: judged(unit, tmp_path)[0] for unit in sorted(FOLDER.glob("*.service"))
    }


def test_a_unit_without_a_sandbox_would_be_seen(tmp_path: Path) -> None:
    bare = tmp_path / "bare.service"
    bare.write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
    (tmp_path / "copy").mkdir()
    whole, parts = judged(bare, tmp_path / "copy")
    assert whole > 9
    assert parts["UserOrDynamicUser"] > 0
