"""Floor 2. A lease of a measurement server's test slot, over the line that is to be measured.

One TCP connection is one lease (`wire.lease`): it waits for the grant, is silent during the test,
and learns at its end whether the test shared the server. A server without a lease service, or one
whose service does not answer, is measured without.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from probe import clock
from probe.measure.failure import Failure
from probe.measure.families import peers_of
from probe.measure.latency.line_socket import LineSocketError
from probe.measure.line_stream import connect, left_s
from probe.measure.lookup import Address
from probe.measure.measurement import MeasurementRequest
from wire import lease
from wire.lease import Answer, Granted, LeaseRequest, Message, Queued, Refused, Released

# For the name, the connection and the first answer; a service that is there needs a round trip.
_ANSWER_S = 5.0
# How often a wait looks whether the probe is to stop.
_LOOK_S = 0.5
# A grant may come this much later than the wait that was asked for.
_LATE_S = 5.0


class NoLease(NamedTuple):
    """The service could not be reached; `why` is for the result."""

    why: str


class Stopped(NamedTuple):
    """The probe is to stop."""


class Lease:
    """A granted lease. Close it when the test has ended, however it did.

    Attributes:
        granted: its port, token and length.
        waited_s: how long the grant was waited for.
    """

    def __init__(self, connection: _Connection, granted: Granted, waited_s: float) -> None:
        self.granted = granted
        self.waited_s = waited_s
        self._connection = connection

    def release(self) -> bool | None:
        """Give it back; whether the test shared the server, None where the server did not say."""
        try:
            answer = self._connection.ask(lease.Release())
        except (OSError, ValueError):
            return None
        return answer.contended if isinstance(answer, Released) else None

    def close(self) -> None:
        """End the connection, and with it the lease."""
        self._connection.close()


class _Connection:
    """A connection to a lease service, which carries lines of JSON."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._received = b""

    def ask(self, message: Message) -> Answer:
        """Send a message, and wait for the answer. Raises OSError or ValueError."""
        self.send(message)
        return self.answer(clock.monotonic_s() + _ANSWER_S)

    def send(self, message: Message) -> None:
        """Send a message. Raises OSError."""
        self._sock.settimeout(_ANSWER_S)
        self._sock.sendall(lease.line_of(message))

    def answer(self, deadline_s: float) -> Answer:
        """The next answer.

        Raises:
            TimeoutError: none by the deadline (monotonic).
            OSError: the connection has ended.
            ValueError: what came is no answer.
        """
        while b"\n" not in self._received:
            if len(self._received) > lease.MOST_BYTES or clock.monotonic_s() >= deadline_s:
                raise TimeoutError
            self._sock.settimeout(left_s(deadline_s))
            piece = self._sock.recv(lease.MOST_BYTES)
            if not piece:
                raise ConnectionResetError
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        try:
            return lease.answer_in(line)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error

    def close(self) -> None:
        """Close it."""
        self._sock.close()


def acquire(
    request: MeasurementRequest, port: int, wanted: LeaseRequest
) -> Lease | Refused | NoLease | Stopped:
    """Wait for a lease of a request's server.

    Args:
        request: line, server and stop.
        port: of the server's lease service.
        wanted: the test, and for how long it may wait.
    """
    began_s = clock.monotonic_s()
    connection = _connected(request, port)
    if isinstance(connection, NoLease):
        return connection
    kept = False
    try:
        answer: Answer | Stopped = connection.ask(wanted)
        if isinstance(answer, Queued):
            answer = _awaited(connection, request, wanted.wait_s)
        if isinstance(answer, Granted):
            kept = True
            return Lease(connection, answer, clock.monotonic_s() - began_s)
        return answer if isinstance(answer, Refused | Stopped) else NoLease("an answer out of turn")
    except (OSError, ValueError) as error:
        return NoLease(_sentence(error))
    finally:
        if not kept:
            connection.close()


def overlapped(request: MeasurementRequest, port: int, seconds: float) -> bool | None:
    """Whether a test that was made without a lease has met another; None where nobody says."""
    connection = _connected(request, port)
    if isinstance(connection, NoLease):
        return None
    with suppress(OSError, ValueError):
        answer = connection.ask(lease.OverlapQuery(seconds=min(seconds, 3600.0)))
        return answer.contended if isinstance(answer, Released) else None
    return None


def _awaited(
    connection: _Connection, request: MeasurementRequest, wait_s: float
) -> Answer | Stopped:
    deadline_s = clock.monotonic_s() + wait_s + _LATE_S
    while True:
        if request.stop.is_set():
            return Stopped()
        try:
            return connection.answer(min(deadline_s, clock.monotonic_s() + _LOOK_S))
        except TimeoutError:
            if clock.monotonic_s() >= deadline_s:
                raise


def _connected(request: MeasurementRequest, port: int) -> _Connection | NoLease:
    peers = peers_of(request, port, _ANSWER_S)
    if isinstance(peers, Failure):
        return NoLease(peers.sentence)
    return _first_connected(request, peers)


def _first_connected(
    request: MeasurementRequest, peers: Sequence[Address]
) -> _Connection | NoLease:
    why = "no address"
    for peer in peers:
        try:
            return _Connection(connect(request.line, peer, clock.monotonic_s() + _ANSWER_S))
        except LineSocketError as error:
            why = error.failure.sentence
    return NoLease(why)


def _sentence(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "The lease service does not answer in time."
    return f"The lease service broke off: {type(error).__name__}."
