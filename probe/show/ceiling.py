"""Floor 1. The host's ceiling: the rate that this host reaches by a line's interface.

Measured at installation against a peer in the LAN, without an ISP in between. To assess 0.8 of a
plan the ceiling must be 0.9 of it (docs/method.md#validity, V6), which answers perfSONAR's
objection to the Raspberry Pi. Knows no network and no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct, structs

from probe.config import Config, LineConfig, ServerConfig
from probe.measure.host_limits import LEAST_CEILING_RATIO, core_ratios
from probe.show import texts
from runtime.language import Language, Phrase, number
from wire.figures import MEGABIT
from wire.messages import Ceiling
from wire.result import Host, Outcome, Reason, ThroughputResult, Validity


class DirectionCeiling(Struct, frozen=True, kw_only=True):
    """One direction. `enough` is None where ceiling or plan is unknown."""

    ceiling_bps: float | None
    plan_bps: float | None
    plan_ratio: float | None
    enough: bool | None


class LineCeiling(Struct, frozen=True, kw_only=True):
    """The measured ceiling of one line, with outcome, validity and host evidence."""

    line: str
    interface: str | None
    outcome: Outcome
    reason: Reason | None
    detail: str | None
    validity: list[Validity]
    download: DirectionCeiling
    upload: DirectionCeiling
    host: Host | None

    @property
    def good(self) -> bool:
        """Whether it was measured and is enough for the plan."""
        enough = (self.download.enough, self.upload.enough)
        return self.outcome is Outcome.OK and False not in enough


class CeilingDocument(Struct, frozen=True):
    """What `tramdo-probe ceiling --json` prints."""

    peer: str
    least_plan_ratio: float
    lines: list[LineCeiling]


def peer_server(host: str, port: int) -> ServerConfig:
    """The peer as a measurement server with one iperf3 port."""
    return ServerConfig(name="ceiling-peer", host=host, iperf3_ports=[port])


def without_latency(config: Config) -> Config:
    """The configuration without latency, for a peer without a reflector."""
    return structs.replace(config, latency=structs.replace(config.latency, enabled=False))


def line_ceiling(line: LineConfig, result: ThroughputResult) -> LineCeiling:
    """The ceiling of a line by a throughput test against the peer."""
    values = result.values
    down_bps, up_bps = (values.download_bps, values.upload_bps) if values else (None, None)
    return LineCeiling(
        line=line.id,
        interface=line.interface,
        outcome=result.outcome,
        reason=result.reason,
        detail=result.detail,
        # Whether the port is slower than the plan is what this command reports itself.
        validity=[flag for flag in result.validity if flag is not Validity.LINK_BELOW_PLAN],
        download=_direction(down_bps, line.plan_download_bps),
        upload=_direction(up_bps, line.plan_upload_bps),
        host=result.host,
    )


def published_ceiling(found: LineCeiling, result: ThroughputResult, peer: str) -> Ceiling:
    """The ceiling as stored, published in `info` and added to later results."""
    return Ceiling(
        line=found.line,
        peer=peer,
        measured_at=result.started_at,
        download_bps=found.download.ceiling_bps,
        upload_bps=found.upload.ceiling_bps,
    )


def text(shown: CeilingDocument, language: Language) -> str:
    """The ceilings as text."""
    return "\n".join(
        part for line in shown.lines for part in _line_text(line, shown.peer, language)
    )


def notes(lines: Sequence[LineConfig], ceilings: dict[str, Ceiling]) -> Iterator[Phrase]:
    """A sentence for each ceiling that is missing or too low."""
    for line in lines:
        ceiling = ceilings.get(line.id)
        if ceiling is None:
            yield Phrase(
                f"đường truyền {line.id}: chưa biết chính hộp này đạt được bao nhiêu (tramdo-probe "
                "ceiling --peer MÁY, với `iperf3 --server` chạy trên MÁY trong mạng nội bộ)",
                f"line {line.id}: what this host itself can do is not known "
                "(tramdo-probe ceiling --peer HOST, with `iperf3 --server` on HOST in the LAN)",
            )
            continue
        for name, ceiling_bps, plan_bps in (
            (_DOWNLOAD, ceiling.download_bps, line.plan_download_bps),
            (_UPLOAD, ceiling.upload_bps, line.plan_upload_bps),
        ):
            if _direction(ceiling_bps, plan_bps).enough is False:
                yield Phrase(
                    f"đường truyền {line.id}: giới hạn {name.vi} của chính hộp này "
                    f"({_rate(ceiling_bps).vi}) quá thấp để đánh giá gói cước {_rate(plan_bps).vi}",
                    f"line {line.id}: this host's own ceiling of {_rate(ceiling_bps).en} in "
                    f"{name.en} is too low to assess a plan of {_rate(plan_bps).en}",
                )


def _direction(ceiling_bps: float | None, plan_bps: float | None) -> DirectionCeiling:
    ratio = None if ceiling_bps is None or plan_bps is None else ceiling_bps / plan_bps
    return DirectionCeiling(
        ceiling_bps=ceiling_bps,
        plan_bps=plan_bps,
        plan_ratio=ratio,
        enough=None if ratio is None else ratio >= LEAST_CEILING_RATIO,
    )


def _line_text(found: LineCeiling, peer: str, language: Language) -> Iterator[str]:
    port, outcome = _port(found).in_(language), texts.OUTCOMES[found.outcome].in_(language)
    head = Phrase(f"đường truyền {found.line}", f"line {found.line}").in_(language)
    against = Phrase("đo với", "against").in_(language)
    yield f"{head} ({port}) {against} {peer}: {outcome}"
    if found.detail is not None:
        yield f"  {texts.detail_text(found.detail).in_(language)}"
    for name, one in ((_DOWNLOAD, found.download), (_UPLOAD, found.upload)):
        rate, sufficiency = _rate(one.ceiling_bps).in_(language), _sufficiency(one).in_(language)
        yield f"  {name.in_(language):<9} {rate:>14}   {sufficiency}"
    if found.host is not None:
        parts = [part.in_(language) for part in _host(found.host)]
        yield f"  {', '.join([*parts, found.host.machine])}"
    if found.validity:
        yield f"  {texts.validity_text(found.validity).in_(language)}"


_DOWNLOAD, _UPLOAD = Phrase("tải xuống", "download"), Phrase("tải lên", "upload")


def _sufficiency(one: DirectionCeiling) -> Phrase:
    plan = _rate(one.plan_bps)
    if one.plan_bps is None:
        return Phrase("cấu hình chưa khai báo gói cước", "no plan is declared in the configuration")
    if one.plan_ratio is None:
        return Phrase(f"gói cước {plan.vi}: chưa biết", f"plan {plan.en}: not known")
    words = Phrase("quá THẤP để đánh giá", "TOO LOW to assess it")
    if one.enough:
        words = Phrase("đủ để đánh giá", "enough to assess it")
    ratio, least = number(f"{one.plan_ratio:.2f}"), number(f"{LEAST_CEILING_RATIO:g}")
    return Phrase(
        f"{ratio.vi} lần gói cước {plan.vi}: {words.vi} (cần {least.vi})",
        f"{ratio.en} of the plan of {plan.en}: {words.en} (takes {least.en})",
    )


def _port(found: LineCeiling) -> Phrase:
    host = found.host
    speed = Phrase("không rõ tốc độ cổng mạng", "link speed unknown")
    if host is not None and host.link_speed_bps is not None:
        rate, duplex = _rate(host.link_speed_bps), f" {host.link_duplex or ''}".rstrip()
        speed = Phrase(f"cổng mạng {rate.vi}{duplex}", f"link {rate.en}{duplex}")
    way = Phrase("theo địa chỉ nguồn", "by source address")
    if found.interface is not None:
        way = Phrase(found.interface, found.interface)
    return Phrase(f"{way.vi}, {speed.vi}", f"{way.en}, {speed.en}")


def _host(host: Host) -> Iterator[Phrase]:
    busiest = max(core_ratios(host), default=None)
    if busiest is None:
        yield Phrase("không rõ tải CPU", "busiest core unknown")
    else:
        yield Phrase(f"nhân CPU bận nhất {busiest:.0%}", f"busiest core {busiest:.0%}")
    if host.temperature_c is None:
        yield Phrase("không rõ nhiệt độ", "temperature unknown")
    else:
        degrees = number(f"{host.temperature_c:.1f} °C")
        yield Phrase(f"nhiệt độ {degrees.vi}", degrees.en)
    yield {
        None: Phrase("không rõ nguồn điện", "supply unknown"),
        True: Phrase("SỤT ÁP", "UNDER-VOLTAGE"),
        False: Phrase("nguồn điện tốt", "supply good"),
    }[host.throttled]


def _rate(rate_bps: float | None) -> Phrase:
    return number("-" if rate_bps is None else f"{rate_bps / MEGABIT:.1f} Mbit/s")
