"""Floor 1. Kind `path`: locates a fault by what answered (docs/method.md#path, P3).

The fault is behind the last thing that answers: in the own network, the ISP's access, or beyond.
Knows no sockets.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from probe.measure.own_networks import OwnNetworks, is_on_link
from wire.result import FaultLocation, HopAnswer, PathHop, PathTarget, PathValues

_LINK_LOCAL = "fe80:"
# Routers of the office's own behind the ISP's box: homes and offices use this range, while
# ISPs number their access networks from 10/8 and 100.64/10 (RFC 1918, RFC 6598; ours). A hop is on
# the way out, which a target with such an address need not be: those are decided by
# `probe.measure.own_networks`.
_PREMISES = ipaddress.ip_network("192.168.0.0/16")


class PathEvidence(Struct, frozen=True, kw_only=True):
    """What answered. `gateway` is None where the office's router is unknown.

    `refusals` are the addresses that reported a target as unreachable. `line_down`: the
    probe's own interface has no cable or no address. `own` are the networks of the office.
    """

    gateway: str | None
    gateway_rtt_ms: float | None
    hops: Sequence[PathHop]
    targets: Sequence[PathTarget]
    refusals: Sequence[str] = ()
    line_down: bool = False
    own: OwnNetworks = OwnNetworks()


def shown_hops(hops: Sequence[PathHop]) -> list[PathHop]:
    """The hops up to the target; where it was not reached, up to one past the last answer."""
    for number, hop in enumerate(hops):
        if hop.answer is HopAnswer.REACHED:
            return list(hops[: number + 1])
    answered = [n for n, hop in enumerate(hops) if hop.answer is not HopAnswer.SILENT]
    return list(hops[: (answered[-1] if answered else -1) + 2])


def access_hop(seen: PathEvidence) -> PathHop | None:
    """The ISP's first hop: behind the gateway, and not a router of the office's own."""
    return next((hop for hop in _outside(seen) if hop.answer is not HopAnswer.SILENT), None)


def locate(seen: PathEvidence) -> FaultLocation:
    """The fault location: behind the last thing that answers.

    With every target reached there is none. With some reached, or with an answer of an ISP's hop,
    the access line works and the fault is beyond it. A target whose name has no address was not
    probed; where none was probed, nothing is known of what is behind the gateway.
    """
    reached = [target.reached for target in resolved_targets(seen.targets)]
    if reached and all(reached):
        return FaultLocation.NONE
    if any(reached) or _refusing(seen) or access_hop(seen) is not None:
        return FaultLocation.BEYOND
    if gateway_reached(seen) or (seen.gateway is None and _any_answer(seen.hops)):
        return FaultLocation.ISP_ACCESS if reached else FaultLocation.UNDETERMINED
    if seen.gateway is None and not seen.line_down:
        return FaultLocation.UNDETERMINED
    return FaultLocation.OWN_LAN


def resolved_targets(targets: Iterable[PathTarget]) -> list[PathTarget]:
    """The targets whose name has an address, to which packets were sent."""
    return [target for target in targets if target.address is not None]


def gateway_reached(seen: PathEvidence) -> bool | None:
    """Whether the gateway is up: it or something behind it answered. None where unknown."""
    if seen.gateway is None:
        return None
    behind = any(target.reached for target in seen.targets) or _any_answer(seen.hops)
    return seen.gateway_rtt_ms is not None or behind or bool(seen.refusals)


def values(seen: PathEvidence) -> PathValues:
    """The values of a path measurement."""
    access = access_hop(seen)
    access_address = _refusing(seen) if access is None else access.address
    reached = [target for target in seen.targets if target.reached]
    own = [h.rtt_ms for h in seen.hops if h.rtt_ms is not None and h.address == seen.gateway]
    return PathValues(
        fault=locate(seen),
        gateway=seen.gateway,
        gateway_reached=gateway_reached(seen),
        gateway_rtt_ms=min(own, default=None)
        if seen.gateway_rtt_ms is None
        else seen.gateway_rtt_ms,
        access_address=access_address,
        access_rtt_ms=None if access is None else access.rtt_ms,
        target_rtt_ms=next((target.rtt_ms for target in reached), None),
        targets_reached=len(reached),
        targets=list(seen.targets),
        hops=shown_hops(seen.hops),
    )


def sentence(found: PathValues) -> str | None:
    """The fault location as a sentence; None where there is no fault."""
    gateway = found.gateway or "the gateway"
    silent = ", ".join(
        target.name for target in resolved_targets(found.targets) if not target.reached
    )
    match found.fault:
        case FaultLocation.NONE:
            return None
        case FaultLocation.OWN_LAN:
            return f"The fault is in the office's own network: {gateway} does not answer."
        case FaultLocation.ISP_ACCESS:
            return (
                "The fault is on the Internet provider's access line: "
                f"{gateway} answers, and nothing behind it does."
            )
        case FaultLocation.BEYOND:
            return f"The fault is beyond the access line: no answer from {silent}."
        case _ if found.gateway_reached:
            return f"{gateway} answers, and no target has an address: nothing behind it was asked."
        case _:
            return "Nothing answers, and no gateway is known: the fault may be on either side."


def _outside(seen: PathEvidence) -> Iterator[PathHop]:
    """The hops from the first one outside the premises, without the target.

    The first hop is the gateway where that is unknown or known by a link-local address alone, as an
    IPv6 router is: it reports from another address of its own.
    """
    outside = False
    first_is_gateway = seen.gateway is None or seen.gateway.startswith(_LINK_LOCAL)
    for hop in seen.hops:
        if hop.answer is HopAnswer.REACHED:
            return
        if hop.address is not None and not outside:
            own = _of_premises(seen, hop.address) or (first_is_gateway and hop.hop == 1)
            outside = not own
        if outside:
            yield hop


def _refusing(seen: PathEvidence) -> str | None:
    """The first address outside the premises that reported a target as unreachable."""
    return next((text for text in seen.refusals if not _of_premises(seen, text)), None)


def _of_premises(seen: PathEvidence, text: str) -> bool:
    address = ipaddress.ip_address(text)
    of_space = address.version == 4 and address in _PREMISES
    return text == seen.gateway or of_space or is_on_link(text, seen.own)


def _any_answer(hops: Sequence[PathHop]) -> bool:
    return any(hop.answer is not HopAnswer.SILENT for hop in hops)
