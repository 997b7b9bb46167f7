"""Floor 2. A TCP proxy before a real broker that refuses the first subscriptions, or swallows them.

It stands in for a node of NATS without a leader, which answers SUBSCRIBE with 0x80 and keeps the
connection, and for one that does not answer; everything else is the broker's. MQTT 3.1.1.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import BinaryIO, Self

_SUBSCRIBE, _SUBACK, _REFUSED = 0x82, 0x90, 0x80


class RefusingProxy:
    """Listens while the context lasts.

    Args:
        broker_port: of the broker behind it, on loopback.
        refusals: how many SUBSCRIBE packets do not reach the broker, over all connections.
        answers: whether these get a SUBACK that refuses each filter.
    """

    def __init__(self, broker_port: int, refusals: int, *, answers: bool = True) -> None:
        self._broker_port = broker_port
        self._left = refusals
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.refused = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # A closed listener does not wake `accept`; a shut one does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._broker_port)) as broker:
            threading.Thread(target=_pump, args=(broker, client), daemon=True).start()
            with suppress(OSError), client.makefile("rb") as stream:
                while first := stream.read(1):
                    length, body = _remaining(stream)
                    if first[0] == _SUBSCRIBE and self._left:
                        self._refuse(client, body)
                    else:
                        broker.sendall(first + length + body)

    def _refuse(self, client: socket.socket, body: bytes) -> None:
        self._left -= 1
        self.refused += 1
        if self._answers:
            codes = bytes([_REFUSED]) * _filters(body)
            client.sendall(bytes([_SUBACK, 2 + len(codes)]) + body[:2] + codes)


def _remaining(stream: BinaryIO) -> tuple[bytes, bytes]:
    """The remaining length as it is written (MQTT 3.1.1, 2.2.3), and so many bytes."""
    written = stream.read(1)
    while written[-1] & 0x80:
        written += stream.read(1)
    length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(written))
    return written, stream.read(length)


def _filters(body: bytes) -> int:
    """How many topic filters a SUBSCRIBE has (MQTT 3.1.1, 3.8.3)."""
    count, at = 0, 2
    while at < len(body):
        at += 2 + int.from_bytes(body[at : at + 2], "big") + 1
        count += 1
    return count


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65_536):
            sink.sendall(received)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
