"""Floor 1. What a bulk test asks of a server's lease service: its rate, its length, its wait."""

from __future__ import annotations

from probe.config import Config, LineConfig, ServerConfig
from probe.plan.budget import ASSUMED_BPS, THROUGHPUT, bulk_kinds, lease_wait_s
from probe.plan.hours import longest_idle_check_s
from wire.lease import Granted, LeaseRequest

# At a granted port only a test without a lease can be in the way; it is waited for so long (ours).
GRANTED_PATIENCE_S = 15.0


def lease_request(config: Config, line: LineConfig, kind: str) -> LeaseRequest:
    """The request of a test: the faster direction of the line's plan, or the assumed rate.

    A slot has room for the wait (`probe.plan.budget.BulkKind`).
    """
    return LeaseRequest(
        kind=kind,
        rate_bps=max(rate or ASSUMED_BPS for rate in line.plan_bps),
        longest_s=_longest_s(config, kind),
        wait_s=config.plan.lease_wait_s,
    )


def leased_server(server: ServerConfig, kind: str, granted: Granted) -> ServerConfig:
    """The server as a lease opens it: at the granted iperf3 port alone."""
    if kind != THROUGHPUT:
        return server
    return ServerConfig(
        name=server.name,
        host=server.host,
        iperf3_ports=[granted.port],
        stamp_port=server.stamp_port,
        http_port=server.http_port,
    )


def _longest_s(config: Config, kind: str) -> float:
    """How long the test may hold its slot: without its idle check, with what may be in its way."""
    longest_s = max((one.longest_s for one in bulk_kinds(config) if one.kind == kind), default=60.0)
    beside_s = longest_idle_check_s(config.plan) + lease_wait_s(config)
    return longest_s - beside_s + GRANTED_PATIENCE_S
