"""Floor 1. Topic names: the only place that builds and parses them.

tramdo/v1/{tenant}/{probe}/m/{kind}     QoS 1             envelope of results
tramdo/v1/{tenant}/{probe}/state        QoS 1, retained   online | offline | lost (last will)
tramdo/v1/{tenant}/{probe}/info         QoS 1, retained   who the probe is
tramdo/v1/{tenant}/{probe}/health       QoS 1             how the box is
tramdo/v1/{tenant}/{probe}/receipt      QoS 1, retained   centre -> probe: what is stored
tramdo/v1/{tenant}/{probe}/cmd/{name}   QoS 1             centre -> probe: a command
tramdo/v1/{tenant}/{probe}/reply        QoS 1             what became of a command
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

ROOT = "tramdo/v1"
_NAME = re.compile(r"[a-z0-9-]{1,40}")
_TOPIC = re.compile(
    rf"{ROOT}/(?P<tenant>{_NAME.pattern})/(?P<probe>{_NAME.pattern})/"
    rf"(?:(?P<head>m|cmd)/(?P<kind>[a-z_]{{1,40}})|(?P<channel>state|info|health|receipt|reply))"
)
# Three names of 40 characters; what is longer is no topic of ours, and would fill the memory.
_LONGEST = 140
# A nation's probes send on some three topics each.
_PARSED = 16_384


class Topic(NamedTuple):
    """A parsed topic: `channel` is `m`, `state`, `info`, `health`, `receipt`, `cmd` or `reply`.

    `kind` is the last level of `m` (a kind of result) and of `cmd` (a command's name).
    """

    tenant: str
    probe: str
    channel: str
    kind: str | None = None


def is_name(text: str) -> bool:
    """Whether a text is a valid tenant, probe or line name."""
    return _NAME.fullmatch(text) is not None


def build(topic: Topic) -> str:
    """Build the topic's text.

    Raises:
        ValueError: a part that is not a name, an unknown channel, a kind out of place.
    """
    text = f"{ROOT}/{topic.tenant}/{topic.probe}/{topic.channel}"
    if topic.kind is not None:
        text = f"{text}/{topic.kind}"
    if parse(text) != topic:
        raise ValueError(f"not a topic of the contract: {topic}")
    return text


def parse(text: str) -> Topic | None:
    """Parse a topic; None when it is not one of the contract's."""
    return _parsed(text) if len(text) <= _LONGEST else None


@lru_cache(_PARSED)
def _parsed(text: str) -> Topic | None:
    match = _TOPIC.fullmatch(text)
    if match is None:
        return None
    return Topic(match["tenant"], match["probe"], match["channel"] or match["head"], match["kind"])


def measurement(tenant: str, probe: str, kind: str) -> str:
    """The topic on which a probe publishes results of a kind."""
    return build(Topic(tenant, probe, "m", kind))


def command(tenant: str, probe: str, name: str) -> str:
    """The topic on which the centre publishes commands of a name."""
    return build(Topic(tenant, probe, "cmd", name))


def of_probe(tenant: str, probe: str, channel: str) -> str:
    """One of a probe's own topics: `state`, `info`, `health`, `receipt`, `reply`."""
    return build(Topic(tenant, probe, channel))


def collector_filters(*tenants: str) -> list[str]:
    """The topic filters of a collector: of these tenants' probes, or without one of every tenant's.

    No two of them overlap: a broker may deliver a message once for each filter that it matches.
    """
    return [
        f"{ROOT}/{level}/+/{channel}"
        for level in tenants or ("+",)
        for channel in ("m/+", "state", "info", "health", "reply")
    ]


def probe_filters(tenant: str, probe: str) -> list[str]:
    """The topic filters of a probe: its own receipts and commands."""
    return [of_probe(tenant, probe, "receipt"), f"{ROOT}/{tenant}/{probe}/cmd/+"]
