"""A small run of tests with booted systems and a playbook at work, for test_interruption.py."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.fleet import root
from tests.fleet.site import Site, eventually
from tests.interruption import say_ready

_BOOK = "- hosts: all\n  gather_facts: false\n  tasks:\n    - raw: touch /at-work; sleep 1000\n"


def test_that_waits(tmp_path: Path) -> None:
    book = tmp_path / "book.yml"
    book.write_text(_BOOK)
    with Site(tmp_path, root.prepared()) as site:

        def wait() -> None:
            eventually((site.probe.root / "at-work").exists, "a playbook at work")
            say_ready()

        watcher = threading.Thread(target=wait, daemon=True)
        watcher.start()
        play = site.play(str(book))
        raise AssertionError(play.printed)
