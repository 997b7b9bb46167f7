"""Floor 1. What an emulated link does to each packet, decided from a seed.

Pure: takes arrival times and lengths, gives departure times or a reason for the drop. It must not
know how packets come and go (emulator.py) nor who asks.
"""

import random
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

Drop = Literal["loss", "queue", "interface_down", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """One direction of a link.

    Stages, in this order: loss, then the bottleneck (`rate_bps`, with a queue of `queue_ms` that
    drops at its tail), then delay plus a jitter that is uniform in [0, jitter_ms] and never
    reorders, then duplicates (the copy leaves right behind the first). Reordering is holding
    `reorder_ratio` of the packets back by `reorder_hold_ms` more, so that what is sent within
    that time overtakes them (RFC 4737: the late one is the reordered one).

    `rate_bps` counts IP bytes, so TCP with timestamps carries rate * 1448/1500.
    Packet n of a direction always takes the same four draws from `seed`, whatever the ratios.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_ratio: float = 0.0
    duplicate_ratio: float = 0.0
    reorder_ratio: float = 0.0
    reorder_hold_ms: float = 10.0
    rate_bps: int | None = None
    queue_ms: float = 50.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("loss_ratio", "duplicate_ratio", "reorder_ratio"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be within 0 and 1")
        for name in ("delay_ms", "jitter_ms", "reorder_hold_ms", "queue_ms"):
            if getattr(self, name) < 0.0:
                raise ValueError(f"{name} must not be negative")
        if self.rate_bps is not None and self.rate_bps <= 0:
            raise ValueError("rate_bps must be positive, or None for no bottleneck")

    def as_json(self) -> dict[str, float | int | None]:
        """Its fields, for the emulator's command line; `Impairment(**fields)` is the way back."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LineImpairment:
    """Both directions of an emulated line."""

    upload: Impairment = Impairment()
    download: Impairment = Impairment()


class Fate(NamedTuple):
    """When a packet and its copies are due to leave (ns), or why it was dropped."""

    due_ns: tuple[int, ...]
    dropped: Drop | None


_LOST = Fate((), "loss")
_QUEUE_FULL = Fate((), "queue")


class OneWay:
    """One direction under way: its draws so far, its bottleneck's clock, its last departure."""

    def __init__(self, impairment: Impairment) -> None:
        self._bottleneck_free_ns = 0.0
        self._last_due_ns = 0
        self.change(impairment)

    def change(self, impairment: Impairment) -> None:
        """Take another impairment, its draws from the start; what was accepted keeps its fate."""
        self._draw = random.Random(impairment.seed).random
        self._loss_ratio = impairment.loss_ratio
        self._duplicate_ratio = impairment.duplicate_ratio
        self._reorder_ratio = impairment.reorder_ratio
        self._delay_ns = impairment.delay_ms * 1e6
        self._jitter_ns = impairment.jitter_ms * 1e6
        self._hold_ns = impairment.reorder_hold_ms * 1e6
        self._queue_ns = impairment.queue_ms * 1e6
        self._byte_ns = None if impairment.rate_bps is None else 8e9 / impairment.rate_bps

    def accept(self, arrived_ns: int, length_bytes: int) -> Fate:
        """Decide about the next packet. `length_bytes` is the IP packet's."""
        draw = self._draw
        loss, duplicate, reorder, jitter = draw(), draw(), draw(), draw()
        if loss < self._loss_ratio:
            return _LOST
        through_ns: float = arrived_ns
        if self._byte_ns is not None:
            start_ns = max(through_ns, self._bottleneck_free_ns)
            if start_ns - through_ns > self._queue_ns:
                return _QUEUE_FULL
            through_ns = self._bottleneck_free_ns = start_ns + length_bytes * self._byte_ns
        due_ns = round(through_ns + self._delay_ns + jitter * self._jitter_ns)
        if reorder < self._reorder_ratio:
            due_ns += round(self._hold_ns)
        else:
            due_ns = self._last_due_ns = max(due_ns, self._last_due_ns)
        return Fate((due_ns, due_ns) if duplicate < self._duplicate_ratio else (due_ns,), None)
