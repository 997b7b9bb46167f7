"""Floor 2. Connections of a database: one writer, a transaction at a time, and a pool of readers.

A connection that raised an error is closed and opened again at the next call, so that a full disk,
a lock or a lost server has no lasting effect. A commit can run in a background thread while the
caller prepares the next batch; the next transaction begins after it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from collector.store.database import Row

_READERS_KEPT = 4
_ROWS_IN_BACKGROUND = 300


class Connection(Protocol):
    """What `sqlite3` and psycopg connections have in common."""

    def execute(self, query: Any, params: Any = ..., /) -> Any:  # noqa: ANN401 - the library's types
        """Run a statement."""

    def close(self) -> None:
        """Close it; an open transaction is rolled back."""


C = TypeVar("C", bound=Connection)


class QueuedTransaction:
    """The base of Transactions: queues statements that return no rows.

    With `background`, they run there in order while the caller goes on: those that write many rows
    at once, and those of a few rows with them or before the next one that the caller waits for,
    because to hand one over takes as long as to write some rows. `committing` is set while the
    background thread commits.
    """

    def __init__(self, background: Executor | None) -> None:
        self._background = background
        self._under_way: list[Future[None]] = []
        self._queued: list[Callable[[], None]] = []
        self._queued_rows = 0
        self._failed = False
        self.committing: Future[None] | None = None

    def run(self, rows: int, statement: Callable[..., None], *arguments: object) -> None:
        """Run a statement that returns none and writes so many rows, now or in `background`.

        None is run after a failed one.

        After an I/O error SQLite has rolled back the whole transaction by itself
        (sqlite3_get_autocommit); each later statement would be committed on its own: the ledger,
        and so a receipt, without its results.
        """
        if self._background is None:
            statement(*arguments)
        else:
            self._queued.append(partial(statement, *arguments))
            self._queued_rows += rows
            if self._queued_rows >= _ROWS_IN_BACKGROUND:
                self._under_way.append(
                    self._background.submit(self._run_unless_failed, self._take_queued())
                )

    def _take_queued(self) -> list[Callable[[], None]]:
        queued, self._queued, self._queued_rows = self._queued, [], 0
        return queued

    def _run_unless_failed(self, statements: Sequence[Callable[[], None]]) -> None:
        if self._failed:
            return
        try:
            for statement in statements:
                statement()
        except BaseException:
            self._failed = True
            raise

    def settle(self) -> None:
        """Run the queued statements, and wait for all; raises what they raised."""
        while self._under_way:
            self._under_way.pop(0).result()
        self._run_unless_failed(self._take_queued())

    def abandon(self) -> None:
        """Wait for the statements that are under way, ignoring their errors; run no others."""
        self._queued.clear()
        for statement in self._under_way:
            statement.exception()

    def wait(self) -> None:
        if self.committing is not None:
            self.committing.result()


S = TypeVar("S", bound=QueuedTransaction)


class ConnectedDatabase(ABC, Generic[C, S]):
    """The connection handling of a Database."""

    def __init__(self) -> None:
        self._writer: C | None = None
        self._readers: list[C] = []
        self._closed = False
        self.connections = 0
        self._writing = threading.Lock()
        self._background = ThreadPoolExecutor(1, "commit")

    @abstractmethod
    def _connect(self) -> C:
        """Open a connection."""

    @abstractmethod
    def _migrate_schema(self, connection: C) -> None:
        """Migrate the schema over a new connection."""

    @abstractmethod
    def _open_reader(self) -> C:
        """Open a read-only connection."""

    @abstractmethod
    def _begin(self, writer: C, background: Executor | None) -> S:
        """Begin a transaction; statements without rows may run in `background`."""

    @abstractmethod
    def _translate(self, error: BaseException) -> Exception | None:
        """The exception to raise in place of this one; None to raise it as it is."""

    @contextmanager
    def transaction(self, *, waiting: bool = True) -> Iterator[S]:
        self._writing.acquire()
        try:
            with self._reconnect_after_error():
                if self._writer is None:
                    self._writer = self._open_writer()
                    self.connections += 1
                transaction = self._begin(self._writer, None if waiting else self._background)
                try:
                    yield transaction
                except BaseException:
                    transaction.abandon()
                    raise
        except BaseException:
            self._writing.release()
            raise
        if waiting:
            self._commit(transaction)
        else:
            transaction.committing = self._background.submit(self._commit, transaction)

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        try:
            return self._read(sql, values, again=True)
        except Exception as error:
            if (translated := self._translate(error)) is not None:
                raise translated from error
            raise

    def _read(self, sql: str, values: Sequence[object], *, again: bool) -> list[Row]:
        """The rows of a query; with `again`, once more where its connection turns out to be lost.

        Most often the server was started anew, or another one is the primary by now.
        """
        try:
            reader = self._readers.pop()
        except IndexError:
            reader = self._open_reader()
        try:
            rows = self._rows(reader, sql, values)
        except Exception:
            lost = self._is_lost(reader)
            reader.close()
            if not (lost and again):
                raise
            self._close_readers()
            return self._read(sql, values, again=False)
        if self._closed or len(self._readers) >= _READERS_KEPT:
            reader.close()
        else:
            self._readers.append(reader)
        return rows

    def _is_lost(self, reader: C) -> bool:  # noqa: ARG002 - a file is not
        """Whether the other end has ended a connection, so that another one may do."""
        return False

    def _close_readers(self) -> None:
        with suppress(IndexError):
            while True:
                self._readers.pop().close()

    @abstractmethod
    def _rows(self, reader: C, sql: str, values: Sequence[object]) -> list[Row]:
        """The rows of a query."""

    def _open_writer(self) -> C:
        connection = self._connect()
        try:
            self._migrate_schema(connection)
        except BaseException:
            connection.close()  # rolls back
            raise
        return connection

    def close(self) -> None:
        with self._writing:
            self._closed = True
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            self._close_readers()
        self._background.shutdown()

    def _commit(self, transaction: S) -> None:
        try:
            with self._reconnect_after_error():
                transaction.settle()
                if self._writer is not None:
                    self._writer.execute("COMMIT")
        finally:
            self._writing.release()

    @contextmanager
    def _reconnect_after_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if self._writer is not None:
                self._writer.close()  # rolls back
                self._writer = None
            if (translated := self._translate(error)) is not None:
                raise translated from error
            raise
