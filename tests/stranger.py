"""Floor 2. Somebody else's traffic: datagrams at a rate, from a thread, until the context ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_DISCARD_PORT = 9  # RFC 863


@contextmanager
def sending(
    address: str,
    size_bytes: int,
    every_s: float,
    within: Callable[[Callable[[], socket.socket]], socket.socket] = lambda opened: opened(),
) -> Iterator[None]:
    """Datagrams of a size to an address.

    Args:
        address: where to.
        size_bytes: their payload.
        every_s: how long between two.
        within: opens the socket: a namespace's `inside`, for example.
    """
    stop = threading.Event()

    def send() -> None:
        while not stop.wait(every_s):
            sock.sendto(bytes(size_bytes), (address, _DISCARD_PORT))

    with within(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
