"""Commands end to end: `tramdo-collector command`, a real Mosquitto, the probe's publisher.

Only the clock's word ("synchronised") is given, because a kernel's cannot be had at will; and what
a measurement would take is told as made at once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from collector.commands import builder
from collector.commands.sender import MqttCommandSender
from probe import clock, config, events
from probe.commands.executor import CommandActions, CommandExecutor
from probe.config import Config
from probe.deliver import high_water_mark
from probe.deliver.publisher import Publisher
from probe.schedule.admission import QueuedMeasurement
from probe.show import status_file
from probe.state.usage import UsageFile
from runtime.mqtt import Received
from tests import samples, secured_broker
from tests.broker import Broker, why_not
from tests.client import Client, eventually
from tests.collector_process import CollectorProcess
from tests.unit.test_config import GOOD
from wire import messages, topics
from wire.commands import Answer, AnyCommand, Identify, Refusal, Reply, encode_command
from wire.envelope import decode_envelope
from wire.messages import Health

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

ROOT = Path(__file__).parents[2]
WAIT_S = 60.0


class Office:
    """A probe without its measuring: publisher, outbox, commands."""

    def __init__(self, settings: Config, folder: Path, *, clock_known: bool = True) -> None:
        folder.mkdir(exist_ok=True)
        self.settings = msgspec.structs.replace(settings, state_dir=str(folder))
        self.config_path = folder / "probe.toml"
        self.config_path.write_text(GOOD, encoding="utf-8")
        self.events: list[events.Event] = []
        self.wanted: list[QueuedMeasurement] = []
        self.reloaded = threading.Event()
        self.publisher = Publisher(
            self.settings,
            folder / "outbox.sqlite",
            self.events.append,
            samples.info_of,
            samples.health_of,
            self._on_command,
        )
        self.commanded = CommandExecutor(
            self.settings,
            self.config_path,
            UsageFile(str(folder), UTC),
            CommandActions(
                measure=self._measure,
                replay=self.publisher.replay,
                reload=self.reloaded.set,
                emit=self.events.append,
                reply=self.publisher.reply,
            ),
            lambda: clock_known,
        )
        self.publisher.start()
        self.commanded.send_pending_done()

    def _on_command(self, received: Received) -> None:
        self.commanded.on_message(received)

    def _measure(self, wanted: QueuedMeasurement) -> None:
        self.wanted.append(wanted)
        assert wanted.command_id is not None
        self.commanded.on_measured(wanted.command_id)

    def connected(self) -> bool:
        return any(isinstance(one, events.DeliveryStatus) and one.connected for one in self.events)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as started:
        yield started


@pytest.fixture
def settings(broker: Broker) -> Config:
    parsed = config.parse(GOOD.encode(), "probe.toml")
    delivery = config.DeliveryConfig(clock_wait_s=0.0)
    return msgspec.structs.replace(parsed, broker=broker.config(), delivery=delivery)


@pytest.fixture
def office(settings: Config, tmp_path: Path) -> Iterator[Office]:
    office = Office(settings, tmp_path / "office")
    eventually(office.connected, "the probe is connected")
    yield office
    office.publisher.stop()


def replied(message: Received) -> Reply:
    return messages.decode(message.payload, Reply)


class Watcher:
    """A centre by hand: sends commands, and remembers what was replied to each."""

    def __init__(self, client: Client, desk: MqttCommandSender, settings: Config) -> None:
        self._client, self._desk, self._settings = client, desk, settings

    def send(self, made: AnyCommand) -> UUID:
        self._desk.send(self._settings.tenant, self._settings.probe, made)
        return made.id

    def until_answered(self, make: Callable[[], AnyCommand]) -> UUID:
        """Ask a probe that is only starting: what is sent before it listens reaches nobody."""
        sent: list[UUID] = []

        def answered() -> UUID | None:
            sent.append(self.send(make()))
            time.sleep(0.2)
            return next((one for one in sent if self.answers(one)), None)

        return eventually(answered, "the probe answers", WAIT_S)

    def answers(self, command_id: UUID) -> list[Answer]:
        self._client.look()
        said = [replied(message) for message in self._client.received]
        return [one.answer for one in said if one.id == command_id]


@pytest.fixture
def watcher(broker: Broker, settings: Config) -> Iterator[Watcher]:
    topic = topics.of_probe(settings.tenant, settings.probe, "reply")
    with Client(broker.config(), "watcher", subscriptions=[topic]) as client:
        yield Watcher(client, MqttCommandSender(client.hand_over), settings)


def command(centre: CollectorProcess, settings: Config, *words: str) -> tuple[int, dict[str, Any]]:
    """What `tramdo-collector command` says, with its exit code."""
    probe = f"{settings.tenant}/{settings.probe}"
    line = [sys.executable, "-m", "collector.cli", "command", "-c", str(centre.config_path)]
    ended = subprocess.run(
        [*line, probe, *words, "--json"], cwd=ROOT, capture_output=True, timeout=120, check=False
    )
    said = json.loads(ended.stdout) if ended.stdout else {"stderr": ended.stderr.decode()}
    return ended.returncode, said


def test_each_command_by_the_centres_own_command_line(
    broker: Broker, settings: Config, office: Office, tmp_path: Path
) -> None:
    centre = CollectorProcess(tmp_path / "centre", broker.config())  # its settings only
    code, said = command(centre, settings, "identify", "--for", "5")
    assert (code, said["reply"]["answer"]) == (0, "done")
    assert any(isinstance(one, events.IdentifyRequested) for one in office.events)

    code, said = command(centre, settings, "measure", "latency", "--line", "vnpt")
    assert (code, said["reply"]["answer"]) == (0, "done")
    assert [(one.kind, one.line.id) for one in office.wanted] == [("latency", "vnpt")]

    code, said = command(centre, settings, "measure", "latency", "--line", "fpt")
    assert (code, said["reply"]["reason"]) == (1, "unknown_line")

    office.config_path.write_text("probe = 7", encoding="utf-8")
    code, said = command(centre, settings, "reload")
    assert (code, said["reply"]["reason"]) == (1, "faulty_configuration")
    assert not office.reloaded.is_set()


@pytest.mark.skipif(secured_broker.why_not() is not None, reason=str(secured_broker.why_not()))
def test_on_the_broker_as_deployed_the_command_line_leaves_the_collector_alone(
    tmp_path: Path,
) -> None:
    """There the user's name is the client's: a second session of a user ends the first."""
    with secured_broker.scene(tmp_path / "scene") as stage:
        settings = msgspec.structs.replace(
            config.parse(GOOD.encode(), "probe.toml"),
            broker=stage.broker.by_certificate(stage.probe), probe=secured_broker.PROBE,
            delivery=config.DeliveryConfig(clock_wait_s=0.0),
        )  # fmt: skip
        as_collector = stage.broker.by_password(secured_broker.COLLECTOR)
        own = stage.broker.by_password(secured_broker.COMMANDER)
        table = {"username": own.username, "password_file": own.password_file}
        office = Office(settings, tmp_path / "office")
        try:
            eventually(office.connected, "the probe is connected")
            tables = {"command": table}
            with CollectorProcess(tmp_path / "centre", as_collector, tables=tables) as centre:
                eventually(lambda: "connected to the broker" in centre.log, "it is connected")
                code, said = command(centre, settings, "identify", "--for", "5")
                assert (code, said["reply"]["answer"]) == (0, "done")
                assert "no connection" not in centre.log
                # While it waits for one that does not answer, the collector takes the name back.
                sharing = CollectorProcess(tmp_path / "sharing", as_collector)
                silent = msgspec.structs.replace(settings, probe=secured_broker.NEIGHBOUR)
                code, said = command(sharing, silent, "identify", "--for", "5")
                assert code != 0
                assert "a user of its own" in said["stderr"]
                # A check shares it on purpose, and takes nothing away.
                line = [sys.executable, "-m", "collector.cli", "check", "-c"]
                checked = subprocess.run([*line, str(centre.config_path)], cwd=ROOT, check=False)
                assert checked.returncode == 0
                for _ in range(10):
                    office.publisher.submit(samples.latency())
                eventually(lambda: len(centre.results()) == 10, "10 results are stored", WAIT_S)
        finally:
            office.publisher.stop()


def test_replay_sends_again_what_it_names_and_doubles_nothing(
    broker: Broker, settings: Config, office: Office, tmp_path: Path
) -> None:
    """Covered by a receipt: only the centre's own word has it sent once more."""
    with CollectorProcess(tmp_path / "centre", broker.config()) as centre:
        for _ in range(30):
            office.publisher.submit(samples.latency())
        eventually(lambda: len(centre.results()) == 30, "30 results are stored", WAIT_S)
        assert office.publisher.wait_delivered(WAIT_S, threading.Event())
        results = topics.measurement(settings.tenant, settings.probe, "latency")
        with Client(broker.config(), "reader", subscriptions=[results]) as reader:
            epoch = epoch_of(office)
            words = ["replay", "--epoch", epoch, "--range", "1-20", "--range", "25"]
            code, said = command(centre, settings, *words)
            assert (code, said["reply"]["answer"]) == (0, "done"), said
            assert said["reply"]["detail"] == "21 results were sent again, 21 asked for"
            wanted = {*range(1, 21), 25}
            eventually(lambda: wanted <= seqs_of(reader), "all of it was sent again", WAIT_S)
        assert len(centre.results()) == 30
        code, said = command(centre, settings, "replay", "--epoch", str(uuid4()), "--range", "1")
        assert (code, said["reply"]["reason"]) == (1, "unknown_epoch")


