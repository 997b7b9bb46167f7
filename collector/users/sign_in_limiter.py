"""Floor 1. Limits failed sign-ins by name and address together, and by address.

Never by name alone: whoever knows a name could keep its owner out by wrong passwords. Guesses from
many addresses are slowed by the hash (argon2id), and find only passwords that the rules refuse.
Time comes as an argument; the counts live as long as the process.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from ipaddress import IPv6Address, ip_address, ip_network

WINDOW_S = 900.0
# Of one name from one address; of all names from one address.
PAIR_MAX = 8
ADDRESS_MAX = 30
# The oldest keys beyond this number are dropped: a flood of invented names must not fill memory.
KEYS_MAX = 10_000
# What one subscriber has of IPv6 at the least (RFC 6177).
_SUBSCRIBER_BITS = 64


class SignInLimiter:
    """The failures of the last quarter of an hour. Not thread-safe."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait_s(self, name: str, address: str, now_s: float) -> float:
        """Seconds until this name may be tried from this address again; 0 for now."""
        source = _source(address)
        return max(
            self._wait_s((name, source), PAIR_MAX, now_s),
            self._wait_s(("", source), ADDRESS_MAX, now_s),
        )

    def record_failure(self, name: str, address: str, now_s: float) -> None:
        """Count a failed sign-in for the name and the address."""
        source = _source(address)
        for key in ((name, source), ("", source)):
            self._failures.setdefault(key, deque(maxlen=ADDRESS_MAX)).append(now_s)
            self._failures.move_to_end(key)
        while len(self._failures) > KEYS_MAX:
            self._failures.popitem(last=False)

    def record_success(self, name: str, address: str) -> None:
        """Forget the failures of a name from an address; the address itself keeps them."""
        self._failures.pop((name, _source(address)), None)

    def _wait_s(self, key: tuple[str, str], most: int, now_s: float) -> float:
        recent = [at_s for at_s in self._failures.get(key, ()) if now_s - at_s < WINDOW_S]
        if len(recent) < most:
            return 0.0
        return recent[-most] + WINDOW_S - now_s


def _source(address: str) -> str:
    """The address, of IPv6 its /64; any other text as it is."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, _SUBSCRIBER_BITS), strict=False))
    return address
