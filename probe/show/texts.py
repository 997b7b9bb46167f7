"""Floor 1. What the commands print: configuration, results, progress and status as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from probe.config import Config
from probe.measure.measurement import Progress
from probe.show.status import LineStatus, Pattern, Status, StatusSnapshot
from runtime.language import Language, Phrase, number
from runtime.result_labels import REASONS, VALIDITIES
from wire.figures import MEGABIT
from wire.messages import LineState
from wire.record import Family, Reason, Validity
from wire.result import HopAnswer, Outcome, PathValues, Result

_UNITS = {"bps": ("Mbit/s", 1 / MEGABIT), "ms": ("ms", 1.0), "ratio": ("%", 100.0)}

OUTCOMES = {
    Outcome.OK: Phrase("đo được", "ok"),
    Outcome.FAILED: Phrase("không đo được", "failed"),
    Outcome.SKIPPED: Phrase("bỏ qua", "skipped"),
}
_VALIDITY = Phrase("điều cần lưu ý", "validity")
_NO_CAUSE = Phrase("không rõ nguyên nhân", "no cause stated")
# The parts of the daemon that report a fault, as they are named in its log and in `--json`.
_PARTS = {
    "broker": "máy chủ nhận tin (MQTT)",
    "config": "tệp cấu hình",
    "leds": "đèn báo",
    "name": "tên trạm",
    "outbox": "tệp kết quả",
}
_STEPS = {
    "download": "tải xuống",
    "upload": "tải lên",
    "server busy": "chờ máy chủ đo",
    "waiting for the server": "chờ máy chủ đo cấp chỗ",
    "latency": "độ trễ",
    "dns": "tên miền",
    "web": "trang web",
    "path": "tuyến đường",
    "ping": "độ trễ (ping)",
}


def part_name(part: str) -> Phrase:
    """The name of a part of the daemon that reports a fault."""
    return Phrase(_PARTS.get(part, part), part)


def reason_text(reason: Reason | None) -> Phrase:
    """Why there is no figure: in Vietnamese its label and the identifier, in English this alone."""
    if reason is None:
        return _NO_CAUSE
    return Phrase(f"{REASONS[reason].vi} ({reason})", reason)


def detail_text(detail: str) -> Phrase:
    """A result's detail, which the contract has in English: in Vietnamese it is quoted."""
    return Phrase(f"chi tiết (nguyên văn): “{detail}”", detail)


def failure_text(reason: Reason, detail: str) -> Phrase:
    """Why something failed: in Vietnamese the reason, then the quoted detail; in English this."""
    vi = f"{reason_text(reason).vi}; {detail_text(detail).vi}"
    return Phrase(vi, detail)


def validity_text(flags: Sequence[Validity]) -> Phrase:
    """The validity flags of a result: their labels in Vietnamese, their identifiers in English."""
    each = Phrase(", ".join(VALIDITIES[flag].vi for flag in flags), ", ".join(flags))
    return Phrase(f"{_VALIDITY.vi}: {each.vi}", f"{_VALIDITY.en}: {each.en}")


