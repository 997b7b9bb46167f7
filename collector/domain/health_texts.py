"""Floor 1. The centre's health in words: what was found, the limit, and what to do.

For the system page and for alerts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo

from collector.domain import centre_health as limits
from collector.domain.centre_health import Check, CheckName, CheckState, Figures
from runtime.language import Phrase, number

NAMES = {
    CheckName.DISK: Phrase("Ổ đĩa", "Disk"),
    CheckName.DATABASE: Phrase("Cơ sở dữ liệu", "Database"),
    CheckName.REPLICATION: Phrase("Bản sao dự phòng", "Replication"),
    CheckName.BROKER: Phrase("Máy chủ nhận tin (MQTT)", "Broker (MQTT)"),
    CheckName.MESSAGES: Phrase("Tin nhận từ trạm đo", "Messages from probes"),
    CheckName.ROLL_UPS: Phrase("Tổng hợp số liệu", "Roll-ups"),
    CheckName.BACKUP: Phrase("Sao lưu", "Backup"),
    CheckName.MAINTENANCE: Phrase("Bảo trì ban đêm", "Nightly maintenance"),
    CheckName.CERTIFICATES: Phrase("Chứng thư số", "Certificates"),
    CheckName.LEASES: Phrase("Phân công bộ thu", "Leases"),
    CheckName.CLOCK: Phrase("Đồng hồ", "Clock"),
}
_NOTHING = Phrase("", "")


def finding(check: Check, timezone: tzinfo) -> Phrase:
    """What was found, in sentences. Times are in `timezone`."""
    return _FINDINGS[check.name](check.figures, timezone)


def limit(name: CheckName) -> Phrase:
    """The limits of the check."""
    return _LIMITS[name]


def action(check: Check) -> Phrase:
    """What to do; nothing where it is good."""
    if check.state is CheckState.GOOD:
        return _NOTHING
    return _ACTIONS[check.name]


def size(value: str | float) -> Phrase:
    """Bytes in decimal units: 12.3 GB."""
    amount, units = float(value), ["B", "kB", "MB", "GB", "TB"]
    while abs(amount) >= 1000 and len(units) > 1:
        amount /= 1000
        del units[0]
    figure = number(f"{amount:,.0f}" if units[0] == "B" else f"{amount:,.1f}")
    return Phrase(f"{figure.vi} {units[0]}", f"{figure.en} {units[0]}")


def duration(value: str | float) -> Phrase:
    """Seconds in the unit that people would use: 40 s, 12 min, 5 h, 3 days."""
    seconds = float(value)
    for unit_s, vi, en in ((86_400, "ngày", "days"), (3_600, "giờ", "h"), (60, "phút", "min")):
        if seconds >= 2 * unit_s:
            return Phrase(f"{seconds / unit_s:.0f} {vi}", f"{seconds / unit_s:.0f} {en}")
    return Phrase(f"{seconds:.0f} giây", f"{seconds:.0f} s")


def _count(value: str | float) -> Phrase:
    return number(f"{int(value):,}")


def _clock_time(text: object, timezone: tzinfo) -> str:
    local = datetime.fromisoformat(str(text)).astimezone(timezone)
    return f"{local:%H:%M} {local:%d/%m/%Y}"


def _joined(*parts: Phrase | None) -> Phrase:
    some = [part for part in parts if part]
    return Phrase(" ".join(part.vi for part in some), " ".join(part.en for part in some))


def _disk(figures: Figures, _: tzinfo) -> Phrase:
    free, whole = size(figures["free_bytes"]), size(figures["size_bytes"])
    share = float(figures["free_bytes"]) / max(float(figures["size_bytes"]), 1.0)
    percent = number(f"{share * 100:.1f}")
    first = Phrase(
        f"Còn trống {free.vi} trên {whole.vi} ({percent.vi}%).",
        f"{free.en} of {whole.en} free ({percent.en}%).",
    )
    if "growth_bytes_per_day" not in figures:
        return _joined(
            first,
            Phrase(
                "Mức tăng mỗi ngày chỉ biết sau một ngày theo dõi.",
                "Its growth is known after a day.",
            ),
        )
    growth = size(figures["growth_bytes_per_day"])
    second = Phrase(f"Mỗi ngày dùng thêm {growth.vi}", f"It fills by {growth.en} a day")
    if "days_left" not in figures:
        return _joined(first, Phrase(f"{second.vi}.", f"{second.en}."))
    days = _count(figures["days_left"])
    return _joined(
        first,
        Phrase(
            f"{second.vi}; còn khoảng {days.vi} ngày.", f"{second.en}; {days.en} days are left."
        ),
    )


def _database(figures: Figures, timezone: tzinfo) -> Phrase:
    if "kind" not in figures:
        trouble = figures.get("trouble", "")
        return Phrase(f"Không dùng được: {trouble}", f"It cannot be used: {trouble}")
    name, takes = f"{figures['kind']} {figures['version']}", size(figures["size_bytes"])
    last = None
    if "last_stored_at" in figures:
        at = _clock_time(figures["last_stored_at"], timezone)
        last = Phrase(
            f"Kết quả gần nhất được lưu lúc {at}.", f"The last result was stored at {at}."
        )
    return _joined(Phrase(f"{name}, {takes.vi}.", f"{name}, {takes.en}."), last)


def _replication(figures: Figures, _: tzinfo) -> Phrase:
    count = _count(figures["replicas"])
    if "lag_s" not in figures:
        return Phrase(
            f"{count.vi} bản sao đang nối; không rõ độ trễ vì tài khoản của bộ thu chưa có quyền "
            "pg_monitor.",
            f"{count.en} standbys connected; their lag is not known, for the collector's role has "
            "no pg_monitor.",
        )
    lag, behind = duration(figures["lag_s"]), size(figures["lag_bytes"])
    named = f" ({figures['slowest']})" if "slowest" in figures else ""
    return Phrase(
        f"{count.vi} bản sao đang nối; bản chậm nhất{named} chậm {lag.vi}, thiếu {behind.vi}.",
        f"{count.en} standbys connected; the slowest{named} is {lag.en} and {behind.en} behind.",
    )


def _broker(figures: Figures, _: tzinfo) -> Phrase:
    if "trouble" in figures:
        return Phrase(f"Mất kết nối: {figures['trouble']}", f"No connection: {figures['trouble']}")
    if "version" in figures:
        version = figures["version"]
        return Phrase(f"Đang kết nối. Phiên bản: {version}.", f"Connected. Version: {version}.")
    return Phrase(
        "Đang kết nối. Không rõ phiên bản: máy chủ không công bố, hoặc không cho bộ thu đọc.",
        "Connected. Its version is not known: it publishes none, or the collector may not read it.",
    )


def _messages(figures: Figures, timezone: tzinfo) -> Phrase:
    waiting = _count(figures["waiting"])
    last = Phrase("Chưa nhận được tin nào.", "No message has come yet.")
    if "last_contact_at" in figures:
        at = _clock_time(figures["last_contact_at"], timezone)
        last = Phrase(f"Tin gần nhất lúc {at}.", f"The last one came at {at}.")
    return _joined(Phrase(f"{waiting.vi} tin chờ lưu.", f"{waiting.en} wait to be stored."), last)


def _roll_ups(figures: Figures, _: tzinfo) -> Phrase:
    pending = _count(figures["pending_results"])
    first = Phrase(
        f"{pending.vi} kết quả chưa được tổng hợp.", f"{pending.en} results are not rolled up yet."
    )
    if "lag_s" not in figures:
        return first
    lag = duration(figures["lag_s"])
    return _joined(
        first,
        Phrase(f"Kết quả cũ nhất đã chờ {lag.vi}.", f"The oldest has waited for {lag.en}."),
    )


def _backup(figures: Figures, timezone: tzinfo) -> Phrase:
    return _joined(_last_backup(figures, timezone), _archive(figures, timezone))


def _last_backup(figures: Figures, timezone: tzinfo) -> Phrase:
    if "at" not in figures:
        if "restored_at" in figures:
            at = _clock_time(figures["restored_at"], timezone)
            return Phrase(
                f"Chưa sao lưu lần nào kể từ khi khôi phục lúc {at}.",
                f"No backup since the store was restored at {at}.",
            )
        return Phrase("Chưa ghi nhận bản sao lưu nào.", "No backup is known.")
    at, takes = _clock_time(figures["at"], timezone), size(figures["size_bytes"])
    results, took = _count(figures["results"]), duration(figures["duration_s"])
    read = (
        Phrase("đã kiểm tra đọc lại", "read whole afterwards")
        if figures["verified"]
        else Phrase("chưa kiểm tra đọc lại", "not read afterwards")
    )
    return Phrase(
        f"Gần nhất lúc {at}: {takes.vi}, {results.vi} kết quả, làm trong {took.vi}, {read.vi} "
        f"({figures['place']}).",
        f"The last one at {at}: {takes.en}, {results.en} results, made in {took.en}, {read.en} "
        f"({figures['place']}).",
    )


def _archive(figures: Figures, timezone: tzinfo) -> Phrase | None:
    if "archive_failed_at" in figures:
        at = _clock_time(figures["archive_failed_at"], timezone)
        return Phrase(
            f"Lưu trữ liên tục (WAL) lỗi lúc {at}.", f"Continuous archiving (WAL) failed at {at}."
        )
    if "archived_at" in figures:
        at = _clock_time(figures["archived_at"], timezone)
        return Phrase(
            f"Lưu trữ liên tục (WAL) gần nhất lúc {at}.", f"Continuous archiving (WAL) until {at}."
        )
    return None


def _maintenance(figures: Figures, timezone: tzinfo) -> Phrase:
    if "began_at" not in figures:
        return Phrase("Chưa chạy lần nào được ghi nhận.", "No run is known yet.")
    at = _clock_time(figures["began_at"], timezone)
    if "duration_s" in figures:
        took = duration(figures["duration_s"])
        run = Phrase(f"Bắt đầu lúc {at}, xong sau {took.vi}.", f"Begun at {at}, done in {took.en}.")
    else:
        run = Phrase(f"Bắt đầu lúc {at}, chưa xong.", f"Begun at {at}, not done yet.")
    if "failure" not in figures:
        return run
    return _joined(run, Phrase(f"Lỗi: {figures['failure']}", f"Failed: {figures['failure']}"))


def _certificates(figures: Figures, timezone: tzinfo) -> Phrase:
    unreadable = figures.get("unreadable")
    problem = Phrase(f"Không đọc được {unreadable}.", f"{unreadable} cannot be read.")
    if "first" not in figures:
        return problem
    at, days = _clock_time(figures["ends_at"], timezone), _count(figures["days_left"])
    first = Phrase(
        f"Hết hạn sớm nhất: {figures['first']}, {at} (còn {days.vi} ngày).",
        f"The first to expire: {figures['first']}, {at} ({days.en} days left).",
    )
    return _joined(first, problem if unreadable else None)


def _leases(figures: Figures, _: tzinfo) -> Phrase:
    who = Phrase(f"Đang ghi: {figures['holders']}.", f"Written by: {figures['holders']}.")
    if "nobody" not in figures:
        return who
    return _joined(
        who,
        Phrase(f"Chưa ai nhận: {figures['nobody']}.", f"Held by nobody: {figures['nobody']}."),
    )


def _clock(figures: Figures, _: tzinfo) -> Phrase:
    match figures.get("synchronised"):
        case 1:
            return Phrase("Đã đồng bộ giờ (NTP).", "Synchronised (NTP).")
        case 0:
            return Phrase("Không đồng bộ giờ (NTP).", "Not synchronised (NTP).")
        case _:
            return Phrase("Hệ điều hành không cho biết.", "The operating system does not say.")


def _limits(attention: Phrase, bad: Phrase | None = None) -> Phrase:
    if bad is None:
        return Phrase(f"Cần xem khi {attention.vi}.", f"Attention when {attention.en}.")
    return Phrase(
        f"Cần xem khi {attention.vi}; hỏng khi {bad.vi}.",
        f"Attention when {attention.en}; bad when {bad.en}.",
    )


def _longer(attention_s: int, bad_s: int, vi: str, en: str) -> Phrase:
    attention, bad = duration(attention_s), duration(bad_s)
    return _limits(
        Phrase(f"{vi} quá {attention.vi}", f"{en} for {attention.en}"),
        Phrase(f"quá {bad.vi}", f"for {bad.en}"),
    )


_LIMITS = {
    CheckName.DISK: _limits(
        Phrase(
            f"còn dưới {limits.DISK_ATTENTION_RATIO:.0%} hoặc {limits.DISK_ATTENTION_DAYS} ngày",
            f"below {limits.DISK_ATTENTION_RATIO:.0%} or {limits.DISK_ATTENTION_DAYS} days",
        ),
        Phrase(
            f"dưới {limits.DISK_BAD_RATIO:.0%} hoặc {limits.DISK_BAD_DAYS} ngày",
            f"below {limits.DISK_BAD_RATIO:.0%} or {limits.DISK_BAD_DAYS} days",
        ),
    ),
    CheckName.DATABASE: Phrase(
        "Hỏng khi không đọc hoặc ghi được.", "Bad when it cannot be read or written."
    ),
    CheckName.REPLICATION: _limits(
        Phrase(
            f"chậm quá {duration(limits.REPLICATION_ATTENTION_S).vi} hoặc thiếu "
            f"{size(limits.REPLICATION_ATTENTION_BYTES).vi}",
            f"behind for {duration(limits.REPLICATION_ATTENTION_S).en} or by "
            f"{size(limits.REPLICATION_ATTENTION_BYTES).en}",
        ),
        Phrase(
            f"quá {duration(limits.REPLICATION_BAD_S).vi} hoặc "
            f"{size(limits.REPLICATION_BAD_BYTES).vi}",
            f"for {duration(limits.REPLICATION_BAD_S).en} or by "
            f"{size(limits.REPLICATION_BAD_BYTES).en}",
        ),
    ),
    CheckName.BROKER: Phrase("Hỏng khi mất kết nối.", "Bad when not connected."),
    CheckName.MESSAGES: _limits(
        Phrase(
            f"không có tin nào trong {duration(limits.SILENCE_ATTENTION_S).vi} hoặc "
            f"{number(f'{limits.MESSAGES_ATTENTION:,}').vi} tin chờ lưu",
            f"none came for {duration(limits.SILENCE_ATTENTION_S).en} or "
            f"{limits.MESSAGES_ATTENTION:,} wait",
        ),
        Phrase(
            f"{duration(limits.SILENCE_BAD_S).vi} hoặc {number(f'{limits.MESSAGES_BAD:,}').vi} tin",
            f"{duration(limits.SILENCE_BAD_S).en} or {limits.MESSAGES_BAD:,}",
        ),
    ),
    CheckName.ROLL_UPS: _longer(
        limits.ROLL_UP_ATTENTION_S, limits.ROLL_UP_BAD_S, "kết quả chờ", "results wait"
    ),
    CheckName.BACKUP: _longer(
        limits.BACKUP_ATTENTION_S, limits.BACKUP_BAD_S, "không có bản mới", "there is no new one"
    ),
    CheckName.MAINTENANCE: _limits(
        Phrase(
            f"có lỗi, chưa xong sau {duration(limits.NIGHT_UNDONE_S).vi}, hoặc không chạy "
            f"quá {duration(limits.NIGHT_ATTENTION_S).vi}",
            f"it failed, is not done after {duration(limits.NIGHT_UNDONE_S).en}, or did not "
            f"run for {duration(limits.NIGHT_ATTENTION_S).en}",
        ),
        Phrase(
            f"không chạy quá {duration(limits.NIGHT_BAD_S).vi}",
            f"it did not for {duration(limits.NIGHT_BAD_S).en}",
        ),
    ),
    CheckName.CERTIFICATES: _limits(
        Phrase(
            f"còn {limits.CERTIFICATE_ATTENTION_DAYS} ngày",
            f"{limits.CERTIFICATE_ATTENTION_DAYS} days are left",
        ),
        Phrase(
            f"còn dưới {limits.CERTIFICATE_BAD_DAYS} ngày hoặc không đọc được",
            f"fewer than {limits.CERTIFICATE_BAD_DAYS}, or one cannot be read",
        ),
    ),
    CheckName.LEASES: Phrase(
        "Hỏng khi có việc chưa bộ thu nào nhận.", "Bad when something is held by no collector."
    ),
    CheckName.CLOCK: Phrase("Cần xem khi không đồng bộ.", "Attention when not synchronised."),
}
_ACTIONS = {
    CheckName.DISK: Phrase(
        "Mở rộng ổ đĩa, dọn tệp thừa, hoặc rút ngắn thời gian lưu kết quả gốc (`store.raw_days`).",
        "Enlarge the disk, remove what is not needed, or keep raw results shorter "
        "(`store.raw_days`).",
    ),
    CheckName.DATABASE: Phrase(
        "Xem nhật ký dịch vụ (`journalctl -u tramdo-collector`). Trạm đo giữ kết quả đến khi lưu "
        "được.",
        "See the service's log (`journalctl -u tramdo-collector`). Probes keep results meanwhile.",
    ),
    CheckName.REPLICATION: Phrase(
        "Kiểm tra máy dự phòng và kết nối tới máy đó. Nếu không rõ độ trễ: `GRANT pg_monitor TO` "
        "tài khoản của bộ thu.",
        "Look at the standby and its network. If the lag is not known: `GRANT pg_monitor TO` the "
        "collector's role.",
    ),
    CheckName.BROKER: Phrase(
        "Kiểm tra máy chủ nhận tin; lệnh `tramdo-collector check` nói rõ lý do.",
        "Look at the broker; `tramdo-collector check` says why.",
    ),
    CheckName.MESSAGES: Phrase(
        "Nếu mọi trạm cùng im lặng: kiểm tra máy chủ nhận tin và tường lửa của trung tâm.",
        "If every probe is silent: look at the broker and the centre's firewall.",
    ),
    CheckName.ROLL_UPS: Phrase(
        "Các trang hiển thị số liệu cũ. Kiểm tra tải máy và nhật ký dịch vụ.",
        "Pages show old figures. Look at the machine's load and the service's log.",
    ),
    CheckName.BACKUP: Phrase(
        "Chạy `tramdo-collector backup --check TỆP` hằng ngày, chép tệp sang máy khác.",
        "Run `tramdo-collector backup --check FILE` each day, and copy the file to another "
        "machine.",
    ),
    CheckName.MAINTENANCE: Phrase(
        "Xem nhật ký dịch vụ; giữ bộ thu chạy từ 1 đến 5 giờ sáng.",
        "See the service's log; let the collector run from 1 to 5 in the morning.",
    ),
    CheckName.CERTIFICATES: Phrase(
        "Gia hạn bằng `tramdo-authority` trước ngày hết hạn.",
        "Renew by `tramdo-authority` before that day.",
    ),
    CheckName.LEASES: Phrase(
        "Khởi động bộ thu của đơn vị đó, hoặc đặt `spare_for` ở bộ thu khác.",
        "Start that tenant's collector, or set `spare_for` of another one.",
    ),
    CheckName.CLOCK: Phrase(
        "Bật đồng bộ giờ (`timedatectl set-ntp true`).", "Turn on NTP (`timedatectl set-ntp true`)."
    ),
}
_FINDINGS: dict[CheckName, Callable[[Figures, tzinfo], Phrase]] = {
    CheckName.DISK: _disk,
    CheckName.DATABASE: _database,
    CheckName.REPLICATION: _replication,
    CheckName.BROKER: _broker,
    CheckName.MESSAGES: _messages,
    CheckName.ROLL_UPS: _roll_ups,
    CheckName.BACKUP: _backup,
    CheckName.MAINTENANCE: _maintenance,
    CheckName.CERTIFICATES: _certificates,
    CheckName.LEASES: _leases,
    CheckName.CLOCK: _clock,
}
