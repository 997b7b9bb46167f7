"""Floor 2. Asks for a host's addresses of each family at the same time (RFC 8305 §3)."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from probe import clock
from probe.measure.failure import Failure
from probe.measure.web.resolver import LineResolver, ResolvedName
from wire.record import Family, Reason

# RFC 8305 §8: how long addresses of IPv4 wait for the answer about IPv6.
RESOLUTION_DELAY_S = 0.05


class _Answer(NamedTuple):
    resolved: ResolvedName
    at_s: float


class Lookups:
    """The look-ups of one host. Its file is readable when an answer has come.

    Args:
        host: a name, or an address, which is known at once.
        names: resolves names over the line.
        families: which to ask for; IPv6 is begun first.
    """

    def __init__(self, host: str, names: LineResolver, families: Sequence[Family]) -> None:
        self._host = host
        self._names = names
        self._answers: dict[Family, _Answer] = {}
        self._woken, self._waker = socket.socketpair()
        # A number that is closed in mid-send might be another socket's by then.
        self._lock = threading.Lock()
        self._over = threading.Event()
        if (family := _family_of(host)) is not None:
            self._over.set()
            self._asked: tuple[Family, ...] = (family,)
            self._answers[family] = _Answer(ResolvedName((host,), None, None), clock.monotonic_s())
            return
        self._asked = tuple(sorted(families, reverse=True))
        for asked in self._asked:
            # A look-up may take seconds more than the page: nobody waits for the thread.
            threading.Thread(
                target=self._ask, args=(asked,), name=f"lookup-{host[:40]}", daemon=True
            ).start()

    def fileno(self) -> int:
        """For poll(2)."""
        return self._woken.fileno()

    def drain(self) -> None:
        """Make the file unreadable until the next answer."""
        self._woken.recv(len(Family))

    def close(self) -> None:
        """Close the file; answers that still come are taken all the same."""
        with self._lock:
            self._woken.close()
            self._waker.close()

    def wait(self, timeout_s: float) -> None:
        """Wait until every answer has come, or for so long."""
        self._over.wait(timeout_s)

    @property
    def are_over(self) -> bool:
        """Whether every answer has come."""
        return len(self._answers) == len(self._asked)

    @property
    def start_s(self) -> float | None:
        """From when on connections may be tried (monotonic); None: no address is known."""
        found = [answer for answer in self._answers.values() if answer.resolved.addresses]
        if not found:
            return None
        first_s = min(answer.at_s for answer in found)
        if self.are_over or self.addresses(Family.IPV6):
            return first_s
        return first_s + RESOLUTION_DELAY_S

    def addresses(self, family: Family) -> tuple[str, ...]:
        """Those of a family that are known."""
        answer = self._answers.get(family)
        return () if answer is None else answer.resolved.addresses

    def resolver(self, family: Family) -> str | None:
        """The resolver that answered for a family."""
        answer = self._answers.get(family)
        return None if answer is None else answer.resolved.resolver

    def failed(self) -> ResolvedName:
        """Why no address is known: of two answers the one that says more."""
        resolved = [answer.resolved for answer in self._answers.values() if answer.resolved.failure]
        resolved.sort(key=lambda one: one.failure is not None and _is_no_address(one.failure))
        silence = Failure(Reason.TIMEOUT, f"No resolver answers for {self._host} in time.")
        return resolved[0] if resolved else ResolvedName((), None, silence)

    def _ask(self, family: Family) -> None:
        resolved = self._names.resolve(self._host, family)
        self._answers[family] = _Answer(resolved, clock.monotonic_s())
        if self.are_over:
            self._over.set()
        with self._lock, suppress(OSError):
            self._waker.send(b"\0")


def _is_no_address(failure: Failure) -> bool:
    return failure.reason is Reason.NAME_RESOLUTION


def _family_of(host: str) -> Family | None:
    """The family of an address; None of a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return Family.of(host)
