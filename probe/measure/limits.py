"""Floor 1. What the host evidence says against a result: was the probe the ceiling, or the line?"""

from __future__ import annotations

from probe.config import LineConfig
from wire.result import Host, Validity

# A core that is busier than this over the test had no more to give (ours).
_BUSY_RATIO = 0.95


def validity_from(host: Host, line: LineConfig) -> list[Validity]:
    """The flags that the evidence calls for.

    `probe_limited`: a core was busy all the time, or the link is half duplex. `throttled`: the
    supply voltage was too low. `link_below_plan`: the link to the router is slower than the plan,
    so the plan cannot be judged (METHOD, Throughput: host evidence).
    """
    flags = []
    half_duplex = host.link_duplex == "half"
    if half_duplex or any(ratio > _BUSY_RATIO for ratio in host.cpu_per_core_ratio):
        flags.append(Validity.PROBE_LIMITED)
    if host.throttled:
        flags.append(Validity.THROTTLED)
    plans_bps = [plan for plan in (line.plan_download_bps, line.plan_upload_bps) if plan]
    if host.link_speed_bps is not None and any(plan > host.link_speed_bps for plan in plans_bps):
        flags.append(Validity.LINK_BELOW_PLAN)
    return flags
