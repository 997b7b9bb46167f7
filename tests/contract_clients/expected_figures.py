"""Floor 1. What a reader must find in messages, by our own types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.contract_clients.client import FIGURES
from tests.contract_clients.clients import Sample
from wire.envelope import decode_envelope


def of(samples: Sequence[Sample]) -> list[list[Any]]:
    """Number, kind and figures of each result, in the order of the messages."""
    envelopes = [each for each in samples if each.schema.startswith("envelope")]
    return [
        [record.seq, record.result.kind, *_figures(record.result)]
        for envelope in envelopes
        for record in decode_envelope(json.dumps(envelope.payload).encode()).records
    ]


def _figures(result: Any) -> list[Any]:
    return [getattr(result.values, name) for name in FIGURES[result.kind]]
