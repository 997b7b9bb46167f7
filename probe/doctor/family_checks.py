"""Floor 2. Checks of `tramdo-probe doctor`: whether a line has IPv4 and IPv6, and they work.

A family with an address and a default route is tried as kind `path` tries it: a few packets to the
targets beyond the office.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from enum import StrEnum

from msgspec import Struct

from probe.config import Config, LineConfig
from probe.doctor.check import CheckResult, bad, good, unknown, warning
from probe.measure import host, line_networks
from probe.measure.families import InterfaceAddress, addresses_of, has_default_route
from probe.measure.latency.line_socket import line_fault
from probe.measure.measurement import MeasurementRequest
from probe.measure.path import probe as path_probe
from runtime.language import Phrase
from wire.record import Family
from wire.result import PathValues

NAMES = {Family.IPV4: "IPv4", Family.IPV6: "IPv6"}


class FamilyState(StrEnum):
    """What a line has of an address family."""

    NONE = "none"
    LINK_LOCAL = "link_local"
    UNIQUE_LOCAL = "unique_local"
    UNUSABLE = "unusable"
    NO_ROUTE = "no_route"
    UNASKED = "unasked"
    SILENT = "silent"
    WORKS = "works"


class FamilyFinding(Struct, frozen=True):
    """A family's state, the address that it is by, and what the path measurement found."""

    state: FamilyState
    address: str | None = None
    path: PathValues | None = None


def families(config: Config) -> Iterator[CheckResult]:
    """Check each address family of each line that is up."""
    for line in config.lines:
        interface = line.interface or host.interface_of(line.source_address)
        if interface is None or line_fault(line) is not None:
            continue
        if line_networks.of_line(line).loopback:
            continue
        wanted = list(Family) if line.source_address is None else [Family.of(line.source_address)]
        found = {family: _found(config, line, interface, family) for family in wanted}
        works = any(one.state is FamilyState.WORKS for one in found.values())
        for family, finding in found.items():
            needed = not works or family in (line.families or ())
            yield result(line.id, family, finding, needed=needed)


def state_of(addresses: Sequence[InterfaceAddress], *, has_route: bool) -> FamilyFinding | None:
    """What an interface's addresses and routes say; None where it is to be tried."""
    if not addresses:
        return FamilyFinding(FamilyState.NONE)
    farther = [one for one in addresses if not one.is_link_local]
    if not farther:
        return FamilyFinding(FamilyState.LINK_LOCAL, addresses[0].ip)
    public = [one for one in farther if not one.is_unique_local]
    if not public:
        return FamilyFinding(FamilyState.UNIQUE_LOCAL, farther[0].ip)
    usable = [one for one in public if one.usable]
    if not usable:
        return FamilyFinding(FamilyState.UNUSABLE, public[0].ip)
    return None if has_route else FamilyFinding(FamilyState.NO_ROUTE, usable[0].ip)


def result(line_id: str, family: Family, found: FamilyFinding, *, needed: bool) -> CheckResult:
    """The result of a check. `needed`: by the line's setting, or because no other family works."""
    name = NAMES[family]
    part = Phrase(f"đường truyền {line_id}, {name}", f"line {line_id}, {name}")
    seen, todo = _seen(name, found), _todo(name)
    if found.state is FamilyState.WORKS:
        return good(part, seen)
    if found.state is FamilyState.UNASKED:
        return unknown(part, seen, _name_targets(name))
    if needed:
        return bad(part, seen, todo)
    absent = found.state in (FamilyState.NONE, FamilyState.LINK_LOCAL)
    return good(part, seen) if absent else warning(part, seen, todo)


def _found(config: Config, line: LineConfig, interface: str, family: Family) -> FamilyFinding:
    addresses = addresses_of(interface, family)
    early = state_of(addresses, has_route=has_default_route(interface, family))
    if early is not None:
        return early
    address = line.source_address or next(one.ip for one in addresses if one.usable)
    request = MeasurementRequest(
        line=line,
        server=config.servers[0],
        config=config,
        stop=threading.Event(),
        progress=lambda _: None,
        family=family,
    )
    (raw,) = path_probe.measure(request)
    values = raw.values if isinstance(raw.values, PathValues) else None
    if values is None or not any(target.address for target in values.targets):
        return FamilyFinding(FamilyState.UNASKED, address)
    state = FamilyState.WORKS if values.targets_reached else FamilyState.SILENT
    return FamilyFinding(state, address, values)


def _seen(name: str, found: FamilyFinding) -> Phrase:
    address, path = found.address, found.path
    match found.state:
        case FamilyState.NONE:
            return Phrase(f"không có {name}", f"has no {name}")
        case FamilyState.LINK_LOCAL:
            return Phrase(
                f"không có {name}: chỉ có địa chỉ link-local {address}",
                f"has no {name}: only the link-local address {address}",
            )
        case FamilyState.UNIQUE_LOCAL:
            return Phrase(
                f"chỉ có địa chỉ nội bộ (ULA) {address}, không ra được Internet",
                f"has only the unique local address {address}, which reaches no Internet",
            )
        case FamilyState.UNUSABLE:
            return Phrase(
                f"có địa chỉ {name} {address} nhưng không dùng được (đang kiểm tra trùng, bị trùng "
                "hoặc đã hết hạn)",
                f"has the {name} address {address}, which cannot be used (tentative, a duplicate, "
                "or deprecated)",
            )
        case FamilyState.NO_ROUTE:
            return Phrase(
                f"có địa chỉ {name} {address} nhưng không có đường đi mặc định",
                f"has the {name} address {address} and no default route",
            )
        case FamilyState.UNASKED:
            return Phrase(
                f"có địa chỉ {name} {address}; không có đích {name} nào để thử",
                f"has the {name} address {address}; there is no {name} target to try",
            )
        case FamilyState.SILENT:
            return Phrase(
                f"có địa chỉ {name} {address} nhưng không đích nào trả lời ({_where(path).vi})",
                f"has the {name} address {address} and nothing answers ({_where(path).en})",
            )
        case FamilyState.WORKS:
            reached = 0 if path is None else path.targets_reached
            return Phrase(
                f"{address} dùng được, {reached} đích trả lời",
                f"{address} works, {reached} targets answer",
            )


def _where(path: PathValues | None) -> Phrase:
    if path is None or path.gateway_reached is None:
        return Phrase("không rõ bộ định tuyến", "no router is known")
    if path.gateway_reached:
        return Phrase("bộ định tuyến có trả lời", "the router does")
    return Phrase("bộ định tuyến cũng không", "nor does the router")


def _todo(name: str) -> Phrase:
    option = "-6" if name == "IPv6" else "-4"
    return Phrase(
        f"xem `ip {option} address`, `ip {option} route show table all` và phần {name} của bộ định "
        "tuyến; nếu bộ định tuyến không có lỗi thì báo nhà mạng",
        f"see `ip {option} address`, `ip {option} route show table all` and the router's {name}; "
        "where the router is well, ask the Internet provider",
    )


def _name_targets(name: str) -> Phrase:
    return Phrase(
        f"thêm đích {name} vào `servers` hoặc `latency.icmp_targets`",
        f"name an {name} target in `servers` or `latency.icmp_targets`",
    )
