"""Floor 1. The broker's limits, and the rule that its memory suffices for the worst they allow.

Mosquitto refuses what exceeds `memory_limit`, also when it loads its persistence at start: a broker
that was filled up cannot be started again. So the sum of what every user may make it hold must stay
below the limit (`MemoryBudget`). What Mosquitto itself does not limit is in docs/security.md.
"""

from __future__ import annotations

import math
from typing import Annotated

from msgspec import Meta, Struct

from wire.envelope import MAX_ENVELOPE_BYTES
from wire.result import KINDS

Count = Annotated[int, Meta(ge=1)]

# Fixed header, topic, packet identifier and properties of an MQTT 5 PUBLISH (§3.3).
_PACKET_OVERHEAD_BYTES = 1_024
MAX_PACKET_BYTES = MAX_ENVELOPE_BYTES + _PACKET_OVERHEAD_BYTES

# The channels that a probe may write beside `m/{kind}`.
PROBE_CHANNELS = ("state", "info", "health", "reply")

# The share of the fleet that does the worst that its rights allow.
HOSTILE_SHARE = 0.05
# Of `memory_limit_bytes`, for fragments, tables that grow by doubling, and loading at start.
_HEADROOM_SHARE = 0.2
# Mosquitto's own structures for a queued message beside its payload: 424 bytes measured with
# 2.0.11 for a topic of 65 bytes in two sessions; names may be longer. MQTT 5 properties, which
# Mosquitto does not count, are in addition (docs/security.md).
_QUEUED_MESSAGE_BYTES = 512
# An honest probe: connection, session, subscriptions (2 KB measured), retained info and receipt.
_HONEST_PROBE_BYTES = 32_768


class BrokerLimits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The broker's resource limits, per client unless stated otherwise."""

    # The size of the fleet, which `memory_limit_bytes` must suffice for.
    probes: Count = 1_000
    # For a collector that is away: the default of 1,000 is gone in seconds.
    max_queued_messages: Count = 100_000
    max_queued_bytes: Count = 128 * 2**20
    # Twice what the collector commits at once (`intake.batch_messages`): it validates one batch
    # while another is on its way to the disk.
    max_inflight_messages: Annotated[int, Meta(ge=1, le=65_535)] = 400
    # Without it, 400 messages of 1 MiB each would be held beyond `max_queued_bytes`.
    max_inflight_bytes: Count = 16 * 2**20
    # The whole broker's heap.
    memory_limit_bytes: Count = 2 * 2**30
    # The longest `keepalive_s` that a program of ours may be given.
    max_keepalive_s: Annotated[int, Meta(ge=10, le=65_535)] = 1_200
    # As long as our programs ask for (`runtime.mqtt.SESSION_EXPIRY_S`).
    session_days: Count = 7
    autosave_interval_s: Count = 300


class MemoryBudget(Struct, frozen=True):
    """The most heap that each sort of user can make the broker hold, in bytes."""

    limit_bytes: int
    headroom_bytes: int
    sessions: int
    session_bytes: int
    hostile_probes: int
    hostile_probe_bytes: int
    honest_probes: int
    honest_probe_bytes: int

    @property
    def required_bytes(self) -> int:
        """The worst case of all users together."""
        return (
            self.sessions * self.session_bytes
            + self.hostile_probes * self.hostile_probe_bytes
            + self.honest_probes * self.honest_probe_bytes
        )

    @property
    def available_bytes(self) -> int:
        """What the limit leaves after the headroom."""
        return self.limit_bytes - self.headroom_bytes

    @property
    def smallest_limit_bytes(self) -> int:
        """The smallest `memory_limit_bytes` with which the rule holds."""
        return math.ceil(self.required_bytes / (1 - _HEADROOM_SHARE))


def memory_budget(limits: BrokerLimits, sessions: int) -> MemoryBudget:
    """The budget of a broker.

    Args:
        limits: the broker's limits.
        sessions: users by password; the name is the client identifier, so each has one session,
            which is kept while it is away.
    """
    hostile = math.ceil(limits.probes * HOSTILE_SHARE)
    return MemoryBudget(
        limit_bytes=limits.memory_limit_bytes,
        headroom_bytes=math.ceil(limits.memory_limit_bytes * _HEADROOM_SHARE),
        sessions=sessions,
        session_bytes=_session_bytes(limits),
        hostile_probes=hostile,
        hostile_probe_bytes=_hostile_probe_bytes(),
        honest_probes=limits.probes - hostile,
        honest_probe_bytes=_HONEST_PROBE_BYTES,
    )


def _session_bytes(limits: BrokerLimits) -> int:
    """Queue and window of a user that is away; each limit is exceeded by one message at most."""
    payload = limits.max_queued_bytes + limits.max_inflight_bytes + 2 * MAX_PACKET_BYTES
    messages = limits.max_queued_messages + limits.max_inflight_messages
    return payload + messages * _QUEUED_MESSAGE_BYTES


def _hostile_probe_bytes() -> int:
    """A retained message on each of its topics, a last will, and a packet half received."""
    topics = len(KINDS) + len(PROBE_CHANNELS)
    return (topics + 2) * MAX_PACKET_BYTES + _HONEST_PROBE_BYTES
