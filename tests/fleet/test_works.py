"""The end of a technician's run, on this machine: what the doctor says, and what becomes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: See that the probe works
      ansible.builtin.include_role: {name: probe, tasks_from: works}
"""
_PROGRAM = """#!/bin/sh
case $1 in
  status) echo '{{"status": {{"connected": {connected}}}}}' ;;
  doctor) echo "$@" >"$0.asked"; echo '{report}'; exit {code} ;;
esac
"""
FAULT = "phu-thong-01: line viettel: eth1 has no carrier -> plug in the cable"


def played(
    folder: Path,
    doctor: str,
    *,
    connected: bool = True,
    well: bool = False,
    locale: str = "C.UTF-8",
) -> tuple[int, str]:
    """A run against a box whose program says so; how it ended, and what it printed."""
    findings = [
        {"part": "disk", "title": "disk", "verdict": "good", "seen": "20 GB free", "todo": None},
        {
            "part": "line viettel", "title": "line viettel", "verdict": "good" if well else "bad",
            "seen": "eth1 has no carrier", "todo": None if well else "plug in the cable",
        },
    ]  # fmt: skip
    summary = "all is well" if well else "1 to be mended"
    report = {"probe": "phu-thong-01", "well": well, "summary": summary, "findings": findings}
    program = folder / "tramdo-probe"
    program.write_text(
        _PROGRAM.format(
            connected=str(connected).lower(), report=json.dumps(report), code=int(not well)
        ),
        encoding="utf-8",
    )
    program.chmod(0o755)
    book = folder / "end.yml"
    book.write_text(_PLAY, encoding="utf-8")
    variables = {
        "probe_program": str(program), "probe_doctor": doctor, "probe_connects_within_s": 4,
        "ansible_python_interpreter": sys.executable,
    }  # fmt: skip
    environment = dict(os.environ) | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible/ansible.cfg"), "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FILTER_PLUGINS": str(ROOT / "ansible/filter_plugins"), "HOME": str(folder),
    }  # fmt: skip
    environment |= {"LC_ALL": "", "LC_MESSAGES": "", "LANG": locale}
    if not locale.startswith("C."):
        # Ansible itself wants its locale installed: C's own, by another name.
        (folder / locale).symlink_to("/usr/lib/locale/C.utf8")
        environment["LOCPATH"] = str(folder)
    ended = subprocess.run(
        [
            sys.executable, "-m", "ansible", "playbook", "--connection=local",
            "--inventory=phu-thong-01,", f"--extra-vars={json.dumps(variables)}", str(book),
        ],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize(("doctor", "code"), [("warn", 0), ("fail", 2)])
def test_a_fault_is_told_and_refused_where_the_technician_wants_it(
    tmp_path: Path, doctor: str, code: int
) -> None:
    ended, printed = played(tmp_path, doctor)
    assert ended == code, printed
    assert "phu-thong-01: 1 to be mended" in printed
    assert FAULT in printed
    assert "20 GB free" not in printed


def test_the_doctor_speaks_the_language_of_who_runs_the_playbook(tmp_path: Path) -> None:
    ended, printed = played(tmp_path, "warn", well=True, locale="vi_VN.UTF-8")
    assert ended == 0, printed
    assert (tmp_path / "tramdo-probe.asked").read_text() == "doctor --json --lang vi\n"


def test_a_probe_that_is_well_is_let_through(tmp_path: Path) -> None:
    ended, printed = played(tmp_path, "fail", well=True)
    assert ended == 0, printed
    assert (tmp_path / "tramdo-probe.asked").read_text() == "doctor --json --lang en\n"
    assert "phu-thong-01: all is well" in printed


def test_a_probe_that_does_not_reach_the_broker_is_told_why(tmp_path: Path) -> None:
    """The wait fails; the doctor speaks all the same."""
    ended, printed = played(tmp_path, "warn", connected=False)
    assert ended == 2, printed
    assert FAULT in printed