def seqs_of(reader: Client) -> set[int]:
    """The numbers of the results that a reader has received."""
    reader.look()
    envelopes = [decode_envelope(message.payload) for message in reader.received]
    return {record.seq for envelope in envelopes for record in envelope.records}


def epoch_of(office: Office) -> str:
    known = high_water_mark.read(Path(office.settings.state_dir) / "outbox.sqlite")
    assert known is not None
    return str(known.epoch)


def test_a_reload_is_done_only_once_the_probe_has_started_anew(
    settings: Config, watcher: Watcher, office: Office
) -> None:
    told = watcher.send(builder.reload(uuid4(), datetime.now(UTC)))
    eventually(lambda: watcher.answers(told) == [Answer.ACCEPTED], "it is accepted")
    eventually(office.reloaded.is_set, "the daemon is told")
    office.publisher.stop()
    anew = Office(settings, Path(office.settings.state_dir))
    try:
        expected = [Answer.ACCEPTED, Answer.DONE]
        eventually(lambda: watcher.answers(told) == expected, "it is done")
    finally:
        anew.publisher.stop()


def test_retained_repeated_and_expired_commands_do_nothing(
    settings: Config, broker: Broker, tmp_path: Path
) -> None:
    topic = topics.command(settings.tenant, settings.probe, "identify")
    now = datetime.now(UTC)
    life: dict[str, Any] = {"issued_at": now, "expires_at": now + timedelta(minutes=1)}
    kept = Identify(id=uuid4(), **life)
    stale = Identify(id=uuid4(), issued_at=now - timedelta(hours=1), expires_at=now)
    with Client(
        broker.config(),
        "watcher",
        subscriptions=[topics.of_probe(settings.tenant, settings.probe, "reply")],
    ) as client:
        client.publish(topic, encode_command(kept), retain=True)
        office = Office(settings, tmp_path / "office")
        try:
            eventually(office.connected, "the probe is connected")
            client.publish(topic, encode_command(stale))
            fresh = encode_command(Identify(id=uuid4(), **life))
            for _ in range(3):
                client.publish(topic, fresh)
            last = Identify(id=uuid4(), **life)
            client.publish(topic, encode_command(last))
            client.wait_for(lambda message: replied(message).id == last.id)
            flashes = [one for one in office.events if isinstance(one, events.IdentifyRequested)]
            assert len(flashes) == 2, "the fresh one once, and the last"
            said = [replied(message) for message in client.received]
            assert [(one.id, one.reason) for one in said if one.reason] == [
                (stale.id, Refusal.EXPIRED)
            ]
        finally:
            office.publisher.stop()


