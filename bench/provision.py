"""What a technician waits for: seconds and changed tasks of the playbook, on booted systems.

An office with two lines and its centre, as in tests/fleet: fresh Debian systems in systemd-nspawn,
the very playbooks over SSH. The first run installs everything, offline; the second must change
nothing. Needs root, and once a Debian mirror.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.report import CannotMeasureError, Options, Outcome, Row, at_most, note, run
from tests.fleet import root
from tests.fleet.site import Play, Site, make_wheels

FIRST_LIMIT_S = 600.0


def measured(options: Options) -> Outcome:
    """Two runs; in full, a third that only looks (check mode)."""
    if (reason := root.why_not()) is not None:
        raise CannotMeasureError(reason)
    make_wheels()
    runs: list[tuple[str, Play]] = []
    with (
        tempfile.TemporaryDirectory(prefix="tramdo-provision-") as folder,
        Site(Path(folder), root.prepared()) as site,
    ):
        for name, *more in (("first",), ("second",), ("check", "--check")):
            if options.quick and more:
                continue
            note(f"{name} run")
            play = site.play("site.yml", *more)
            if play.code != 0:
                raise CannotMeasureError(f"the {name} run failed: {play.printed[-2000:]}")
            runs.append((name, play))
    rows: list[Row] = [
        {
            "run": name,
            "hosts": len(play.changed),
            "seconds": round(play.seconds, 1),
            "changed_tasks": sum(play.changed.values()),
        }
        for name, play in runs
    ]
    again = sum(runs[1][1].changed.values())
    return Outcome(
        rows,
        [
            at_most("first run, s", runs[0][1].seconds, FIRST_LIMIT_S),
            at_most("tasks that the second run changes", again, 0),
        ],
    )


if __name__ == "__main__":
    sys.exit(run("provision", measured))
