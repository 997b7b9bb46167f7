"""Floor 1. Whether envelopes are compressed: only while the centre announces that it reads that.

The announcement is a property of its receipts, and the broker keeps the last receipt. So a centre
that was replaced by one that announces nothing may be found by its silence alone: once a result has
waited for its receipt too long, envelopes are JSON until a receipt comes that was not retained.
"""

from __future__ import annotations

from wire import compression


class NegotiatedEncoding:
    """How envelopes are encoded now; JSON until the first announcement."""

    def __init__(self) -> None:
        self._announced = False
        self._doubted = False

    def on_receipt(self, accept_encoding: str | None, *, retained: bool) -> None:
        """A receipt came.

        Args:
            accept_encoding: the value of its user property, None without one.
            retained: whether it is of an earlier time.
        """
        self._announced = compression.announces(accept_encoding)
        if not retained:
            self._doubted = False

    def on_overdue(self) -> None:
        """A result has waited for its receipt too long."""
        self._doubted = True

    @property
    def is_compressed(self) -> bool:
        """Whether envelopes are compressed."""
        return self._announced and not self._doubted

    def encode(self, envelope: bytes) -> bytes:
        """An envelope's JSON as it is sent."""
        return compression.compress(envelope) if self.is_compressed else envelope
