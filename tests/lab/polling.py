"""Floor 2. Waiting for something to become true, instead of sleeping and hoping."""

import time
from collections.abc import Callable

_INTERVAL_S = 0.01


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 60.0, what: str) -> None:
    """Poll until the condition holds. TimeoutError, naming what was awaited, when it never does."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(_INTERVAL_S)
