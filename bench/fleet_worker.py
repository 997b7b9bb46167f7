"""Floor 3. A process with some hundred probes of a fleet, and how its parent speaks to it.

    with Workers(spec, probes=500, processes=2) as workers:
        workers.start()
        ... workers.snapshot()
        workers.counted()

The parent sends the name of a method of `_Worker` with its arguments over a pipe; each is answered.
"""

from __future__ import annotations

import logging
import multiprocessing
import resource
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection as Pipe
from typing import Any, Self

from msgspec import Struct

from bench.fleet_loop import Loop
from bench.fleet_probe import FleetProbe, FleetSpec
from bench.fleet_scene import allow_files
from bench.report import CannotMeasureError
from probe.plan.spread import fraction
from tests.chaos.reckoning import Numbered, together

_FILES_A_PROBE = 6
_ANSWER_S = 900.0


class Snapshot(Struct, frozen=True, kw_only=True):
    """What a fleet is like now; lists are of what came since the snapshot before.

    `confirmed_s`: from handing a result over to its receipt; `waits_s`: from losing a connection,
    or starting, to the next one. `tries` are of connecting.
    """

    started: int = 0
    connected: int = 0
    submitted: int = 0
    undelivered: int = 0
    tries: int = 0
    cpu_s: float = 0.0
    confirmed_s: list[float] = []
    waits_s: list[float] = []

    def with_other(self, other: Snapshot) -> Snapshot:
        """Both together."""
        return Snapshot(
            **{
                name: getattr(self, name) + getattr(other, name)
                for name in Snapshot.__struct_fields__
            }
        )


class Workers:
    """The processes of a fleet.

    Args:
        spec: what its probes are like.
        probes: how many.
        processes: in how many processes.
    """

    def __init__(self, spec: FleetSpec, probes: int, processes: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._spec, self._probes, self._count = spec, probes, processes
        self._pipes: list[Pipe] = []
        self._processes: list[Any] = []

    def __enter__(self) -> Self:
        for number in range(self._count):
            numbers = range(number, self._probes, self._count)
            ours, theirs = self._context.Pipe()
            process = self._context.Process(
                target=_work, args=(theirs, self._spec, numbers), daemon=True
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def start(self, over_s: float = 0.0, below: int | None = None) -> None:
        """Make the probes and start them, spread over some seconds; those below a number alone."""
        self._ask("start", over_s, self._probes if below is None else below)

    def produce(self, *, on: bool) -> None:
        """Whether results come."""
        self._ask("produce", on)

    def cut(self, ratio: float, seconds: float) -> None:
        """A share of the offices loses its lines for so long."""
        self._ask("cut", ratio, seconds)

    def snapshot(self) -> Snapshot:
        """All probes together."""
        whole = Snapshot()
        for one in self._ask("snapshot"):
            whole = whole.with_other(one)
        return whole

    def finish(self) -> Numbered:
        """End every probe; what they have numbered."""
        return together(self._ask("finish"))

    def _ask(self, method: str, *arguments: Any) -> list[Any]:  # noqa: ANN401 - the method's
        for pipe in self._pipes:
            pipe.send((method, arguments))
        answers = []
        for pipe in self._pipes:
            if not pipe.poll(_ANSWER_S):
                raise CannotMeasureError(f"a process of the fleet does not answer {method!r}")
            answers.append(pipe.recv())
        return answers


class _Worker:
    """The probes of this process."""

    def __init__(self, loop: Loop, spec: FleetSpec, numbers: Sequence[int]) -> None:
        self._loop, self._spec, self._numbers = loop, spec, numbers
        self._probes: list[FleetProbe] = []
        self._begun = 0

    def start(self, over_s: float, below: int) -> None:
        """Make those that are not there yet, one after another."""
        numbers = [one for one in self._numbers if self._begun <= one < below]
        self._begun = below
        began_s, total = time.monotonic(), max(1, len(numbers))
        for place, number in enumerate(numbers):
            self._loop.at(began_s + over_s * place / total, partial(self._start_one, number))

    def _start_one(self, number: int) -> None:
        probe = FleetProbe(self._loop, self._spec, number)
        self._probes.append(probe)
        probe.start()

    def produce(self, on: bool) -> None:
        """Whether results come."""
        for probe in self._probes:
            probe.produce(on=on)

    def cut(self, ratio: float, seconds: float) -> None:
        """A share loses its lines."""
        for probe in self._probes:
            if fraction(f"{self._spec.seed} {probe.name} cut") < ratio:
                probe.cut(seconds)

    def snapshot(self) -> Snapshot:
        """What they are like now."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        found = Snapshot(
            started=len(self._probes),
            connected=sum(one.is_connected for one in self._probes),
            submitted=sum(one.submitted + one.filled for one in self._probes),
            undelivered=sum(not one.is_delivered for one in self._probes),
            tries=sum(one.publisher.session.tries for one in self._probes),
            cpu_s=usage.ru_utime + usage.ru_stime,
            confirmed_s=[value for one in self._probes for value in one.confirmed_s],
            waits_s=[value for one in self._probes for value in one.waits_s],
        )
        for one in self._probes:
            one.confirmed_s.clear()
            one.waits_s.clear()
        return found

    def finish(self) -> Numbered:
        """End all of them."""
        last_seq: dict[str, int] = {}
        tokens: dict[tuple[str, int], set[str]] = {}
        for one in self._probes:
            last, found = one.finish()
            last_seq |= last
            tokens |= {identity: {token} for identity, token in found.items()}
        return Numbered(last_seq, tokens)


def _work(pipe: Pipe, spec: FleetSpec, numbers: Sequence[int]) -> None:
    allow_files(_FILES_A_PROBE * len(numbers) + 500)
    # A fleet's lost connections are no news.
    logging.disable(logging.WARNING)
    loop = Loop()
    worker = _Worker(loop, spec, numbers)

    def answer(_mask: int) -> None:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            loop.is_stopped = True
            return
        pipe.send(getattr(worker, method)(*arguments))

    loop.watch(pipe.fileno(), answer)
    loop.run()
