"""The real collector process against a real Mosquitto: what is published is stored once, receipted,
and survives a kill at any moment, a broker that forgets, a store that cannot write.
"""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from collector.store.sqlite import SqliteStore
from deploy.authority import authority
from deploy.authority.rules import REVOCATION_LIST_LIFETIME
from tests import broker as brokers
from tests import samples
from tests.broker import Broker
from tests.client import Client, eventually
from tests.collector_process import COMMAND, ROOT, CollectorProcess
from wire import messages, topics
from wire.envelope import MAX_ENVELOPE_BYTES
from wire.messages import Presence, Receipt, Rejection, State
from wire.result import Result, decode_result

pytestmark = pytest.mark.skipif(brokers.why_not() is not None, reason=str(brokers.why_not()))

LATENCY = topics.measurement(samples.TENANT, samples.PROBE, "latency")
# What a loaded machine may add.
LOADED_S = 10.0
RECEIPT = topics.of_probe(samples.TENANT, samples.PROBE, "receipt")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def collector(tmp_path: Path, broker: Broker) -> Iterator[CollectorProcess]:
    with CollectorProcess(tmp_path / "collector", broker.config()) as running:
        connected(running)
        yield running


@pytest.fixture
def probe(broker: Broker) -> Iterator[Client]:
    with Client(broker.config(), samples.PROBE, subscriptions=[RECEIPT]) as client:
        yield client


def connected(collector: CollectorProcess) -> None:
    eventually(lambda: collector.get("/healthz")[0] == 200, "the collector is connected")


def latencies(*seqs: int, epoch: UUID = samples.EPOCH) -> bytes:
    return samples.envelope([(seq, samples.latency(rtt_ms=seq)) for seq in seqs], epoch=epoch)


def receipt_that(
    probe: Client,
    stored_through: int,
    missing: list[tuple[int, int]] | None = None,
    epoch: UUID = samples.EPOCH,
) -> Receipt:
    """Wait for the receipt that says exactly this."""

    def says(payload: bytes) -> bool:
        receipt = messages.decode(payload, Receipt)
        return (receipt.epoch, receipt.stored_through, receipt.missing) == (
            epoch,
            stored_through,
            missing or [],
        )

    message = probe.wait_for(lambda message: says(message.payload))
    return messages.decode(message.payload, Receipt)


def seqs(collector: CollectorProcess) -> list[int]:
    return [row["seq"] for row in collector.results()]


def test_a_result_is_stored_as_sent_and_receipted(
    collector: CollectorProcess, probe: Client
) -> None:
    result: Result = samples.throughput()
    topic = topics.measurement(samples.TENANT, samples.PROBE, "throughput")
    probe.publish(topic, samples.envelope([(1, result)]))
    receipt_that(probe, 1)
    (row,) = collector.results()
    assert (row["tenant"], row["probe"], row["seq"]) == (samples.TENANT, samples.PROBE, 1)
    assert row["epoch"] == str(samples.EPOCH)
    assert row["received_at"] <= row["stored_at"]
    store = SqliteStore(collector.store_path)
    assert decode_result(store.results_after(0, 1)[0].body) == result
    store.close()


def test_what_is_sent_twice_is_stored_once_and_receipted_again(
    collector: CollectorProcess, probe: Client
) -> None:
    probe.publish(LATENCY, latencies(1, 2))
    first = receipt_that(probe, 2)
    probe.received.clear()
    for _ in range(3):
        probe.publish(LATENCY, latencies(1, 2))
    assert receipt_that(probe, 2).at > first.at
    assert seqs(collector) == [1, 2]


def test_a_receipt_names_what_is_missing_until_it_comes(
    collector: CollectorProcess, probe: Client
) -> None:
    probe.publish(LATENCY, latencies(3, 4, 8))
    receipt_that(probe, 8, [(1, 2), (5, 7)])
    probe.publish(LATENCY, latencies(1, 2, 5, 6, 7))
    receipt_that(probe, 8)
    assert sorted(seqs(collector)) == list(range(1, 9))


@pytest.mark.usefixtures("collector")
def test_the_receipt_is_retained_for_a_probe_that_comes_later(
    probe: Client, broker: Broker
) -> None:
    probe.publish(LATENCY, latencies(1))
    receipt_that(probe, 1)
    with Client(broker.config(), "again", subscriptions=[RECEIPT]) as later:
        receipt_that(later, 1)
        assert later.received[-1].retained


