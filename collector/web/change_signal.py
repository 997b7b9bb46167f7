"""Floor 2. A bell between the ingest thread and the event loop of the pages.

It says only that something was stored; what it was, each listener asks the Store. A bell that rings
ten times while a listener is busy has rung once.
"""

from __future__ import annotations

import asyncio


class ChangeSignal:
    """Rung from any thread; waited for on the loop that `open` was called on."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next = asyncio.Event()
        self.closed = False

    def open(self) -> None:
        """Take the running loop; to be called on it, once."""
        self._loop = asyncio.get_running_loop()

    def notify(self) -> None:
        """Wake every listener. From any thread; silent when no loop runs."""
        if (loop := self._loop) is not None:
            try:
                loop.call_soon_threadsafe(self._notify)
            except RuntimeError:
                # The loop has ended between the look and the call, and its listeners with it.
                self._loop = None

    def close(self) -> None:
        """Tell every listener to end. From any thread."""
        self.closed = True
        self.notify()

    def next(self) -> asyncio.Event:
        """What will be set at the next ring. Take it before asking the Store, then wait for it."""
        return self._next

    def _notify(self) -> None:
        rung, self._next = self._next, asyncio.Event()
        rung.set()