def test_garbage_on_a_command_topic_ends_nothing(
    settings: Config, broker: Broker, office: Office, watcher: Watcher
) -> None:
    assert office.connected()
    root = f"tramdo/v1/{settings.tenant}/{settings.probe}/cmd"
    with Client(broker.config(), "vandal") as vandal:
        for payload in (b"", b"\xff\xff", b"{}", b"[" * 10_000, b'{"id": "x"}'):
            for name in ("identify", "run", "measure"):
                vandal.publish(f"{root}/{name}", payload)
    told = watcher.send(builder.identify(uuid4(), datetime.now(UTC)))
    eventually(lambda: watcher.answers(told) == [Answer.DONE], "it still obeys")


def test_without_a_clock_a_measurement_is_refused_and_the_lights_flash(
    settings: Config, watcher: Watcher, tmp_path: Path
) -> None:
    office = Office(settings, tmp_path / "office", clock_known=False)
    try:
        eventually(office.connected, "the probe is connected")
        now = datetime.now(UTC)
        measure = watcher.send(builder.measure(uuid4(), now, kind="latency", line="vnpt"))
        identify = watcher.send(builder.identify(uuid4(), now))
        eventually(lambda: watcher.answers(identify) == [Answer.DONE], "the lights")
        assert watcher.answers(measure) == [Answer.REFUSED]
        assert not office.wanted
    finally:
        office.publisher.stop()


