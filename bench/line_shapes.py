"""Floor 2. Lines that are hard to measure in different ways, for benchmarks: built in the lab.

Each is one ISP line with an emulated link behind it, so that rates, delay and loss are known. A
shape may change its rate while it is used; the changes come from a seed. It must not know what is
measured.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from tests.lab.congestion import use_congestion_control
from tests.lab.impairment import Impairment, LineImpairment
from tests.lab.network import LineShape, OfficeNetwork

LINE = "vnpt"
# Uploads are sold slower than downloads.
_UPLOAD_RATIO = 0.5
# How long a policer may queue: next to nothing, it drops (tbf's shortest that keeps its rate).
_POLICER_QUEUE_MS = 3

# Yields (wait so long, then the rate is so much of the line's), until it ends.
Changes = Callable[[random.Random], Iterator[tuple[float, float]]]


class Policer(NamedTuple):
    """Lets bursts through at the line's rate, then holds to its own."""

    rate_bps: int
    burst_bytes: int


class Shape(NamedTuple):
    """One line. `rate_bps` is the download's, in bit/s of IP packets; `delay_ms` is one way."""

    name: str
    family: str
    rate_bps: int
    delay_ms: float
    loss_ratio: float = 0.0
    jitter_ms: float = 0.0
    queue_ms: float = 50.0
    policer: Policer | None = None
    changes: Changes | None = None
    congestion_control: str = "cubic"

    def impairment(self, seed: int) -> LineImpairment:
        """The emulated link, with losses of this seed."""
        download = Impairment(
            delay_ms=self.delay_ms,
            jitter_ms=self.jitter_ms,
            loss_ratio=self.loss_ratio,
            rate_bps=self.rate_bps,
            queue_ms=self.queue_ms,
            seed=seed,
        )
        upload = replace(download, rate_bps=round(self.rate_bps * _UPLOAD_RATIO), seed=seed + 1)
        return LineImpairment(upload=upload, download=download)


def bursty(least: float, mean_s: float) -> Changes:
    """Bursts of cross traffic: the share of the rate that they leave is drawn anew each time."""

    def changes(draw: random.Random) -> Iterator[tuple[float, float]]:
        while True:
            yield draw.uniform(0.5, 1.5) * mean_s, draw.uniform(least, 1.0)

    return changes


def step(after_s: float, ratio: float) -> Changes:
    """One change, for good."""
    return lambda _: iter([(after_s, ratio)])


@contextmanager
def built(shape: Shape, seed: int) -> Iterator[OfficeNetwork]:
    """The lab with that line, up while the context lasts."""
    line_shape = LineShape(LINE, impairment=shape.impairment(seed))
    with OfficeNetwork([line_shape]) as network:
        use_congestion_control(network, LINE, shape.congestion_control)
        if shape.policer is not None:
            rate_bps, burst_bytes = shape.policer
            for device, ratio in (("lan", 1.0), ("wan", _UPLOAD_RATIO)):
                network.line(LINE).isp.tc(
                    f"qdisc replace dev {device} root tbf rate {round(rate_bps * ratio)}bit "
                    f"burst {round(burst_bytes * ratio)} latency {_POLICER_QUEUE_MS}ms"
                )
        yield network


class Changing:
    """Changes a line's rate as its shape says, from `start` until `stop`, which restores it."""

    def __init__(self, shape: Shape, network: OfficeNetwork, seed: int) -> None:
        link = network.line(LINE).link
        assert link is not None
        self._link = link
        self._whole = shape.impairment(seed)
        self._changes = shape.changes
        self._seed = seed
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with the first change; a shape without changes stays as it is."""
        self.stop()
        if self._changes is not None:
            self._stopped.clear()
            self._thread = threading.Thread(target=self._run, args=(self._changes,))
            self._thread.start()

    def stop(self) -> None:
        """End, the line whole again. Safe to repeat."""
        if self._thread is not None:
            self._stopped.set()
            self._thread.join()
            self._thread = None
            self._apply(1.0)

    def _run(self, changes: Changes) -> None:
        for wait_s, ratio in changes(random.Random(self._seed)):
            if self._stopped.wait(wait_s):
                return
            self._apply(ratio)

    def _apply(self, ratio: float) -> None:
        upload, download = self._whole.upload, self._whole.download
        assert upload.rate_bps is not None
        assert download.rate_bps is not None
        self._link.change(
            upload=replace(upload, rate_bps=round(upload.rate_bps * ratio)),
            download=replace(download, rate_bps=round(download.rate_bps * ratio)),
        )
