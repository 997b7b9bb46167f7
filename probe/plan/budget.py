"""Floor 1. The data budget: how many bulk tests of each kind a line gets in a month.

At most `samples_per_month`, as many as the byte budget allows, and never less than the weekly
minimum (docs/method.md#plan, B2, B3). Shortfalls are described for `plan` and `check`.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from datetime import date

from msgspec import Struct

from probe.config import (
    Config,
    HttpConfig,
    LatencyConfig,
    LineConfig,
    ServerConfig,
    ThroughputConfig,
)
from probe.plan import spread
from probe.plan.hours import longest_idle_check_s
from probe.plan.light import light_bytes
from probe.plan.usage import STAMP_WIRE_BYTES, Usage, month_of
from runtime.language import Phrase, number
from wire.figures import MEGABIT
from wire.messages import PlannedKind
from wire.result import HttpResult, ThroughputResult, kind_of

THROUGHPUT, HTTP = kind_of(ThroughputResult), kind_of(HttpResult)

# Assumed for a line without a configured plan until a month was measured: about the nation's mean
# in September 2025 (docs/method.md#plan, B4), and above it rather than below.
ASSUMED_BPS = 300.0 * MEGABIT
# A transfer's results may arrive this much later than its bytes.
_EXCHANGE_S = 5.0


class BulkKind(Struct, frozen=True):
    """A bulk kind: its share of the samples, its servers, the duration of a test.

    `transfer_s` is a direction's full length, without early stop. `longest_s` is how long a
    test holds the host with its idle check and its wait for a lease, without other waits for a
    busy server.
    """

    kind: str
    share: float
    servers: list[ServerConfig]
    transfer_s: float
    longest_s: float


class MonthBudget(Struct, frozen=True, kw_only=True):
    """The budget of a line's month. `floor_tests` of the `tests` run whatever the budget is.

    `light_bytes` of the budget are for the light kinds (`probe.plan.light`).
    """

    line_id: str
    days: int
    counts: dict[str, int]
    test_bytes: dict[str, float]
    budget_bytes: int
    light_bytes: float
    wanted_tests: int
    floor_tests: int
    used_bytes: int
    assumed: bool

    @property
    def tests(self) -> int:
        """The number of tests of all kinds."""
        return sum(self.counts.values())

    @property
    def expected_bytes(self) -> float:
        """The expected bytes of all tests, both directions."""
        return _cost_bytes(self.counts, self.test_bytes)

    @property
    def bulk_bytes(self) -> float:
        """The budget's bytes for bulk tests."""
        return max(0.0, self.budget_bytes - self.light_bytes)

    @property
    def is_exhausted(self) -> bool:
        """Whether the budget is used up: only the weekly minimum runs until the month ends."""
        return self.used_bytes > 0 and self.used_bytes >= self.bulk_bytes


def bulk_kinds(config: Config) -> list[BulkKind]:
    """The planned bulk kinds: those with a share and a server that offers them."""
    plan = config.plan
    beside_s = longest_idle_check_s(plan) + _stragglers_s(config.latency) + lease_wait_s(config)
    kinds = [
        BulkKind(
            THROUGHPUT,
            plan.throughput_share,
            config.servers,
            config.throughput.warm_up_s + config.throughput.duration_s,
            _throughput_s(config.throughput) + beside_s,
        ),
        BulkKind(
            HTTP,
            plan.http_share,
            [server for server in config.servers if server.http_port is not None],
            config.http.warm_up_s + config.http.duration_s,
            _http_s(config.http) + beside_s,
        ),
    ]
    return [one for one in kinds if one.share > 0 and one.servers]


def lease_wait_s(config: Config) -> float:
    """The longest wait for a lease; 0 where no server grants any."""
    grants = any(server.lease_port is not None for server in config.servers)
    return config.plan.lease_wait_s if grants else 0.0


