"""Floor 1. The checks of `tramdo-probe doctor`: a status, what was seen, and what to do.

`watch` means that something will become bad or may explain odd figures; `unknown` that it cannot be
checked from here. Only `bad` makes the command fail. Texts are held in both languages until they
are printed (`probe/doctor/output.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from runtime.language import Phrase, number
from wire.record import Clock

_DATE_BAD, _DATE_WATCH = timedelta(0), timedelta(days=60)
# A Pi 4 and 5 throttle at 80 °C, softly from 60 °C on a 3B+.
_WARM_C, _HOT_C = 70.0, 80.0
_LEAST_FREE_BYTES = 500_000_000
# Pi 4's firmware of 2020 and Debian's kernels all have what we need from here on.
_OLDEST_PYTHON = (3, 11)

_CLOCK = Phrase("đồng hồ hệ thống", "clock")
_DISK = Phrase("thẻ nhớ", "disk")
_POWER = Phrase("nguồn điện", "power")
_TEMPERATURE = Phrase("nhiệt độ", "temperature")
VERSIONS = Phrase("phiên bản", "versions")


class CheckStatus(StrEnum):
    """The status of a check."""

    GOOD = "good"
    WATCH = "watch"
    BAD = "bad"
    UNKNOWN = "unknown"


class CheckResult(Struct, frozen=True):
    """The result of one check. `todo` is None where there is nothing to do.

    The English of `part` is its name for programs.
    """

    part: Phrase
    verdict: CheckStatus
    seen: Phrase
    todo: Phrase | None = None


class DoctorReport(Struct, frozen=True, kw_only=True):
    """The results of all checks. `at` is in the office's time zone."""

    at: datetime
    probe: str
    version: str
    findings: list[CheckResult]


def good(part: Phrase, seen: Phrase) -> CheckResult:
    """A result without a need for action."""
    return CheckResult(part, CheckStatus.GOOD, seen)


def bad(part: Phrase, seen: Phrase, todo: Phrase) -> CheckResult:
    """A fault to be repaired at once."""
    return CheckResult(part, CheckStatus.BAD, seen, todo)


def warning(part: Phrase, seen: Phrase, todo: Phrase) -> CheckResult:
    """Something to know of, and to act on in time."""
    return CheckResult(part, CheckStatus.WATCH, seen, todo)


def unknown(part: Phrase, seen: Phrase, todo: Phrase | None = None) -> CheckResult:
    """Something that cannot be checked from here."""
    return CheckResult(part, CheckStatus.UNKNOWN, seen, todo)


def certificate(
    part: Phrase, ends_at: datetime | None, now: datetime, renew: Phrase
) -> CheckResult:
    """Check a certificate's end date."""
    if ends_at is None:
        seen = Phrase("không đọc được ngày hết hạn", "its end date cannot be read")
        return unknown(part, seen, renew)
    left, end = ends_at - now, ends_at.astimezone(UTC)
    if left <= _DATE_BAD:
        ended = Phrase(f"đã hết hạn ngày {end:%d/%m/%Y}", f"ended on {end:%Y-%m-%d}")
        return bad(part, ended, renew)
    seen = Phrase(
        f"có hiệu lực đến ngày {end:%d/%m/%Y} (còn {left.days} ngày)",
        f"holds until {end:%Y-%m-%d} ({left.days} days)",
    )
    return warning(part, seen, renew) if left < _DATE_WATCH else good(part, seen)


def clock(reading: Clock, now: datetime) -> CheckResult:
    """Check the clock's synchronisation; `now` is shown in its own time zone."""
    vi, en = f"{now:%H:%M:%S} ngày {now:%d/%m/%Y}", f"{now:%Y-%m-%d %H:%M:%S%z}"
    if reading.synchronised:
        return good(_CLOCK, Phrase(f"{vi}, đã đồng bộ", f"{en}, synchronised"))
    todo = Phrase(
        "cho NTP đi ra (cổng UDP 123) và xem `timedatectl`; cho đến lúc đồng bộ, kết quả đo bị "
        "đánh dấu và trung tâm tính lại giờ đo",
        "let NTP out (UDP 123), and see `timedatectl`; until then results are marked, and their "
        "times are worked out by the centre",
    )
    if reading.synchronised is None:
        seen = Phrase(
            f"{vi}; nhân hệ điều hành không cho biết giờ này có đúng không",
            f"{en}; this kernel does not say whether it is right",
        )
        return unknown(_CLOCK, seen, todo)
    return warning(_CLOCK, Phrase(f"{vi}, chưa đồng bộ", f"{en}, not synchronised"), todo)


