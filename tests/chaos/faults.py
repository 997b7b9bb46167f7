"""Floor 3. The faults, one function each: strike, last a moment, and leave the world running again.

`deck` says which of them can be had here, and why the others cannot. Each takes the stage and a
number in 0..1 for what varies within it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from deploy.broker.limits import (
    MAX_PACKET_BYTES,
    PROBE_CHANNELS,
    memory_budget,
)
from tests import samples
from tests.broker import SMALL_LIMITS
from tests.chaos import disk, fake_clock
from tests.chaos.probe_process import OUTBOX_BYTES
from tests.chaos.relay import Relay, Seen
from tests.chaos.stage import Part, Stage
from tests.client import Client
from wire import messages, topics
from wire.envelope import MAX_ENVELOPE_BYTES
from wire.messages import Receipt
from wire.result import KINDS

Fault = Callable[[Stage, float], None]

_EDGE_WITHIN_S = 4.0
_NUMBERED_WITHIN_S = 8.0
# Two lines for a day: 1,440 latency windows each, and their tests.
_A_DAY_OF_RESULTS = 2_900
_DAYS = 1_825
_STRANGER = "stranger"

# Probe, collector and neighbour have a session each.
_SMALL_BROKER = (
    f"max_packet_size {MAX_PACKET_BYTES}",
    f"max_queued_messages {SMALL_LIMITS.max_queued_messages}",
    f"max_queued_bytes {SMALL_LIMITS.max_queued_bytes}",
    f"max_inflight_messages {SMALL_LIMITS.max_inflight_messages}",
    f"max_inflight_bytes {SMALL_LIMITS.max_inflight_bytes}",
    f"memory_limit {memory_budget(SMALL_LIMITS, sessions=3).smallest_limit_bytes}",
)
# Every topic that a probe may write.
_NEIGHBOUR_TOPICS = [
    f"{topics.ROOT}/{samples.TENANT}/neighbour/{channel}"
    for channel in (*(f"m/{kind}" for kind in KINDS), *PROBE_CHANNELS)
]


class Edge(NamedTuple):
    """A moment on the path of a result: a packet of a sort on one of the two relays."""

    name: str
    relay: Callable[[Stage], Relay]
    fits: Callable[[Seen], bool]


def _before_probe(stage: Stage) -> Relay:
    return stage.probe_relay


def _before_collector(stage: Stage) -> Relay:
    return stage.collector_relay


EDGES = (
    Edge("as results leave it", _before_probe, lambda p: p.from_client and p.is_publish("/m/")),
    Edge("as the broker answers the probe", _before_probe, lambda p: p.is_puback()),
    Edge("as the receipt comes", _before_probe, lambda p: p.is_publish("/receipt")),
    Edge("as results reach the centre", _before_collector, lambda p: p.is_publish("/m/")),
    Edge(
        "as the centre answers the broker",
        _before_collector,
        lambda p: p.from_client and p.is_puback(),
    ),
    Edge("as the receipt goes out", _before_collector, lambda p: p.is_publish("/receipt")),
)


def kill_at_any_moment(stage: Stage, uniform: float, *, part: Part) -> None:
    """SIGKILL whenever it may be."""
    stage.kill(part)
    stage.pause(uniform / 2)
    stage.start(part)


def kill_at_edge(stage: Stage, uniform: float, *, part: Part, edge: Edge) -> None:
    """SIGKILL while a packet is on its way, which never arrives."""
    trap = edge.relay(stage).trap(edge.fits)
    if not trap.caught.wait(_EDGE_WITHIN_S):
        stage.missed += 1
    stage.kill(part)
    trap.release()
    stage.pause(uniform / 4)
    stage.start(part)


def hang(stage: Stage, uniform: float) -> None:
    """The probe stops where it stands and goes on."""
    stage.probe.hang()
    stage.pause(0.5 + uniform)
    stage.probe.go_on()


def collector_hangs(stage: Stage, uniform: float) -> None:
    """The collector is stopped where it stands and continued (Ctrl-Z, a frozen container)."""
    stage.collector.hang()
    stage.probe.make(100)
    stage.pause(1.5 + uniform)
    stage.collector.go_on()


def card_restored(stage: Stage, uniform: float, *, rolled_back: int, offline: int) -> None:
    """An older image of the probe's card is put back; it measures offline before it connects.

    Args:
        stage: what is struck.
        uniform: when within the run.
        rolled_back: how many results at least the image does not know of.
        offline: how many the probe makes before it connects again.
    """
    stage.kill(Part.PROBE)
    image = stage.probe.card_image()
    stage.start(Part.PROBE)
    wanted = stage.numbered_count() + rolled_back
    stage.probe.make(rolled_back)
    stage.wait_for(lambda: stage.numbered_count() >= wanted, _NUMBERED_WITHIN_S)
    stage.pause(uniform)
    stage.kill(Part.PROBE)
    stage.put_card(image)
    stage.probe_relay.cut()
    stage.start(Part.PROBE)
    wanted = stage.numbered_count() + offline
    stage.probe.make(offline)
    stage.wait_for(lambda: stage.numbered_count() >= wanted, _NUMBERED_WITHIN_S)
    stage.probe_relay.heal()


def card_restored_twice(stage: Stage, uniform: float) -> None:
    """The same image is put back two times."""
    card_restored(stage, uniform, rolled_back=60, offline=90)
    card_restored(stage, uniform, rolled_back=40, offline=20)


def card_cloned(
    stage: Stage, uniform: float, *, rolled_back: int = 0, together_s: float = 0.0
) -> None:
    """A copy of the card runs in a second box under the same name, and both deliver.

    Args:
        stage: what is struck.
        uniform: when within the run.
        rolled_back: how many results the first box makes after the copy was taken, so that the
            second one starts with an older image.
        together_s: for how long at least both run.
    """
    stage.kill(Part.PROBE)
    clone = stage.clone()
    stage.start(Part.PROBE)
    if rolled_back:
        wanted = stage.numbered_count() + rolled_back
        stage.probe.make(rolled_back)
        stage.wait_for(lambda: stage.numbered_count() >= wanted, _NUMBERED_WITHIN_S)
    clone.start()
    until_s = time.monotonic() + together_s
    while True:
        for box in (stage.probe, clone):
            box.make(50)
        stage.pause(3.0 + 3 * uniform)
        if time.monotonic() >= until_s:
            break
    # Each takes the connection from the other; the first is switched off so that the clone can end.
    stage.kill(Part.PROBE)
    stage.retire(clone)
    stage.start(Part.PROBE)


def broker_wiped(stage: Stage, _uniform: float) -> None:
    """The broker's disk is lost: sessions, queues, retained receipts."""
    stage.kill(Part.BROKER)
    for file in stage.broker.directory.glob("*.db*"):
        file.unlink()
    stage.start(Part.BROKER)