def test_a_new_epoch_has_a_ledger_of_its_own(collector: CollectorProcess, probe: Client) -> None:
    probe.publish(LATENCY, latencies(1, 2))
    receipt_that(probe, 2)
    probe.publish(LATENCY, latencies(1, epoch=samples.OTHER_EPOCH))
    receipt_that(probe, 1, epoch=samples.OTHER_EPOCH)
    assert len(seqs(collector)) == 3


def test_broken_messages_are_rejected_kept_and_do_not_stop_the_rest(
    collector: CollectorProcess, probe: Client
) -> None:
    broken = [
        (Rejection.NOT_JSON, LATENCY, b"{nonsense"),
        (Rejection.SCHEMA, LATENCY, b'{"schema":"tramdo/9"}'),
        (Rejection.TOPIC, f"tramdo/v1/{samples.TENANT}/TRAM/m/latency", latencies(1)),
        (Rejection.IDENTITY, LATENCY, samples.envelope([(1, samples.latency())], probe="other")),
        (Rejection.KIND, LATENCY, samples.envelope([(1, samples.throughput())])),
        (Rejection.TOO_LARGE, LATENCY, b" " * (MAX_ENVELOPE_BYTES + 1)),
    ]
    for _, topic, payload in broken:
        probe.publish(topic, payload)
    probe.publish(LATENCY, latencies(1))
    receipt_that(probe, 1)
    store = SqliteStore(collector.store_path)
    kept = store.rejected_after(0, 100)
    totals = store.totals()
    store.close()
    assert [(row.reason, row.topic) for row in kept] == [(r, topic) for r, topic, _ in broken]
    assert [row.payload_bytes for row in kept] == [len(payload) for _, _, payload in broken]
    assert totals.rejected == {reason: 1 for reason, _, _ in broken}
    assert totals.results == 1


def test_a_probe_that_is_taken_down_is_deleted_and_nothing_is_rejected(
    collector: CollectorProcess, probe: Client
) -> None:
    """Its retained messages are deleted by empty ones (MQTT 5, 3.3.1.3)."""
    topic_of = partial(topics.of_probe, samples.TENANT, samples.PROBE)
    for channel, message in (("info", samples.info()), ("state", State(Presence.OFFLINE))):
        probe.publish(topic_of(channel), messages.encode(message), retain=True)
        probe.publish(topic_of(channel), b"", retain=True)
    probe.publish(LATENCY, latencies(1))
    receipt_that(probe, 1)
    store = SqliteStore(collector.store_path)
    rejected = store.rejected_after(0, 100)
    store.close()
    assert rejected == []
    eventually(
        lambda: "the retained message of" in collector.log and "was deleted" in collector.log,
        "the log says so",
    )


LIVING_PROBE = f"""
import sys
from runtime.mqtt import Message
from tests import samples
from tests.client import Client
from wire import messages
from wire.messages import Presence, State
from runtime.broker import BrokerConfig

topic = {topics.of_probe(samples.TENANT, samples.PROBE, "state")!r}
will = Message(topic, messages.encode(State(Presence.LOST)), retain=True)
broker = BrokerConfig(host="127.0.0.1", port=int(sys.argv[1]), tls=False)
with Client(broker, samples.PROBE, will=will) as client:
    client.publish(topic, messages.encode(State(Presence.ONLINE, samples.NOON)), retain=True)
    sys.stdin.read()
"""


def test_the_state_of_a_probe_that_vanishes_is_lost(
    collector: CollectorProcess, broker: Broker
) -> None:
    def presence() -> str | None:
        found = [p["presence"] for p in collector.get("/api/probes")[1]["probes"]]
        return found[0] if found else None

    argv = [sys.executable, "-c", LIVING_PROBE, str(broker.port)]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE) as process:
        eventually(lambda: presence() == "online", "it is online")
        process.kill()  # no word of farewell: the broker speaks the last will
    eventually(lambda: presence() == "lost", "it is lost")


def test_one_tenants_collector_takes_no_others(
    tmp_path: Path, broker: Broker, probe: Client
) -> None:
    with CollectorProcess(
        tmp_path / "collector", broker.config(), tables={"tenant": samples.TENANT}
    ) as collector:
        connected(collector)
        elsewhere = topics.measurement("elsewhere", samples.PROBE, "latency")
        probe.publish(elsewhere, samples.envelope([(1, samples.latency())], tenant="elsewhere"))
        probe.publish(LATENCY, latencies(1))
        receipt_that(probe, 1)
        assert [row["tenant"] for row in collector.results()] == [samples.TENANT]


