"""A bundle: what a box needs to run its own roles, and nothing that a technician keeps there."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from deploy.fleet import releases
from deploy.fleet.releases import ReleaseError

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


@pytest.mark.parametrize(
    ("name", "kind", "mode"),
    [
        ("../outside", tarfile.REGTYPE, 0o644),
        ("/etc/passwd", tarfile.REGTYPE, 0o644),
        ("wheels.tar", tarfile.SYMTYPE, 0o644),
        ("null", tarfile.CHRTYPE, 0o644),
        ("install_release", tarfile.REGTYPE, 0o4755),
    ],
)
def test_a_bundle_with_more_than_plain_files_is_refused(
    tmp_path: Path, name: str, kind: bytes, mode: int
) -> None:
    """Whatever its hash says: and by the Python of Debian 12 too, which has no filter for it."""
    bundle = tmp_path / "bundle"
    with tarfile.open(bundle, "w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.linkname = kind, mode, "/etc/shadow"
        archive.addfile(member)
    with pytest.raises(ReleaseError, match="which is no plain file"):
        releases.install(bundle, tmp_path / "opt", "0.2.0")
    assert [path.name for path in tmp_path.rglob("*")] == ["bundle", "opt", "releases"]
