"""Floor 1. Conversion between columns and values: times and JSON as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from collector.store.records import NamedEpochs, StoredProbe, StoredResult
from wire.decoding import decode_json, reader_of
from wire.ledger import Ledger
from wire.messages import Health, Info, PlannedKind, Presence
from wire.site import Site

T = TypeVar("T")
Row = tuple[Any, ...]
_decode_ranges = reader_of(tuple[tuple[int, int], ...])


def result(row: Row) -> StoredResult:
    """A result from its columns, in the order of StoredResult's fields."""
    number, tenant, probe, epoch, seq, kind, line, target, received_at, stored_at, body = row
    return StoredResult(
        number=number,
        tenant=tenant,
        probe=probe,
        epoch=UUID(epoch),
        seq=seq,
        kind=kind,
        line=line,
        target=target,
        received_at=time(received_at),
        stored_at=time(stored_at),
        body=body.encode(),
    )


def probe(row: Row) -> StoredProbe:
    """A probe from its columns, in the order of the table's."""
    tenant, name, revision, site, presence, since, info, health, health_at, contact_at = row
    return StoredProbe(
        tenant=tenant,
        probe=name,
        revision=revision,
        site=_message(site, Site),
        presence=maybe(presence, Presence),
        presence_since=maybe(since, time),
        info=_message(info, Info),
        health=_message(health, Health),
        health_at=maybe(health_at, time),
        last_contact_at=maybe(contact_at, time),
    )


def named_epochs(tenant: str, probe: str, info: str) -> NamedEpochs | None:
    """What an `info` names, from its JSON; None where another version of the contract wrote it."""
    message = _message(info, Info)
    return None if message is None else NamedEpochs.of(tenant, probe, message)


def plan(text: str) -> list[PlannedKind] | None:
    """A plan from its JSON; None where another version of the contract wrote it."""
    return _message(text, list[PlannedKind])


def ledger(ranges: str) -> Ledger:
    """A ledger from its JSON."""
    return Ledger(_decode_ranges(ranges))


def ledger_text(ledger: Ledger) -> str:
    """A ledger as JSON: [[first, last], ...]."""
    return msgspec.json.encode(ledger.ranges).decode()


def message_text(message: msgspec.Struct | Sequence[msgspec.Struct]) -> str:
    """A message of the contract, or a part of one, as JSON."""
    return msgspec.json.encode(message).decode()


def time(cell: str | int | datetime) -> datetime:
    """A time as text (`utc_text`), as microseconds since 1970, or as the database's own type."""
    if isinstance(cell, int):
        return _UNIX_EPOCH + timedelta(microseconds=cell)
    return cell.astimezone(UTC) if isinstance(cell, datetime) else datetime.fromisoformat(cell)


_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def maybe(value: object, convert: Callable[..., T]) -> T | None:
    """The converted value; None stays None."""
    return None if value is None else convert(value)


def _message(text: str | None, expected: type[T]) -> T | None:
    if text is None:
        return None
    try:
        return decode_json(text, expected)
    except msgspec.ValidationError:
        # Written by another version of the contract; the probe's next message replaces it. Until
        # then one probe must not break the page of all.
        return None
