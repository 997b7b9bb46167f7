"""Floor 1. Builds commands to a probe, each with its expiry.

command = builder.measure(uuid4(), now, kind="throughput", line="vnpt", asked_by="lan")
sender.send("bach-thong", "phu-thong-01", command)
sender.status(command.id)          # None, sent, accepted, refused (with a reason), done
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from wire.commands import Identify, Measure, Reload, Replay
from wire.decoding import converted

# Long enough for a probe that reconnects, short enough that a late command surprises nobody.
LIFETIME = timedelta(minutes=2)


def identify(
    command_id: UUID, at: datetime, *, duration_s: float = 60.0, asked_by: str | None = None
) -> Identify:
    """Make a probe's LEDs flash."""
    return converted(
        {**_envelope(command_id, at, asked_by), "command": "identify", "duration_s": duration_s},
        Identify,
    )


def measure(
    command_id: UUID, at: datetime, *, kind: str, line: str, asked_by: str | None = None
) -> Measure:
    """Measure a kind on a line now. Raises msgspec.ValidationError for an invalid name."""
    return converted(
        {**_envelope(command_id, at, asked_by), "command": "measure", "kind": kind, "line": line},
        Measure,
    )


def replay(
    command_id: UUID,
    at: datetime,
    *,
    epoch: UUID,
    ranges: Iterable[tuple[int, int]],
    asked_by: str | None = None,
) -> Replay:
    """Send results again. Raises msgspec.ValidationError for too many ranges."""
    life = _envelope(command_id, at, asked_by)
    return converted({**life, "command": "replay", "epoch": epoch, "ranges": list(ranges)}, Replay)


def reload(command_id: UUID, at: datetime, *, asked_by: str | None = None) -> Reload:
    """Make the probe reload its configuration."""
    return converted({**_envelope(command_id, at, asked_by), "command": "reload"}, Reload)


def _envelope(command_id: UUID, at: datetime, asked_by: str | None) -> dict[str, object]:
    return {"id": command_id, "issued_at": at, "expires_at": at + LIFETIME, "asked_by": asked_by}
