"""Floor 2. Reads what is in the files of both ends, by sqlite3 and, but for the packing of bodies,
without the programs' own code.

The outbox is read from a copy and only while its program is dead or stopped: opening the file
itself would repair it, and what a killed program left is what its successor must cope with.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from collector.store.bodies import decompress
from collector.store.packs import Pack
from probe.deliver.row_codec import UnpackError, unpack
from tests.chaos.reckoning import Numbered, Stored
from wire.result import ResultsDroppedValues


class _Token(msgspec.Struct):
    probe_version: str | None = None


class _Dropped(msgspec.Struct):
    values: ResultsDroppedValues | None = None


class Witness:
    """Remembers every number that was ever given, over all epochs of a probe's outbox."""

    def __init__(self, outbox_path: Path) -> None:
        self._path = outbox_path
        self._last_seq: dict[str, int] = {}
        self._tokens: dict[tuple[str, int], set[str]] = defaultdict(set)

    def look(self) -> None:
        """Read the outbox; what cannot be read (it is damaged) was read before."""
        with TemporaryDirectory(prefix="tramdo-witness-") as directory, suppress(sqlite3.Error):
            copy = Path(directory) / self._path.name
            for suffix in ("", "-wal"):
                with suppress(FileNotFoundError):
                    shutil.copy(f"{self._path}{suffix}", f"{copy}{suffix}")
            if copy.exists():
                self._read(copy)

    def in_the_file(self) -> set[tuple[str, int]]:
        """The identities that the file holds now; it must not be in use."""
        fresh = Witness(self._path)
        fresh.look()
        found = fresh.numbered()
        return {
            (epoch, seq) for epoch, last in found.last_seq.items() for seq in range(1, last + 1)
        }

    def numbered(self) -> Numbered:
        """All that was seen."""
        return Numbered(dict(self._last_seq), dict(self._tokens))

    def _read(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            starts = db.execute("SELECT first_row, epoch FROM epochs ORDER BY first_row").fetchall()
            ends = [*(first - 1 for first, _ in starts[1:]), _last_seq(db)]
            for (first, epoch), last in zip(starts, ends, strict=False):
                self._last_seq[epoch] = max(self._last_seq.get(epoch, 0), last - first + 1)
                for end, count, packed in db.execute(
                    "SELECT seq, count, ifnull(CAST(body AS BLOB), x'') FROM blocks "
                    "WHERE seq BETWEEN ? AND ?",
                    (first, last),
                ):
                    seq = end - count + 1 - first + 1
                    for number, token in enumerate(_tokens(packed, count, seq), seq):
                        if token is not None:
                            self._tokens[epoch, number].add(token)


def numbered_count(outbox_path: Path) -> int:
    """The last number of an outbox in use; 0 where it cannot be read."""
    with suppress(sqlite3.Error), _reading(outbox_path) as db:
        return _last_seq(db)
    return 0


def stored(store_path: Path, tenant: str, probe: str) -> list[Stored]:
    """Every result of a probe in the centre's store."""
    with _reading(store_path) as db:
        blocks = db.execute(
            "SELECT epoch, first_seq, kind, results, dictionary_id, body "
            "FROM result_blocks JOIN epochs USING (epoch_id) WHERE tenant = ? AND probe = ?",
            (tenant, probe),
        ).fetchall()
        # A centre whose clock was ahead at night has packed some.
        packed = db.execute(
            "SELECT epoch, first_seq, kind, b.results, b.number - p.number, p.results, "
            "dictionary_id, body FROM packed_blocks AS b JOIN epochs USING (epoch_id) "
            "JOIN result_packs AS p ON b.number >= p.number AND b.number < p.number + p.results "
            "WHERE tenant = ? AND probe = ?",
            (tenant, probe),
        ).fetchall()
        dictionaries = dict(db.execute("SELECT dictionary_id, content FROM dictionaries"))
    found = [
        _stored(epoch, seq, kind, body)
        for epoch, first_seq, kind, results, dictionary_id, frame in blocks
        for seq, body in enumerate(
            decompress(dictionaries[dictionary_id], frame, results), first_seq
        )
    ]
    for epoch, first_seq, kind, results, place, count, dictionary_id, content in packed:
        bodies = Pack(dictionaries[dictionary_id], content, count).all()
        for seq, body in enumerate(bodies[place : place + results], first_seq):
            found.append(_stored(epoch, seq, kind, body))
    return found


def _stored(epoch: str, seq: int, kind: str, body: bytes) -> Stored:
    token = msgspec.json.decode(body, type=_Token).probe_version
    dropped = msgspec.json.decode(body, type=_Dropped).values if kind == "results_dropped" else None
    return Stored(epoch, seq, _only_token(token), dropped)


def stored_count(store_path: Path) -> int:
    """How many results the centre's store holds."""
    with _reading(store_path) as db:
        return int(db.execute("SELECT count(*) FROM results").fetchone()[0])


def back_up(store_path: Path, to: Path) -> None:
    """A backup of a store in use, as SQLite's own backup makes it."""
    with _reading(store_path) as db, closing(sqlite3.connect(to)) as copy:
        db.backup(copy)


def _last_seq(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(seq), 0) FROM blocks").fetchone()[0])


def _tokens(packed: bytes, count: int, seq: int) -> list[str | None]:
    """The tokens of a block's results: none where its bytes were damaged."""
    try:
        bodies = unpack(packed, count, seq)
        texts = [msgspec.json.decode(body, type=_Token).probe_version for body in bodies]
    except (UnpackError, msgspec.MsgspecError, UnicodeDecodeError):
        return []
    return [_only_token(text) for text in texts]


def _only_token(text: str | None) -> str | None:
    """The text, where it is "life/number"; what the program itself reports bears its version."""
    return text if text is not None and "/" in text else None


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)) as db:
        yield db
