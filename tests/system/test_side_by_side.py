"""Several real collectors on one PostgreSQL and one Mosquitto: who holds a tenant, and what becomes
of its results when the holder dies, stands still, or comes back.
"""

from __future__ import annotations

import itertools
import json
import queue
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace

from collector.alerts.alert import AlertKind, Begin, End, Key, RuleResult, RuleState, Subject
from collector.alerts.alert_database import AlertFile, AlertTables, move_file
from collector.alerts.alert_store import AlertLocation, AlertStore
from collector.alerts.notification import AlertEvent, Transition
from collector.alerts.notifier import Notifier
from collector.alerts.silence import Note, Silence
from collector.mailing.mailing_store import MailingStore
from collector.mailing.schedule import DeliveryState, Mailing, deliveries
from collector.reports.report import ReportKind
from collector.rollup.periods import week_of
from collector.store.lease_table import LeaseFence, LeaseTable
from collector.store.leases import LeaseLostError
from collector.store.postgresql import AlertTablesDatabase, LeaseDatabase, PostgresqlStore
from runtime.mqtt import Connected, Event, MqttSession, Received
from tests import broker as brokers
from tests import postgresql, samples, webhook_receiver
from tests.broker import Broker
from tests.client import Client, eventually
from tests.collector_process import COMMAND, ROOT, CollectorProcess
from tests.postgresql import PostgresqlServer
from tests.webhook_receiver import Receiver
from wire import messages, topics
from wire.messages import Receipt

pytestmark = pytest.mark.skipif(brokers.why_not() is not None, reason=str(brokers.why_not()))

TENANTS = ("north", "south")
# What a loaded machine may add to seconds.
WITHIN_S = 120.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    memory = Path("/dev/shm")
    parent = memory if memory.is_dir() else None
    with postgresql.running({"fsync": "off", "full_page_writes": "off"}, parent) as running:
        yield running


@pytest.fixture
def conninfo(server: PostgresqlServer) -> str:
    return server.conninfo(server.new_database())


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


class Probe:
    """A probe as the contract has it: what no receipt covers, it sends again."""

    def __init__(self, client: Client, tenant: str) -> None:
        self._client = client
        self.tenant = tenant
        self.epoch = UUID(int=1 + TENANTS.index(tenant))
        self.sent = 0

    def send(self) -> int:
        """Send one more result; its number."""
        self.sent += 1
        self._send(self.sent)
        return self.sent

    def send_again(self) -> None:
        """Send what the last receipt does not cover."""
        receipt = self.receipt()
        first = receipt.stored_through + 1 if receipt else 1
        for begin, end in (*(receipt.missing if receipt else ()), (first, self.sent)):
            for seq in range(begin, end + 1):
                self._send(seq)

    def _send(self, seq: int) -> None:
        content = samples.envelope(
            [(seq, samples.latency(rtt_ms=seq))], tenant=self.tenant, probe="box", epoch=self.epoch
        )
        self._client.publish(topics.measurement(self.tenant, "box", "latency"), content)

    def receipt(self) -> Receipt | None:
        """The last receipt."""
        self._client.look()
        mine = topics.of_probe(self.tenant, "box", "receipt")
        every = [one for one in self._client.received if one.topic == mine]
        return messages.decode(every[-1].payload, Receipt) if every else None

    def highest(self) -> int:
        """The highest number that a receipt names as stored, 0 before the first."""
        receipt = self.receipt()
        return receipt.stored_through if receipt else 0

    def is_covered(self) -> bool:
        """Whether a receipt covers all that was sent."""
        receipt = self.receipt()
        return receipt is not None and receipt.stored_through == self.sent and not receipt.missing


@pytest.fixture
def probes(broker: Broker) -> Iterator[tuple[Probe, Probe]]:
    receipts = [topics.of_probe(tenant, "box", "receipt") for tenant in TENANTS]
    with Client(broker.config(), "boxes", subscriptions=receipts) as client:
        north, south = (Probe(client, tenant) for tenant in TENANTS)
        yield north, south


Start = Callable[..., CollectorProcess]


