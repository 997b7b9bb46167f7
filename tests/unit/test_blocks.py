"""Results that are stored together are kept together: packed, read, sent, given up."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probe.deliver import row_codec
from probe.deliver.batch import BATCH_BYTES, NumberedResult, batches, without_cut_block
from probe.deliver.outbox import Outbox
from probe.deliver.outbox_file import OutboxDamagedError
from probe.deliver.row_codec import UnpackError, pack, unpack
from probe.deliver.sender_state import Coverage
from tests import samples
from tests.unit.test_outbox import name
from wire import compression
from wire.envelope import decode_envelope, encode_envelope_end
from wire.result import encode_result

LATENCY = encode_result(samples.latency())
# As version 0.1.0 and the first builds of 0.2.0 make them.
OLD_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, stored_at_s REAL NOT NULL, body BLOB NOT NULL,
    checksum INTEGER
);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    opened = Outbox(path)
    yield opened
    opened.close()


def put(outbox: Outbox, *kinds: str) -> None:
    start = outbox.last_row
    outbox.put([(kind, b'{"n":%d}' % (start + at)) for at, kind in enumerate(kinds, 1)], 0.0)


def pending(outbox: Outbox) -> list[NumberedResult]:
    return outbox.pending(0, outbox.last_row, 10_000)


def rows(outbox: Outbox) -> list[int]:
    return [one.row for one in pending(outbox)]


def held(path: Path) -> list[tuple[int, int, str]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT seq, count, kind FROM blocks ORDER BY seq").fetchall()


@pytest.mark.parametrize("count", [1, 2, row_codec.MIN_SENDABLE - 1, row_codec.MIN_SENDABLE, 50])
def test_packed_bodies_come_back_byte_for_byte(count: int) -> None:
    bodies = [LATENCY.replace(b"vnpt", b"%d" % number) for number in range(count)]
    bodies[0] = b""
    bodies[-1] = b"\xff\x00 },{"
    packed = pack(bodies, 99_999)
    assert unpack(packed, count, 99_999) == bodies
    assert len(pack([LATENCY] * count, 1)) < count * len(LATENCY) / 2
    with pytest.raises(UnpackError):
        unpack(packed, count + 1, 99_999)


def test_no_bytes_that_were_not_packed_are_unpacked() -> None:
    for packed in (b"", b"z123", b"c123", b"d123", pack([LATENCY] * 20, 1)[:-80] + b"\xff" * 80):
        with pytest.raises(UnpackError):
            unpack(packed, 20, 1)


def test_an_envelope_that_begins_as_it_was_packed_is_any_other_envelope() -> None:
    results = [samples.latency(rtt_ms=float(number)) for number in range(1, 21)]
    bodies = [encode_result(one) for one in results]
    found = row_codec.sendable(pack(bodies, 7))
    assert found is not None
    begun, checksum = found
    end = encode_envelope_end(
        samples.TENANT,
        samples.PROBE,
        samples.EPOCH,
        samples.SITE,
        datetime(2026, 12, 1, tzinfo=UTC),
    )
    text = row_codec.records_text(bodies, 7)
    stream = compression.end_stream(begun, checksum, end)
    assert stream.startswith(begun), "nothing was compressed again"
    payload = compression.decompress(stream, 1_000_000)
    assert payload == text + end
    envelope = decode_envelope(payload)
    assert (envelope.tenant, envelope.epoch) == (samples.TENANT, samples.EPOCH)
    assert [(one.seq, one.result) for one in envelope.records] == list(enumerate(results, 7))


@given(text=st.binary(), rest=st.binary())
def test_a_stream_is_ended_with_any_rest(text: bytes, rest: bytes) -> None:
    begun = compression.begin_stream(text)
    assert compression.read_begun(begun, len(text)) == text
    whole = compression.end_stream(begun, zlib.adler32(text), rest)
    assert compression.decompress(whole, len(text + rest)) == text + rest


def test_what_is_stored_together_is_one_row_of_the_file(outbox: Outbox, path: Path) -> None:
    put(outbox, "dns", "latency", "latency", "latency")
    put(outbox, *["latency"] * 60)
    outbox.put([("latency", b"a"), ("latency", b"b\nc"), ("latency", b"x" * BATCH_BYTES)], 0.0)
    outbox.put([("latency", b"x" * BATCH_BYTES), ("latency", b"y")], 0.0)
    assert held(path) == [
        (1, 1, "dns"), (4, 3, "latency"), (54, 50, "latency"), (64, 10, "latency"),
        *((row, 1, "latency") for row in (65, 66, 67, 68, 69)),
    ]  # fmt: skip
    from_memory = [(one.row, one.kind, one.body) for one in pending(outbox)]
    outbox.release(outbox.last_row)
    assert [(one.row, one.kind, one.body) for one in pending(outbox)] == from_memory


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_covered_the_rest_is_pending_and_nothing_else(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("outbox") / "outbox.sqlite"
    outbox = Outbox(path)
    for count in data.draw(st.lists(st.integers(1, 70), min_size=1, max_size=4)):
        put(outbox, *sorted(data.draw(st.sampled_from(["dns", "latency"])) for _ in range(count)))
    every = set(range(1, outbox.last_row + 1))
    missing = data.draw(st.sets(st.integers(1, outbox.last_row)))
    outbox.apply_coverage(
        Coverage(outbox.last_row, tuple((seq, seq) for seq in sorted(missing)))
        if missing < every
        else Coverage()
    )
    for _ in range(2):
        assert rows(outbox) == sorted(missing if missing < every else every)
        assert outbox.pending_count() == len(rows(outbox))
        assert all(one.body == b'{"n":%d}' % one.row for one in pending(outbox))
        outbox.release(outbox.last_row)
    after, limit = data.draw(st.integers(0, len(every))), data.draw(st.integers(1, 80))
    expected = [row for row in rows(outbox) if row > after][:limit]
    assert [one.row for one in outbox.pending(after, outbox.last_row, limit)] == expected
    outbox.prune(stored_before_s=1.0)
    assert rows(outbox) == sorted(missing if missing < every else every)
    before = rows(outbox)
    given_up = outbox.make_room(0, name, 0.0)
    left = [row for row in rows(outbox) if row <= len(every)]
    if given_up:
        named = json.loads(pending(outbox)[-1].body)
        assert len(named) == given_up
        assert sorted(named + left) == before, "given up or still there, nothing else"
    outbox.close()


def test_envelopes_end_where_what_was_stored_together_ends(outbox: Outbox) -> None:
    for count in (7, 50, 3, 6):
        put(outbox, *["latency"] * count)
    made = list(batches(pending(outbox), 50, outbox.epochs))
    assert [len(one.rows) for one in made] == [7, 50, 9]
    assert [one.block is not None for one in made] == [True, True, False]
    cut = without_cut_block(outbox.pending(0, outbox.last_row, 50))
    assert cut[-1].row == 7
    outbox.apply_coverage(Coverage(9, ((3, 3),)))
    rest = list(batches(pending(outbox), 50, outbox.epochs))
    assert [(len(one.rows), one.block is not None) for one in rest] == [
        (49, False),
        (9, False),
    ], "of the first two blocks a part is covered"


def test_a_block_that_is_larger_than_an_envelope_may_be_is_split(outbox: Outbox) -> None:
    """`delivery.batch` was made smaller while results waited."""
    put(outbox, *["latency"] * 45)
    made = list(batches(pending(outbox), 20, outbox.epochs))
    assert [len(one.rows) for one in made] == [20, 20, 5]
    assert without_cut_block(outbox.pending(0, 45, 20)) == outbox.pending(0, 45, 20)


def test_no_changed_byte_of_a_block_loses_a_number(path: Path, tmp_path: Path) -> None:
    """Whichever byte of it a card changes, its count too: what is not there is named, or the file
    is refused.
    """
    outbox = Outbox(path)
    put(outbox, "latency")
    put(outbox, *["latency"] * 9)
    put(outbox, "latency")
    outbox.close()
    with closing(sqlite3.connect(path)) as db:
        ((body,),) = db.execute("SELECT body FROM blocks WHERE count = 9").fetchall()
    content = path.read_bytes()
    at = content.index(body)
    named = 0
    for place in [
        *range(at - 40, at + 2),
        at + len(body) // 2,
        *range(at + len(body), at + len(body) + 8),
    ]:
        changed = tmp_path / f"{place}.sqlite"
        changed.write_bytes(content[:place] + bytes([content[place] ^ 0x05]) + content[place + 1 :])
        shutil.copy(f"{path}.mark", f"{changed}.mark")
        try:
            opened = Outbox(changed)
        except OutboxDamagedError:
            continue
        good = {one.row for one in pending(opened) if one.body == b'{"n":%d}' % one.row}
        named += bool(opened.report_corrupt_rows(name, 0.0))
        reported = {
            seq
            for one in pending(opened)
            if one.kind == "results_dropped"
            for seq in json.loads(one.body)
        }
        assert good | reported >= set(range(1, 12)), place
        assert opened.pending_count() == len(rows(opened)), place
        opened.close()
    assert named > 20


_CHANGES = (
    "count = 2 WHERE seq = 13", "count = 99 WHERE seq = 18", "count = 'x' WHERE seq = 39",
    "count = -4 WHERE seq = 13", "seq = 11 WHERE seq = 13", "seq = 17 WHERE seq = 18",
    "seq = 22 WHERE seq = 39", "seq = 16 WHERE seq = 13", "seq = 2 WHERE seq = 3",
)  # fmt: skip


@pytest.mark.parametrize("is_full", [False, True], ids=["sent", "given up for room"])
@pytest.mark.parametrize("has_gaps", [False, True], ids=["nothing confirmed", "gaps"])
def test_a_block_of_which_length_or_number_changed_loses_no_number(
    path: Path, tmp_path: Path, has_gaps: bool, is_full: bool
) -> None:
    """Wherever it seems to begin and end then: each number is sent or named, and no other body."""
    outbox = Outbox(path)
    for count in (3, 10, 5, 1, 20, 2):
        put(outbox, *["latency"] * count)
    if has_gaps:
        outbox.apply_coverage(Coverage(40, ((1, 1), (6, 8), (10, 10), (15, 16), (33, 38))))
    awaited = set(rows(outbox))
    outbox.close()
    for change in _CHANGES:
        changed = tmp_path / "changed.sqlite"
        shutil.copy(path, changed)
        shutil.copy(f"{path}.mark", f"{changed}.mark")
        with closing(sqlite3.connect(changed)) as db:
            db.execute(f"UPDATE blocks SET {change}")
            db.commit()
        opened = Outbox(changed)
        if is_full:
            for _ in range(2):
                opened.make_room(0, name, 0.0)
                opened.report_corrupt_rows(name, 0.0)
        kept = pending(opened)
        opened.report_corrupt_rows(name, 0.0)
        named = [one.body for one in pending(opened) if one.kind == "results_dropped"]
        good = {one.row for one in kept if one.body == b'{"n":%d}' % one.row}
        assert good.union(*map(json.loads, named)) >= awaited, change
        assert opened.pending_count() == len(pending(opened)), change
        opened.close()


def older(path: Path, count: int) -> list[bytes]:
    """A file of an older version with results that nobody has confirmed."""
    bodies = [LATENCY.replace(b"vnpt", b"%d" % number) for number in range(count)]
    with closing(sqlite3.connect(path)) as db:
        db.executescript("PRAGMA page_size = 1024; PRAGMA journal_mode = WAL;" + OLD_SCHEMA)
        for row, body in enumerate(bodies, 1):
            packed: bytes = pack([body], row)
            checksum: int | None = row_codec.checksum(row, b"latency", packed)
            if row % 2:  # older still
                packed, checksum = body, None
            db.execute(
                "INSERT INTO results VALUES (?, 'latency', 0.0, ?, ?)", (row, packed, checksum)
            )
        db.execute("INSERT INTO meta VALUES ('epoch', ?)", (str(UUID(int=17)),))
        db.commit()
    return bodies


def test_an_outbox_of_an_older_version_is_carried_over(path: Path) -> None:
    bodies = older(path, 30)
    opened = Outbox(path)
    assert [(one.row, one.body) for one in pending(opened)] == list(enumerate(bodies, 1))
    put(opened, *["latency"] * 20)
    opened.apply_coverage(Coverage(40, ((2, 3), (35, 36))))
    assert rows(opened) == [2, 3, 35, 36, *range(41, 51)]
    assert [opened.epochs.identity(row)[0] for row in (30, 31)] == [UUID(int=17), opened.epoch]
    opened.close()
    again = Outbox(path)
    assert rows(again) == [2, 3, 35, 36, *range(41, 51)]
    assert again.kept(1, 30, 50)[29].body == bodies[29]
    again.close()


_DIES = """
import os, sqlite3, sys
from pathlib import Path
from probe.deliver.outbox_file import make_tables
db = sqlite3.connect(sys.argv[1], isolation_level=None)
left = int(sys.argv[2])
def dies(_statement):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
db.set_trace_callback(dies)
make_tables(db)
"""


def test_it_is_carried_over_whenever_the_program_is_killed_meanwhile(
    path: Path, tmp_path: Path
) -> None:
    bodies = older(path, 5)
    for statements in range(0, 30, 2):
        copy = tmp_path / f"{statements}.sqlite"
        shutil.copy(path, copy)
        ended = subprocess.run(
            [sys.executable, "-c", _DIES, copy, str(statements)],
            cwd=Path(__file__).parents[2], env=os.environ, timeout=120, check=False,
        )  # fmt: skip
        opened = Outbox(copy)
        assert [(one.row, one.body) for one in pending(opened)] == list(enumerate(bodies, 1))
        put(opened, "latency")
        assert rows(opened) == [1, 2, 3, 4, 5, 6]
        opened.close()
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
    assert statements > 4, "it was killed, and not only before it began"


_PUTS = """
import os, sys
from pathlib import Path
from probe.deliver.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]))
left = int(sys.argv[2])
def dies(_statement):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
outbox._db.set_trace_callback(dies)
for count in (5, 40, 2):
    rows = range(outbox.last_row + 1, outbox.last_row + 1 + count)
    outbox.put([("latency", b'{"n":%d}' % row) for row in rows], 0.0)
    print(outbox.last_row, flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_was_stored_together_is_there_or_not_whenever_the_program_is_killed(
    tmp_path: Path,
) -> None:
    for statements in range(0, 40, 3):
        path = tmp_path / f"{statements}.sqlite"
        ended = subprocess.run(
            [sys.executable, "-c", _PUTS, path, str(statements)],
            cwd=Path(__file__).parents[2], timeout=120, check=False, stdout=subprocess.PIPE,
        )  # fmt: skip
        committed = max([0, *map(int, ended.stdout.split())])
        opened = Outbox(path)
        assert opened.report_lost_seqs(name, 0.0) == 0
        assert opened.last_row in {0, 5, 45, 47}
        assert opened.last_row >= committed, "what was stored is not gone"
        assert [(one.row, one.body) for one in pending(opened)] == [
            (row, b'{"n":%d}' % row) for row in range(1, opened.last_row + 1)
        ]
        opened.close()
        assert ended.returncode == -signal.SIGKILL
        if committed == 47:
            break
    assert statements > 8, "it was killed, and not only before it began"


def test_an_older_version_refuses_the_file_in_words(outbox: Outbox, path: Path) -> None:
    """It would number results anew over those that it does not see."""
    put(outbox, "latency", "latency")
    with closing(sqlite3.connect(path)) as db:
        db.executescript(OLD_SCHEMA)
        for statement in (
            "PRAGMA table_info(results)",
            "SELECT coalesce(max(seq), 0) FROM results",
            "INSERT INTO results VALUES (1, 'latency', 0.0, x'00', 0)",
        ):
            with pytest.raises(sqlite3.OperationalError, match="newer version of Tramdo"):
                db.execute(statement).fetchall()


def test_a_random_burst_is_kept_in_fewer_bytes_than_one_by_one(tmp_path: Path) -> None:
    noise = random.Random(135)
    bodies = [
        LATENCY.replace(b'"rtt_us":null', b'"rtt_us":%s' % str(
            [noise.randrange(8_000, 16_000) for _ in range(60)]
        ).replace(" ", "").encode())
        for _ in range(120)
    ]  # fmt: skip
    used = []
    for per in (1, 6, 50):
        with closing(Outbox(tmp_path / f"{per}.sqlite")) as outbox:
            for at in range(0, len(bodies), per):
                outbox.put([("latency", body) for body in bodies[at : at + per]], 0.0)
            used.append(outbox._rows.used_bytes())
    assert used[1] < 0.8 * used[0]
    assert used[2] < 0.6 * used[0]
