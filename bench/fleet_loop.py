"""Floor 2. One thread for the sessions and times of some hundred probes (selectors, paho's loop_*).

The product runs two threads a probe; ten thousand of them would be twenty thousand threads. Here
`PolledSession` is the product's own session, driven from outside: what connects (TCP, TLS) blocks
and is done by a few threads, all else by the thread of `Loop.run`.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import queue
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from runtime import connection_failure
from runtime.broker import BrokerConfig
from runtime.mqtt import Connection, Event, Message, MqttSession

_CONNECTORS = 8
_TICK_S = 5.0
_TIMERS_A_TURN = 20
_READ = selectors.EVENT_READ
_BOTH = selectors.EVENT_READ | selectors.EVENT_WRITE


class Loop:
    """Times, sockets, and what blocks. `at`, `watch` and `run` are for one thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._awake, self._waker = socket.socketpair()
        self._awake.setblocking(False)
        self._pool = ThreadPoolExecutor(_CONNECTORS)
        self.is_stopped = False
        self.watch(self._awake.fileno(), lambda _: self._take_done())

    def at(self, when_s: float, call: Callable[[], None]) -> None:
        """Call something at a monotonic time."""
        heapq.heappush(self._timers, (when_s, next(self._order), call))

    def block(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do what blocks in another thread, then call with its value in this one."""

        def done() -> None:
            value = work()
            self._done.put(lambda: then(value))
            self._waker.send(b".")

        self._pool.submit(done)

    def watch(self, fd: int, call: Callable[[int], None], mask: int = _READ) -> None:
        """Call something with the mask whenever a file descriptor is ready."""
        if fd in self._selector.get_map():
            # Of a socket that was closed: the number is used again. Its session's tick notices.
            self._selector.unregister(fd)
        self._selector.register(fd, mask, call)

    def rewatch(self, fd: int, call: Callable[[int], None], mask: int) -> None:
        """Wait for something else."""
        self._selector.modify(fd, mask, call)

    def unwatch(self, fd: int, call: Callable[[int], None]) -> None:
        """No more of this; the file descriptor may be closed already, and used by another one."""
        if fd in self._selector.get_map() and self._selector.get_key(fd).data == call:
            self._selector.unregister(fd)

    def run(self) -> None:
        """Until `is_stopped`."""
        while not self.is_stopped:
            wait_s = self._timers[0][0] - time.monotonic() if self._timers else 1.0
            for key, mask in self._selector.select(max(0.0, min(wait_s, 1.0))):
                key.data(mask)
            # Some of those that are due: where there are more, sockets come in between.
            now_s = time.monotonic()
            for _ in range(_TIMERS_A_TURN):
                if not self._timers or self._timers[0][0] > now_s:
                    break
                heapq.heappop(self._timers)[2]()

    def _take_done(self) -> None:
        try:
            self._awake.recv(4_096)
        except BlockingIOError:
            return
        while True:
            try:
                call = self._done.get_nowait()
            except queue.Empty:
                return
            call()


class PolledSession(MqttSession):
    """A session of a `Loop`.

    Args:
        loop: the loop.
        on_event: called after something has come, from the loop's thread.
        broker, client_id, inbox, options: the session's.
    """

    def __init__(
        self,
        loop: Loop,
        on_event: Callable[[], None],
        broker: BrokerConfig,
        client_id: str,
        inbox: Callable[[Event], None],
        **options: Any,  # noqa: ANN401 - MqttSession's
    ) -> None:
        super().__init__(broker, client_id, inbox, **options)
        self._polling = loop
        self._on_event = on_event
        self._open_one: Connection | None = None
        self._fd = -1
        self._mask = 0
        self._cut_until_s = 0.0
        self.tries = 0

    def start(self) -> None:
        """Begin to connect."""
        self._connect()

    def stop(self, farewell: Message | None = None, timeout_s: float = 5.0) -> None:
        """Publish the farewell and end."""
        self._stopping.set()
        client = self._client
        if client is not None and client.is_connected():
            if farewell is not None:
                self.publish(farewell)
            client.disconnect()
            until_s = time.monotonic() + timeout_s
            while client.want_write() and time.monotonic() < until_s and not client.loop_write():
                continue
        if self._open_one is not None:
            self._end(self._open_one)

    def cut(self, seconds: float) -> None:
        """The line is down: the connection is gone without a word, and none can be made."""
        self._cut_until_s = time.monotonic() + seconds
        if self._open_one is not None:
            self._end(self._open_one)

    def open(self) -> Connection:
        """As a session does; while the line is down there is no route."""
        if time.monotonic() < self._cut_until_s:
            connection = Connection(self._connection, self._endpoints[0])
            no_route = OSError(errno.ENETUNREACH, "Network is unreachable")
            connection.found.append(connection_failure.of_error(no_route))
            return connection
        self.tries += 1
        return super().open()

    def flush(self) -> None:
        """Write what waits, as far as the socket takes it."""
        connection = self._open_one
        if connection is None or connection.client is None:
            return
        client = connection.client
        if (client.want_write() and client.loop_write()) or self._is_closed(client):
            self._end(connection)
        elif (mask := _BOTH if client.want_write() else _READ) != self._mask:
            self._mask = mask
            self._polling.rewatch(self._fd, self._ready, mask)

    def _is_closed(self, client: Any) -> bool:  # noqa: ANN401 - paho's
        """Whether paho has closed the socket, as it does once it has written a DISCONNECT."""
        sock = client.socket()
        return sock is None or sock.fileno() != self._fd

    def _connect(self) -> None:
        if not self._stopping.is_set():
            self._polling.block(self.open, self._opened)

    def _opened(self, connection: Connection) -> None:
        sock = None if connection.client is None else connection.client.socket()
        if sock is None or self._stopping.is_set():
            self._end(connection)
            return
        self._open_one = connection
        self._fd, self._mask = sock.fileno(), _READ
        self._polling.watch(self._fd, self._ready)
        self._tick(connection)
        self.flush()

    def _tick(self, connection: Connection) -> None:
        if self._open_one is not connection or connection.client is None:
            return
        client = connection.client
        if client.loop_misc() or not self.follow(connection) or self._is_closed(client):
            self._end(connection)
            return
        self.flush()
        self._polling.at(time.monotonic() + _TICK_S, lambda: self._tick(connection))

    def _ready(self, mask: int) -> None:
        connection = self._open_one
        if connection is None or connection.client is None:
            return
        client = connection.client
        if mask & _READ:
            while True:
                if client.loop_read() or (sock := client.socket()) is None:
                    self._end(connection)
                    return
                # TLS has decrypted more than one packet: the kernel will not say so again.
                if not getattr(sock, "pending", lambda: 0)():
                    break
        self._on_event()
        self.flush()

    def _end(self, connection: Connection) -> None:
        if self._open_one is connection:
            self._open_one = None
            self._polling.unwatch(self._fd, self._ready)
        sock = None if connection.client is None else connection.client.socket()
        if sock is not None:
            sock.close()
        delay_s = self.close(connection)
        self._polling.at(time.monotonic() + delay_s, self._connect)
        self._on_event()