@pytest.fixture
def start(tmp_path: Path, broker: Broker, conninfo: str) -> Iterator[Start]:
    """Starts a collector by its name, with further settings."""
    running: list[CollectorProcess] = []

    def started(name: str, **settings: object) -> CollectorProcess:
        collector = CollectorProcess(
            tmp_path / name,
            broker.config(),
            tables={"client_id": name, "store": {"postgresql": conninfo}, **settings},
        )
        running.append(collector)
        collector.start()
        return collector

    yield started
    for collector in running:
        collector.__exit__()


def holders(conninfo: str) -> dict[str, str]:
    """Who holds what now, by the names of collectors."""
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(
            "SELECT name, split_part(holder, '@', 1) FROM leases WHERE expires_at > now()"
        ).fetchall()
    return dict(rows)


def held_by(conninfo: str, name: str, holder: str) -> None:
    eventually(lambda: holders(conninfo).get(name) == holder, f"{holder} holds {name}", WITHIN_S)


def stored(conninfo: str) -> list[tuple[str, int]]:
    """Tenant and number of every stored result."""
    store = PostgresqlStore(conninfo)
    try:
        rows = store.results_after(0, 100_000)
    finally:
        store.close()
    assert len(rows) < 100_000
    return sorted((row.tenant, row.seq) for row in rows)


