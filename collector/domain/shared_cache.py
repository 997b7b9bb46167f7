"""Floor 2. Values that many readers want at once, each computed once for all of them.

A value is never older than the request that gets it, unless its version is still the current one:
readers who come while it is computed wait, and share the next computation.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from msgspec import Struct

T = TypeVar("T")


class _Entry(Struct):
    """A cached value; `began_s` is when its computation began (monotonic clock)."""

    lock: threading.Lock
    version: Hashable = None
    began_s: float = float("-inf")
    value: Any = None


class SharedCache:
    """Thread-safe.

    Args:
        most: how many values are cached; the one that was not asked for longest is dropped.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    def get(
        self,
        key: Hashable,
        version: Callable[[], Hashable],
        compute: Callable[[], T],
        max_age_s: float = float("inf"),
    ) -> T:
        """The value of a key.

        Args:
            key: what the value is of.
            version: what the value depends on; a value of another version is not used.
            compute: computes it.
            max_age_s: an older value is not used.
        """
        asked_s = time.monotonic()
        entry = self._entry(key)
        with entry.lock:
            if entry.began_s < asked_s:
                current, now_s = version(), time.monotonic()
                if entry.version != current or now_s - entry.began_s > max_age_s:
                    entry.value = compute()
                    entry.version, entry.began_s = current, now_s
            value: T = entry.value
            return value

    def _entry(self, key: Hashable) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry(threading.Lock()))
            self._entries.move_to_end(key)
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
            return entry
