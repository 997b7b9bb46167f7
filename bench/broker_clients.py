"""Floor 2. Thousands of MQTT connections in a few processes, for what a broker costs by connection.

Each is TLS with a certificate of its own, a clean session and two subscriptions, as a probe's is,
and says nothing more. It connects again when the broker is gone. It is no probe of ours: the less
it costs, the more of a shared machine is left to the broker.
"""

from __future__ import annotations

import multiprocessing
import queue
import random
import resource
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple, Self

from tests.secured_broker import HOST

# Handshakes at once in a process: the broker, not this, shall be what one waits for.
_THREADS = 4
_TIMEOUT_S = 30.0
_AGAIN_S = 0.5
# Longer than a run, so that nobody pings.
_KEEPALIVE_S = 1_200
_CONNECT, _CONNACK, _SUBSCRIBE, _SUBACK = 0x10, 0x20, 0x82, 0x90


class ClientSpec(NamedTuple):
    """What all connections have in common. `ports` are taken in turns."""

    ports: Sequence[int]
    ca_file: Path
    certificates: Path
    tenant: str


class Clients:
    """Connections that come back, in processes of their own.

    Args:
        spec: where to, and as whom.
        names: the clients, each with `NAME.pem` and `NAME.key` among the certificates.
        processes: over so many.
    """

    def __init__(self, spec: ClientSpec, names: Sequence[str], processes: int = 2) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Pipe] = []
        self._processes: list[BaseProcess] = []
        for number in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work, args=(theirs, spec, list(names[number::processes])), daemon=True
            )
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def connected(self) -> int:
        """How many are connected and subscribed now."""
        for pipe in self._pipes:
            pipe.send(None)
        return sum(int(pipe.recv()) for pipe in self._pipes)


class _Connections:
    """The connections of one process."""

    def __init__(self, spec: ClientSpec, names: Sequence[str]) -> None:
        self._spec = spec
        self._waiting: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        self._poll = select.epoll()
        self._lock = threading.Lock()
        self._open: dict[int, tuple[str, ssl.SSLSocket]] = {}
        for name in names:
            self._waiting.put((0.0, name))
        for _ in range(_THREADS):
            threading.Thread(target=self._connect, daemon=True).start()

    def __len__(self) -> int:
        return len(self._open)

    def watch(self) -> None:
        """Take note of connections that have ended, once."""
        for descriptor, _ in self._poll.poll(0.2):
            name, connection = self._open[descriptor]
            with suppress(ssl.SSLWantReadError, OSError):
                if connection.recv(4_096):
                    continue
            if _is_open(connection):
                continue
            self._poll.unregister(descriptor)
            with self._lock:
                del self._open[descriptor]
            connection.close()
            self._wait(name)

    def _wait(self, name: str) -> None:
        self._waiting.put((time.monotonic() + _AGAIN_S * (1 + random.random()), name))

    def _connect(self) -> None:
        while True:
            due_s, name = self._waiting.get()
            time.sleep(max(0.0, due_s - time.monotonic()))
            try:
                connection = _subscribed(self._spec, name)
            except OSError:
                self._wait(name)
                continue
            with self._lock:
                self._open[connection.fileno()] = (name, connection)
            self._poll.register(connection.fileno(), select.EPOLLIN)


def _is_open(connection: ssl.SSLSocket) -> bool:
    """Whether the other end has not closed it: bytes of TLS alone are no end."""
    try:
        return bool(connection.recv(1))
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False


def _subscribed(spec: ClientSpec, name: str) -> ssl.SSLSocket:
    """A connection with CONNACK and SUBACK. Raises OSError."""
    context = ssl.create_default_context(cafile=str(spec.ca_file))
    context.load_cert_chain(spec.certificates / f"{name}.pem", spec.certificates / f"{name}.key")
    port = spec.ports[hash(name) % len(spec.ports)]
    plain = socket.create_connection((HOST, port), _TIMEOUT_S)
    try:
        connection = context.wrap_socket(plain, server_hostname=HOST)
    except BaseException:
        plain.close()
        raise
    try:
        connection.sendall(_packet(_CONNECT, b"\x00\x04MQTT\x04\x02", _KEEPALIVE_S, name))
        _expect(connection, _CONNACK, 2)
        own = f"tramdo/v1/{spec.tenant}/{name}"
        topics = b"".join(_text(f"{own}/{one}") + b"\x01" for one in ("receipt", "cmd/+"))
        body = b"\x00\x01" + topics
        connection.sendall(bytes([_SUBSCRIBE]) + _length(len(body)) + body)
        _expect(connection, _SUBACK, 4)
    except BaseException:
        connection.close()
        raise
    connection.setblocking(False)
    return connection


def _packet(kind: int, head: bytes, keepalive_s: int, name: str) -> bytes:
    body = head + struct.pack(">H", keepalive_s) + _text(name)
    return bytes([kind]) + _length(len(body)) + body


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def _length(size: int) -> bytes:
    """The remaining length of a packet below 16 KiB (MQTT 3.1.1 §2.2.3)."""
    return bytes([size]) if size < 128 else bytes([size % 128 | 128, size // 128])


def _expect(connection: ssl.SSLSocket, kind: int, size: int) -> None:
    """Read a packet of this kind that grants what was asked for. Raises OSError."""
    packet = b""
    while len(packet) < 2 + size:
        got = connection.recv(2 + size - len(packet))
        if not got:
            raise ConnectionError("the broker closed the connection")
        packet += got
    if packet[0] != kind or 0x80 in packet[3:]:
        raise ConnectionError(f"the broker refused: {packet.hex()}")


def _work(pipe: Pipe, spec: ClientSpec, names: Sequence[str]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = _Connections(spec, names)
    while True:
        connections.watch()
        while pipe.poll():
            pipe.recv()
            pipe.send(len(connections))
