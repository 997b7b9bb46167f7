"""Floor 3. The stage of one seed: broker, probe, centre, a relay before each, a disk for each.

Faults act on it; it knows none of them. Whatever a fault did, `verdict` first puts the world right
(that is what is promised: nothing is lost, not that nothing is late) and then reckons.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path

from runtime.broker import BrokerConfig
from tests import samples
from tests.broker import Broker
from tests.chaos import reckoning, witness
from tests.chaos.disk import Disk
from tests.chaos.fake_clock import FakeClock
from tests.chaos.probe_process import ProbeProcess
from tests.chaos.reckoning import Verdict
from tests.chaos.relay import Relay
from tests.chaos.witness import Witness
from tests.client import eventually
from tests.collector_process import CollectorProcess

_LOOK_EVERY_S = 0.05


class Part(StrEnum):
    """Who can be killed."""

    PROBE = "probe"
    BROKER = "broker"
    COLLECTOR = "collector"


class Stage:
    """Everything that runs; made by `staged`."""

    def __init__(self, directory: Path, broker: Broker, relays: tuple[Relay, Relay]) -> None:
        self.directory = directory
        self.broker = broker
        self.probe_relay, self.collector_relay = relays
        self.probe_disk = Disk(directory / "probe-disk")
        self.collector_disk = Disk(directory / "collector-disk")
        self.probe_clock = FakeClock(directory / "probe.clock")
        self.collector_clock = FakeClock(directory / "collector.clock")
        self.backups: list[Path] = []
        self.captured: list[tuple[str, bytes]] = []
        self.missed = 0
        self.discarded: set[tuple[str, int]] = set()
        self._clones: list[tuple[ProbeProcess, Witness, str]] = []
        self._pausing = threading.Event()

    def open(self) -> None:
        """Start the programs, once the disks are there."""
        self.collector = CollectorProcess(
            self.directory / "collector",
            self._through(self.collector_relay),
            store=self.collector_disk.path / "results.sqlite",
            tables={"receipts": {"min_gap_s": 0.05}},
            environment=self.collector_clock.environment(),
        )
        self.probe = ProbeProcess(
            self.directory,
            self.probe_disk.path,
            self._through(self.probe_relay),
            self.probe_clock.environment(),
        )
        self.witness = Witness(self.probe.outbox_path)
        self.collector.start()
        self.probe.start()

    def close(self) -> None:
        """End every process."""
        self.probe.kill()
        for clone, _, _ in self._clones:
            clone.kill()
        if self.collector.process is not None and self.collector.process.poll() is None:
            self.collector.kill()

    def pause(self, seconds: float) -> None:
        """Let the programs go on for a while: a fault's length, never a wait for something."""
        self._pausing.wait(seconds)

    def wait_for(self, condition: Callable[[], bool], within_s: float) -> None:
        """Wait until it holds, and no longer than that: a fault strikes all the same."""
        deadline_s = time.monotonic() + within_s
        while not condition() and time.monotonic() < deadline_s:
            self._pausing.wait(_LOOK_EVERY_S)

    def kill(self, part: Part) -> None:
        """SIGKILL; of a probe that is dead, the numbers are read."""
        if part is Part.PROBE:
            self.probe.kill()
            self.witness.look()
        elif part is Part.BROKER:
            self.broker.kill()
        else:
            self.collector.kill()

    def start(self, part: Part) -> None:
        """Start a part that was killed."""
        {
            Part.PROBE: self.probe.start,
            Part.BROKER: self.broker.start,
            Part.COLLECTOR: self.collector.start,
        }[part]()

    def numbered_count(self) -> int:
        """How many results the outbox has numbered in its epoch; 0 where it cannot be read."""
        return witness.numbered_count(self.probe.outbox_path)

    def stored_count(self) -> int:
        """How many results the centre's store holds."""
        return witness.stored_count(self.collector.store_path)

    def back_up(self) -> None:
        """Back the centre's store up, as an administrator does from time to time."""
        path = self.directory / f"backup-{len(self.backups)}.sqlite"
        witness.back_up(self.collector.store_path, path)
        self.backups.append(path)

    def restore(self, backup: Path) -> None:
        """Put a backup in the place of the centre's store, which must not be running."""
        for suffix in ("-wal", "-shm"):
            Path(f"{self.collector.store_path}{suffix}").unlink(missing_ok=True)
        shutil.copy(backup, self.collector.store_path)

    def put_card(self, image: Mapping[str, bytes]) -> None:
        """Put an older image in the place of the probe's card, which must not be running.

        What was on the discarded card alone, and not delivered yet, is gone with it.
        """
        before = self.witness.in_the_file()
        self.probe.put_card(image)
        self.discarded |= before - self.witness.in_the_file()

    def clone(self) -> ProbeProcess:
        """A second box with a copy of the probe's card, which must not be running."""
        directory = self.directory / f"clone-{len(self._clones)}"
        (directory / "state").mkdir(parents=True)
        clone = ProbeProcess(
            directory,
            directory / "state",
            self._through(self.probe_relay),
            self.probe_clock.environment(),
            first_life=1_000 * (len(self._clones) + 1),
        )
        clone.put_card(self.probe.card_image())
        self._clones.append((clone, Witness(clone.outbox_path), ""))
        return clone

    def retire(self, clone: ProbeProcess) -> None:
        """Let a clone deliver what it has, and end it in order."""
        place = next(i for i, (one, _, _) in enumerate(self._clones) if one is clone)
        said = clone.end()
        witness = self._clones[place][1]
        witness.look()
        self._clones[place] = clone, witness, said

    def verdict(self) -> Verdict:
        """Let everything that waits arrive, end in order, and compare both ends."""
        said = self.probe.end()
        self.witness.look()
        code = self.collector.stop()
        rows = self._stored()
        witnesses = [self.witness, *(witness for _, witness, _ in self._clones)]
        lives = [self.probe.lives(), *(clone.lives() for clone, _, _ in self._clones)]
        found = reckoning.reckon(
            reckoning.together(witness.numbered() for witness in witnesses),
            rows,
            {number: life for some in lives for number, life in some.items()},
            self.discarded,
        )
        words = [("the probe", said), *(("a clone", word) for _, _, word in self._clones)]
        troubles = [f"at the end {who} said: {word}" for who, word in words if word != "confirmed"]
        troubles += [] if code == 0 else [f"the collector ended with exit code {code}"]
        troubles += [
            f"a traceback in {path.name}"
            for path in (self.probe.log_path, self.directory / "collector" / "collector.log")
            if "Traceback" in path.read_text(encoding="utf-8", errors="replace")
        ]
        return found._replace(findings=(*found.findings, *troubles))

    def keep(self, directory: Path) -> None:
        """Copy what a person needs to find out why."""
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self.directory, directory)

    def _stored(self) -> list[reckoning.Stored]:
        return witness.stored(self.collector.store_path, samples.TENANT, samples.PROBE)

    def _through(self, relay: Relay) -> BrokerConfig:
        return self.broker.config(port=relay.port, keepalive_s=5)


@contextmanager
def staged(directory: Path) -> Iterator[Stage]:
    """A stage with everything running and the first results stored; nothing of it is left."""
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(directory / "broker"))
        relays = stack.enter_context(Relay(broker.port)), stack.enter_context(Relay(broker.port))
        stage = Stage(directory, broker, relays)
        stack.enter_context(stage.probe_disk)
        stack.enter_context(stage.collector_disk)
        stack.callback(stage.close)
        stage.open()
        stage.back_up()
        eventually(stage.stored_count, "the first results are stored")
        yield stage
