"""Floor 1. How often somebody may try a password: so many failures in a while, by name and address.

A name is held as well as an address: many addresses must not share the guesses at one password.
Time comes as an argument; the counts live as long as the process, which is long enough.
"""

from __future__ import annotations

from collections import OrderedDict, deque

WINDOW_S = 900.0
NAME_MOST = 8
ADDRESS_MOST = 30
# Beyond so many keys the oldest go: a flood of invented names must not fill the memory.
KEYS_MOST = 10_000


class Attempts:
    """Failures of the last quarter of an hour. For one thread at a time."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait_s(self, name: str, address: str, now_s: float) -> float:
        """How long until this pair may try again; 0 when it may now."""
        return max(
            self._wait_s(("name", name), NAME_MOST, now_s),
            self._wait_s(("address", address), ADDRESS_MOST, now_s),
        )

    def failed(self, name: str, address: str, now_s: float) -> None:
        """Count a failure."""
        for key in (("name", name), ("address", address)):
            self._failures.setdefault(key, deque(maxlen=ADDRESS_MOST)).append(now_s)
            self._failures.move_to_end(key)
        while len(self._failures) > KEYS_MOST:
            self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """Forget a name's failures; its address keeps them."""
        self._failures.pop(("name", name), None)

    def _wait_s(self, key: tuple[str, str], most: int, now_s: float) -> float:
        recent = [at_s for at_s in self._failures.get(key, ()) if now_s - at_s < WINDOW_S]
        if len(recent) < most:
            return 0.0
        return recent[-most] + WINDOW_S - now_s
