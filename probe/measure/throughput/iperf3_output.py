"""Floor 1. libiperf's JSON: bytes to the values beside a figure, each validated on its own.

No figure is made of them (`iperf3_report`), and half of them come unchecked from the server: a
negative share of the processor, `nan`, 4,294,967,294 retransmits, a null `end`. libiperf may print
a warning before its JSON. A value that cannot be true is None; none of them fails a test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

# Printed by C's "%f" for numbers that JSON has no text for.
_NOT_FINITE = re.compile(r"(?<=[:,\[\s])-?(?:nan|inf(?:inity)?)(?=\s*[,}\]])", re.IGNORECASE)
_OBJECT = re.compile(r"^\{", re.MULTILINE)
_MOST_STARTS = 8
_MOST_BYTES = 2**53 - 1  # a Count of the contract
_MOST_SECONDS = 1e6
_MOST_CPU_PERCENT = 100_000.0  # 1,000 cores
_MOST_NAME = 15  # TCP_CA_NAME_MAX of linux/tcp.h, without its end


class Iperf3Output(Struct, frozen=True, kw_only=True):
    """What libiperf states beside the figures; None where it is missing or cannot be true.

    `retransmits` are the sender's, `received_bytes` and `received_s` the receiver's own totals.
    """

    error: str | None = None
    retransmits: int | None = None
    received_bytes: int | None = None
    received_s: float | None = None
    cpu_local_ratio: float | None = None
    cpu_remote_ratio: float | None = None
    congestion_control_sender: str | None = None
    congestion_control_receiver: str | None = None


def output_in(printed: bytes) -> Iperf3Output:
    """The values in libiperf's JSON; all None where there is none. Never raises."""
    found = _object_in(printed.decode(errors="replace"))
    error = found.get("error")
    return Iperf3Output(
        error=_text(error) if isinstance(error, str) else None,
        retransmits=_whole(_at(found, "end", "sum_sent", "retransmits")),
        received_bytes=_whole(_at(found, "end", "sum_received", "bytes")),
        received_s=_number(_at(found, "end", "sum_received", "seconds"), _MOST_SECONDS) or None,
        cpu_local_ratio=_cpu_ratio(_at(found, "end", "cpu_utilization_percent", "host_total")),
        cpu_remote_ratio=_cpu_ratio(_at(found, "end", "cpu_utilization_percent", "remote_total")),
        congestion_control_sender=_name(_at(found, "end", "sender_tcp_congestion")),
        congestion_control_receiver=_name(_at(found, "end", "receiver_tcp_congestion")),
    )


def _object_in(text: str) -> dict[str, object]:
    """The first JSON object that begins a line; empty where none can be read."""
    return next((one for one in _objects(text) if one is not None), {})


def _objects(text: str) -> Iterator[dict[str, object] | None]:
    for variant in (text, _NOT_FINITE.sub("null", text)):
        for start in islice(_OBJECT.finditer(variant), _MOST_STARTS):
            yield _decoded(variant, start.start())


def _decoded(text: str, start: int) -> dict[str, object] | None:
    # Not msgspec: it refuses a whole document for one number that no float holds.
    try:
        found, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _at(found: object, *path: str) -> object:
    for name in path:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found


def _number(found: object, most: float) -> float | None:
    """A number from 0 to `most`; None for anything else, NaN included."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if 0 <= found <= most else None


def _whole(found: object) -> int | None:
    number = _number(found, _MOST_BYTES)
    return None if number is None else round(number)


def _cpu_ratio(percent: object) -> float | None:
    number = _number(percent, _MOST_CPU_PERCENT)
    return None if number is None else number / 100


def _name(found: object) -> str | None:
    if not isinstance(found, str) or not 0 < len(found) <= _MOST_NAME:
        return None
    return found if found.isascii() and found.isprintable() else None


def _text(found: str) -> str:
    """Without halves of surrogate pairs, which JSON can spell and UTF-8 cannot."""
    return found.encode(errors="replace").decode()