def month_budget(config: Config, line: LineConfig, day: date, usage: Usage) -> MonthBudget:
    """A line's budget in the month of a day."""
    kinds = bulk_kinds(config)
    days = calendar.monthrange(day.year, day.month)[1]
    seen = usage.test_bytes.get(line.id, {})
    test_bytes = {one.kind: seen.get(one.kind) or _full_bytes(config, line, one) for one in kinds}
    budget_bytes = line.monthly_budget_bytes
    if budget_bytes is None:
        budget_bytes = config.plan.monthly_budget_bytes
    beside = light_bytes(config, line, days)
    # At a rate of w in 7 days, spread evenly, any seven days in a row hold w.
    floor_tests = -(-config.plan.weekly_minimum * days // 7) if kinds else 0
    wanted = max(config.plan.samples_per_month, floor_tests) if kinds else 0
    shares = {one.kind: one.share for one in kinds}
    return MonthBudget(
        line_id=line.id,
        days=days,
        counts=_affordable(shares, test_bytes, budget_bytes - beside, (floor_tests, wanted)),
        test_bytes=test_bytes,
        budget_bytes=budget_bytes,
        light_bytes=beside,
        wanted_tests=wanted,
        floor_tests=floor_tests,
        # Bytes of a month to come were moved by a clock that was ahead.
        used_bytes=usage.used_bytes.get(line.id, 0) if usage.month >= month_of(day) else 0,
        assumed=not all(line.plan_bps) and any(one.kind not in seen for one in kinds),
    )


def published_plan(config: Config, day: date, usage: Usage) -> Iterator[PlannedKind]:
    """A month's bulk tests as published in `info`: each line's mean a day, by kind.

    From the same usage as the plan itself, because by assumed bytes there may be a third of the
    tests, and a line that lacks two of three would look complete.
    """
    for line in config.lines:
        month = month_budget(config, line, day, usage)
        for kind, count in month.counts.items():
            yield PlannedKind(kind, round(count / month.days, 4), line.id)


def shortfalls(config: Config, budget: MonthBudget) -> Iterator[Phrase]:
    """A sentence for each shortfall of the month against the configuration."""
    vi, en = f"đường truyền {budget.line_id}", f"line {budget.line_id}"
    held = _gigabytes(budget.budget_bytes)
    cost = _gigabytes(budget.expected_bytes)
    if not budget.counts:
        yield Phrase(
            f"{vi}: không có phép đo tốc độ nào (tỷ trọng bằng 0, hoặc không máy chủ nào hỗ trợ)",
            f"{en}: no bulk test is planned (no share, or no server that offers it)",
        )
    elif budget.expected_bytes > budget.bulk_bytes:
        yield Phrase(
            f"{vi}: mức tối thiểu {config.plan.weekly_minimum} lượt đo mỗi tuần cần khoảng "
            f"{cost.vi} mỗi tháng, vượt phần còn lại của hạn mức {held.vi}",
            f"{en}: the minimum of {config.plan.weekly_minimum} tests a week is expected to move "
            f"{cost.en} a month, more than the budget of {held.en} has for them",
        )
    elif budget.tests < budget.wanted_tests:
        yield Phrase(
            f"{vi}: hạn mức {held.vi} mỗi tháng chỉ đủ cho {budget.tests} trong số "
            f"{budget.wanted_tests} lượt đo",
            f"{en}: the budget of {held.en} a month holds {budget.tests} of "
            f"{budget.wanted_tests} tests",
        )
    if budget.assumed:
        yield Phrase(
            f"{vi}: chưa khai báo `plan_download_bps` và `plan_upload_bps`; tạm tính "
            f"{ASSUMED_BPS / MEGABIT:.0f} Mbit/s cho đến khi đo được một tháng",
            f"{en}: no `plan_download_bps` and `plan_upload_bps`; "
            f"{ASSUMED_BPS / MEGABIT:.0f} Mbit/s are assumed until a month has been measured",
        )
    if budget.is_exhausted:
        used = _gigabytes(budget.used_bytes)
        yield Phrase(
            f"{vi}: đã dùng {used.vi}, hết hạn mức {held.vi}; tháng này chỉ còn mức tối thiểu "
            f"{config.plan.weekly_minimum} lượt đo mỗi tuần",
            f"{en}: {used.en} moved, the budget of {held.en} is used up; "
            f"only the minimum of {config.plan.weekly_minimum} tests a week goes on this month",
        )


def _affordable(
    shares: Mapping[str, float],
    test_bytes: Mapping[str, float],
    budget_bytes: float,
    between: tuple[int, int],
) -> dict[str, int]:
    """The most tests by kind that the budget allows, between two limits."""
    least, most = between
    low, high = least, most
    # Largest remainder can take from one kind as the sum grows (the Alabama paradox), so the search
    # may miss a test more by a hair; it never takes one too many.
    while low < high:
        middle = (low + high + 1) // 2
        if _cost_bytes(spread.apportioned(middle, shares), test_bytes) <= budget_bytes:
            low = middle
        else:
            high = middle - 1
    return spread.apportioned(low, shares)


def _cost_bytes(counts: Mapping[str, int], test_bytes: Mapping[str, float]) -> float:
    return sum(count * test_bytes[kind] for kind, count in counts.items())


def _full_bytes(config: Config, line: LineConfig, kind: BulkKind) -> float:
    """The bytes of both directions at the line's plan, full length: 975 MB, 13 s, 300 Mbit/s.

    Includes the latency session beside them, 0.05 MB.
    """
    rates_bps = (rate or ASSUMED_BPS for rate in line.plan_bps)
    latency = config.latency
    packets = 4 * kind.transfer_s / latency.loaded_mean_gap_s if latency.enabled else 0.0
    return sum(rates_bps) * kind.transfer_s / 8 + packets * STAMP_WIRE_BYTES


def _stragglers_s(config: LatencyConfig) -> float:
    """How long a test may wait for late packets of its latency sessions, both directions."""
    return 2 * config.timeout_s if config.enabled else 0.0


def _gigabytes(count: float) -> Phrase:
    return number(f"{count / 1e9:.1f} GB")


def _throughput_s(config: ThroughputConfig) -> float:
    direction_s = config.connect_timeout_s + config.warm_up_s + config.duration_s + _EXCHANGE_S
    return 2 * direction_s


def _http_s(config: HttpConfig) -> float:
    """Like `http.method.longest_s`, but pings take a fraction of their timeout."""
    direction_s = 2 * config.timeout_s + config.warm_up_s + config.duration_s
    return 2 * config.timeout_s + 2 * direction_s
