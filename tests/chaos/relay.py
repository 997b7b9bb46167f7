"""Floor 2. A TCP relay before the broker that can be cut, stalled or slowed, and set a trap in.

It reads the MQTT framing (MQTT 5 §2.1) of what passes, only to know where a packet begins, of which
type it is, and a PUBLISH's topic. A trap holds the first packet that fits: at this very moment
somebody may be killed, and the packet never arrives.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Self

_PUBLISH, _PUBACK = 3, 4
_CONNECT_TIMEOUT_S = 2.0


class Seen(NamedTuple):
    """A packet on its way: from the client (a program of ours) or to it."""

    from_client: bool
    kind: int
    topic: str

    def is_publish(self, part: str) -> bool:
        """Whether it carries a message on a topic with that part in it."""
        return self.kind == _PUBLISH and part in self.topic

    def is_puback(self) -> bool:
        """Whether it acknowledges a message."""
        return self.kind == _PUBACK


class Trap:
    """Holds one packet: `caught` is set when it has come, `release` lets its connection end."""

    def __init__(self, fits: Callable[[Seen], bool]) -> None:
        self._fits = fits
        self._lock = threading.Lock()
        self._set = True
        self.caught = threading.Event()
        self._released = threading.Event()

    def holds(self, packet: Seen) -> bool:
        """Whether it was this packet that the trap waited for; blocks until released."""
        with self._lock:
            if not self._set or not self._fits(packet):
                return False
            self._set = False
        self.caught.set()
        self._released.wait()
        return True

    def release(self) -> None:
        """End the trap, whether it caught anything or not."""
        with self._lock:
            self._set = False
        self._released.set()


class Relay:
    """Listens on loopback while the context lasts; every connection goes on to `upstream_port`."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._open = True
        self._closed = threading.Event()
        self._packet_pause_s = 0.0
        self._trap: Trap | None = None
        self._thread = threading.Thread(target=self._serve, name="relay", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        if self._trap is not None:
            self._trap.release()
        self._flowing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.sever()
        self._thread.join(5)

    def cut(self) -> None:
        """End every connection and refuse new ones, until `heal`."""
        self._open = False
        self.sever()

    def stall(self) -> None:
        """Let nothing pass and say nothing, until `heal`: a line that has gone deaf."""
        self._flowing.clear()

    def slow(self, packet_pause_s: float) -> None:
        """Wait before each packet, until `heal`."""
        self._packet_pause_s = packet_pause_s

    def heal(self) -> None:
        """As if nothing had been."""
        self._open = True
        self._packet_pause_s = 0.0
        self._flowing.set()

    def sever(self) -> None:
        """End every connection; new ones may come."""
        with self._lock:
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def trap(self, fits: Callable[[Seen], bool]) -> Trap:
        """Hold the first packet that fits, on any connection, from now on."""
        trap = Trap(fits)
        self._trap = trap
        return trap

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if not self._open:
                    client.close()
                    continue
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            server = socket.create_connection(
                ("127.0.0.1", self._upstream_port), _CONNECT_TIMEOUT_S
            )
            server.settimeout(None)
            with server:
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._sockets |= {client, server}
                back = threading.Thread(target=self._pump, args=(server, client, False))
                back.daemon = True
                back.start()
                self._pump(client, server, True)
                back.join()
                with self._lock:
                    self._sockets -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        with suppress(OSError), source.makefile("rb") as incoming:
            while (packet := _read_packet(incoming.read)) is not None:
                self._flowing.wait()
                if self._packet_pause_s:
                    self._closed.wait(self._packet_pause_s)
                trap = self._trap
                if trap is not None and trap.holds(_look(packet, from_client)):
                    break
                sink.sendall(packet)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _read_packet(read: Callable[[int], bytes]) -> bytes | None:
    """The next packet with its fixed header; None at the end of the stream."""
    head = read(1)
    length, shift = 0, 0
    while head:
        byte = read(1)
        if not byte:
            return None
        head += byte
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if not byte[0] & 0x80:
            body = read(length)
            return head + body if len(body) == length else None
    return None


def _look(packet: bytes, from_client: bool) -> Seen:
    kind = packet[0] >> 4
    if kind != _PUBLISH:
        return Seen(from_client, kind, "")
    start = 1
    while packet[start] & 0x80:
        start += 1
    length = int.from_bytes(packet[start + 1 : start + 3], "big")
    return Seen(from_client, kind, packet[start + 3 : start + 3 + length].decode())
