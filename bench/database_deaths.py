"""Floor 3. The centre's database dies while results arrive, and is restored to a point in time.

PostgreSQL under Patroni as deploy/database renders it with its defaults: two databases, a witness,
three etcd, certificates, each commit on two disks. A probe hands over results at a steady rate; a
real collector stores them through `host=a,b target_session_attrs=read-write`. A member is killed
with everything on it (SIGKILL), or PostgreSQL alone. `stored again` is from there to the first
commit of another result; `whole again` from the dead member's start until it is the synchronous
standby. At the end what is stored is compared with what was handed over, number by number.

`point in time`: a full backup and the archived WAL by pgBackRest; both databases are stopped, and
one comes back as it was before the last results, which their probe had receipts for. Seconds are of
`pgbackrest restore` with the replay; `stored again` is until every result is there once more.

`--rounds N`: how often each of them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psycopg
from msgspec import structs

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
from probe import config
from tests import broker as brokers
from tests import patroni, samples
from tests.broker import Broker
from tests.client import eventually
from tests.collector_process import COMMAND, ROOT, CollectorProcess
from tests.patroni import PatroniCluster
from tests.system.test_publisher import Office
from tests.unit.test_config import GOOD

_ROUNDS = IntegerOption("rounds", 2, "how often each death is died")
_RATE_PER_S = 20.0
_WITHIN_S = 300.0
_LIMIT_S = 30.0


class Death(NamedTuple):
    """Who dies, and how."""

    name: str
    victim: Callable[[PatroniCluster], str]
    is_whole_machine: bool = True


def _primary(cluster: PatroniCluster) -> str:
    return eventually(cluster.primary, "a primary", _WITHIN_S)


def _standby(cluster: PatroniCluster) -> str:
    first = _primary(cluster)
    return next(one.name for one in cluster.settings.databases if one.name != first)


DEATHS = (
    Death("the primary's machine", _primary),
    Death("the primary's PostgreSQL alone", _primary, is_whole_machine=False),
    Death("the standby's machine", _standby),
)


class Centre:
    """A collector on the cluster, a probe that hands over results, and who counts them."""

    def __init__(self, cluster: PatroniCluster, broker: Broker, folder: Path) -> None:
        self.cluster = cluster
        self.collector = CollectorProcess(
            folder / "collector",
            broker.config(),
            tables={"store": {"postgresql": cluster.conninfo}},
        )
        settings = structs.replace(
            config.parse(GOOD.encode(), "probe.toml"),
            broker=broker.config(),
            delivery=config.DeliveryConfig(resend_after_s=2.0, clock_wait_s=0.0),
        )
        self.probe = Office(settings, folder)
        self.submitted = 0

    def submit(self, count: int) -> None:
        """Hand results over, all at once."""
        for _ in range(count):
            self.probe.publisher.submit(samples.latency())
        self.submitted += count

    @contextmanager
    def load(self) -> Iterator[None]:
        """Hand results over at a steady rate while the block lasts."""
        ends = threading.Event()

        def feed() -> None:
            while not ends.wait(1 / _RATE_PER_S):
                self.submit(1)

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        try:
            yield
        finally:
            ends.set()
            feeder.join()

    def count(self) -> int | None:
        """How many results are stored, asked of whoever is the primary; None where nobody is."""
        with suppress(psycopg.Error), psycopg.connect(self.cluster.conninfo) as reader:
            row = reader.execute("SELECT count(*) FROM results").fetchone()
            return int(row[0]) if row else None
        return None

    def until_more(self, before: int) -> None:
        """Wait until more results are stored than `before`."""
        eventually(lambda: (self.count() or 0) > before, "results are stored again", _WITHIN_S)

    def until_all(self) -> None:
        """Wait until everything is stored, and confirmed to the probe."""
        eventually(lambda: self.count() == self.submitted, f"{self.submitted} stored", _WITHIN_S)
        eventually(self.probe.delivered, "receipts for all of it", _WITHIN_S)

    def lost_and_doubled(self) -> tuple[int, int]:
        """Numbers that are not stored, and rows beyond one of each."""
        with psycopg.connect(self.cluster.conninfo) as reader:
            numbers = [seq for (seq,) in reader.execute("SELECT seq FROM results")]
        return self.submitted - len(set(numbers)), len(numbers) - len(set(numbers))


def measured(options: Options) -> Outcome:
    if (reason := brokers.why_not() or patroni.why_not()) is not None:
        raise CannotMeasureError(reason)
    folder = Path(tempfile.mkdtemp(prefix="tramdo-database-"))
    try:
        with (
            patroni.running() as cluster,
            Broker(folder / "broker") as broker,
            _centre(cluster, broker, folder) as centre,
        ):
            return _outcome(centre, 1 if options.quick else options.number, quick=options.quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _centre(cluster: PatroniCluster, broker: Broker, folder: Path) -> Iterator[Centre]:
    centre = Centre(cluster, broker, folder)
    try:
        with centre.collector:
            yield centre
    finally:
        centre.probe.publisher.stop()


def _outcome(centre: Centre, rounds: int, *, quick: bool) -> Outcome:
    centre.submit(20)
    centre.until_all()
    rows = [
        _died(centre, death, number)
        for number in range(1, rounds + 1)
        for death in (DEATHS[:1] if quick else DEATHS)
    ]
    rows.append(_restored(centre))
    return Outcome(rows, list(_targets(rows)))


def _targets(rows: list[Row]) -> Iterator[Target]:
    of_primary = [row for row in rows if str(row["died"]).startswith("the primary")]
    again_s = max(float(str(row["stored_again_s"])) for row in of_primary)
    yield at_most("the primary dies: stored again, s", again_s, _LIMIT_S)
    for name in ("lost", "doubled"):
        yield at_most(name, max(int(str(row[name])) for row in rows), 0)


def _died(centre: Centre, death: Death, number: int) -> Row:
    cluster = centre.cluster
    cluster.until_whole()
    note(f"{number}: {death.name} dies")
    with centre.load():
        time.sleep(3)
        victim, before = death.victim(cluster), centre.count() or 0
        began_s = time.monotonic()
        if death.is_whole_machine:
            cluster.kill(victim)
        else:
            cluster.kill_postgresql(victim)
        # What was on its way when it died may still be counted: ten more are not.
        centre.until_more(max(before, centre.count() or 0) + 10)
        again_s = time.monotonic() - began_s
        began_s = time.monotonic()
        if death.is_whole_machine:
            cluster.start(victim)
        cluster.until_whole()
        whole_s = time.monotonic() - began_s
    centre.until_all()
    return _row(centre, death.name, again_s, whole_s)


def _restored(centre: Centre) -> Row:
    """Everything is stopped, and comes back as it was before the last results."""
    cluster = centre.cluster
    cluster.backup("stanza-create")
    cluster.backup("--type=full", "backup")
    centre.submit(50)
    centre.until_all()
    first = _primary(cluster)
    ((then,),) = cluster.sql(first, "SELECT now()")
    time.sleep(2)
    centre.submit(50)
    centre.until_all()
    cluster.sql(first, "SELECT pg_switch_wal()")
    eventually(lambda: _is_archived(cluster, first), "the last WAL is archived", _WITHIN_S)
    note(f"back to {then}")
    centre.collector.stop()
    for member in cluster.settings.databases:
        cluster.stop_patroni(member.name)
    began_s = time.monotonic()
    cluster.restore(first, then)
    back_s = time.monotonic() - began_s
    stored = centre.count()
    note(f"{centre.submitted - (stored or 0)} of {centre.submitted} results are gone")
    words = [*COMMAND, "restore", "--in-place", "--config", str(centre.collector.config_path)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, timeout=_WITHIN_S)
    centre.collector.start()
    centre.until_all()
    again_s = time.monotonic() - began_s
    cluster.until_whole()
    return _row(centre, "point in time", again_s, back_s)


def _is_archived(cluster: PatroniCluster, name: str) -> bool:
    query = (
        "SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1) "
        "FROM pg_stat_archiver"
    )
    return cluster.sql(name, query) == [["t"]]


def _row(centre: Centre, name: str, again_s: float, whole_s: float) -> Row:
    lost, doubled = centre.lost_and_doubled()
    return {
        "died": name,
        "stored_again_s": round(again_s, 1),
        "whole_again_s": round(whole_s, 1),
        "handed_over": centre.submitted,
        "lost": lost,
        "doubled": doubled,
    }


if __name__ == "__main__":
    sys.exit(run("database_deaths", measured, number=_ROUNDS))