# Kills and failures


def test_kill_9_loses_nothing_and_doubles_nothing(
    collector: CollectorProcess, probe: Client
) -> None:
    count = 0
    for _ in range(4):
        for _ in range(60):
            count += 1
            probe.publish(LATENCY, latencies(count))
        collector.kill()
        # Published while it is away: the broker keeps them for its session.
        for _ in range(20):
            count += 1
            probe.publish(LATENCY, latencies(count))
        collector.start()
    receipt_that(probe, count)
    assert sorted(seqs(collector)) == list(range(1, count + 1))


def test_a_store_that_is_locked_is_waited_for_and_nothing_is_lost(
    collector: CollectorProcess, probe: Client
) -> None:
    probe.publish(LATENCY, latencies(1))
    receipt_that(probe, 1)
    other = sqlite3.connect(collector.store_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for seq in range(2, 30):
        probe.publish(LATENCY, latencies(seq))
    eventually(lambda: "cannot store, trying again" in collector.log, "it says what is wrong")
    status, answer = collector.get("/healthz")
    assert status == 503
    assert "database is locked" in answer["store"]
    assert seqs(collector) == [1]
    # Killed now, it had acknowledged none of them.
    collector.kill()
    other.execute("ROLLBACK")
    other.close()
    collector.start()
    receipt_that(probe, 29)
    assert sorted(seqs(collector)) == list(range(1, 30))
    assert "Traceback" not in collector.log


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for eight megabytes: some dozens of commits."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(mounted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def test_a_full_disk_is_waited_for_and_nothing_is_lost(
    tmp_path: Path, small_disk: Path, broker: Broker, probe: Client
) -> None:
    topic = topics.measurement(samples.TENANT, samples.PROBE, "throughput")
    with CollectorProcess(
        tmp_path / "collector", broker.config(), store=small_disk / "results.sqlite"
    ) as collector:
        connected(collector)
        probe.publish(LATENCY, latencies(1))
        receipt_that(probe, 1)
        ballast = small_disk / "ballast"
        fill(ballast)
        for seq in range(2, 30):
            result = samples.throughput(intervals=60)
            probe.publish(topic, samples.envelope([(seq, result)]))
        eventually(lambda: "disk is full" in collector.log, "it says that the disk is full")
        assert collector.get("/healthz")[0] == 503
        ballast.unlink()
        receipt_that(probe, 29)
        assert "the store works again" in collector.log
        assert sorted(seqs(collector)) == list(range(1, 30))
        assert collector.stop() == 0
        assert "Traceback" not in collector.log


