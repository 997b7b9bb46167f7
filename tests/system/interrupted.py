"""A small run of tests that never ends by itself, for test_interruption.py to interrupt.

It makes one of each: a network with links to this machine's own, a process in a session of its own,
one that writes over its environment, a mounted file system, a PostgreSQL server. Then it
says so and waits.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests import postgresql
from tests.interruption import say_ready
from tests.lab.network import LineShape, OfficeNetwork
from tests.ports import free_port
from tests.services import Pages


def test_that_waits(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=True)
    try:
        with (
            OfficeNetwork([LineShape("vnpt")], management=True) as network,
            postgresql.running({"fsync": "off"}) as server,
            Pages(tmp_path / "pages", host="127.0.0.1", port=free_port(), sites=["xa.vn"]),
            subprocess.Popen(["sleep", "1000"], start_new_session=True) as alone,
            network.centre.popen(["sleep", "1000"], start_new_session=True) as inside,
        ):
            server.new_database()
            say_ready()
            try:
                time.sleep(1000)
            finally:
                alone.kill()
                inside.kill()
    finally:
        subprocess.run(["umount", disk], check=True)