def figure(name: str, value: float | None, language: Language) -> str:
    """A value with the unit of its field name: `download_bps` in Mbit/s."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    unit, factor = next(
        (_UNITS[word] for word in reversed(name.split("_")) if word in _UNITS), ("", 1.0)
    )
    return f"{number(f'{value * factor:.2f}').in_(language)} {unit}".rstrip()


def summary(config: Config, source: str, language: Language) -> str:
    """The configuration in a few lines."""
    return "\n".join(phrase.in_(language) for phrase in _summary(config, source))


def _summary(config: Config, source: str) -> Iterator[Phrase]:
    probe, tenant, site, broker = config.probe, config.tenant, config.site, config.broker
    yield Phrase(f"{source}: hợp lệ", f"{source}: sound")
    yield Phrase(f"trạm {probe} thuộc {tenant}", f"probe {probe} of {tenant}")
    place = f"{site.commune_code}, {site.office}"
    yield Phrase(f"xã {place}", f"commune {place}")
    for line in config.lines:
        way = line.interface or line.source_address
        yield Phrase(
            f"đường truyền {line.id} ({line.isp}) qua {way}",
            f"line {line.id} ({line.isp}) by {way}",
        )
    for server in config.servers:
        yield Phrase(
            f"máy chủ đo {server.name} tại {server.host}", f"server {server.name} at {server.host}"
        )
    tls = Phrase("có TLS", "with TLS") if broker.tls else Phrase("không TLS", "without TLS")
    where = ", ".join(map(str, broker.endpoints()))
    yield Phrase(f"máy chủ nhận tin (MQTT) {where} {tls.vi}", f"broker {where} {tls.en}")
    samples = config.plan.samples_per_month
    yield Phrase(
        f"mỗi đường truyền cần {samples} lượt đo tốc độ mỗi tháng",
        f"{samples} bulk tests a month wanted on each line",
    )


def result(one: Result, language: Language) -> str:
    """A result as text: outcome, then its values."""
    ending = OUTCOMES[one.outcome].in_(language)
    if one.outcome is not Outcome.OK:
        ending = f"{ending}: {reason_text(one.reason).in_(language)}"
    lines = [f"{one.line.id}  {one.kind}  {one.target or ''}  {ending}"]
    if one.detail:
        lines.append(f"  {detail_text(one.detail).in_(language)}")
    if one.validity:
        lines.append(f"  {validity_text(one.validity).in_(language)}")
    values = one.values
    if values is not None:
        for name, value in msgspec.structs.asdict(values).items():
            if value is None or isinstance(value, float):
                lines.append(f"  {name:<24} {figure(name, value, language)}")
            elif isinstance(value, int | str):
                lines.append(f"  {name:<24} {value}")
    if isinstance(values, PathValues):
        lines += _path(values, language)
    return "\n".join(lines)


def _path(values: PathValues, language: Language) -> Iterator[str]:
    hop_word, target_word = (
        word.in_(language) for word in (Phrase("chặng", "hop"), Phrase("đích", "target"))
    )
    for hop in values.hops:
        answer, rtt = _ANSWERS[hop.answer].in_(language), figure("rtt_ms", hop.rtt_ms, language)
        yield f"  {hop_word} {hop.hop:<2} {hop.address or '*':<17} {rtt:>12}  {answer}"
    for target in values.targets:
        said = _SILENT
        if target.trouble is not None:
            said = Phrase(f"{_SILENT.vi} ({target.trouble})", target.trouble)
        if target.reached:
            said = Phrase("có trả lời", "answers")
        rtt = figure("rtt_ms", target.rtt_ms, language)
        yield f"  {target_word} {target.name:<17} {rtt:>12}  {said.in_(language)}"


_SILENT = Phrase("không trả lời", "does not answer")
_ANSWERS = {
    HopAnswer.TIME_EXCEEDED: Phrase("hết TTL", "time exceeded"),
    HopAnswer.REACHED: Phrase("tới đích", "reached"),
    HopAnswer.UNREACHABLE: Phrase("không tới được", "unreachable"),
    HopAnswer.SILENT: Phrase("không trả lời", "silent"),
}


def progress(step: Progress, language: Language) -> str:
    """One line that can be drawn over itself."""
    width = 24
    done = round(step.done_ratio * width)
    rate = ""
    if step.rate_bps is not None:
        rate = f"  {number(f'{step.rate_bps / MEGABIT:.1f}').in_(language)} Mbit/s"
    name = Phrase(_STEPS.get(step.step, step.step), step.step).in_(language)
    return f"{name:<12} [{'#' * done}{'.' * (width - done)}] {step.done_ratio:4.0%}{rate}"


_STATES = {
    LineState.UNKNOWN: Phrase("không rõ", "unknown"),
    LineState.GOOD: Phrase("tốt", "good"),
    LineState.DEGRADED: Phrase("chập chờn", "degraded"),
    LineState.DOWN: Phrase("mất kết nối", "down"),
}
_SILENT_FAMILY = {
    Family.IPV4: Phrase("IPv4 không có trả lời", "IPv4 does not answer"),
    Family.IPV6: Phrase("IPv6 không có trả lời", "IPv6 does not answer"),
}
_PATTERNS = {
    Pattern.OFF: Phrase("tắt", "off"),
    Pattern.STEADY: Phrase("sáng đều", "steady"),
    Pattern.BREATHING: Phrase("sáng dần rồi tối dần", "breathing"),
    Pattern.SLOW_BLINK: Phrase("nháy chậm", "slow_blink"),
    Pattern.FAST_BLINK: Phrase("nháy nhanh", "fast_blink"),
}


def snapshot(shown: StatusSnapshot, language: Language) -> str:
    """The running daemon's status."""
    status = shown.status
    phrases = [
        Phrase(
            f"trạm {status.probe} thuộc {status.tenant} (tiến trình {shown.pid}, phiên bản "
            f"{shown.version})",
            f"probe {status.probe} of {status.tenant} (pid {shown.pid}, version {shown.version})",
        ),
        _centre(status),
        *(_fault(part, text) for part, text in status.fault_reports()),
    ]
    lines = [phrase.in_(language) for phrase in phrases]
    for line in status.lines.values():
        lines += _line(line, language)
    lit = (f"{name} {_PATTERNS[pattern].in_(language)}" for name, pattern in shown.leds.items())
    lines.append(f"{Phrase('đèn', 'LEDs').in_(language)}: {', '.join(lit)}")
    return "\n".join(lines)


def _fault(part: str, text: Phrase) -> Phrase:
    name = part_name(part)
    return Phrase(f"lỗi: {name.vi}: {text.vi}", f"fault: {name.en}: {text.en}")


def _centre(status: Status) -> Phrase:
    pending, cause = status.pending, status.why_unconnected() or _NO_CAUSE
    centre = Phrase("đã kết nối", "connected")
    if not status.connected:
        centre = Phrase(f"không kết nối được: {cause.vi}", f"not connected: {cause.en}")
    return Phrase(
        f"trung tâm: {centre.vi}; {pending} kết quả chờ xác nhận",
        f"centre: {centre.en}; {pending} results wait for its receipt",
    )


def _line(line: LineStatus, language: Language) -> Iterator[str]:
    name, state = f"{line.id} ({line.isp})", _STATES[line.state]
    yield Phrase(f"đường truyền {name}: {state.vi}", f"line {name}: {state.en}").in_(language)
    for family in line.silent_families:
        yield f"  {_SILENT_FAMILY[family].in_(language)}"
    if line.activity is not None:
        step, measuring = line.activity.progress, Phrase("đang đo", "measuring").in_(language)
        how_far = "" if step is None else f": {progress(step, language)}"
        yield f"  {measuring} {line.activity.kind}{how_far}"
    for last in line.last.values():
        figures = "  ".join(
            f"{name} {figure(name, value, language)}" for name, value in last.figures.items()
        )
        how = OUTCOMES[last.outcome].in_(language)
        why = reason_text(last.reason).in_(language)
        ending = "" if last.outcome is Outcome.OK else f"  {how}: {why}"
        over = " IPv6" if last.family is Family.IPV6 else ""
        yield f"  {last.kind} {last.target or ''}{over}{ending}  {figures}".rstrip()
