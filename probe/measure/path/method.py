"""Floor 1. Kind `path`: from what answered to where the fault is (METHOD, Availability).

Own network, the ISP's access, beyond: the fault lies behind the last thing that answers. Knows no
sockets; what answered is handed in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from wire.result import FaultLocation, HopAnswer, PathHop, PathTarget, PathValues

# A router of the office's own behind the ISP's box: homes and offices number themselves so, while
# ISPs number their access networks from 10/8 and 100.64/10 (RFC 1918, RFC 6598; ours).
_PREMISES = ipaddress.ip_network("192.168.0.0/16")


class PathEvidence(Struct, frozen=True, kw_only=True):
    """What answered. `gateway` is None where the office's router is not known.

    `refusals` are the addresses that said of a target that it cannot be reached. `line_down`: the
    probe's own interface has no cable or no address.
    """

    gateway: str | None
    gateway_rtt_ms: float | None
    hops: Sequence[PathHop]
    targets: Sequence[PathTarget]
    refusals: Sequence[str] = ()
    line_down: bool = False


def shown_hops(hops: Sequence[PathHop]) -> list[PathHop]:
    """The hops up to the target; where it was not reached, up to one past the last answer."""
    for number, hop in enumerate(hops):
        if hop.answer is HopAnswer.REACHED:
            return list(hops[: number + 1])
    answered = [n for n, hop in enumerate(hops) if hop.answer is not HopAnswer.SILENT]
    return list(hops[: (answered[-1] if answered else -1) + 2])


def access_hop(gateway: str | None, hops: Sequence[PathHop]) -> PathHop | None:
    """The first hop of the ISP's: behind the gateway, and no router of the office's own."""
    return next(
        (hop for hop in _outside(gateway, hops) if hop.answer is not HopAnswer.SILENT), None
    )


def locate(seen: PathEvidence) -> FaultLocation:
    """Where the fault is: behind the last thing that answers.

    With every target reached there is none. With some reached, or with something of the ISP's that
    answers, the access line works and the fault is beyond it. A target whose name has no address
    was never asked, so it says nothing; where none was, nothing is known of what is behind the
    gateway.
    """
    reached = [target.reached for target in resolved_targets(seen.targets)]
    if reached and all(reached):
        return FaultLocation.NONE
    if any(reached) or _refusing(seen) or access_hop(seen.gateway, seen.hops) is not None:
        return FaultLocation.BEYOND
    if gateway_reached(seen) or (seen.gateway is None and _any_answer(seen.hops)):
        return FaultLocation.ISP_ACCESS if reached else FaultLocation.UNDETERMINED
    if seen.gateway is None and not seen.line_down:
        return FaultLocation.UNDETERMINED
    return FaultLocation.OWN_LAN


def resolved_targets(targets: Iterable[PathTarget]) -> list[PathTarget]:
    """The targets that packets were sent to; a name that could not be resolved here is none."""
    return [target for target in targets if target.address is not None]


def gateway_reached(seen: PathEvidence) -> bool | None:
    """Whether the gateway is there: it answered, or something behind it did. None: not known."""
    if seen.gateway is None:
        return None
    behind = any(target.reached for target in seen.targets) or _any_answer(seen.hops)
    return seen.gateway_rtt_ms is not None or behind or bool(seen.refusals)


def values(seen: PathEvidence) -> PathValues:
    """What was found."""
    access = access_hop(seen.gateway, seen.hops)
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
    """Where the fault is, for a person; None where there is none."""
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


def _outside(gateway: str | None, hops: Sequence[PathHop]) -> Iterator[PathHop]:
    """The hops from the first on that is not of the premises; the target itself is no hop."""
    outside = False
    for hop in hops:
        if hop.answer is HopAnswer.REACHED:
            return
        if hop.address is not None and not outside:
            own = _of_premises(gateway, hop.address) or (gateway is None and hop.hop == 1)
            outside = not own
        if outside:
            yield hop


def _refusing(seen: PathEvidence) -> str | None:
    """Who of those outside the premises says that a target cannot be reached; the first."""
    return next((text for text in seen.refusals if not _of_premises(seen.gateway, text)), None)


def _of_premises(gateway: str | None, text: str) -> bool:
    address = ipaddress.ip_address(text)
    return text == gateway or (address.version == 4 and address in _PREMISES)


def _any_answer(hops: Sequence[PathHop]) -> bool:
    return any(hop.answer is not HopAnswer.SILENT for hop in hops)
