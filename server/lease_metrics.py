"""Floor 1. The lease service's counters in Prometheus' text format."""

from __future__ import annotations

from server.leases import LeaseTable

_HELP = {
    "requests": "Leases that were asked for.",
    "granted": "Leases that were granted.",
    "refused": "Requests that were refused at once.",
    "not_granted_in_time": "Requests that waited for as long as they could.",
    "expired": "Leases that were not given back in time.",
    "without_lease": "Tests that were seen or admitted without a lease.",
    "http_refused": "Transfers that nginx was not allowed to serve.",
    "contended": "Tests that shared a port or an overloaded card.",
}


def exposition(table: LeaseTable) -> str:
    """The counters and the present state, a metric each."""
    lines = []
    for name, meaning in _HELP.items():
        metric = f"tramdo_lease_{name}_total"
        count = getattr(table.counters, name)
        lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} counter", f"{metric} {count}"]
    for name, meaning, value in (
        ("held", "Tests that run.", table.held),
        ("waiting", "Requests that wait.", table.waiting),
        ("granted_bps", "The sum of the rates of all tests that run.", round(table.granted_bps)),
    ):
        metric = f"tramdo_lease_{name}"
        lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} gauge", f"{metric} {value}"]
    return "\n".join(lines) + "\n"