def broker_at_its_limit(stage: Stage, uniform: float) -> None:
    """A broker with little memory, which a neighbour fills as far as its rights and limits let it.

    The centre is cut off, so that its queue is full too; then the broker dies and starts again.
    """
    stage.kill(Part.BROKER)
    stage.broker.limit(_SMALL_BROKER)
    stage.start(Part.BROKER)
    stage.collector_relay.cut()
    stage.probe.make(200)
    with Client(stage.broker.config(), _STRANGER) as neighbour:
        for topic in _NEIGHBOUR_TOPICS:
            neighbour.publish(topic, bytes(MAX_ENVELOPE_BYTES), retain=True)
        stage.pause(uniform)
        stage.kill(Part.BROKER)
        stage.start(Part.BROKER)
        stage.collector_relay.heal()
        stage.pause(0.5 + uniform)
        for topic in _NEIGHBOUR_TOPICS:
            neighbour.publish(topic, b"", retain=True)
    stage.kill(Part.BROKER)
    stage.broker.limit([])
    stage.start(Part.BROKER)


def store_restored(stage: Stage, uniform: float) -> None:
    """The centre's store is lost and comes back from a backup, the first one or a later one."""
    stage.kill(Part.COLLECTOR)
    stage.restore(stage.backups[int(uniform * len(stage.backups))])
    stage.start(Part.COLLECTOR)


