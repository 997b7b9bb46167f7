"""Floor 2. A link emulator in user space: a relay between two TUN devices.

    python -m tests.lab.emulator --near NAMESPACE:DEVICE --far NAMESPACE:DEVICE
        [--upload JSON] [--download JSON] [--truth FILE]

A process of its own, so that the test's interpreter lock does not show in the delays. It makes
both devices (they go when it ends) and answers each line on standard input with a line of JSON:
`{"change": {"upload": {...}}}`, `{"flush": true}`. The end of standard input stops it. It decides
nothing about packets (impairment.py) and knows neither addresses nor tests.
"""

import argparse
import fcntl
import gc
import json
import os
import select
import struct
import sys
import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from typing import TextIO

from tests.lab.impairment import Drop, Fate, Impairment, OneWay
from tests.lab.namespace import TUN_DEVICE, Namespace
from tests.lab.truth import IDENTIFYING_BYTES, Direction, PacketTruth, identify, truth_line

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
_MTU_BYTES = 1500
_STDIN = 0
# The kernel wakes us up to this much late, so the last stretch before a departure is polled away.
_SPIN_NS = 200_000
# Not between packets that follow one another closely: a bulk transfer would keep the processor,
# and the kernel stops a real-time process that takes more than 95 % of it.
_SPARSE_NS = 1_000_000
_READS_IN_A_ROW = 16
# Truth is written when nothing came for this long and nothing is due, so that it delays no packet.
_QUIET_S = 0.001
_LINES_IN_A_ROW = 4


@dataclass(slots=True)
class _Passage:
    """A packet's truth while it is on its way, as little of it as the relay has time for."""

    direction: Direction
    index: int
    arrived_ns: int
    due_ns: tuple[int, ...]
    length_bytes: int
    head: bytes
    dropped: Drop | None
    copies_left: int
    departed_ns: list[int] = field(default_factory=list)

    def truth(self) -> PacketTruth:
        return PacketTruth(
            direction=self.direction,
            index=self.index,
            arrived_ns=self.arrived_ns,
            due_ns=self.due_ns,
            departed_ns=tuple(self.departed_ns),
            dropped=self.dropped,
            length_bytes=self.length_bytes,
            identity=identify(self.head),
        )


class _Way:
    """One direction: where its packets come from and go to, and what happens between."""

    def __init__(self, direction: Direction, source: int, sink: int, one_way: OneWay) -> None:
        self.direction = direction
        self.source = source
        self.sink = sink
        self.one_way = one_way
        self.packets = 0


