"""Floor 2. Signals to the pages' event loop that another thread has stored something.

It carries no data: each listener queries the store. Signals that come while a listener is busy are
merged into one.
"""

from __future__ import annotations

import asyncio


class ChangeSignal:
    """A signal from any thread to listeners on the event loop that called `open`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next = asyncio.Event()
        self.closed = False

    def open(self) -> None:
        """Bind to the running event loop. Call it once, on that loop."""
        self._loop = asyncio.get_running_loop()

    def notify(self) -> None:
        """Wake every listener. Thread-safe; does nothing while no loop is running."""
        if (loop := self._loop) is not None:
            try:
                loop.call_soon_threadsafe(self._notify)
            except RuntimeError:
                # The loop has ended since the check, and its listeners with it.
                self._loop = None

    def close(self) -> None:
        """Ask every listener to end. Thread-safe."""
        self.closed = True
        self.notify()

    def next(self) -> asyncio.Event:
        """The event of the next signal. Take it before querying the store, then wait for it."""
        return self._next

    def _notify(self) -> None:
        rung, self._next = self._next, asyncio.Event()
        rung.set()
