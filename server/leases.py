"""Floor 1. Leases of a server's test slots: who may test, on which port, and who met whom.

A slot is an iperf3 port or the HTTP port; each holds one test at a time, and the rates of all
tests together stay within the capacity of the server's card. Requests wait in order of arrival.
What runs without a lease (an older probe, a lost client) is observed, holds its slot too, and
flags what it met. Times are monotonic seconds; reads no clock and no socket.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from msgspec import Struct

from server.rate_limit import source_of
from wire.lease import Granted, LeaseRequest, Queued, Refused, Released

_HOUR_S = 3600.0
# What a test that states no rate counts for: the nation's mean (docs/method.md#plan, B4).
ASSUMED_BPS = 300e6
# A full-length HTTP test of an older probe: two directions of 3 + 10 s, connections and pings.
_WITHOUT_LEASE_S = 35.0
# A connection may outlive its lease for a moment; only what lasts longer counts as another test.
_SETTLED_S = 2.0
# How long an ended test without a lease is remembered for an `OverlapQuery`, and how many.
_REMEMBERED_S, _MOST_REMEMBERED = 300.0, 1000
_MOST_SOURCES = 10_000


class LeaseLimits(Struct, frozen=True, kw_only=True):
    """What a server grants.

    Attributes:
        iperf3_ports, http_port: the slots; None where nginx does not run.
        capacity_bps: the sum of rates that may be granted at a time.
        longest_s: the longest lease, and the longest wait.
        held_per_source: leases of a source (an IPv4 address, an IPv6 /64) at a time.
        waiting_per_source, waiting: requests that may wait, of a source and in all.
        source_s_per_hour: seconds of leases of a source in an hour.
    """

    iperf3_ports: tuple[int, ...] = (5201,)
    http_port: int | None = None
    capacity_bps: float = 800e6
    longest_s: float = 120.0
    held_per_source: int = 2
    waiting_per_source: int = 8
    waiting: int = 512
    source_s_per_hour: float = 900.0


class LeaseCounters(Struct):
    """Counters since the start."""

    requests: int = 0
    granted: int = 0
    refused: int = 0
    not_granted_in_time: int = 0
    expired: int = 0
    # Tests that were seen or admitted without a lease, and requests of those that nginx refused.
    without_lease: int = 0
    http_refused: int = 0
    # Tests, with a lease or without, that shared a port or an overloaded card.
    contended: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{getattr(self, name)} {name}" for name in self.__struct_fields__)


class Holding(Struct, kw_only=True):
    """A test that runs, or has run; `lease_id` is None without a lease."""

    source: str
    port: int
    rate_bps: float
    since_s: float
    until_s: float
    lease_id: int | None = None
    token: str | None = None
    # Where the test's own connections come from; a NAT may give it another address.
    addresses: set[str]
    contended: bool = False


class _Waiting(NamedTuple):
    lease_id: int
    source: str
    address: str
    request: LeaseRequest
    until_s: float


class Seen(NamedTuple):
    """A test's connection as the kernel has it: the server's port and the peer's address."""

    port: int
    address: str


