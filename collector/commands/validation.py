"""Floor 1. Validates what a probe replies to a command: topic and bytes to a `ValidatedReply`."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct

from collector.store.messages import RejectedMessage
from wire import messages, topics
from wire.commands import Reply
from wire.messages import Rejection

# A reply has a few hundred bytes.
MAX_REPLY_BYTES = 4_096


class ValidatedReply(Struct, frozen=True):
    """A reply, with tenant and probe of its topic."""

    tenant: str
    probe: str
    reply: Reply


def validate_reply(
    topic: str, payload: bytes, received_at: datetime, *, retained: bool
) -> ValidatedReply | RejectedMessage | None:
    """Validate a reply from a probe; None for another topic."""
    address = topics.parse(topic)
    if address is None or address.channel != "reply":
        return None
    if len(payload) > MAX_REPLY_BYTES:
        detail = f"{len(payload)} bytes, at most {MAX_REPLY_BYTES} bytes are taken"
        return RejectedMessage(topic, payload, received_at, Rejection.TOO_LARGE, detail)
    if retained:
        return RejectedMessage(
            topic, payload, received_at, Rejection.TOPIC, "a reply is never retained"
        )
    try:
        reply = messages.decode(payload, Reply)
    except msgspec.ValidationError as error:
        return RejectedMessage(topic, payload, received_at, Rejection.SCHEMA, str(error)[:500])
    except msgspec.DecodeError as error:
        return RejectedMessage(topic, payload, received_at, Rejection.NOT_JSON, str(error)[:500])
    return ValidatedReply(address.tenant, address.probe, reply)
