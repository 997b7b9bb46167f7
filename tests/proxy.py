"""Floor 2. A proxy on loopback for tests: HTTP CONNECT (RFC 9110 §9.3.6) or SOCKS5 (RFC 1928).

    with Proxy("http") as proxy:
        ... proxy.port ...
    assert proxy.asked == ["localhost:8883"]

One connection after the other may come; each is passed on byte for byte.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Literal, Self


class Proxy:
    """Listens while the context lasts; `asked` holds every host and port that it was asked for."""

    def __init__(self, kind: Literal["http", "socks5"]) -> None:
        self._kind = kind
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.asked: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A closed listener does not wake `accept`; a shut one does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        host, port = self._http(client) if self._kind == "http" else self._socks5(client)
        self.asked.append(f"{host}:{port}")
        with client, socket.create_connection((host, port)) as server:
            if self._kind == "http":
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                client.sendall(b"\x05\x00\x00\x01" + bytes(6))
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join(5)

    @staticmethod
    def _http(client: socket.socket) -> tuple[str, int]:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        method, authority, *_ = head.decode().split()
        assert method == "CONNECT"
        host, _, port = authority.rpartition(":")
        return host, int(port)

    @staticmethod
    def _socks5(client: socket.socket) -> tuple[str, int]:
        _, methods = client.recv(2)
        client.recv(methods)
        client.sendall(b"\x05\x00")
        *_, address_type = client.recv(4)
        assert address_type == 3, "the proxy is to look up the name"
        name = client.recv(client.recv(1)[0])
        return name.decode(), int.from_bytes(client.recv(2), "big")


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65_536):
            sink.sendall(received)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
