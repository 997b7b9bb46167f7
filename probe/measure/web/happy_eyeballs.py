"""Floor 2. Connects to a host over one line as browsers do: Happy Eyeballs (RFC 8305).

The first address that connects wins. Attempts that lost are followed for a short time by a thread
of their own, so that their connect time is known and delays nothing.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator

from msgspec import Struct

from probe import clock
from probe.config import LineConfig
from probe.measure.failure import Failure
from probe.measure.latency.line_socket import LineSocketError, bind_to_line
from probe.measure.line_stream import begin_connect, connect, stream_failure
from probe.measure.lookup import Address
from probe.measure.web.destinations import Destination, in_order
from probe.measure.web.lookups import Lookups
from wire.record import Family, Reason

# RFC 8305 §8 allows 100 ms to 2 s and proposes 250 ms; Chromium has this (decision 90).
ATTEMPT_DELAY_S = 0.3
# How long a lost attempt, or after the page the other family's answer and attempt, may take: no
# longer than until a lost SYN is sent again (RFC 6298: 1 s), so a connect time is one round trip.
FOLLOW_S = 1.0
# Of each family, so that a hostile answer opens no hundreds of connections.
_MOST_OF_A_FAMILY = 8
# Which failure of several is reported: a definite one first.
_INDEFINITE = {Reason.TIMEOUT: 1, Reason.UNREACHABLE: 2}


class Attempt(Struct, kw_only=True):
    """One connection attempt. Times are monotonic seconds; `failure` is None where it connected."""

    peer: Address
    began_s: float
    sock: socket.socket | None = None
    ended_s: float | None = None
    failure: Failure | None = None

    @property
    def family(self) -> Family:
        """Its address family."""
        return Family.of(self.peer.ip)

    @property
    def connect_ms(self) -> float | None:
        """How long it took to connect; None where it did not."""
        if self.ended_s is None or self.failure is not None:
            return None
        return (self.ended_s - self.began_s) * 1000


class Race:
    """The connection attempts to one host.

    Args:
        line: the line to send by.
        lookups: of the host's addresses; closed by `run`.
        port: of the host.
        deadline_s: until when one must have connected (monotonic).
    """

    def __init__(self, line: LineConfig, lookups: Lookups, port: int, deadline_s: float) -> None:
        self._line = line
        self._lookups = lookups
        self._port = port
        self._deadline_s = deadline_s
        self._sources: dict[str, str | None] = {}
        self.attempts: list[Attempt] = []
        self._follower: threading.Thread | None = None

    def run(self) -> Attempt | None:
        """The attempt that connected first; None where none did. Its socket is the caller's."""
        poller = select.poll()
        poller.register(self._lookups, select.POLLIN)
        try:
            winner = self._until_connected(poller)
        finally:
            self._lookups.close()
        lost = list(self._pending())
        if winner is None:
            _close(lost)
        elif lost:
            self._follower = threading.Thread(
                target=self._follow, args=(lost, clock.monotonic_s() + FOLLOW_S), daemon=True
            )
            self._follower.start()
        return winner

    def settle(self) -> None:
        """Wait for the connect times of both families; the page must have ended.

        A family that has addresses and was not tried, because the other one was quick, is
        connected to once.
        """
        if self._follower is not None:
            self._follower.join()
        self._lookups.wait(FOLLOW_S)
        tried = {attempt.family for attempt in self.attempts}
        for family in Family:
            addresses = self._lookups.addresses(family)
            if addresses and family not in tried:
                self._try_once(Address(addresses[0], self._port))

    def connect_ms(self, family: Family) -> float | None:
        """The connect time of a family's first address that connected; None where none did."""
        times = (attempt.connect_ms for attempt in self.attempts if attempt.family is family)
        return next((ms for ms in times if ms is not None), None)

    def failed(self) -> tuple[Address, Failure] | None:
        """The attempt whose failure says most; None where nothing was tried."""
        ended = [
            (one.peer, one.failure or stream_failure(TimeoutError(), self._line, one.peer))
            for one in self.attempts
        ]
        return min(ended, key=lambda one: _INDEFINITE.get(one[1].reason, 0), default=None)

    def _until_connected(self, poller: select.poll) -> Attempt | None:
        while (now_s := clock.monotonic_s()) < self._deadline_s:
            following = self._next()
            start_s = None if following is None else self._start_s()
            if following is not None and start_s is not None and start_s <= now_s:
                self._start(following, poller)
                continue
            if following is None and self._lookups.are_over and not any(self._pending()):
                return None
            until_s = min(self._deadline_s, self._deadline_s if start_s is None else start_s)
            for fileno, _ in poller.poll(-(-(until_s - now_s) * 1000 // 1)):
                if fileno == self._lookups.fileno():
                    self._lookups.drain()
                elif (ended := self._end(fileno, poller)) is not None:
                    return ended
        return None

    def _next(self) -> Destination | None:
        """The address to try next: of the family that was not the last one, if there is one."""
        tried = {attempt.peer.ip for attempt in self.attempts}
        left = [one for one in in_order(self._known()) if one.ip not in tried]
        if not left or not self.attempts:
            return next(iter(left), None)
        last = self.attempts[-1].family
        return next((one for one in left if one.family is not last), left[0])

    def _start_s(self) -> float | None:
        """When the next attempt may begin: at once after a failure (RFC 8305 §5)."""
        if not self.attempts:
            return self._lookups.start_s
        last = self.attempts[-1]
        return last.began_s + ATTEMPT_DELAY_S if last.ended_s is None else last.ended_s

    def _known(self) -> list[Destination]:
        return [
            Destination(ip, self._source(ip))
            for family in Family
            for ip in self._lookups.addresses(family)[:_MOST_OF_A_FAMILY]
        ]

    def _source(self, ip: str) -> str | None:
        if ip not in self._sources:
            self._sources[ip] = _source_of(self._line, Address(ip, self._port))
        return self._sources[ip]

    def _start(self, destination: Destination, poller: select.poll) -> None:
        peer = Address(destination.ip, self._port)
        attempt = Attempt(peer=peer, began_s=clock.monotonic_s())
        self.attempts.append(attempt)
        try:
            attempt.sock = begin_connect(self._line, peer)
        except LineSocketError as error:
            attempt.failure, attempt.ended_s = error.failure, clock.monotonic_s()
        else:
            poller.register(attempt.sock, select.POLLOUT)

    def _end(self, fileno: int, poller: select.poll) -> Attempt | None:
        """Take note of an attempt that ended; it, where it connected."""
        ended_s = clock.monotonic_s()
        attempt = next(
            one for one in self._pending() if one.sock is not None and one.sock.fileno() == fileno
        )
        poller.unregister(fileno)
        assert attempt.sock is not None
        number = attempt.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        attempt.ended_s = ended_s
        if number == 0:
            return attempt
        attempt.failure = stream_failure(_os_error(number), self._line, attempt.peer)
        _close([attempt])
        return None

    def _pending(self) -> Iterator[Attempt]:
        return (attempt for attempt in self.attempts if attempt.ended_s is None)

    def _follow(self, lost: list[Attempt], until_s: float) -> None:
        poller = select.poll()
        for attempt in lost:
            if attempt.sock is not None:
                poller.register(attempt.sock, select.POLLOUT)
        while any(self._pending()) and (left_s := until_s - clock.monotonic_s()) > 0:
            for fileno, _ in poller.poll(-(-left_s * 1000 // 1)):
                self._end(fileno, poller)
        _close(lost)

    def _try_once(self, peer: Address) -> None:
        attempt = Attempt(peer=peer, began_s=clock.monotonic_s())
        self.attempts.append(attempt)
        try:
            with connect(self._line, peer, attempt.began_s + FOLLOW_S):
                attempt.ended_s = clock.monotonic_s()
        except LineSocketError as error:
            attempt.ended_s, attempt.failure = clock.monotonic_s(), error.failure


def _close(attempts: list[Attempt]) -> None:
    for attempt in attempts:
        if attempt.sock is not None:
            attempt.sock.close()


def _source_of(line: LineConfig, peer: Address) -> str | None:
    """The address that the line would send from; None where it has no way there. Sends nothing."""
    try:
        with socket.socket(peer.family, socket.SOCK_DGRAM) as trial:
            bind_to_line(trial, line)
            trial.connect(peer.sockaddr)
            return str(trial.getsockname()[0])
    except OSError:
        return None


def _os_error(number: int) -> OSError:
    # OSError makes the subclass that belongs to the number; a timeout is the kernel's own.
    return OSError(number, os.strerror(number))