def test_the_daemon_itself_obeys_and_reloads(
    settings: Config, watcher: Watcher, tmp_path: Path
) -> None:
    """The whole probe as a process; what needs a clock is refused where this kernel has none."""
    path = tmp_path / "probe.toml"
    path.write_text(daemon_configuration(settings, tmp_path, "none"), encoding="utf-8")
    with daemon(path):
        now = datetime.now(UTC)
        identify = watcher.until_answered(lambda: builder.identify(uuid4(), now))
        assert watcher.answers(identify) == [Answer.DONE]
        measure = watcher.send(builder.measure(uuid4(), now, kind="throughput", line="vnpt"))
        reload = watcher.send(builder.reload(uuid4(), now))
        known = clock.synchronised() is True
        expected = [Answer.ACCEPTED, Answer.DONE] if known else [Answer.REFUSED]
        eventually(
            lambda: [watcher.answers(one) for one in (measure, reload)] == [expected] * 2,
            "both are answered",
        )


def test_identify_on_the_box_itself_flashes_every_led(settings: Config, tmp_path: Path) -> None:
    path = tmp_path / "probe.toml"
    path.write_text(daemon_configuration(settings, tmp_path, "simulated"), encoding="utf-8")
    assert identified(path) == 3, "no daemon runs"
    with daemon(path):
        shown = eventually(
            lambda: status_file.read(str(tmp_path / "run")), "the board is written", WAIT_S
        )
        assert {str(pattern) for pattern in shown.leds.values()} != {"fast_blink"}
        assert identified(path) == 0
        eventually(lambda: flashes(tmp_path / "run"), "every LED flashes")


def test_health_has_the_lines_states_while_every_led_flashes(
    settings: Config, broker: Broker, tmp_path: Path
) -> None:
    """The LEDs say nothing of a line while somebody looks for the box; its state goes on."""
    path = tmp_path / "probe.toml"
    written = daemon_configuration(settings, tmp_path, "simulated")
    often = written.replace("clock_wait_s = 0", "clock_wait_s = 0, health_every_s = 1")
    assert often != written
    path.write_text(often, encoding="utf-8")
    topic = topics.of_probe(settings.tenant, settings.probe, "health")

    def while_flashing(message: Received) -> bool:
        return set(decoded(message).leds.values()) == {"fast_blink"}

    def decoded(message: Received) -> Health:
        return messages.decode(message.payload, Health)

    with (
        Client(broker.config(), "reader", subscriptions=[topic]) as reader,
        daemon(path),
    ):
        reader.wait_for(lambda message: bool(decoded(message).leds))
        assert identified(path) == 0
        health = decoded(reader.wait_for(while_flashing))
    assert health.lines is not None
    assert health.lines.keys() == {"vnpt"}


def identified(path: Path) -> int:
    command: list[str | Path] = [
        Path(sys.executable).with_name("tramdo-probe"),
        "identify",
        "-c",
        path,
    ]
    return subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode


def flashes(runtime_dir: Path) -> bool:
    shown = status_file.read(str(runtime_dir))
    assert shown is not None
    return {str(pattern) for pattern in shown.leds.values()} == {"fast_blink"}


def daemon_configuration(settings: Config, folder: Path, leds: str) -> str:
    broker = settings.broker
    return f"""
tenant = "{settings.tenant}"
probe = "{settings.probe}"
state_dir = "{folder}/state"
runtime_dir = "{folder}/run"
site = {{ commune_code = "01969", office = "UBND xã Phủ Thông" }}
lines = [{{ id = "vnpt", isp = "VNPT", source_address = "127.0.0.1" }}]
servers = [{{ name = "closed", host = "127.0.0.1", iperf3_ports = [1] }}]
broker = {{ host = "{broker.host}", port = {broker.port}, tls = false, reconnect_max_s = 1.0 }}
latency = {{ enabled = false }}
throughput = {{ busy_limit_s = 0 }}
delivery = {{ clock_wait_s = 0 }}
leds = {{ driver = "{leds}" }}
"""


@contextmanager
def daemon(path: Path) -> Iterator[None]:
    log = path.with_suffix(".log")
    with log.open("wb") as told:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("tramdo-probe"), "run", "-c", path],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
        )
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(30) == 0, log.read_text(encoding="utf-8")