def fill(path: Path) -> None:
    """Write until the file system has no room for another page."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return


def test_two_boxes_of_one_name_are_on_the_system_page(
    collector: CollectorProcess, probe: Client
) -> None:
    def system_page() -> str:
        return collector.text("/system?lang=en")[1]

    topic = topics.of_probe(samples.TENANT, samples.PROBE, "info")
    first, second = (
        messages.encode(samples.info(epoch=epoch)) for epoch in (samples.EPOCH, samples.OTHER_EPOCH)
    )
    probe.publish(topic, first, retain=True)
    probe.publish(topic, second, retain=True)
    eventually(lambda: samples.PROBE in collector.text("/live")[1], "the probe is known")
    assert "returns within an hour" not in system_page(), "a restart is no second box"
    probe.publish(topic, first, retain=True)
    eventually(lambda: "1 returns within an hour" in system_page(), "the second box is shown")


def test_a_second_collector_of_one_client_id_is_told_by_both(
    tmp_path: Path, collector: CollectorProcess, broker: Broker
) -> None:
    def broker_trouble(one: CollectorProcess) -> str:
        return one.get("/healthz")[1]["broker"] or ""

    with CollectorProcess(tmp_path / "second", broker.config()) as second:
        for one in (collector, second):
            said = eventually(
                partial(_with_text, partial(broker_trouble, one), "another program connects"),
                "healthz says so",
                90.0,
            )
            assert "client_id of its own" in said
            assert one.get("/healthz")[0] == 503
            assert "takes its connection" in one.text("/system?lang=en")[1]


def _with_text(ask: Callable[[], str], text: str) -> str | None:
    answer = ask()
    return answer if text in answer else None


def test_a_broker_that_is_killed_and_forgets_gets_the_receipts_again(
    collector: CollectorProcess, broker: Broker
) -> None:
    with Client(broker.config(), samples.PROBE, subscriptions=[RECEIPT]) as client:
        client.publish(LATENCY, latencies(1, 2, 5))
        receipt_that(client, 5, [(3, 4)])
    broker.kill()
    (broker.directory / "mosquitto.db").unlink(missing_ok=True)
    eventually(lambda: collector.get("/healthz")[0] == 503, "the collector notices")
    assert collector.get("/healthz")[1]["broker"]
    broker.start()
    connected(collector)
    with Client(broker.config(), samples.PROBE, subscriptions=[RECEIPT]) as client:
        receipt_that(client, 5, [(3, 4)])
        client.publish(LATENCY, latencies(3, 4))
        receipt_that(client, 5)


def test_a_broker_restart_loses_nothing(
    collector: CollectorProcess, probe: Client, broker: Broker
) -> None:
    for seq in range(1, 60):
        probe.publish(LATENCY, latencies(seq))
        if seq in (20, 40):
            broker.restart()
    receipt_that(probe, 59)
    assert sorted(seqs(collector)) == list(range(1, 60))


def test_sigterm_ends_it_cleanly_with_everything_receipted(
    collector: CollectorProcess, probe: Client
) -> None:
    for seq in range(1, 50):
        probe.publish(LATENCY, latencies(seq))
    eventually(lambda: len(seqs(collector)) == 49, "all are stored")
    started_s = time.monotonic()
    assert collector.stop() == 0
    assert time.monotonic() - started_s < 5 + LOADED_S
    receipt_that(probe, 49)
    # Coalesced: one at once, then one each half second, and one at the end.
    assert len(probe.received) <= 49 / 4
    assert "Traceback" not in collector.log


def test_sigterm_ends_an_open_page_too(collector: CollectorProcess) -> None:
    with socket.create_connection(("127.0.0.1", collector.port)) as stream:
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"text/event-stream" in stream.recv(4096)
        assert collector.stop() == 0
    # What uvicorn logs where a page is still open after its time of grace.
    assert "graceful shutdown exceeded" not in collector.log
    assert "Traceback" not in collector.log


def test_systemd_is_told(tmp_path: Path, broker: Broker) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "400000"}
        with CollectorProcess(
            tmp_path / "collector", broker.config(), environment=environment
        ) as collector:
            told = [manager.recv(4096) for _ in range(8)]
            assert told[0] == b"READY=1"
            assert told.count(b"WATCHDOG=1") >= 4
            assert b"STATUS=storing what the probes send" in told
            assert collector.stop() == 0
            while manager.recv(4096) != b"STOPPING=1":
                pass


# The API


def test_the_api_pages_through_results(collector: CollectorProcess, probe: Client) -> None:
    for seq in range(1, 8):
        probe.publish(LATENCY, latencies(seq))
    receipt_that(probe, 7)
    first = collector.get("/api/results?after=0&limit=3")[1]
    second = collector.get(f"/api/results?after={first['next_after']}&limit=3")[1]
    assert [row["seq"] for row in first["results"] + second["results"]] == [1, 2, 3, 4, 5, 6]
    newest = collector.get("/api/results?limit=2")[1]
    assert [row["seq"] for row in newest["results"]] == [6, 7]
    end = collector.get(f"/api/results?after={newest['next_after']}")[1]
    assert end == {"results": [], "next_after": newest["next_after"]}
    assert "signature" not in newest["results"][0]
    signed = collector.get("/api/results?limit=2&signatures=1")[1]
    assert [row["signature"] for row in signed["results"]] == ["unsigned", "unsigned"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/api/results?limit=0", "`limit` is a whole number, 1 to 1000"),
        ("/api/results?limit=many", "`limit` is a whole number, 1 to 1000"),
        ("/api/results?signatures=2", "`signatures` is a whole number, 0 to 1"),
        ("/api/results?after=-1", "`after` is a whole number, 0 to 9007199254740991"),
        ("/events?after=x", "`after` is a whole number, 0 to 9007199254740991"),
    ],
)
def test_the_api_refuses_in_words(collector: CollectorProcess, path: str, sentence: str) -> None:
    assert collector.get(path) == (400, {"error": sentence})


def test_the_api_tells_all_of_a_probe(collector: CollectorProcess, probe: Client) -> None:
    for channel, message in (("info", samples.info()), ("health", samples.health(pending=3))):
        topic = topics.of_probe(samples.TENANT, samples.PROBE, channel)
        probe.publish(topic, messages.encode(message))
    probe.publish(LATENCY, latencies(2))
    receipt_that(probe, 2, [(1, 1)])
    (told,) = collector.get("/api/probes")[1]["probes"]
    assert told["site"]["commune_code"] == "01969"
    assert [line["id"] for line in told["info"]["lines"]] == ["vnpt", "viettel"]
    assert told["health"]["pending"] == 3
    assert told["receipt"] == {
        "epoch": str(samples.EPOCH),
        "stored_through": 2,
        "missing": [[1, 1]],
    }


# The command line


def command(*arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_check_of_a_sound_installation(tmp_path: Path, broker: Broker) -> None:
    collector = CollectorProcess(tmp_path / "collector", broker.config())
    code, text = command("check", "--config", collector.config_path)
    assert text.splitlines() == [
        f"{collector.config_path}: sound",
        f"store: {collector.store_path} opens; 0 results in it",
        f"broker: 127.0.0.1 port {broker.port} takes us",
        "ready",
    ]
    assert code == 0


def test_check_does_not_disturb_the_running_collector(
    collector: CollectorProcess, probe: Client
) -> None:
    assert command("check", "--config", collector.config_path)[0] == 0
    probe.publish(LATENCY, latencies(1))
    receipt_that(probe, 1)
    assert "no connection" not in collector.log


def test_check_says_what_is_wrong(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("wrong")
    password.chmod(0o600)
    users = tmp_path / "users"
    users.write_text("collector:right\n")
    users.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", str(users)], check=True)
    with Broker(
        tmp_path / "broker", anonymous=False, settings=[f"password_file {users}"]
    ) as broker:
        config = broker.config(username="collector", password_file=str(password))
        collector = CollectorProcess(
            tmp_path / "collector", config, store=tmp_path / "missing" / "results.sqlite"
        )
        code, text = command("check", "--config", collector.config_path)
        assert code == 1
        assert f"problem: store: {collector.store_path}: unable to open database file" in text
        refused = "the broker refused the name or the password (Not authorized): see "
        assert f"problem: broker 127.0.0.1 port {broker.port}: {refused}" in text
        assert text.endswith("not ready\n")
        password.write_text("right")
        assert "takes us" in command("check", "--config", collector.config_path)[1]
    assert "refused" in command("check", "--config", collector.config_path)[1]


def test_check_refuses_certificates_and_lists_that_are_of_no_use(
    tmp_path: Path, broker: Broker
) -> None:
    past = datetime.now(UTC) - REVOCATION_LIST_LIFETIME - timedelta(days=2)
    authority.init(tmp_path / "authority", "Tramdo test", None, past)
    collector = CollectorProcess(tmp_path / "collector", broker.config())
    files = [str(tmp_path / "authority" / name) for name in ("ca.pem", "crl.pem", "none.pem")]
    text = collector.config_path.read_text(encoding="utf-8")
    with_files = text.replace("[alerts]", f"[alerts]\ncertificate_files = {files}")
    assert with_files != text
    collector.config_path.write_text(with_files, encoding="utf-8")
    code, text = command("check", "--config", collector.config_path)
    assert code == 1
    faults = [line for line in text.splitlines() if line.startswith("problem: ")]
    assert len(faults) == 2
    assert "crl.pem ended on" in faults[0]
    assert "none.pem cannot be read" in faults[1]
    assert text.endswith("takes us\nnot ready\n")


def test_settings_that_are_wrong_end_with_2(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    code, text = command("run", "--config", path)
    assert (code, text) == (2, f"{path}: cannot be read: No such file or directory\n")
    path.write_text("[brocker]\nhost = 1\n")
    code, text = command("check", "--config", path)
    assert code == 2
    assert text.splitlines() == [
        f"{path}: brocker: unknown key (did you mean `broker`?)",
        f"{path}: broker: is missing",
    ]
    assert command("dance")[0] == 2


def test_a_port_that_is_taken_ends_with_1(tmp_path: Path, broker: Broker) -> None:
    collector = CollectorProcess(tmp_path / "collector", broker.config())
    with socket.create_server(("127.0.0.1", collector.port)):
        code, text = command("run", "--config", collector.config_path)
    assert code == 1
    assert f"cannot listen on 127.0.0.1 port {collector.port}: Address already in use" in text
    assert "Traceback" not in text


def test_help_names_commands_and_exit_codes() -> None:
    code, text = command("--help")
    assert code == 0
    for piece in ("run", "check", "exit codes:", "  0  ", "  1  ", "  2  "):
        assert piece in text
    assert command("run", "--help")[0] == 0
    code, text = command("--version")
    assert code == 0
    assert text.startswith("tramdo-collector ")