class Relay:
    """Moves packets between two devices, each at its due time, until standard input ends."""

    def __init__(
        self, near: int, far: int, upload: Impairment, download: Impairment, truth: TextIO | None
    ) -> None:
        self._ways: dict[Direction, _Way] = {
            "upload": _Way("upload", near, far, OneWay(upload)),
            "download": _Way("download", far, near, OneWay(download)),
        }
        self._by_source = {way.source: way for way in self._ways.values()}
        self._truth = truth
        self._under_way: list[tuple[int, int, int, bytes, _Passage | None]] = []
        self._finished: deque[_Passage] = deque()
        self._copies = 0
        self._departed_ns = 0
        self._commands = b""
        self._open = True

    def run(self) -> None:
        """Relay until standard input ends. What is under way then is dropped as `stopped`."""
        sources = [_STDIN, *self._by_source]
        while self._open:
            readable = select.select(sources, (), (), self._wait_s())[0]
            departed = self._depart()
            for source in readable:
                if source == _STDIN:
                    self._obey()
                else:
                    self._receive(self._by_source[source])
            if self._finished and not readable and not departed:
                self._write_truth(_LINES_IN_A_ROW)
        for _, _, _, _, passage in self._under_way:
            if passage is not None:
                self._settle(passage, dropped="stopped")
        self._flush()

    def _wait_s(self) -> float | None:
        idle_s = _QUIET_S if self._finished else None
        if not self._under_way:
            return idle_s
        due_ns = self._under_way[0][0]
        spin_ns = _SPIN_NS if due_ns - self._departed_ns > _SPARSE_NS else 0
        due_s = max(0, due_ns - spin_ns - time.monotonic_ns()) / 1e9
        return due_s if idle_s is None else min(due_s, idle_s)

    def _receive(self, way: _Way) -> None:
        for _ in range(_READS_IN_A_ROW):
            arrived_ns = time.monotonic_ns()
            try:
                packet = os.read(way.source, _MTU_BYTES)
            except BlockingIOError:
                return
            if _is_chatter(packet):
                continue
            fate = way.one_way.accept(arrived_ns, len(packet))
            passage = None if self._truth is None else self._record(way, arrived_ns, fate, packet)
            for due_ns in fate.due_ns:
                self._copies += 1  # among equal times the first come leaves first
                heappush(self._under_way, (due_ns, self._copies, way.sink, packet, passage))

    def _depart(self) -> bool:
        under_way, copies = self._under_way, len(self._under_way)
        while under_way and under_way[0][0] <= (now_ns := time.monotonic_ns()):
            _, _, sink, packet, passage = heappop(under_way)
            try:
                os.write(sink, packet)
            except OSError:
                if passage is not None:
                    self._settle(passage, dropped="interface_down")
            else:
                if passage is not None:
                    self._settle(passage, departed_ns=now_ns)
            self._departed_ns = now_ns
        return len(under_way) < copies

    def _record(self, way: _Way, arrived_ns: int, fate: Fate, packet: bytes) -> _Passage:
        passage = _Passage(
            way.direction,
            way.packets,
            arrived_ns,
            fate.due_ns,
            len(packet),
            packet[:IDENTIFYING_BYTES],
            fate.dropped,
            copies_left=len(fate.due_ns),
        )
        way.packets += 1
        if fate.dropped is not None:
            self._finished.append(passage)
        return passage

    def _settle(
        self, passage: _Passage, *, departed_ns: int | None = None, dropped: Drop | None = None
    ) -> None:
        """One copy of a packet has left or never will."""
        if departed_ns is not None:
            passage.departed_ns.append(departed_ns)
        passage.dropped = passage.dropped or dropped
        passage.copies_left -= 1
        if passage.copies_left == 0:
            self._finished.append(passage)

    def _write_truth(self, lines: int) -> None:
        while self._truth is not None and self._finished and lines > 0:
            self._truth.write(truth_line(self._finished.popleft().truth()) + "\n")
            lines -= 1

    def _flush(self) -> None:
        self._write_truth(len(self._finished))
        if self._truth is not None:
            self._truth.flush()

    def _obey(self) -> None:
        chunk = os.read(_STDIN, 65536)
        self._open = bool(chunk)
        *lines, self._commands = (self._commands + chunk).split(b"\n")
        for line in lines:
            command = json.loads(line)
            for direction, fields in command.get("change", {}).items():
                self._ways[direction].one_way.change(Impairment(**fields))
            if command.get("flush"):
                self._flush()
            _answer(done_ns=time.monotonic_ns())


def _is_chatter(packet: bytes) -> bool:
    """Whether the kernel sent it by itself: IPv6 to a group, or from no address beyond the link.

    It is no part of the experiment; a TUN device needs no neighbour discovery.
    """
    if packet[0] >> 4 == 4:
        return False
    source, destination = packet[8:24], packet[24:40]
    link_local = source[0] == 0xFE and source[1] & 0xC0 == 0x80  # RFC 4291, 2.5.6
    return destination[0] == 0xFF or link_local or not any(source)


def open_tun(namespace: Namespace, name: str) -> int:
    """Make a TUN device in a namespace: a non-blocking descriptor of whole IP packets."""

    def opened() -> int:
        descriptor = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK)
        request = struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
        return descriptor

    return namespace.inside(opened)


def main() -> None:
    """Relay as told by the command line."""
    parser = argparse.ArgumentParser(description="Emulate a link between two namespaces.")
    parser.add_argument("--near", required=True, metavar="NAMESPACE:DEVICE")
    parser.add_argument("--far", required=True, metavar="NAMESPACE:DEVICE")
    parser.add_argument("--upload", type=_impairment, default=Impairment(), metavar="JSON")
    parser.add_argument("--download", type=_impairment, default=Impairment(), metavar="JSON")
    parser.add_argument("--truth", type=Path, metavar="FILE")
    options = parser.parse_args()
    with ExitStack() as stack:
        truth = stack.enter_context(options.truth.open("w")) if options.truth else None
        near, far = (_device(end) for end in (options.near, options.far))
        # Not allowed everywhere, and the delays are then as exact as an ordinary process can be.
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        gc.disable()  # nothing here makes cycles, and a collection would show as a late departure
        relay = Relay(near, far, options.upload, options.download, truth)
        _answer(done_ns=time.monotonic_ns())
        relay.run()


def _impairment(text: str) -> Impairment:
    return Impairment(**json.loads(text))


def _device(end: str) -> int:
    namespace, _, device = end.partition(":")
    return open_tun(Namespace(namespace), device)


def _answer(**fields: int) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
