"""Floor 3. `python -m tests.deaths rabbitmq|nats`: nodes of a cluster die while results go on.

Not in the suite: a run may end with results that have not arrived in four minutes, which are still
at the probe; its folder is kept, with all logs and with what each node listed then. Each run kills
the probe's node, the collector's, two of three of which one comes back, then all of them, and
compares what was stored with what was handed over, number by number.

Exit codes: 0 every run stored all, each once; 1 one did not.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import nats, rabbitmq
from tests.cluster import Cluster, Scene, clients_of, deliver_through_deaths
from tests.secured_broker import Office


def main(argv: list[str] | None = None) -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.deaths",
        description="Deliver results while a cluster's nodes die; count the runs that stored all.",
    )
    parser.add_argument("kind", choices=["rabbitmq", "nats"])
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args(argv)
    failed = sum(not _survives(options.kind, number) for number in range(1, options.runs + 1))
    print(f"{options.runs - failed} of {options.runs} stored all of their results, each once")
    return 1 if failed else 0


def _survives(kind: str, number: int) -> bool:
    folder = Path(tempfile.mkdtemp(prefix=f"tramdo-deaths-{kind}-"))
    office = Office(folder / "office")
    began_s = time.monotonic()
    try:
        cluster, scene = _cluster(kind, folder, office)
        with cluster:
            print(f"{number}: {len(cluster.settings.nodes)} nodes", flush=True)
            with _logged_to(folder / "probe.log"):
                deliver_through_deaths(scene, folder)
    except AssertionError as error:
        print(f"{number}: {error}; its logs are in {folder}", flush=True)
        return False
    print(f"{number}: all stored once, after {time.monotonic() - began_s:.0f} s", flush=True)
    shutil.rmtree(folder)
    return True


@contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """All that the probe's code logs, with its times, in a file."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def _cluster(kind: str, folder: Path, office: Office) -> tuple[Cluster, Scene]:
    who, identities = clients_of(office)
    cluster: Cluster = (
        nats.NatsCluster(folder / "nodes", office, 3, who)
        if kind == "nats"
        else rabbitmq.RabbitCluster(folder / "nodes", office, who)
    )
    return cluster, Scene(cluster, identities)


if __name__ == "__main__":
    sys.exit(main())
