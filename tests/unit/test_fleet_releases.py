"""A bundle: what a box needs to run its own roles, and nothing that a technician keeps there."""

from __future__ import annotations

import tarfile
from pathlib import Path

from deploy.fleet import releases

ROOT = Path(__file__).parents[2]


def test_a_bundle_has_roles_and_units_and_no_inventory(tmp_path: Path) -> None:
    """Anybody may fetch it."""
    wheels = tmp_path / "probe.tar"
    with tarfile.open(wheels, "w"):
        pass
    made = releases.make_bundle(wheels, ROOT, tmp_path / "bundles")
    with tarfile.open(tmp_path / "bundles" / made.sha256) as archive:
        names = set(archive.getnames())
    wanted = {
        "wheels.tar", "install_release", "ansible/box.yml", "ansible/ansible.cfg",
        "ansible/roles/probe/tasks/main.yml", "systemd/tramdo-probe.service",
    }  # fmt: skip
    assert wanted <= names
    assert [name for name in names if "inventories" in name or "__pycache__" in name] == []
    assert releases.make_bundle(wheels, ROOT, tmp_path / "again") == made