def store_restored_without_an_epoch(stage: Stage, uniform: float) -> None:
    """The centre's store comes back from before the probe's last two starts.

    Then old receipts come again: what another node of a broker kept from before the loss is
    delivered late, and stays retained.
    """
    stage.back_up()
    with Client(stage.broker.config(), _STRANGER, subscriptions=[_own("receipt")]) as stranger:
        stage.kill(Part.PROBE)
        stage.start(Part.PROBE)
        wanted = stage.stored_count() + 60
        stage.probe.make(60)
        stage.wait_for(lambda: stage.stored_count() >= wanted, _NUMBERED_WITHIN_S)
        stage.kill(Part.PROBE)
        stage.start(Part.PROBE)
        stage.pause(uniform)
        stranger.look()
        stage.kill(Part.COLLECTOR)
        stage.restore(stage.backups[-1])
        stage.start(Part.COLLECTOR)
        stage.pause(uniform)
        for old in [one for one in stranger.received if one.topic == _own("receipt")][-20:]:
            stranger.publish(old.topic, old.payload, retain=True)


def cut_for_a_day(stage: Stage, uniform: float) -> None:
    """The office has no network, and measures a day's results meanwhile."""
    stage.probe_relay.cut()
    stage.probe.make(_A_DAY_OF_RESULTS)
    stage.pause(0.5 + uniform)
    stage.probe_relay.heal()


def line_gone_deaf(stage: Stage, uniform: float) -> None:
    """Nothing passes and nobody is told; then the connection breaks."""
    stage.probe_relay.stall()
    stage.pause(0.5 + uniform)
    stage.probe_relay.sever()
    stage.probe_relay.heal()


def centre_cut_off(stage: Stage, uniform: float) -> None:
    """The collector has no network; the broker keeps for it what it can."""
    stage.collector_relay.cut()
    stage.probe.make(300)
    stage.pause(0.5 + uniform)
    stage.collector_relay.heal()


def centre_slow(stage: Stage, uniform: float) -> None:
    """The collector takes its time over every packet."""
    stage.collector_relay.slow(0.05 + uniform / 10)
    stage.probe.make(500)
    stage.pause(1.0)
    stage.collector_relay.heal()


def probe_disk_full(stage: Stage, uniform: float, *, kill: bool) -> None:
    """The probe's disk is full for a while; it may also die and come back to a full one."""
    stage.probe_disk.fill()
    stage.probe.make(200)
    stage.pause(0.5 + uniform / 2)
    if kill:
        stage.kill(Part.PROBE)
        stage.start(Part.PROBE)
        stage.pause(1.0)
    stage.probe_disk.empty()


def collector_disk_full(stage: Stage, uniform: float, *, kill: bool) -> None:
    """The centre's disk is full for a while; it may also die meanwhile."""
    stage.collector_disk.fill()
    stage.probe.make(200)
    stage.pause(0.5 + uniform / 2)
    if kill:
        stage.kill(Part.COLLECTOR)
    stage.collector_disk.empty()
    if kill:
        stage.start(Part.COLLECTOR)


def probe_clock_stepped(stage: Stage, uniform: float, *, days: int) -> None:
    """The probe's clock jumps by years, under way or while it is off; later it jumps back."""
    stage.probe_clock.step(days)
    if uniform < 0.5:
        stage.kill(Part.PROBE)
        stage.start(Part.PROBE)
    stage.pause(fake_clock.NOTICED_AFTER_S)
    stage.probe_clock.step(0)


def collector_clock_stepped(stage: Stage, uniform: float, *, days: int) -> None:
    """The centre's clock jumps by years; later it jumps back."""
    stage.collector_clock.step(days)
    stage.pause(fake_clock.NOTICED_AFTER_S + uniform)
    stage.collector_clock.step(0)


