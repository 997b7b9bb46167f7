"""Floor 1. The text of notifications: sentences for people, JSON for programs.

All pending events go into one notification, so that a broker failure is one mail, not three
thousand. Its id is derived from the events, so that a receiver recognises a repeat (after a crash
between delivery and its record).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from enum import StrEnum

import msgspec
from msgspec import Struct

from collector.alerts.alert import Alert, AlertKind
from collector.domain import health_texts
from collector.domain.centre_health import Check, CheckName, CheckState
from runtime.language import Language, Phrase, number

_MOST_LISTED = 200
_COMMAND = re.compile("`([^`]+)`")
Evidence = Mapping[str, str | int | float]


class DeliveryError(Exception):
    """A channel did not accept a notification; the text is a sentence for a user."""


class Transition(StrEnum):
    """Whether an event is the beginning or the end of an alert."""

    BEGIN = "begin"
    END = "end"


class AlertEvent(Struct, frozen=True):
    """The beginning or the end of an alert; only an END where the BEGIN was never delivered."""

    transition: Transition
    alert: Alert


class Notification(Struct, frozen=True):
    """A mail's subject and text; `id` is the same for the same events."""

    id: str
    subject: str
    text: str


_TITLES = {
    AlertKind.PROBE_SILENT: ("Trạm đo mất liên lạc", "probe silent"),
    AlertKind.LINE_DOWN: ("Đường truyền mất kết nối", "line down"),
    AlertKind.FAMILY_DOWN: (
        "Một họ địa chỉ của đường truyền không trả lời",
        "one address family of a line down",
    ),
    AlertKind.PLAN_MISSED: ("Tốc độ thấp hơn mức công bố", "declared speed missed"),
    AlertKind.BACKLOG_GROWING: ("Kết quả chờ gửi tăng dần", "backlog growing"),
    AlertKind.NAME_SHARED: ("Hai thiết bị dùng chung một tên", "name used by two boxes"),
    AlertKind.LINES_CROSSED: ("Cắm chéo hai đường truyền", "lines plugged in crosswise"),
    AlertKind.OTHER_NETWORK: ("Đường truyền đi qua mạng khác", "line leaves by another network"),
    AlertKind.NAT_CHANGED: ("Nhà mạng đổi cách cấp địa chỉ (NAT)", "ISP changed the line's NAT"),
    AlertKind.ROLLUPS_DIFFER: (
        "Số liệu tổng hợp không khớp kết quả gốc",
        "roll-ups differ from raw results",
    ),
    AlertKind.CERTIFICATE_EXPIRING: ("Chứng thư số sắp hết hạn", "certificate expiring"),
    AlertKind.CERTIFICATE_UNREADABLE: ("Không đọc được chứng thư số", "certificate unreadable"),
    AlertKind.CENTRE_UNHEALTHY: ("Trung tâm có bộ phận hỏng", "centre unhealthy"),
}


# By the values of `wire.record.Nat`.
NATS = {
    "none": Phrase("không NAT", "no NAT"),
    "nat": Phrase("sau NAT", "behind NAT"),
    "carrier_grade": Phrase("sau NAT của nhà mạng (CGNAT)", "behind carrier-grade NAT"),
}


def title(kind: AlertKind, vietnamese: bool = True) -> str:
    """The title of a kind of alert."""
    return _TITLES[kind][0 if vietnamese else 1]


def sentence(alert: Alert, timezone: tzinfo, *, vietnamese: bool = True) -> str:
    """One sentence that describes the alert. Times are in `timezone`."""
    if (describe := _BY_EVIDENCE.get(alert.key.kind)) is not None:
        return describe(alert.evidence).in_(Language.VI if vietnamese else Language.EN)
    if alert.key.kind is AlertKind.CENTRE_UNHEALTHY:
        return _unhealthy(alert, timezone).in_(Language.VI if vietnamese else Language.EN)
    return _vietnamese(alert, timezone) if vietnamese else _english(alert, timezone)