def asked(collector: CollectorProcess, *words: str, code: int = 0) -> str:
    """What a command of `tramdo-collector` prints."""
    done = subprocess.run(
        [*COMMAND, *words, "--config", str(collector.config_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    return done.stdout.strip()


def all_once(conninfo: str, *probes: Probe) -> None:
    """Every result is stored, once: number by number."""
    sent = sorted((one.tenant, seq) for one in probes for seq in range(1, one.sent + 1))
    assert stored(conninfo) == sent


def delivered(*probes: Probe) -> None:
    """Send again until everything is covered."""

    def covered() -> bool:
        for probe in probes:
            if not probe.is_covered():
                probe.send_again()
                eventually_or_not(probe.is_covered, 2.0)
        return all(probe.is_covered() for probe in probes)

    eventually(covered, "all is covered", WITHIN_S)


def eventually_or_not(ask: Callable[[], bool], within_s: float) -> None:
    until_s = time.monotonic() + within_s
    while not ask() and time.monotonic() < until_s:
        time.sleep(0.05)


def test_two_collectors_by_tenant_and_each_takes_the_others_over(
    start: Start, conninfo: str, probes: tuple[Probe, Probe]
) -> None:
    north, south = probes
    one = start("one", tenant="north", spare_for=["south"])
    two = start("two", tenant=["south"], spare_for=["north"])
    held_by(conninfo, "tenant/north", "one")
    held_by(conninfo, "tenant/south", "two")
    for _ in range(20):
        north.send()
        south.send()
    delivered(north, south)
    two.kill()
    killed_s = time.monotonic()
    lost_from = south.send()
    held_by(conninfo, "tenant/south", "one")

    def stored_again() -> bool:
        south.send()
        eventually_or_not(lambda: south.highest() > lost_from, 0.3)
        return south.highest() > lost_from

    eventually(stored_again, "the spare stores what the dead one held", WITHIN_S)
    print(f"stored again {time.monotonic() - killed_s:.1f} s after the kill")
    for _ in range(20):
        north.send()
        south.send()
    delivered(north, south)
    all_once(conninfo, north, south)
    # The other one comes back, and has its own tenant back.
    two.start()
    held_by(conninfo, "tenant/south", "two")
    south.send()
    delivered(south)
    # One that stops gives up what it holds.
    assert one.stop() == 0
    held_by(conninfo, "tenant/north", "two")
    held_by(conninfo, "tenant/south", "two")
    held_by(conninfo, "maintenance", "two")
    north.send()
    south.send()
    delivered(north, south)
    all_once(conninfo, north, south)


def test_a_holder_that_stood_still_writes_nothing_once_another_holds_its_tenant(
    start: Start, conninfo: str, probes: tuple[Probe, Probe]
) -> None:
    north, _ = probes
    old = start("old", tenant="north")
    held_by(conninfo, "tenant/north", "old")
    new = start("new", tenant="north")
    for _ in range(30):
        north.send()
    delivered(north)
    # While messages are on their way, so that it stands still in the middle of something.
    for _ in range(30):
        north.send()
    old.hang()
    for _ in range(30):
        north.send()
    held_by(conninfo, "tenant/north", "new")
    held_by(conninfo, "maintenance", "new")
    delivered(north)
    old.go_on()
    eventually(lambda: "taken tenant north over" in old.log, "it notices", WITHIN_S)
    eventually(lambda: "spare for tenant north" in old.log, "it is the spare now", WITHIN_S)
    for _ in range(30):
        north.send()
    delivered(north)
    all_once(conninfo, north)
    for name in ("tenant/north", "home/north", "maintenance"):
        assert holders(conninfo)[name] == "new"
    assert old.process is not None
    assert old.process.poll() is None
    # It goes on as any spare: pages, and the tenant when the other one dies.
    eventually(lambda: old.get("/healthz")[1]["ok"], "it is well again", WITHIN_S)
    _, health = old.get("/healthz")
    assert health["holds"] == []
    # On a busy machine a renewal may come late, and it holds nothing by its own clock meanwhile.
    eventually(
        lambda: new.get("/healthz")[1]["holds"] == ["maintenance", "tenant/north"],
        "it says what it holds",
        WITHIN_S,
    )
    assert 'tramdo_lease_held{lease="tenant/north"} 0.0' in old.text("/metrics")[1]
    eventually(
        lambda: 'tramdo_lease_held{lease="tenant/north"} 1.0' in new.text("/metrics")[1],
        "so do its metrics",
        WITHIN_S,
    )
    host = health["holder"].removeprefix("old")
    for collector, mine in ((old, ""), (new, " (this one)")):
        assert f"tenant north: held by new{host}{mine}, " in asked(collector, "status")
        assert f"<code>new{host}</code>" in collector.text("/system")[1]
    (lease,) = (
        one
        for one in json.loads(asked(new, "status", "--json"))["leases"]
        if one["name"] == "maintenance"
    )
    assert lease["holder"] == f"new{host}"
    assert lease["left_s"] <= 8
    # Reports come from who holds the maintenance; a timer of the other one makes none.
    made = asked(old, "report", "weekly", "--by-holder", "--period", "2026-W30")
    assert made == f"new{host} issues the reports: nothing was made here"
    # No line is registered here, so that none can be made: that is found out after it was allowed.
    tried = asked(new, "report", "weekly", "--by-holder", "--period", "2026-W30", code=2)
    assert "nothing was made here" not in tried
    new.kill()
    held_by(conninfo, "tenant/north", "old")
    north.send()
    delivered(north)
    all_once(conninfo, north)


def announced(receiver: Receiver) -> list[tuple[str, str]]:
    """Whose alert began or ended, of all that was announced, in this order."""
    return [(alert["probe"], alert["edge"]) for alert in receiver.alerts]


def test_who_takes_a_tenant_over_announces_none_of_its_alerts_again(
    start: Start, conninfo: str, broker: Broker, tmp_path: Path
) -> None:
    """The one that ends while nobody holds the tenant is announced as ended, by the other one."""
    now = datetime.now(UTC)
    soon, late = now + timedelta(days=3), now + timedelta(days=300)

    with (
        webhook_receiver.running() as receiver,
        Client(broker.config(), "boxes") as boxes,
    ):

        def state(probe: str, certificate_ends_at: datetime) -> None:
            health = samples.health(at=datetime.now(UTC), certificate_ends_at=certificate_ends_at)
            topic = topics.of_probe("north", probe, "health")
            boxes.publish(topic, messages.encode(health), retain=True)

        def seen(*expected: tuple[str, str]) -> None:
            eventually(
                lambda: announced(receiver) == [*expected], f"announced {expected}", WITHIN_S
            )

        def run(name: str) -> CollectorProcess:
            # What would be a file is each one's own, as on two machines.
            alerts = {
                "look_every_s": 1.0,
                "path": str(tmp_path / f"{name}.alerts"),
                "webhook": {"url": receiver.url},
            }
            return start(name, tenant="north", alerts=alerts)

        one = run("one")
        held_by(conninfo, "tenant/north", "one")
        state("stays", soon)
        seen(("stays", "begin"))
        state("ends", soon)
        seen(("stays", "begin"), ("ends", "begin"))
        two = run("two")
        one.kill()
        state("ends", late)
        held_by(conninfo, "tenant/north", "two")
        seen(("stays", "begin"), ("ends", "begin"), ("ends", "end"))
        state("new", soon)
        expected = [("stays", "begin"), ("ends", "begin"), ("ends", "end"), ("new", "begin")]
        seen(*expected)
        # The first one comes back as the spare, and has the same alerts on its pages.
        one.start()
        two.stop()
        held_by(conninfo, "tenant/north", "one")
        state("new", late)
        seen(*expected, ("new", "end"))


NOON = datetime(2026, 7, 25, 5, tzinfo=UTC)
WEEKLY = Mailing(
    kind=ReportKind.WEEKLY,
    area_id="all",
    recipients=("van-thu@example.vn",),
    day=1,
    minute=480,
    is_draft=False,
    author="lan",
    since=NOON,
)
SILENCE = Silence(
    tenant="north",
    probe="other",
    starts_at=NOON,
    ends_at=NOON + timedelta(days=1),
    author="lan",
    reason="sửa điện",
)


def test_a_holder_that_stood_still_delivers_nothing_once_another_holds_its_tenant(
    conninfo: str, tmp_path: Path
) -> None:
    """And what a collector kept in a file of its own is moved, once."""
    key = Key(AlertKind.PROBE_SILENT, Subject("north", "box"))
    begin = Begin(RuleResult(key=key, state=RuleState.HOLDS), datetime.now(UTC))
    path = tmp_path / "alerts.sqlite"
    with closing(AlertStore(path)) as before:
        before.write([begin], ["mail", "webhook"], lambda _: AlertLocation(None, None))
        before.mark_delivered("mail", before.pending("mail"))
        (alert,) = before.open_alerts().values()
        note = Note(alert=alert.number, at=NOON, author="lan", acknowledged=True, text="đã gọi")
        before.write_note(note)
        before.write_silence(SILENCE)
    with closing(AlertFile(path)) as file:
        mailings = MailingStore(file)
        mailing = replace(WEEKLY, number=mailings.add(WEEKLY))
        mailings.plan(deliveries(mailing, week_of(NOON.date()), NOON))
    store = PostgresqlStore(conninfo)
    leases = LeaseTable(LeaseDatabase(conninfo))
    held = {"tenant/north": leases.take("tenant/north", "one", 60.0) or 0}
    tables = AlertTables(AlertTablesDatabase(conninfo), "one", LeaseFence(lambda: held))
    for _ in range(2):
        move_file(path, tables)
    alerts = AlertStore(tables)
    delivered: list[AlertEvent] = []
    notifier = Notifier(alerts, {"mail": delivered.extend, "webhook": delivered.extend})
    held["tenant/north"] -= 1
    with pytest.raises(LeaseLostError):
        notifier.notify(0.0)
    with pytest.raises(LeaseLostError):
        alerts.write([End(key, datetime.now(UTC))], ["mail"], lambda _: AlertLocation(None, None))
    assert delivered == []
    held["tenant/north"] += 1
    notifier.notify(0.0)
    assert [one.transition for one in delivered] == [Transition.BEGIN]
    assert list(alerts.open_alerts()) == [key]
    # What people wrote is moved too.
    (alert,) = alerts.open_alerts().values()
    assert alerts.notes([alert.number])[alert.number] == [replace(note, alert=alert.number)]
    assert [replace(one, number=0) for one in alerts.silences(NOON)] == [SILENCE]
    # And which reports are mailed, with what was sent of them.
    moved = MailingStore(tables)
    assert [replace(one, number=0) for one in moved.mailings()] == [WEEKLY]
    (delivery,) = moved.due(NOON)
    assert moved.plan(deliveries(moved.mailings()[0], delivery.period, NOON)) == 0
    assert [moved.claim(delivery, NOON) for _ in range(2)] == [True, False]
    # A mail server may answer anything; PostgreSQL takes no NUL.
    moved.finish(delivery, DeliveryState.FAILED, NOON, "550 \x00no")
    assert [one.detail for one in moved.newest(1)] == ["550 no"]
    for each in (alerts, leases, store):
        each.close()


def test_one_collector_alone_has_a_store_of_sqlite(tmp_path: Path, broker: Broker) -> None:
    with CollectorProcess(tmp_path / "one", broker.config()) as one:
        second = CollectorProcess(
            tmp_path / "two", broker.config(), tables={"store": {"path": str(one.store_path)}}
        )
        done = subprocess.run(
            [*COMMAND, "run", "--config", str(second.config_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 1
        assert f"{one.store_path}: another collector runs on it. SQLite takes one" in done.stderr
        # Commands go on beside it, and a killed one leaves no lock.
        assert "one collector writes this store" in asked(one, "status")
        one.kill()
        one.start()


def test_a_primary_dies_and_the_standby_goes_on(
    tmp_path: Path, broker: Broker, probes: tuple[Probe, Probe]
) -> None:
    """By libpq's list of hosts; what had not reached the standby is sent again."""
    north, _ = probes
    memory = Path("/dev/shm")
    parent = memory if memory.is_dir() else None
    with (
        postgresql.running({"fsync": "off"}, parent) as primary,
        primary.standby() as standby,
    ):
        name = primary.new_database()
        hosts = f"host={primary.host},{standby.host} target_session_attrs=read-write"
        conninfo = f"{hosts} user=tramdo dbname={name}"
        tables = {"tenant": "north", "store": {"postgresql": conninfo}}
        with CollectorProcess(tmp_path / "one", broker.config(), tables=tables) as one:
            for _ in range(50):
                north.send()
            delivered(north)
            # One that has the standby alone holds nothing, and shows what is there.
            only = {"client_id": "pages", "store": {"postgresql": standby.conninfo(name)}}
            with CollectorProcess(tmp_path / "pages", broker.config(), tables=only) as pages:
                eventually(lambda: len(pages.results()) == 50, "it is shown", WITHIN_S)
                assert pages.get("/healthz")[1]["holds"] == []
            primary.kill()
            killed_s = time.monotonic()
            before = north.send()
            standby.promote()

            def stored_again() -> bool:
                north.send()
                eventually_or_not(lambda: north.highest() > before, 0.3)
                return north.highest() > before

            eventually(stored_again, "it stores at the new primary", WITHIN_S)
            print(f"stored again {time.monotonic() - killed_s:.1f} s after the primary's death")
            delivered(north)
            all_once(conninfo, north)
            # The pages read from the new one.
            eventually(lambda: one.get("/healthz")[0] == 200, "all is well again", WITHIN_S)
            assert len(one.results()) == north.sent


def test_a_session_follows_what_it_is_to_subscribe_to(broker: Broker) -> None:
    """Also over a broker's restart, which knows nothing of a session that is not kept."""
    inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
    session = MqttSession(broker.config(), "one", inbox.put, subscriptions=["t/before"], kept=False)
    session.start()

    marks = itertools.count()

    def until_mark(sender: Client) -> list[str]:
        """The topics of what came before a message of "t/always" that is sent now."""
        mark, came = str(next(marks)).encode(), list[str]()
        for _ in range(60):
            # Again: the subscription may not have reached the broker yet.
            sender.publish("t/always", mark)
            with suppress(queue.Empty):
                while True:
                    match inbox.get(timeout=2.0):
                        case Received(topic="t/always", payload=payload):
                            if payload == mark:
                                return came
                        case Received(topic=topic):
                            came.append(topic)
        raise AssertionError("nothing comes")

    def comes(topic: str) -> bool:
        with Client(broker.config(), "sender") as sender:
            until_mark(sender)
            sender.publish(topic, b"")
            return until_mark(sender) == [topic]

    eventually(lambda: isinstance(inbox.get(timeout=WITHIN_S), Connected), "it is connected")
    session.subscribe_to(["t/after", "t/always"])
    assert (comes("t/before"), comes("t/after")) == (False, True)
    broker.kill()
    broker.start()
    eventually(lambda: isinstance(inbox.get(timeout=WITHIN_S), Connected), "it is connected")
    assert (comes("t/before"), comes("t/after")) == (False, True)
    session.stop()