def outbox_damaged(stage: Stage, uniform: float, *, damage: Callable[[Path, float], None]) -> None:
    """A dying card has written nonsense into the outbox, often while results wait in it."""
    if uniform < 0.6:
        stage.probe_relay.cut()
        wanted = stage.numbered_count() + 300
        stage.probe.make(300)
        stage.wait_for(lambda: stage.numbered_count() >= wanted, _NUMBERED_WITHIN_S)
    # A probe that another fault has just started again makes its file first.
    stage.wait_for(stage.probe.outbox_path.exists, _NUMBERED_WITHIN_S)
    stage.kill(Part.PROBE)
    if stage.probe.outbox_path.exists():
        damage(stage.probe.outbox_path, uniform)
    else:
        stage.missed += 1
    stage.start(Part.PROBE)
    stage.probe_relay.heal()


def outbox_overflows(stage: Stage, _uniform: float) -> None:
    """Cut off until the outbox is too full; the probe is to name what it gives up."""
    stage.probe_relay.cut()
    more = OUTBOX_BYTES // 700
    wanted = stage.numbered_count() + more
    stage.probe.make(more)
    stage.wait_for(lambda: stage.numbered_count() >= wanted, _NUMBERED_WITHIN_S)
    # It looks at its size when it starts, and once a minute.
    stage.kill(Part.PROBE)
    stage.start(Part.PROBE)
    stage.pause(1.5)
    stage.probe_relay.heal()


def garbage(stage: Stage, uniform: float) -> None:
    """Bytes of every kind on the topics of results, of state and of receipts."""
    flipped = bytearray(_envelope())
    flipped[int(uniform * (len(flipped) - 1))] ^= 0x40
    with Client(stage.broker.config(), _STRANGER) as stranger:
        for payload in (b"", b"\xff\xfe", b"{}", b"[" * 50_000, b"null", bytes(flipped)):
            for topic in (_own("m/latency"), _own("state"), _own("health"), _own("receipt")):
                if not (topic.endswith("/latency") and payload == bytes(flipped)):
                    stranger.publish(topic, payload)
            stranger.publish(f"{topics.ROOT}/other/{samples.PROBE}/m/latency", payload)


def oversized(stage: Stage, _uniform: float) -> None:
    """Messages above the limit: nonsense, and a sound envelope that is too long."""
    with Client(stage.broker.config(), _STRANGER) as stranger:
        stranger.publish(_own("m/latency"), b"x" * (2 * MAX_ENVELOPE_BYTES))
        stranger.publish(_own("m/latency"), _envelope() + b" " * MAX_ENVELOPE_BYTES)


def forged(stage: Stage, _uniform: float) -> None:
    """Envelopes in another's name or of another kind, and receipts of another epoch."""
    receipt = Receipt(epoch=samples.OTHER_EPOCH, stored_through=10**9, at=samples.NOON)
    with Client(stage.broker.config(), _STRANGER) as stranger:
        stranger.publish(_own("m/latency"), _envelope(probe="another"))
        stranger.publish(_own("m/latency"), _envelope(tenant="another"))
        stranger.publish(_own("m/throughput"), _envelope())
        stranger.publish(_own("receipt"), messages.encode(receipt), retain=True)


def replayed(stage: Stage, _uniform: float) -> None:
    """Envelopes that were sent before, of older epochs too, again and retained."""
    results = f"{topics.ROOT}/{samples.TENANT}/{samples.PROBE}/m/+"
    with Client(stage.broker.config(), _STRANGER, subscriptions=[results]) as stranger:
        caught = stranger.wait_for(lambda message: not message.retained)
        stage.captured.append((caught.topic, caught.payload))
        for topic, payload in stage.captured:
            for _ in range(3):
                stranger.publish(topic, payload)
            stranger.publish(topic, payload, retain=True)


def _overwrite_header(path: Path, _uniform: float) -> None:
    with path.open("r+b") as file:
        file.write(b"\xa5" * 100)