def _vietnamese(alert: Alert, timezone: tzinfo) -> str:
    figures = alert.evidence
    match alert.key.kind:
        case AlertKind.PROBE_SILENT:
            last = figures.get("last_contact_at")
            if not isinstance(last, str):
                return "Trung tâm chưa từng nhận được tin của trạm đo này."
            at = _clock(datetime.fromisoformat(last), timezone)
            return f"Trung tâm không nhận được tin của trạm đo kể từ {at}."
        case AlertKind.LINE_DOWN | AlertKind.FAMILY_DOWN:
            return _no_answer(alert).vi
        case AlertKind.PLAN_MISSED:
            return (
                f"Tốc độ trung bình thấp hơn {_percent(figures['limit_share'])} mức công bố trong "
                f"{figures['days']} ngày liền{_lowest(figures)}."
            )
        case AlertKind.BACKLOG_GROWING:
            waiting, before = _count(figures["pending"]).vi, _count(figures["pending_before"]).vi
            return f"{waiting} kết quả đang chờ gửi tại trạm đo, trước đó là {before}."
        case AlertKind.NAME_SHARED:
            returns = _count(figures["returns"]).vi
            return (
                "Hai thiết bị cùng dùng tên trạm đo này và giành kết nối của nhau "
                f"({returns} lần đổi lại trong một giờ). Tìm thiết bị thứ hai "
                "(thẻ nhớ sao chép?) và tắt nó, hoặc cấp cho nó tên và chứng thư riêng."
            )
        case AlertKind.CERTIFICATE_EXPIRING:
            until = _clock(datetime.fromisoformat(str(figures["not_after"])), timezone)
            return f"Chứng thư số hết hạn lúc {until}; cần gia hạn trước thời điểm đó."
        case _:
            return (
                "Trung tâm không đọc được chứng thư số hay danh sách thu hồi này, nên không biết "
                "khi nào hết hạn."
            )


def _english(alert: Alert, timezone: tzinfo) -> str:
    figures = alert.evidence
    match alert.key.kind:
        case AlertKind.PROBE_SILENT:
            last = figures.get("last_contact_at")
            if not isinstance(last, str):
                return "The centre has never received a message from this probe."
            at = datetime.fromisoformat(last).astimezone(timezone)
            return f"The centre has received nothing from the probe since {at:%H:%M on %d/%m/%Y}."
        case AlertKind.LINE_DOWN | AlertKind.FAMILY_DOWN:
            return _no_answer(alert).en
        case AlertKind.PLAN_MISSED:
            limit, days = float(figures["limit_share"]), figures["days"]
            return f"Mean speed below {limit:.0%} of the declared one for {days} days in a row."
        case AlertKind.BACKLOG_GROWING:
            waiting, before = _count(figures["pending"]).en, _count(figures["pending_before"]).en
            return f"{waiting} results are pending at the probe, {before} before that."
        case AlertKind.NAME_SHARED:
            returns = _count(figures["returns"]).en
            return (
                "Two boxes use this probe's name and take the connection from each other "
                f"({returns} returns within an hour). Find the second box (a "
                "cloned card?) and switch it off, or give it a name and certificate of its own."
            )
        case AlertKind.CERTIFICATE_EXPIRING:
            until = datetime.fromisoformat(str(figures["not_after"])).astimezone(timezone)
            return f"The certificate expires at {until:%H:%M on %d/%m/%Y}."
        case _:
            return (
                "The centre cannot read this certificate or revocation list, and so does not know "
                "when it expires."
            )


def _unhealthy(alert: Alert, timezone: tzinfo) -> Phrase:
    check = Check(CheckName(alert.key.subject.name), CheckState.BAD, alert.evidence)
    name, found = health_texts.NAMES[check.name], health_texts.finding(check, timezone)
    action = health_texts.action(check)
    texts = f"{name.vi}: {found.vi} {action.vi}", f"{name.en}: {found.en} {action.en}"
    # A command is marked for pages; a mail has quotation marks.
    return Phrase(*(_COMMAND.sub(r"“\1”", text) for text in texts))


