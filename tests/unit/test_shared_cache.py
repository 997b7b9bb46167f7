"""One snapshot and one computation for all readers who want the same at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.domain import thresholds_file
from collector.domain.read_model import ReadModel
from collector.domain.shared_cache import SharedCache
from collector.store.messages import StatusMessage
from collector.store.sqlite import SqliteStore
from collector.store.store import StoreError
from tests import samples
from tests.client import eventually
from wire.messages import Presence, State

NOW = datetime(2026, 7, 25, 5, tzinfo=UTC)
_MOST_S = 20.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "results.sqlite")
    yield opened
    opened.close()


def put(store: SqliteStore, *names: str, presence: Presence = Presence.ONLINE) -> None:
    store.store_batch(
        [StatusMessage(samples.TENANT, name, NOW, False, State(presence)) for name in names], NOW
    )


def test_readers_share_one_snapshot_until_something_is_stored(store: SqliteStore) -> None:
    model = ReadModel(store, thresholds_file.read())
    put(store, "tram-1", "tram-2")
    first = model.snapshot()
    assert model.snapshot() is first
    assert model.probes() is first.probes
    put(store, "tram-2", presence=Presence.LOST)
    second = model.snapshot()
    assert (first.online, second.online) == (2, 1)
    # What has not changed is the same object, not a copy.
    key = (samples.TENANT, "tram-1")
    assert second.probes[key] is first.probes[key]
    with pytest.raises(TypeError):
        first.probes[key] = second.probes[key]  # type: ignore[index]  # nobody may change it


def test_a_value_is_computed_again_only_for_another_version() -> None:
    cache, computed = SharedCache(10), list[int]()

    def value(version: int, max_age_s: float = 60.0) -> int:
        def compute() -> int:
            computed.append(version)
            return version

        return cache.get("key", lambda: version, compute, max_age_s)

    assert [value(1), value(1), value(2), value(2)] == [1, 1, 2, 2]
    assert computed == [1, 2]
    assert value(2, max_age_s=0.0) == 2
    assert computed == [1, 2, 2]


def test_who_comes_while_it_is_computed_shares_the_next_computation() -> None:
    cache = SharedCache(10)
    begun, go_on = threading.Event(), threading.Event()
    versions = iter(range(1_000))
    computed: list[int] = []
    answers: list[int] = []

    def compute() -> int:
        begun.set()
        assert go_on.wait(_MOST_S)
        computed.append(len(computed))
        return len(computed)

    def read() -> None:
        # Another version at each look, as where results come in all the time.
        answers.append(cache.get("key", lambda: next(versions), compute))

    first = threading.Thread(target=read)
    first.start()
    assert begun.wait(_MOST_S)
    others = [threading.Thread(target=read) for _ in range(20)]
    for thread in others:
        thread.start()
    # All of them wait for the first before it may go on.
    while sum(thread.is_alive() for thread in others) < len(others):
        pass
    threading.Event().wait(1.0)
    go_on.set()
    for thread in [first, *others]:
        thread.join(_MOST_S)
    assert len(computed) == 2
    assert sorted(answers) == [1, *[2] * 20]


def test_what_nobody_asks_for_is_dropped() -> None:
    cache, computed = SharedCache(2), list[str]()

    def value(key: str) -> None:
        cache.get(key, lambda: 0, lambda: computed.append(key))

    for key in ("a", "b", "a", "c", "a", "b"):
        value(key)
    assert computed == ["a", "b", "c", "b"]


def test_what_is_read_often_is_not_dropped_for_what_was_read_once(store: SqliteStore) -> None:
    model, read = ReadModel(store, thresholds_file.read()), list[object]()

    def value(key: object) -> object:
        def query() -> object:
            read.append(key)
            return key

        return model.cached(key, query, cache_s=3_600.0)

    for line in range(200):
        value("the nation")
        value(line)
    assert read.count("the nation") == 1
    value(0)
    assert read.count(0) == 2


def test_all_who_want_a_figure_at_once_wait_for_one_query(store: SqliteStore) -> None:
    model, asked = ReadModel(store, thresholds_file.read()), list[int]()
    begun, go_on = threading.Event(), threading.Event()
    answers = list[int]()

    def query() -> int:
        asked.append(1)
        begun.set()
        assert go_on.wait(_MOST_S)
        return len(asked)

    readers = [
        threading.Thread(target=lambda: answers.append(model.cached("nation", query)))
        for _ in range(10)
    ]
    readers[0].start()
    assert begun.wait(_MOST_S)
    for reader in readers[1:]:
        reader.start()
    threading.Event().wait(0.5)
    go_on.set()
    for reader in readers:
        reader.join(_MOST_S)
    assert answers == [1] * 10


def test_a_query_that_fails_fails_for_those_who_wait_and_is_asked_again(store: SqliteStore) -> None:
    model = ReadModel(store, thresholds_file.read())

    def away() -> int:
        raise StoreError("away")

    with pytest.raises(StoreError, match="away"):
        model.cached("nation", away)
    assert model.cached("nation", lambda: 7) == 7


def test_what_was_read_before_a_change_is_not_cached_after_it(store: SqliteStore) -> None:
    model = ReadModel(store, thresholds_file.read())

    def changed_meanwhile() -> str:
        model.invalidate()
        return "before"

    assert model.cached("registry", changed_meanwhile) == "before"
    assert model.cached("registry", lambda: "after") == "after"


def test_a_figure_that_costs_much_is_cached_longer(store: SqliteStore) -> None:
    model, refreshed = ReadModel(store, thresholds_file.read()), threading.Event()

    def costly() -> str:
        until_s = time.thread_time() + 0.3
        while time.thread_time() < until_s:
            pass
        return "old"

    assert model.cached("nation", costly, cache_s=0.0) == "old"
    assert model.cached("nation", refreshed.set, cache_s=0.0) == "old"
    assert not refreshed.wait(0.5)


def test_figures_are_refreshed_one_after_the_other_and_the_older_ones_shown_meanwhile(
    store: SqliteStore,
) -> None:
    model, names = ReadModel(store, thresholds_file.read()), [str(number) for number in range(4)]
    at_once, most_at_once = set[str](), [0]

    def new(name: str) -> str:
        at_once.add(name)
        most_at_once[0] = max(most_at_once[0], len(at_once))
        threading.Event().wait(0.05)
        at_once.discard(name)
        return "new"

    def asked(name: str) -> str:
        return model.cached(name, lambda: new(name), cache_s=0.0)

    for name in names:
        assert model.cached(name, lambda: "old", cache_s=0.0) == "old"
    assert {asked(name) for name in names} == {"old"}
    eventually(lambda: {asked(name) for name in names} == {"new"}, "all are refreshed", 60.0)
    assert most_at_once == [1]
