"""Floor 2. Stores the messages of a batch individually, to isolate a poison message."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from collector.store.messages import EpochKey, ValidatedMessage, rejected_after_validation
from collector.store.records import BatchResult
from collector.store.store import Store, StoreError
from wire.ledger import Ledger
from wire.messages import Rejection

log = logging.getLogger(__name__)


def store_individually(store: Store, validated: Sequence[ValidatedMessage]) -> BatchResult:
    """Store messages one at a time; one that cannot be stored is stored as rejected.

    Raises:
        StoreError: the store cannot be written; messages stored before are repeats next time.
    """
    stored, duplicates, rejected = 0, 0, 0
    ledgers: dict[EpochKey, Ledger] = {}
    for message in validated:
        now = datetime.now(UTC)
        try:
            done = store.store_batch([message], now)
        except StoreError:
            raise
        except Exception as error:
            log.exception("a message cannot be stored")
            # In ASCII, which every store takes.
            detail = f"{type(error).__name__}: {str(error)!a}"
            done = store.store_batch(
                [rejected_after_validation(message, Rejection.UNSTORABLE, detail)], now
            )
        stored, duplicates = stored + done.stored, duplicates + done.duplicates
        rejected += done.rejected
        ledgers.update(done.ledgers)
    return BatchResult(stored, duplicates, rejected, ledgers)