def _no_answer(alert: Alert) -> Phrase:
    """How long a line, or one address family of it, has not answered."""
    if "minutes_without_answer" not in alert.evidence:
        return Phrase(
            "Chưa lần đo nào trên đường truyền này có trả lời.",
            "No measurement on this line has ever been answered.",
        )
    minutes = _count(alert.evidence["minutes_without_answer"])
    if alert.key.kind is AlertKind.LINE_DOWN:
        return Phrase(
            f"Đã {minutes.vi} phút không có trả lời từ bên ngoài đường truyền.",
            f"Nothing beyond the line answered for {minutes.en} min.",
        )
    family = _family(alert)
    return Phrase(
        f"{family} không trả lời đã {minutes.vi} phút; đường truyền vẫn hoạt động qua họ địa chỉ "
        "còn lại.",
        f"{family} has not answered for {minutes.en} min; the line works over its other address "
        "family.",
    )


def compose_mail(
    pending: Sequence[AlertEvent],
    timezone: tzinfo,
    commune_name: Callable[[str], str] = lambda _: "",
) -> Notification:
    """One mail for all pending events; there is at least one.

    Subject and sentences are Vietnamese; each title has its English name beside it. `commune_name`
    names a commune by its code, with its province; "" where it is not known.
    """
    begun = [one.alert for one in pending if one.transition is Transition.BEGIN]
    ended = [one.alert for one in pending if one.transition is Transition.END]
    if len(pending) == 1:
        state = "bắt đầu" if begun else "đã kết thúc"
        head = f"{title(pending[0].alert.key.kind)} ({state}): {place(pending[0].alert)}"
    else:
        head = f"{len(begun)} cảnh báo mới, {len(ended)} cảnh báo đã kết thúc"
    parts = []
    for heading, alerts in (("CẢNH BÁO MỚI", begun), ("ĐÃ KẾT THÚC", ended)):
        if alerts:
            parts.append(heading)
            parts += [
                _paragraph(alert, timezone, commune_name(alert.commune_code or ""))
                for alert in alerts[:_MOST_LISTED]
            ]
            if (more := len(alerts) - _MOST_LISTED) > 0:
                parts.append(f"… và {more} cảnh báo khác, xem trên trang của trung tâm.")
    return Notification(notification_id(pending), f"[Tramdo] {head}", "\n\n".join(parts) + "\n")


def webhook_body(pending: Sequence[AlertEvent]) -> bytes:
    """The events as the webhook's JSON body. Times are RFC 3339 UTC; `id` is the notification's."""
    return msgspec.json.encode(
        {
            "schema": "tramdo-alerts/1",
            "id": notification_id(pending),
            "alerts": [as_json(d) for d in pending],
        }
    )


def as_json(pending: AlertEvent) -> dict[str, object]:
    """One event as a JSON object."""
    alert, subject = pending.alert, pending.alert.key.subject
    return {
        "number": alert.number,
        "edge": pending.transition,
        "kind": alert.key.kind,
        "tenant": subject.tenant or None,
        "probe": subject.probe or None,
        "line": subject.line or None,
        "name": subject.name or None,
        "commune_code": alert.commune_code,
        "office": alert.office,
        "began_at": alert.began_at,
        "seen_at": alert.seen_at,
        "ended_at": alert.ended_at,
        "evidence": alert.evidence,
    }


def notification_id(pending: Sequence[AlertEvent]) -> str:
    """The first 32 hex digits of the SHA-256 of the sorted alert numbers and transitions."""
    identity = "\n".join(sorted(f"{one.alert.number} {one.transition}" for one in pending))
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def place(alert: Alert) -> str:
    """Office, probe, line, and certificate or family of an alert, as far as it has them."""
    subject = alert.key.subject
    name = _name(alert)
    parts = (alert.office, subject.probe, subject.line, name)
    # An unregistered probe sends its office's name: no line break may reach a mail header.
    return ", ".join(" ".join(part.split()) for part in parts if part)


def _paragraph(alert: Alert, timezone: tzinfo, commune: str) -> str:
    vietnamese, english = _TITLES[alert.key.kind]
    lines = [f"{vietnamese} ({english})", f"  {place(alert)}"]
    if commune:
        lines.append(f"  {commune}")
    lines.append(f"  {sentence(alert, timezone)}")
    lines.append(f"  Bắt đầu: {_clock(alert.began_at, timezone)}")
    if alert.ended_at is not None:
        lines.append(f"  Kết thúc: {_clock(alert.ended_at, timezone)}")
    return "\n".join(lines)


