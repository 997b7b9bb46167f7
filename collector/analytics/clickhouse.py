"""Floor 1. What is needed of a ClickHouse server, whatever it is reached by."""

from __future__ import annotations

from typing import Protocol


class AnalyticsError(Exception):
    """ClickHouse cannot do it now; the text is a sentence for users."""


class ClickHouse(Protocol):
    """What is needed of a ClickHouse server."""

    def execute(self, sql: str) -> None:
        """Run a statement that has no rows. Raises AnalyticsError."""

    def query(self, sql: str) -> list[list[int]]:
        """The rows of a query whose columns are all numbers. Raises AnalyticsError."""

    def insert(self, table: str, body: bytes, token: str | None) -> None:
        """Insert rows in RowBinaryWithNamesAndTypes; a repeat with the same token is ignored.

        Raises AnalyticsError: it is not known whether they are inserted.
        """
