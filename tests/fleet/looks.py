"""Floor 3. What more than one story of booted systems looks at. It must not know their chapters."""

from __future__ import annotations

import re

from tests.fleet.machine import Machine
from tests.fleet.site import Play, Site, eventually


def finds_programs(machine: Machine, *names: str) -> None:
    """As sudo looks for them: in its own PATH."""
    for name in (*names, "tramdo-fleet", "tramdo-authority"):
        # The login that Ansible has may be root's: sudo is asked by somebody else.
        asked = f"cd / && sudo -u nobody env {name} --help"
        assert name in machine.ssh(asked).stdout


def changes(printed: str) -> str:
    """The tasks that changed something, for a failure's message."""
    tasks = re.findall(r"TASK \[(.*?)\]|HANDLER \[(.*?)\]|(^changed: .*$)", printed, re.M)
    found, last = [], ""
    for task, handler, changed in tasks:
        last = task or handler or last
        if changed:
            found.append(f"{last}: {changed}")
    return "\n".join(found)


def delivers(site: Site) -> None:
    """The probe is at the broker, and all that it has is receipted."""

    def delivered() -> bool:
        status = site.status().get("status", {})
        return bool(status.get("connected")) and status.get("pending") == 0

    eventually(delivered, "connected, and nothing pending", within_s=120)


def shows_no_secret(site: Site, play: Play) -> None:
    """Neither a password nor a key is in what a playbook has printed."""
    secret = site.inventory()["all"]["hosts"]["centre"]["collector_password"]
    assert secret not in play.printed
    assert "PRIVATE KEY" not in play.printed
