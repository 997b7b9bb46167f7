"""Backup and restore, by the command, on each database: what comes back is what was there."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
import pytest

from collector.cli import main
from collector.rollup.periods import Step, parse_period
from collector.store.line_notes import NoteEntry
from collector.store.migrate import packaged
from collector.store.postgresql import PostgresqlStore
from collector.store.postgresql_restore import restoring
from collector.store.records import StoreStatus
from collector.store.sqlite import SqliteStore
from collector.store.store import Store, StoreError
from tests import samples
from tests.client import eventually
from tests.contract.test_rollups import VNPT, at, message
from tests.postgresql import PostgresqlServer
from tests.unit.test_registry import SOUND

NOW = datetime(2026, 8, 3, 1, 0, tzinfo=UTC)


class Place:
    """A configuration with a store that is not there yet."""

    def __init__(self, directory: Path, conninfo: str | None) -> None:
        directory.mkdir()
        self.config = directory / "collector.toml"
        self._path, self.conninfo = directory / "results.sqlite", conninfo
        store = {"path": str(self._path)} | ({"postgresql": conninfo} if conninfo else {})
        broker = {"host": "127.0.0.1", "port": 1, "tls": False}
        self.config.write_bytes(msgspec.toml.encode({"broker": broker, "store": store}))

    def open(self) -> Store:
        return PostgresqlStore(self.conninfo) if self.conninfo else SqliteStore(self._path)

    def command(self, *words: str | Path) -> int:
        name, *rest = map(str, words)
        return main([name, "--config", str(self.config), *rest])


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Place, Place]:
    """A place with a store and one without."""
    if request.param == "postgresql":
        return two_databases(request.getfixturevalue("postgresql_server"), tmp_path)
    return Place(tmp_path / "one", None), Place(tmp_path / "two", None)


def two_databases(server: PostgresqlServer, tmp_path: Path) -> tuple[Place, Place]:
    """Two places, each with a database of its own that is empty."""
    one, two = (server.conninfo(server.new_database()) for _ in range(2))
    return Place(tmp_path / "one", one), Place(tmp_path / "two", two)


def fill(place: Place) -> None:
    store = place.open()
    results = [
        (1, samples.throughput(started_at=at(1))),
        (2, samples.throughput(started_at=at(31))),
    ]
    store.store_batch([message(list(results))], NOW)
    store.roll_up(NOW)
    store.store_batch([message([(3, samples.latency(started_at=at(31)))])], NOW)
    store.notes.write(
        NoteEntry(line=VNPT, starts_at=at(1), text="Đổi modem", author="lan", written_at=NOW)
    )
    store.close()


def contents(place: Place) -> tuple[object, ...]:
    store = place.open()
    july = parse_period("2026-07")
    found = (
        store.results_after(0, 100),
        store.probes(),
        store.ledgers(),
        store.totals(),
        store.last_results(samples.TENANT, samples.PROBE),
        store.summaries.series(VNPT, july, Step.DAY),
        store.summaries.waiting(),
        store.registry.read(),
        store.registry.changes(),
        store.notes.of_line(VNPT),
    )
    store.close()
    return found


def test_what_was_copied_comes_back(places: tuple[Place, Place], tmp_path: Path) -> None:
    one, two = places
    (tmp_path / "registry.toml").write_text(SOUND, encoding="utf-8")
    fill(one)
    assert one.command("registry", "apply", tmp_path / "registry.toml", "--who", "lan") == 0
    copy = tmp_path / "copy"
    assert one.command("backup", copy) == 0
    before = contents(one)
    assert two.command("restore", copy) == 0
    assert contents(two) == before
    # And it is a store that takes results and knows which it has.
    store = two.open()
    again = [message([(3, samples.latency(started_at=at(31)))]), message([(4, samples.latency())])]
    assert store.store_batch(again, NOW)[:2] == (1, 1)
    # What the first has given out since the copy, nobody may get again for something else.
    ((_, number),) = [(one.seq, one.number) for one in store.results_after(3, 100)]
    assert number > 10**9
    store.close()


def test_a_database_that_was_restored_by_other_means_gives_no_number_twice(
    places: tuple[Place, Place],
) -> None:
    """As after pgBackRest: the store is there, and older than what was given out of it."""
    one, _ = places
    fill(one)
    assert one.command("restore", "--in-place") == 0
    store = one.open()
    store.store_batch([message([(4, samples.latency())])], NOW)
    assert [result.number > 10**9 for result in store.results_after(0, 100)] == [False] * 3 + [True]
    store.close()


def test_a_restore_is_of_a_file_or_in_place(places: tuple[Place, Place], tmp_path: Path) -> None:
    one, _ = places
    for words in ((), (tmp_path / "copy", "--in-place")):
        with pytest.raises(SystemExit) as ended:
            one.command("restore", *words)
        assert ended.value.code == 2


def test_an_issue_of_after_the_copy_learns_that_its_figures_have_changed(
    places: tuple[Place, Place], tmp_path: Path
) -> None:
    one, two = places
    fill(one)
    assert one.command("backup", tmp_path / "copy") == 0
    july = parse_period("2026-07")
    store = one.open()
    for _ in range(5):
        store.store_batch([message([(4, samples.throughput(started_at=at(2)))])], NOW)
        store.roll_up(NOW)
    issued = store.summaries.revision()
    store.close()
    assert two.command("restore", tmp_path / "copy") == 0
    store = two.open()
    store.store_batch([message([(4, samples.throughput(started_at=at(2)))])], NOW)
    store.roll_up(NOW)
    assert store.summaries.revised_since(july, [VNPT], issued)
    store.close()


def test_nothing_is_written_over(
    places: tuple[Place, Place], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = places
    fill(one)
    fill(two)
    before = contents(two)
    copy = tmp_path / "copy"
    assert one.command("backup", copy) == 0
    assert one.command("backup", copy) == 1
    assert "is there already" in capsys.readouterr().err
    assert two.command("restore", copy) == 1
    assert contents(two) == before


def test_a_damaged_copy_is_refused(places: tuple[Place, Place], tmp_path: Path) -> None:
    one, two = places
    fill(one)
    copy = tmp_path / "copy"
    assert one.command("backup", copy) == 0
    copy.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])
    assert two.command("restore", copy) == 1
    assert two.command("restore", tmp_path / "none") == 1
    store = two.open()
    assert store.totals().results == 0
    store.close()


def test_a_registry_file_is_checked_applied_and_exported(
    places: tuple[Place, Place], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, file = places[0], tmp_path / "registry.toml"
    file.write_text(SOUND, encoding="utf-8")
    assert place.command("registry", "check", file) == 0
    assert "7 changes would be made" in capsys.readouterr().out
    assert place.command("registry", "apply", file, "--who", "lan") == 0
    assert "7 changes applied" in capsys.readouterr().out
    assert place.command("registry", "export") == 0
    exported = capsys.readouterr().out
    assert 'name = "Huyện Bạch Thông (cũ)"' in exported
    file.write_text(exported, encoding="utf-8")
    assert place.command("registry", "check", file) == 0
    assert "0 changes" in capsys.readouterr().out
    file.write_text(SOUND.replace("01981", "99999"), encoding="utf-8")
    assert place.command("registry", "apply", file) == 2
    assert "there is no commune 99999" in capsys.readouterr().err
    store = place.open()
    assert {change.who for change in store.registry.changes()} == {"lan"}
    store.close()


def test_the_store_knows_its_last_backup_and_after_a_restore_none(
    places: tuple[Place, Place], tmp_path: Path
) -> None:
    one, two = places
    fill(one)

    def status(place: Place) -> StoreStatus:
        store = place.open()
        found = store.status()
        store.close()
        return found

    before = status(one)
    assert before.last_backup is None
    assert before.restored_at is None
    # Two results are rolled up; the third waits, and was stored last.
    assert before.pending_results == 1
    assert before.first_pending == before.last_pending
    assert before.last_stored_at == NOW
    assert before.database.size_bytes > 10_000

    assert one.command("backup", tmp_path / "first") == 0
    plain = status(one).last_backup
    assert plain is not None
    assert not plain.verified
    assert one.command("backup", "--check", tmp_path / "second") == 0
    made = status(one).last_backup
    assert made is not None
    assert made.verified
    assert made.at > plain.at
    assert made.results == 3
    assert made.size_bytes == (tmp_path / "second").stat().st_size
    assert made.place.endswith(":" + str(tmp_path / "second"))

    # The second copy holds the record of the first, which is none of the restored store.
    assert two.command("restore", tmp_path / "second") == 0
    restored = status(two)
    assert restored.last_backup is None
    assert restored.restored_at is not None
    assert restored.restored_at > made.at
    assert two.command("backup", tmp_path / "third") == 0
    again = status(two).last_backup
    assert again is not None
    assert again.at > restored.restored_at


def test_a_copy_is_of_the_schema_that_was_there(
    postgresql_server: PostgresqlServer, tmp_path: Path
) -> None:
    """As before an upgrade: pg_dump does not migrate, and what notes the backup comes after it."""
    every = packaged("postgresql")
    conninfo = postgresql_server.conninfo(postgresql_server.new_database())
    PostgresqlStore(conninfo, migrations=every[:-1]).close()
    assert Place(tmp_path / "one", conninfo).command("backup", tmp_path / "copy") == 0
    copy = str(tmp_path / "copy")
    shown = ["pg_restore", "--data-only", "--table=migrations", "--file=-", copy]
    text = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
    assert f"\n{every[-2].number}\t{every[-2].name}\t" in text
    assert f"\n{every[-1].number}\t" not in text


def test_a_copy_that_cannot_be_read_whole_is_no_backup(tmp_path: Path) -> None:
    place = Place(tmp_path / "one", None)
    fill(place)
    path = tmp_path / "one" / "results.sqlite"
    store = place.open()
    store.close()
    with path.open("r+b") as file:
        # A page in the middle, of a table that a copy by pages does not look at.
        file.seek(path.stat().st_size // 2 // 16_384 * 16_384)
        file.write(b"\xff" * 16_384)
    if place.command("backup", "--check", tmp_path / "copy") == 0:
        pytest.fail("a damaged copy was taken for a backup")
    assert not (tmp_path / "copy").exists()


def test_a_sqlite_copy_is_of_the_schema_that_was_there(tmp_path: Path) -> None:
    """As before an upgrade, for the way back to the older program."""
    every = packaged("sqlite")
    place = Place(tmp_path / "one", None)
    SqliteStore(tmp_path / "one" / "results.sqlite", migrations=every[:-1]).close()
    assert place.command("backup", tmp_path / "copy") == 0
    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        ((applied,),) = copy.execute("SELECT max(number) FROM migrations")
    assert applied == every[-2].number


def test_a_sqlite_restore_that_is_killed_leaves_no_store(tmp_path: Path) -> None:
    """Before its end there is no store; a later one is not disturbed by what was left."""
    one, two = Place(tmp_path / "one", None), Place(tmp_path / "two", None)
    fill(one)
    with closing(sqlite3.connect(tmp_path / "one" / "results.sqlite")) as store:
        # So that to copy and to verify it takes a while.
        store.execute("CREATE TABLE ballast AS SELECT randomblob(50000000) AS bytes")
        store.commit()
    before, copy = contents(one), tmp_path / "copy"
    assert one.command("backup", copy) == 0
    path = tmp_path / "two" / "results.sqlite"
    part = path.with_name("results.sqlite.part")
    argv = [sys.executable, "-m", "collector", "restore", "--config", str(two.config), str(copy)]
    process = subprocess.Popen(argv)
    eventually(lambda: part.exists() or process.poll() is not None, "a part of the store")
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert part.exists()
    assert not path.exists()
    assert two.command("restore", copy) == 0
    assert contents(two) == before
    assert [file.name for file in path.parent.glob("*.part*")] == []


def test_a_postgresql_restore_that_is_killed_leaves_no_store(
    postgresql_server: PostgresqlServer, tmp_path: Path
) -> None:
    """What it has left is refused by a collector, and cleaned up by the next restore."""
    one, two = two_databases(postgresql_server, tmp_path)
    fill(one)
    before, copy = contents(one), tmp_path / "copy"
    assert one.command("backup", copy) == 0
    argv = [sys.executable, "-m", "collector", "restore", "--config", str(two.config), str(copy)]
    with psycopg.connect(two.conninfo or "", autocommit=True) as connection:

        def count(query: str) -> int:
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            return int(row[0])

        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        process = subprocess.Popen(argv)
        eventually(lambda: count(tables) > 1 or process.poll() is not None, "a table")
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert count(tables) > 1
        with pytest.raises(StoreError, match="has not ended"):
            two.open()
        assert two.command("restore", "--in-place") == 1
        assert two.command("restore", copy) == 0
        assert count(f"{tables} AND tablename = 'restore_under_way'") == 0
    assert contents(two) == before


def test_a_postgresql_restore_that_fails_leaves_an_empty_database(
    postgresql_server: PostgresqlServer, tmp_path: Path
) -> None:
    """The end of the file is missing: tables were made and some rows written by then."""
    one, two = two_databases(postgresql_server, tmp_path)
    fill(one)
    copy = tmp_path / "copy"
    assert one.command("backup", copy) == 0
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-2_000])
    assert two.command("restore", copy) == 1
    with psycopg.connect(two.conninfo or "") as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()
    assert left == []
    copy.write_bytes(whole)
    assert two.command("restore", copy) == 0
    assert contents(two) == contents(one)


def test_two_restores_do_not_share_a_database(
    postgresql_server: PostgresqlServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conninfo = postgresql_server.conninfo(postgresql_server.new_database())
    place, copy = Place(tmp_path / "one", conninfo), tmp_path / "copy"
    copy.touch()
    with restoring(conninfo):
        assert place.command("restore", copy) == 1
        assert "another restore" in capsys.readouterr().err
    # The one that went on has ended with a store.
    with closing(place.open()) as store:
        assert store.totals().results == 0
