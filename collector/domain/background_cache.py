"""Floor 2. Values that take seconds, computed in a thread: who asks waits for a moment at most.

A value is used while a newer one is computed (stale while revalidate, RFC 5861).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from collector.store.store import StoreError

T = TypeVar("T")
# Computations under way or waiting; with more, a new one begins when it is asked for again.
RUNNING_MOST = 8
log = logging.getLogger(__name__)


class _Entry(Generic[T]):
    """A value and its computation."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.computed_s = float("-inf")
        self.running = False
        self.value: T | None = None
        self.error: Exception | None = None


class BackgroundCache(Generic[T]):
    """Thread-safe. One value is computed at a time, so that a nation's figures leave room.

    Args:
        most: how many values are cached; the one that was not asked for longest is dropped.
        fresh_s: a value that is older is computed anew.
    """

    def __init__(self, most: int, fresh_s: float) -> None:
        self._most, self._fresh_s = most, fresh_s
        self._lock, self._computing = threading.Lock(), threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._running = 0

    def get(self, key: Hashable, compute: Callable[[], T], wait_s: float) -> T | None:
        """The value of a key; None where it is still computed after `wait_s` seconds.

        Raises:
            collector.store.store.StoreError: the store is away.
            Exception: whatever else computing it raised.
        """
        entry = self._entry(key, compute)
        if not entry.done.wait(wait_s):
            return None
        if entry.error is not None:
            raise entry.error
        return entry.value

    def _entry(self, key: Hashable, compute: Callable[[], T]) -> _Entry[T]:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
            is_old = time.monotonic() - entry.computed_s > self._fresh_s
            if is_old and not entry.running and self._running < RUNNING_MOST:
                entry.running = True
                self._running += 1
                if entry.error is not None:
                    entry.error = None
                    entry.done.clear()
                threading.Thread(
                    target=self._compute, args=(entry, compute), name="hours", daemon=True
                ).start()
            return entry

    def _compute(self, entry: _Entry[T], compute: Callable[[], T]) -> None:
        try:
            with self._computing:
                value = compute()
            entry.value, entry.error = value, None
            entry.computed_s = time.monotonic()
        except Exception as error:
            if isinstance(error, StoreError):
                log.warning("a page's figures are not computed: %s", error)
            else:
                log.exception("a page's figures are not computed")
            if entry.value is None:
                entry.error = error
        finally:
            with self._lock:
                entry.running = False
                self._running -= 1
            entry.done.set()
