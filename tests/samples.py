"""Floor 1. Plausible results, envelopes and messages for tests: nothing here was measured.

Everything is a function of its arguments, so that two tests never share a value by accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from msgspec import structs

from wire.envelope import encode_envelope
from wire.messages import Health, Info, PlannedKind
from wire.result import (
    HOST_LINE,
    AvailabilityResult,
    AvailabilityValues,
    Clock,
    DnsEnding,
    DnsQuery,
    DnsResult,
    DnsValues,
    Family,
    FaultLocation,
    HopAnswer,
    Host,
    Interval,
    LatencyResult,
    LatencyValues,
    Line,
    Method,
    OutageEnd,
    OutageResult,
    OutageValues,
    Outcome,
    PathHop,
    PathResult,
    PathTarget,
    PathValues,
    Reason,
    ResolverRole,
    Result,
    ResultsDroppedResult,
    ResultsDroppedValues,
    ThroughputResult,
    ThroughputValues,
    Transfer,
    Validity,
    WebResult,
    WebValues,
    encode_result,
)
from wire.site import Site

TENANT = "bach-thong"
PROBE = "tram-01969-1"
EPOCH = UUID("6f1c1b1e-8f0e-4a57-9d0c-0d3b6f2f7a01")
OTHER_EPOCH = UUID("0b6f3f44-51c7-4d33-8a55-54f1a6c0b9ee")
SITE = Site("01969", "Văn phòng UBND xã Phủ Thông", "Bạch Thông (cũ)")
VNPT = Line("vnpt", "VNPT", "eth0", "192.0.2.10")
VIETTEL = Line("viettel", "Viettel", "eth1", "198.51.100.10")
NOON = datetime(2026, 7, 25, 5, 0, 0, tzinfo=UTC)


def throughput(
    *,
    line: Line = VNPT,
    family: Family | None = None,
    target: str = "iperf3:may-chu-1",
    started_at: datetime = NOON,
    download_bps: float = 238_810_000.0,
    upload_bps: float = 175_560_000.0,
    outcome: Outcome = Outcome.OK,
    reason: Reason | None = None,
    detail: str | None = None,
    validity: Sequence[Validity] = (),
    intervals: int = 4,
) -> ThroughputResult:
    """A throughput result; without values when it did not end well."""
    values = None
    if outcome is Outcome.OK:
        values = ThroughputValues(
            server_host="203.0.113.5",
            server_port=5201,
            streams=4,
            warm_up_s=3.0,
            download_bps=download_bps,
            download_whole_bps=download_bps * 0.97,
            upload_bps=upload_bps,
            upload_whole_bps=upload_bps * 0.96,
            download=_transfer(download_bps, intervals),
            upload=_transfer(upload_bps, intervals),
        )
    return ThroughputResult(
        outcome=outcome,
        reason=reason,
        detail=detail,
        validity=list(validity),
        line=line,
        family=family,
        target=target,
        slot_at=started_at - timedelta(seconds=1),
        started_at=started_at,
        duration_s=26.4,
        clock=_clock(),
        host=_host(),
        method=Method("libiperf", "3.12", {"streams": 4, "omit_s": 3, "duration_s": 10}),
        probe_version="0.1.0",
        values=values,
    )


def latency(
    *,
    line: Line = VNPT,
    family: Family | None = None,
    target: str = "stamp:may-chu-1",
    started_at: datetime = NOON,
    rtt_ms: float = 12.4,
    sent: int = 60,
    lost: int = 0,
    outcome: Outcome = Outcome.OK,
    reason: Reason | None = None,
    detail: str | None = None,
    validity: Sequence[Validity] = (),
) -> LatencyResult:
    """A latency window; values are kept when all were lost, as the probe keeps them."""
    received = sent - lost
    answered = received > 0
    values = LatencyValues(
        protocol="STAMP (RFC 8762)",
        address="203.0.113.5",
        timeout_s=3.0,
        mean_gap_s=1.0,
        sent=sent,
        received=received,
        lost=lost,
        late=0,
        duplicates=0,
        reordered=0,
        malformed=0,
        loss_ratio=lost / sent,
        loss_ratio_upper95=3 / sent if lost == 0 else None,
        rtt_min_ms=rtt_ms * 0.93 if answered else None,
        rtt_mean_ms=rtt_ms + 0.2 if answered else None,
        rtt_p50_ms=rtt_ms if answered else None,
        rtt_p95_ms=rtt_ms + 3.1 if answered and sent >= 59 else None,
        rtt_p99_ms=None,
        rtt_max_ms=rtt_ms + 9.0 if answered else None,
        ipdv_abs_mean_ms=0.6 if answered else None,
        pdv_ms=4.0 if answered else None,
        pdv_name="p95 - min" if answered else None,
        jitter_rfc3550_ms=0.5 if answered else None,
        timestamp_source="SO_TIMESTAMPNS",
    )
    return LatencyResult(
        outcome=outcome,
        reason=reason,
        detail=detail,
        validity=list(validity),
        line=line,
        family=family,
        target=target,
        slot_at=None,
        started_at=started_at,
        duration_s=60.0,
        clock=_clock(),
        host=None,
        method=Method("tramdo-stamp", "0.1.0", {"mean_gap_s": 1.0}),
        probe_version="0.1.0",
        values=values,
    )


def dns(*, line: Line = VNPT, target: str = "dns:192.168.1.1", rtt_ms: float = 4.2) -> DnsResult:
    """A round of queries to one resolver, all answered."""
    return DnsResult(
        outcome=Outcome.OK,
        line=line,
        target=target,
        slot_at=NOON,
        started_at=NOON,
        duration_s=0.4,
        clock=_clock(),
        host=None,
        method=Method("dnspython", "2.7.0", {"timeout_s": 3.0}),
        probe_version="0.1.0",
        values=DnsValues(
            resolver="192.168.1.1",
            port=53,
            role=ResolverRole.LINE,
            timeout_s=3.0,
            sent=2,
            answered=2,
            not_found=0,
            refused=0,
            server_failures=0,
            timeouts=0,
            unreachable=0,
            malformed=0,
            forged=0,
            truncated=0,
            failure_ratio=0.0,
            rtt_min_ms=rtt_ms,
            rtt_p50_ms=rtt_ms,
            rtt_p95_ms=None,
            rtt_max_ms=rtt_ms,
            uncached_p50_ms=rtt_ms * 5,
            queries=[
                DnsQuery(
                    name="dichvucong.gov.vn",
                    record_type="A",
                    random_label=False,
                    ending=DnsEnding.ANSWERED,
                    rcode="NOERROR",
                    rtt_ms=rtt_ms,
                    truncated=False,
                    tcp_ms=None,
                    answers=1,
                ),
                DnsQuery(
                    name="k3x9v0q7.vn",
                    record_type="A",
                    random_label=True,
                    ending=DnsEnding.ANSWERED,
                    rcode="NXDOMAIN",
                    rtt_ms=rtt_ms * 5,
                    truncated=False,
                    tcp_ms=None,
                    answers=0,
                ),
            ],
        ),
    )


def web(*, line: Line = VNPT, target: str = "web:dichvucong.gov.vn") -> WebResult:
    """A page that came, by phase."""
    return WebResult(
        outcome=Outcome.OK,
        line=line,
        target=target,
        slot_at=NOON,
        started_at=NOON,
        duration_s=0.3,
        clock=_clock(),
        host=None,
        method=Method("tramdo-web", "0.1.0", {"timeout_s": 10.0}),
        probe_version="0.1.0",
        values=WebValues(
            url="https://dichvucong.gov.vn/",
            final_url="https://dichvucong.gov.vn/p/home/dvc-trang-chu.html",
            address="203.0.113.80",
            port=443,
            resolver="192.168.1.1",
            status=200,
            http_version="HTTP/1.1",
            tls_version="TLSv1.3",
            redirects=1,
            redirect_ms=61.0,
            dns_ms=4.4,
            tcp_ms=12.1,
            tls_ms=26.0,
            first_byte_ms=80.2,
            body_ms=40.0,
            total_ms=223.7,
            body_bytes=81_234,
            complete=True,
            failed_phase=None,
            tcp_ipv4_ms=12.1,
        ),
    )


def path(
    *, line: Line = VNPT, fault: FaultLocation = FaultLocation.NONE, reached: bool = True
) -> PathResult:
    """The first hops of a line."""
    return PathResult(
        outcome=Outcome.OK,
        line=line,
        target="path:may-chu-1",
        slot_at=NOON,
        started_at=NOON,
        duration_s=1.1,
        clock=_clock(),
        host=None,
        method=Method("tramdo-path", "0.1.0", {"max_hops": 8}),
        probe_version="0.1.0",
        values=PathValues(
            fault=fault,
            gateway="192.168.1.1",
            gateway_reached=True,
            gateway_rtt_ms=0.6,
            access_address="100.64.1.2" if reached else None,
            access_rtt_ms=3.2 if reached else None,
            target_rtt_ms=12.4 if reached else None,
            targets_reached=1 if reached else 0,
            targets=[
                PathTarget(
                    name="may-chu-1",
                    address="203.0.113.5",
                    reached=reached,
                    rtt_ms=12.4 if reached else None,
                    trouble=None if reached else "203.0.113.5 does not answer.",
                )
            ],
            hops=[
                PathHop(
                    hop=1,
                    address="192.168.1.1",
                    answer=HopAnswer.TIME_EXCEEDED,
                    sent=3,
                    answered=3,
                    rtt_ms=0.6,
                )
            ],
        ),
    )


def availability(
    *,
    line: Line = VNPT,
    started_at: datetime = NOON,
    up: int = 57,
    down: int = 2,
    unknown: int = 1,
    ipv4_down: int | None = None,
    ipv6_down: int | None = None,
) -> AvailabilityResult:
    """An hour of one line, in minutes; what is unknown is so because the probe was off."""
    return AvailabilityResult(
        outcome=Outcome.OK,
        line=line,
        target=None,
        slot_at=None,
        started_at=started_at,
        duration_s=60.0 * (up + down + unknown),
        clock=_clock(),
        host=None,
        method=Method("tramdo-availability", "0.1.0", {}),
        probe_version="0.1.0",
        values=AvailabilityValues(
            up_minutes=up,
            down_minutes=down,
            unknown_minutes=unknown,
            availability_ratio=up / (up + down) if up + down else None,
            unknown_probe_off=unknown,
            unknown_not_running=0,
            unknown_clock=0,
            unknown_own_lan=0,
            unknown_evidence=0,
            gateway="192.168.1.1",
            targets=["203.0.113.5", "203.0.113.6"],
            ipv4_down_minutes=ipv4_down,
            ipv6_down_minutes=ipv6_down,
        ),
    )


def outage(
    *,
    line: Line = VNPT,
    began_at: datetime = NOON,
    down: int = 7,
    fault: FaultLocation = FaultLocation.ISP_ACCESS,
) -> OutageResult:
    """An outage that ended with the line up again."""
    ended_at = began_at + timedelta(minutes=down)
    return OutageResult(
        outcome=Outcome.OK,
        line=line,
        target=None,
        slot_at=None,
        started_at=began_at,
        duration_s=60.0 * down,
        clock=_clock(),
        host=None,
        method=Method("tramdo-availability", "0.1.0", {}),
        probe_version="0.1.0",
        values=OutageValues(
            began_at=began_at,
            ended_at=ended_at,
            ended_by=OutageEnd.UP,
            down_minutes=down,
            own_lan_minutes=0,
            unknown_minutes=0,
            fault=fault,
            path_measurements=1,
        ),
    )


def dropped(values: ResultsDroppedValues) -> ResultsDroppedResult:
    """What a probe says that it has given up."""
    return ResultsDroppedResult(
        outcome=Outcome.OK,
        line=HOST_LINE,
        target=None,
        slot_at=None,
        started_at=NOON,
        duration_s=0.0,
        clock=_clock(),
        host=None,
        method=None,
        probe_version="0.1.0",
        values=values,
    )


def envelope(
    numbered: Sequence[tuple[int, Result]],
    *,
    tenant: str = TENANT,
    probe: str = PROBE,
    epoch: UUID = EPOCH,
    site: Site = SITE,
    sent_at: datetime = NOON + timedelta(minutes=1),
) -> bytes:
    """An envelope as a probe would publish it."""
    bodies = [(seq, encode_result(result)) for seq, result in numbered]
    return encode_envelope(tenant, probe, epoch, site, sent_at, bodies)


def info(*, lines: Sequence[Line] = (VNPT, VIETTEL), epoch: UUID = EPOCH) -> Info:
    """What a probe says of itself at start."""
    return Info(
        probe_version="0.1.0",
        epoch=epoch,
        site=SITE,
        lines=list(lines),
        plan=[PlannedKind("throughput", 4), PlannedKind("latency", 1440)],
        config_hash="c" * 64,
        started_at=NOON - timedelta(hours=3),
    )


def health(
    *, pending: int = 0, at: datetime = NOON, certificate_ends_at: datetime | None = None
) -> Health:
    """How a box is."""
    return Health(
        at=at,
        pending=pending,
        outbox_bytes=40_960,
        clock_synchronised=True,
        temperature_c=48.5,
        throttled=False,
        disk_free_bytes=25_000_000_000,
        memory_available_bytes=700_000_000,
        uptime_s=10_800.0,
        leds={"power": "steady", "centre": "steady"},
        certificate_ends_at=certificate_ends_at,
    )


def info_of(epoch: UUID) -> Info:
    """`info` as a Publisher asks for it."""
    return info(epoch=epoch)


def health_of(pending: int, outbox_bytes: int) -> Health:
    """`health` as a Publisher asks for it."""
    return structs.replace(health(), pending=pending, outbox_bytes=outbox_bytes)


def _transfer(rate_bps: float, intervals: int) -> Transfer:
    interval_bytes = int(rate_bps / 8 * 0.5)
    return Transfer(
        steady_bps=rate_bps,
        whole_bps=rate_bps * 0.97,
        steady_s=10.0,
        whole_s=13.0,
        transferred_bytes=int(rate_bps / 8 * 13),
        interface_bytes=int(rate_bps / 8 * 13 * 1.05),
        retransmits=3,
        congestion_control_sender="cubic",
        congestion_control_receiver="cubic",
        cpu_local_ratio=0.21,
        cpu_remote_ratio=0.08,
        streams=4,
        complete=True,
        intervals=[
            Interval(0.5 * index, 0.5, interval_bytes, omitted=index < 2, retransmits=0)
            for index in range(intervals)
        ],
    )


def _clock() -> Clock:
    return Clock(
        synchronised=True, boot_id="5c9f7f0a-1111-4222-8333-0123456789ab", boottime_s=10800
    )


def _host() -> Host:
    return Host(
        cpu_per_core_ratio=[0.2, 0.1, 0.1, 0.3],
        cpu_frequency_mhz=1500.0,
        load_1min=0.4,
        memory_available_bytes=700_000_000,
        temperature_c=48.5,
        throttled=False,
        link_speed_bps=1e9,
        link_duplex="full",
        interface_received_bytes=400_000_000,
        interface_sent_bytes=300_000_000,
        kernel="6.12.25+rpt-rpi-v8",
        machine="Raspberry Pi 4 Model B",
    )