def _flip_bytes(path: Path, uniform: float) -> None:
    content = bytearray(path.read_bytes())
    step = max(1, len(content) // 16)
    for at in range(int(uniform * step), len(content), step):
        content[at] ^= 0xFF
    path.write_bytes(content)


def _truncate(path: Path, uniform: float) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(int(size * (0.2 + uniform / 2)))


def _damage_log(path: Path, uniform: float) -> None:
    log = path.with_name(f"{path.name}-wal")
    content = bytearray(log.read_bytes()) if log.exists() else bytearray()
    if content:
        content[int(uniform * (len(content) - 1))] ^= 0xFF
        log.write_bytes(content)


DAMAGES: dict[str, Callable[[Path, float], None]] = {
    "header overwritten": _overwrite_header,
    "bytes flipped": _flip_bytes,
    "truncated": _truncate,
    "write-ahead log damaged": _damage_log,
}


def deck(clones_s: float = 0.0) -> tuple[dict[str, Fault], dict[str, str]]:
    """(the faults that can be had here by name, the names of the others with the reason).

    Args:
        clones_s: for how long at least two boxes of one card run side by side.
    """
    faults: dict[str, Fault] = {}
    for part in Part:
        faults[f"kill {part} at any moment"] = partial(kill_at_any_moment, part=part)
        for edge in EDGES:
            name = f"kill {part} {edge.name}"
            faults[name] = partial(kill_at_edge, part=part, edge=edge)
    for name, damage in DAMAGES.items():
        faults[f"outbox damaged: {name}"] = partial(outbox_damaged, damage=damage)
    faults |= {
        "probe hangs": hang,
        "collector stopped and continued": collector_hangs,
        "older image of the card, offline shorter": partial(
            card_restored, rolled_back=120, offline=40
        ),
        "older image of the card, offline as long": partial(
            card_restored, rolled_back=80, offline=80
        ),
        "older image of the card, offline longer": partial(
            card_restored, rolled_back=40, offline=200
        ),
        "older image of the card, twice": card_restored_twice,
        "card cloned": partial(card_cloned, together_s=clones_s),
        "older image of the card in a second box": partial(
            card_cloned, rolled_back=80, together_s=clones_s
        ),
        "broker's disk wiped": broker_wiped,
        "broker at its limit": broker_at_its_limit,
        "centre's store restored from a backup": store_restored,
        "the same, another backup": store_restored,
        "centre's store restored without an epoch": store_restored_without_an_epoch,
        "network cut for a day": cut_for_a_day,
        "network cut for a day, again": cut_for_a_day,
        "line gone deaf": line_gone_deaf,
        "centre cut off": centre_cut_off,
        "centre slow": centre_slow,
        "outbox overflows": outbox_overflows,
        "garbage": garbage,
        "oversized messages": oversized,
        "forged messages": forged,
        "replayed messages": replayed,
    }
    refused: dict[str, str] = {}
    for fault_group, reason in (
        (_disk_faults(), disk.why_not()),
        (_clock_faults(), fake_clock.why_not()),
    ):
        if reason is None:
            faults |= fault_group
        else:
            refused |= dict.fromkeys(fault_group, reason)
    return faults, refused


def _disk_faults() -> dict[str, Fault]:
    return {
        "probe's disk full": partial(probe_disk_full, kill=False),
        "probe's disk full and probe killed": partial(probe_disk_full, kill=True),
        "centre's disk full": partial(collector_disk_full, kill=False),
        "centre's disk full and collector killed": partial(collector_disk_full, kill=True),
    }


def _clock_faults() -> dict[str, Fault]:
    return {
        "probe's clock 5 years ahead": partial(probe_clock_stepped, days=_DAYS),
        "probe's clock 10 years back": partial(probe_clock_stepped, days=-2 * _DAYS),
        "centre's clock 5 years ahead": partial(collector_clock_stepped, days=_DAYS),
        "centre's clock 10 years back": partial(collector_clock_stepped, days=-2 * _DAYS),
    }


def _own(rest: str) -> str:
    return f"{topics.ROOT}/{samples.TENANT}/{samples.PROBE}/{rest}"


def _envelope(tenant: str = samples.TENANT, probe: str = samples.PROBE) -> bytes:
    """A sound envelope of one result, of an epoch that no probe has."""
    return samples.envelope(
        [(1, samples.latency(target="forged"))],
        tenant=tenant,
        probe=probe,
        epoch=samples.OTHER_EPOCH,
    )
