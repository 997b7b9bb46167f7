"""Floor 1. Exponential back-off with jitter: how long to wait before the next try.

The waits double, so that an overloaded server is asked ever less often, and are random, so that
those who failed together do not try again together (AWS, "Exponential Backoff And Jitter"; ndt7
specification). The caller owns the randomness: every `uniform` is a random number in [0, 1).
"""

from __future__ import annotations

# Beyond so many doublings every wait is at its longest.
_MAX_DOUBLINGS = 32
_SHORTEST_RECONNECT_S = 0.2


def backoff_s(
    failures: int,
    first_s: float,
    longest_s: float,
    uniform: float,
    *,
    jitter: tuple[float, float] = (0.75, 1.25),
) -> float:
    """The wait after failures in a row: `first_s`, doubled for each further one, times a jitter.

    Args:
        failures: 1 or more.
        first_s: the wait after the first failure, before jitter.
        longest_s: no wait is longer.
        uniform: a random number in [0, 1).
        jitter: the least and the greatest factor.
    """
    least, greatest = jitter
    wait_s = _doubled_s(failures, first_s, longest_s) * (least + (greatest - least) * uniform)
    return min(longest_s, wait_s)


def reconnect_delay_s(
    failures: int, longest_s: float, uniform: float, *, spread_s: float = 0.0
) -> float:
    """The wait before connecting again: 2 s, doubling, with full jitter from 0.2 s on.

    paho's own back-off has no jitter, so a fleet that lost its broker returns in one second.

    Args:
        failures: tries that failed in a row, 1 or more.
        longest_s: no wait is longer.
        uniform: a random number in [0, 1).
        spread_s: the least time over which a fleet spreads that lost its broker in one moment;
            10,000 probes over 30 s are 333 TLS handshakes a second.
    """
    ceiling_s = max(min(spread_s, longest_s), _doubled_s(failures, 2.0, longest_s))
    return _SHORTEST_RECONNECT_S + uniform * (ceiling_s - _SHORTEST_RECONNECT_S)


def _doubled_s(failures: int, first_s: float, longest_s: float) -> float:
    return min(longest_s, first_s * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
