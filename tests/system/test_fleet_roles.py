"""A box's variables in Ansible itself: what looks like a template arrives as that very text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from deploy.fleet import variables
from tests.unit.test_fleet_variables import PROBE, SOUND, TEMPLATE

ROOT = Path(__file__).parents[2]
# As the roles use them: in a file, through a filter, joined with others, in a loop.
PLAYBOOK = """
- hosts: all
  gather_facts: false
  vars:
    table: "{{ {'site': probe_site} | combine({'name': probe_name}) }}"
  tasks:
    - ansible.builtin.copy:
        content: "{{ probe_site.office }}"
        dest: "{{ folder }}/office"
    - ansible.builtin.copy:
        content: "{{ table | to_toml }}"
        dest: "{{ folder }}/toml"
    - ansible.builtin.copy:
        content: "{{ item.isp }}"
        dest: "{{ folder }}/{{ item.id }}"
      loop: "{{ probe_lines }}"
    - ansible.builtin.assert:
        that: probe_unit.TasksMax == 128
"""


def play(folder: Path, file: Path) -> None:
    playbook = folder / "play.yml"
    playbook.write_text(PLAYBOOK, encoding="utf-8")
    ours = {"folder": str(folder), "ansible_python_interpreter": sys.executable}
    settings = {
        "ANSIBLE_NOCOLOR": "1", "HOME": str(folder),
        "ANSIBLE_FILTER_PLUGINS": str(ROOT / "ansible/filter_plugins"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "--connection=local", f"--inventory={PROBE},",
         f"--extra-vars=@{file}", "--extra-vars", json.dumps(ours), playbook],
        cwd=ROOT / "ansible", env=os.environ | settings,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_looks_like_a_template_arrives_as_that_text(tmp_path: Path) -> None:
    lines = [{"id": "vnpt", "isp": "VNPT {{ 1 + 1 }} {% if true %}x{% endif %}", "interface": "e"}]
    given = json.dumps(SOUND | {"probe_lines": lines}).encode()
    file = tmp_path / "variables.yml"
    file.write_bytes(variables.to_ansible(variables.decode(given, PROBE)))
    play(tmp_path, file)
    assert (tmp_path / "office").read_text(encoding="utf-8") == TEMPLATE
    assert f'office = "{TEMPLATE}"' in (tmp_path / "toml").read_text(encoding="utf-8")
    assert (tmp_path / "vnpt").read_text(encoding="utf-8") == lines[0]["isp"]


def test_without_the_tag_it_would_not(tmp_path: Path) -> None:
    """Were Ansible to leave templates alone by itself, the test above would hold nothing."""
    file = tmp_path / "variables.json"
    file.write_text(json.dumps(SOUND), encoding="utf-8")
    play(tmp_path, file)
    assert (tmp_path / "office").read_text(encoding="utf-8") == "Trụ sở 2"