class LeaseTable:
    """Who holds which slot, and who waits.

    Args:
        limits: what may be granted.
        new_token: makes a token that cannot be guessed.

    Attributes:
        counters: since the start.
    """

    def __init__(self, limits: LeaseLimits, new_token: Callable[[], str]) -> None:
        self.counters = LeaseCounters()
        self._limits = limits
        self._new_token = new_token
        self._held: list[Holding] = []
        self._waiting: list[_Waiting] = []
        self._ended: list[Holding] = []
        # By source: the seconds that it has used, as a leaky bucket, and when that was.
        self._used_s: dict[str, tuple[float, float]] = {}

    @property
    def held(self) -> int:
        """How many tests run."""
        return len(self._held)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @property
    def granted_bps(self) -> float:
        """The sum of the rates of all tests that run."""
        return sum(one.rate_bps for one in self._held)

    def request(
        self, lease_id: int, address: str, request: LeaseRequest, now_s: float
    ) -> Queued | Refused:
        """Queue a request of a new connection; `grants` says when it may run."""
        self.counters.requests += 1
        source = source_of(address)
        refusal = self._refusal(source, request, now_s)
        if refusal is not None:
            self.counters.refused += 1
            return Refused(detail=refusal)
        until_s = now_s + min(request.wait_s, self._limits.longest_s)
        self._waiting.append(_Waiting(lease_id, source, address, request, until_s))
        return Queued(ahead=len(self._waiting) - 1)

    def _refusal(self, source: str, request: LeaseRequest, now_s: float) -> str | None:
        if not self._slots(request.kind):
            return f"this server has no slot for {request.kind}"
        if len(self._waiting) >= self._limits.waiting:
            return "too many requests wait"
        of_source = sum(one.source == source for one in self._waiting)
        if of_source >= self._limits.waiting_per_source:
            return "too many requests of this address wait"
        if self._spent_s(source, now_s) >= self._limits.source_s_per_hour:
            return "this address has used up its share of the hour"
        return None

    def grants(self, now_s: float) -> Iterator[tuple[int, Granted]]:
        """The leases that begin now, by id, in order of arrival.

        A request that only lacks capacity is waited for by those behind it: else a fast line would
        wait for as long as slow ones come.
        """
        for one in list(self._waiting):
            port = self._free_port(one.request.kind)
            of_source = sum(held.source == one.source for held in self._held)
            if port is None or of_source >= self._limits.held_per_source:
                continue
            rate_bps = min(max(one.request.rate_bps, 1.0), self._limits.capacity_bps)
            if not self._fits(rate_bps):
                return
            self._waiting.remove(one)
            yield one.lease_id, self._granted(one, port, rate_bps, now_s)

    def _granted(self, one: _Waiting, port: int, rate_bps: float, now_s: float) -> Granted:
        self.counters.granted += 1
        expires_s = min(one.request.longest_s, self._limits.longest_s)
        token = self._new_token()
        self._hold(
            Holding(
                source=one.source,
                port=port,
                rate_bps=rate_bps,
                since_s=now_s,
                until_s=now_s + expires_s,
                lease_id=one.lease_id,
                token=token,
                addresses={one.address},
            ),
            now_s,
        )
        return Granted(token=token, port=port, expires_s=expires_s)

    def overdue(self, now_s: float) -> Iterator[tuple[int, Refused | None]]:
        """Requests that have waited for too long, each refused, and leases that end now, by id."""
        for one in [one for one in self._waiting if one.until_s <= now_s]:
            self._waiting.remove(one)
            self.counters.not_granted_in_time += 1
            yield one.lease_id, Refused(detail="every slot is taken")
        for held in [one for one in self._held if one.until_s <= now_s]:
            self._end(held, now_s)
            if held.lease_id is not None:
                self.counters.expired += 1
                yield held.lease_id, None

    def next_due_s(self) -> float | None:
        """When the next request or lease becomes overdue."""
        waiting = [one.until_s for one in self._waiting]
        return min([*waiting, *(one.until_s for one in self._held)], default=None)

    def release(self, lease_id: int, now_s: float) -> Released | None:
        """End a lease or a wait; None where it had no lease any more."""
        self._waiting = [one for one in self._waiting if one.lease_id != lease_id]
        held = next((one for one in self._held if one.lease_id == lease_id), None)
        if held is None:
            return None
        self._end(held, now_s)
        return Released(contended=held.contended)

    def authorize(self, token: str | None, address: str, now_s: float) -> bool:
        """Whether nginx may serve a transfer: to a lease, or where nobody holds or waits for it."""
        for held in self._held:
            of_lease = held.token is not None and held.token == token
            if held.port == self._limits.http_port and (of_lease or address in held.addresses):
                held.addresses.add(address)
                return True
        waited_for = any(one.request.kind == "http" for one in self._waiting)
        if waited_for or self._free_port("http") is None or not self._fits(ASSUMED_BPS):
            self.counters.http_refused += 1
            return False
        self._admit(Seen(self._limits.http_port or 0, address), now_s)
        return True

    def observe(self, seen: Collection[Seen], now_s: float) -> None:
        """Take note of the test connections that the kernel has now.

        At a leased iperf3 port they are the lease's, whatever their address: iperf3 serves one
        test at a time. At the HTTP port those of another address are another test.
        """
        for held in [one for one in self._held if one.lease_id is None]:
            if not any(self._is_of(held, one) for one in seen) and self._settled(held, now_s):
                self._end(held, now_s)
        for one in seen:
            if not any(self._is_of(held, one) for held in self._held):
                self._admit(one, now_s)
        self._flag(now_s)

    def overlap(self, address: str, seconds: float, now_s: float) -> Released:
        """Whether a test of an address without a lease has met another in the last seconds."""
        mine = [
            one
            for one in (*self._held, *self._ended)
            if one.lease_id is None
            and address in one.addresses
            and (one in self._held or one.until_s >= now_s - seconds)
        ]
        return Released(contended=any(one.contended for one in mine))

    def _is_of(self, held: Holding, seen: Seen) -> bool:
        if held.port != seen.port:
            return False
        return seen.port != self._limits.http_port or seen.address in held.addresses

    def _admit(self, seen: Seen, now_s: float) -> None:
        """Hold a slot for a test without a lease."""
        self.counters.without_lease += 1
        # An iperf3 test is seen until it ends; nginx's requests come one by one.
        of_http = seen.port == self._limits.http_port
        self._hold(
            Holding(
                source=source_of(seen.address),
                port=seen.port,
                rate_bps=min(ASSUMED_BPS, self._limits.capacity_bps),
                since_s=now_s,
                until_s=now_s + (_WITHOUT_LEASE_S if of_http else _HOUR_S),
                addresses={seen.address},
            ),
            now_s,
        )

    def _slots(self, kind: str) -> tuple[int, ...]:
        if kind != "http":
            return self._limits.iperf3_ports
        return () if self._limits.http_port is None else (self._limits.http_port,)

    def _free_port(self, kind: str) -> int | None:
        taken = {one.port for one in self._held}
        return next((port for port in self._slots(kind) if port not in taken), None)

    def _fits(self, rate_bps: float) -> bool:
        return not self._held or self.granted_bps + rate_bps <= self._limits.capacity_bps

    def _hold(self, holding: Holding, now_s: float) -> None:
        self._held.append(holding)
        self._flag(now_s)

    def _flag(self, now_s: float) -> None:
        """Flag all tests where one has no lease, for its rate is not known, or the card is over.

        Two of one port are among them: leases are never granted so.
        """
        running = [one for one in self._held if one.lease_id is not None or _is_settled(one, now_s)]
        over = sum(one.rate_bps for one in running) > self._limits.capacity_bps
        unknown = any(one.lease_id is None for one in running)
        for one in running:
            if len(running) > 1 and (over or unknown) and not one.contended:
                one.contended = True
                self.counters.contended += 1

    def _settled(self, held: Holding, now_s: float) -> bool:
        """Whether a test without a lease has lasted for long enough to be seen by now.

        nginx's comes before its second connection.
        """
        return held.port != self._limits.http_port or _is_settled(held, now_s)

    def _end(self, held: Holding, now_s: float) -> None:
        self._held.remove(held)
        held.until_s = now_s
        if held.lease_id is None:
            self._remember(held, now_s)
        else:
            self._spend(held.source, now_s - held.since_s, now_s)

    def _remember(self, held: Holding, now_s: float) -> None:
        since_s = now_s - _REMEMBERED_S
        recent = [one for one in self._ended if one.until_s >= since_s]
        self._ended = [*recent, held][-_MOST_REMEMBERED:]

    def _spent_s(self, source: str, now_s: float) -> float:
        used_s, at_s = self._used_s.get(source, (0.0, now_s))
        return max(0.0, used_s - (now_s - at_s) * self._limits.source_s_per_hour / _HOUR_S)

    def _spend(self, source: str, seconds: float, now_s: float) -> None:
        self._used_s[source] = self._spent_s(source, now_s) + seconds, now_s
        if len(self._used_s) > _MOST_SOURCES:
            left = {one: self._spent_s(one, now_s) for one in self._used_s}
            most = sorted(left, key=left.__getitem__)[-_MOST_SOURCES // 2 :]
            self._used_s = {one: (left[one], now_s) for one in most}


def _is_settled(held: Holding, now_s: float) -> bool:
    return now_s - held.since_s >= _SETTLED_S


def peers_with(seen: Iterable[Seen], port: int, least: int) -> set[Seen]:
    """Of the connections at a port, each peer once that has at least so many."""
    at_port = [one for one in seen if one.port == port]
    return {one for one in at_port if at_port.count(one) >= least}
