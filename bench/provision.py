"""Floor 3. How long the playbook takes, and how many tasks it changes, on booted systems.

An office with two lines and its centre, as in tests/fleet: fresh Debian systems in systemd-nspawn,
the very playbooks over SSH. The first run installs everything, offline; the second must change
nothing; the third only looks (`--check`). Needs root, and once a Debian mirror.

`--hosts N` does the same again with N offices, a probe with two lines in each, beside the one
centre, on systems that are fresh too: the same playbook, all boxes at once (Ansible's forks, 20).
They share this machine's processors, which N boxes and their technician do not in a district; so
its seconds are an upper bound, and the ratio to one host says what Ansible itself adds. By default
that second site is left out: ten booted systems take a quarter of an hour on 2 cores.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.report import (
    CannotMeasureError,
    IntegerOption,
    Options,
    Outcome,
    Row,
    Target,
    at_most,
    note,
    run,
)
from tests.fleet import root
from tests.fleet.site import Play, Site, make_wheels

FIRST_LIMIT_S = 600.0
_HOSTS = IntegerOption("hosts", 1, "measure a second site too, of so many probes")


def measured(options: Options) -> Outcome:
    """A site of one probe, then one of several where that was asked for."""
    if (reason := root.why_not()) is not None:
        raise CannotMeasureError(reason)
    if options.number < 1:
        raise CannotMeasureError("--hosts is 1 at least")
    make_wheels()
    rows: list[Row] = []
    targets: list[Target] = []
    for probes in sorted({1, options.number}):
        runs = _site(probes, quick=options.quick)
        rows += [
            {
                "run": name,
                "probes": probes,
                "hosts": len(play.changed),
                "seconds": round(play.seconds, 1),
                "changed_tasks": sum(play.changed.values()),
            }
            for name, play in runs.items()
        ]
        of = "" if probes == 1 else f" of {probes} probes"
        if probes == 1:
            targets.append(at_most("first run, s", runs["first"].seconds, FIRST_LIMIT_S))
        again = sum(runs["second"].changed.values())
        targets.append(at_most(f"tasks that the second run{of} changes", again, 0))
    return Outcome(rows, targets)


def _site(probes: int, *, quick: bool) -> dict[str, Play]:
    """The runs on one fresh site, by name."""
    runs: dict[str, Play] = {}
    with (
        tempfile.TemporaryDirectory(prefix="tramdo-provision-") as folder,
        Site(Path(folder), root.prepared(), probes) as site,
    ):
        for name, *more in (("first",), ("second",), ("check", "--check")):
            if quick and more:
                continue
            note(f"{probes} probes, {name} run" if probes > 1 else f"{name} run")
            play = site.play("site.yml", *more)
            if play.code != 0:
                raise CannotMeasureError(f"the {name} run failed: {play.printed[-2000:]}")
            runs[name] = play
    return runs


if __name__ == "__main__":
    sys.exit(run("provision", measured, number=_HOSTS))