def _name(alert: Alert) -> str:
    match alert.key.kind:
        case AlertKind.FAMILY_DOWN:
            return _family(alert)
        case AlertKind.CENTRE_UNHEALTHY:
            return health_texts.NAMES[CheckName(alert.key.subject.name)].vi
        case _:
            return alert.key.subject.name


def _family(alert: Alert) -> str:
    """IPv4 or IPv6."""
    return alert.key.subject.name.replace("ipv", "IPv")


def _lowest(figures: dict[str, str | int | float]) -> str:
    parts = [
        f"{word} {_percent(figures[name])}"
        for name, word in (("lowest_down_share", "tải xuống"), ("lowest_up_share", "tải lên"))
        if name in figures
    ]
    return f" (thấp nhất: {', '.join(parts)})" if parts else ""


def _lines_crossed(figures: Evidence) -> Phrase:
    lines = figures["lines"]
    return Phrase(
        f"Các đường truyền {lines} mang địa chỉ công cộng của nhau: dây đã cắm chéo. Kết quả từ "
        "lúc đó thuộc về đường truyền kia; cần đổi lại dây.",
        f"Lines {lines} show each other's public addresses: they are plugged in crosswise. Results "
        "since then are the other line's; exchange the plugs.",
    )


def _other_network(figures: Evidence) -> Phrase:
    network, usual, other = figures["network"], figures.get("usual"), figures.get("other_line")
    usually = Phrase(f", thường lệ là {usual}", f", usually {usual}") if usual else None
    by = None
    if other:
        by = Phrase(f" (mạng của đường truyền {other})", f" (that of line {other})")
    vietnamese = "".join(one.vi for one in (usually, by) if one)
    english = "".join(one.en for one in (usually, by) if one)
    return Phrase(
        f"Đường truyền này đang đi qua mạng {network}{vietnamese}. Có thể bộ định tuyến đã "
        "chuyển sang đường dự phòng (LTE).",
        f"This line leaves by network {network}{english}. The router may have fallen "
        "back to another path (LTE).",
    )


def _nat_changed(figures: Evidence) -> Phrase:
    before, now = (NATS[str(figures[name])] for name in ("nat_before", "nat"))
    return Phrase(
        f"Nhà mạng đã đổi NAT của đường truyền này: trước là {before.vi}, nay là {now.vi}.",
        f"The ISP changed this line's NAT: {before.en} before, {now.en} now.",
    )


def _rollups_differ(figures: Evidence) -> Phrase:
    figure, period = figures["figure"], figures["period"]
    rolled_up, raw = (_figure(figures.get(name)) for name in ("rolled_up", "raw"))
    count = _count(figures["figures"])
    command = "tramdo-collector rollup rebuild"
    return Phrase(
        f"{count.vi} số liệu tổng hợp không khớp kết quả gốc; đầu tiên là {figure} trong "
        f"{period}: tổng hợp {rolled_up.vi}, kết quả gốc {raw.vi}. Lệnh `{command}` tính lại từ "
        "kết quả gốc.",
        f"{count.en} rolled-up figures differ from raw results; the first is {figure} in "
        f"{period}: {rolled_up.en} rolled up, {raw.en} in the raw results. `{command}` makes them "
        "anew from raw results.",
    )


def _figure(value: str | float | None) -> Phrase:
    return Phrase("không có", "none") if value is None else number(f"{float(value):,.6g}")


_BY_EVIDENCE: dict[AlertKind, Callable[[Evidence], Phrase]] = {
    AlertKind.LINES_CROSSED: _lines_crossed,
    AlertKind.OTHER_NETWORK: _other_network,
    AlertKind.NAT_CHANGED: _nat_changed,
    AlertKind.ROLLUPS_DIFFER: _rollups_differ,
}


def _count(evidence: str | float) -> Phrase:
    return number(f"{int(evidence):,}")


def _percent(share: str | float) -> str:
    return f"{float(share) * 100:.0f}%"


def _clock(at: datetime, timezone: tzinfo) -> str:
    local = at.astimezone(timezone)
    return f"{local:%H:%M} ngày {local:%d/%m/%Y}"