def disk(free_bytes: int | None, outbox_bytes: int, outbox_limit_bytes: int) -> CheckResult:
    """Check the free bytes against the outbox's limit."""
    if free_bytes is None:
        return bad(
            _DISK,
            Phrase("không có thư mục dữ liệu", "the state directory is not there"),
            Phrase(
                "tạo thư mục ghi ở `state_dir`, hoặc gắn (mount) ổ chứa nó",
                "make `state_dir`, or mount its disk",
            ),
        )
    free_gb, outbox_mb = number(f"{free_bytes / 1e9:.1f}"), number(f"{outbox_bytes / 1e6:.1f}")
    seen = Phrase(
        f"còn trống {free_gb.vi} GB; kết quả lưu trên trạm chiếm {outbox_mb.vi} MB",
        f"{free_gb.en} GB free; the outbox has {outbox_mb.en} MB",
    )
    if free_bytes < _LEAST_FREE_BYTES:
        todo = Phrase(
            "dọn bớt: `journalctl --vacuum-size=50M`, gỡ các gói cũ",
            "make room: `journalctl --vacuum-size=50M`, old packages",
        )
        return bad(_DISK, seen, todo)
    if outbox_bytes + free_bytes < outbox_limit_bytes:
        growing = Phrase(
            f"{seen.vi} và có thể tăng quá chỗ trống",
            f"{seen.en}, which may grow to more than there is",
        )
        todo = Phrase(
            "giảm `delivery.max_bytes`, hoặc dùng thẻ nhớ lớn hơn",
            "lower `delivery.max_bytes`, or use a larger card",
        )
        return warning(_DISK, growing, todo)
    return good(_DISK, seen)


def power(throttled: bool | None) -> CheckResult:
    """Check the under-voltage alarm."""
    if throttled is None:
        seen = Phrase("bo mạch này không báo được sụt áp", "this board has no under-voltage alarm")
        return unknown(_POWER, seen)
    if throttled:
        todo = Phrase(
            "dùng bộ nguồn chính hãng và dây ngắn; kết quả đo bị đánh dấu `throttled`",
            "use the board's own power supply and a short cable; results are marked `throttled`",
        )
        return bad(_POWER, Phrase("bị sụt áp", "the supply voltage was too low"), todo)
    return good(_POWER, Phrase("điện áp ổn định", "the supply voltage is sound"))


def temperature(celsius: float | None) -> CheckResult:
    """Check the temperature against the Pi's throttling."""
    if celsius is None:
        seen = Phrase("bo mạch này không cho biết", "this board does not report it")
        return unknown(_TEMPERATURE, seen)
    seen = Phrase(f"{celsius:.0f} °C", f"{celsius:.0f} °C")
    todo = Phrase(
        "để nơi thoáng: ra khỏi tủ kín, tránh nắng, gắn thêm tản nhiệt",
        "give it air: out of the cabinet, a heat sink, no sun",
    )
    if celsius >= _HOT_C:
        return bad(_TEMPERATURE, seen, todo)
    return warning(_TEMPERATURE, seen, todo) if celsius >= _WARM_C else good(_TEMPERATURE, seen)


def python(version: tuple[int, int]) -> CheckResult:
    """Check the version of Python."""
    seen = Phrase(f"Python {version[0]}.{version[1]}", f"Python {version[0]}.{version[1]}")
    if version < _OLDEST_PYTHON:
        todo = Phrase("dùng Debian 12 trở lên", "Debian 12 or newer has it")
        return bad(VERSIONS, seen, todo)
    return good(VERSIONS, seen)


def has_no_errors(findings: Sequence[CheckResult]) -> bool:
    """Whether no result is bad."""
    return all(one.verdict is not CheckStatus.BAD for one in findings)
