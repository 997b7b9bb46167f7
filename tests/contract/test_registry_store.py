"""The registry in the store: whole, in one step, and every change on record."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from collector.registry.communes import official
from collector.registry.file_format import parse_toml, to_toml
from collector.registry.registry import Registry
from collector.store.store import Store
from tests.unit.test_registry import LINE, SOUND

NOW = datetime(2026, 7, 25, 5, 2, tzinfo=UTC)
DATED = '[[commune]]\ncode = "01969"\nvalid_to = 2027-01-01\n'


def registry(text: str = SOUND) -> Registry:
    return parse_toml(text.encode(), "r.toml", official())


def test_a_new_store_knows_the_official_communes(store: Store) -> None:
    assert store.registry.read() == Registry(communes=dict(official()))
    assert store.registry.revision() == 0
    assert store.registry.changes() == []


def test_what_was_applied_is_read_again(store: Store) -> None:
    wanted = registry(SOUND + DATED)
    changes = store.registry.apply(wanted, "lan", "r.toml", NOW)
    assert store.registry.read() == wanted
    assert [(change.thing, change.key) for change in changes] == [
        ("commune", "01969"),
        ("group", "bach-thong-cu"),
        ("isp", "viettel"),
        ("isp", "vnpt"),
        ("line", "bach-thong/tram-01969-1/du-phong"),
        ("line", "bach-thong/tram-01969-1/vnpt"),
        ("probe", "bach-thong/tram-01969-1"),
        ("probe", "bach-thong/tram-01981-1"),
    ]
    assert store.registry.apply(wanted, "lan", "r.toml", NOW) == []


def test_every_change_is_on_record(store: Store) -> None:
    store.registry.apply(registry(), "lan", "r.toml", NOW)
    first = store.registry.revision()
    faster = registry(SOUND.replace("plan_down_mbit_s = 300", "plan_down_mbit_s = 500"))
    store.registry.apply(faster, "minh", "/registry", NOW)
    (recorded,) = store.registry.changes(after=first)
    assert (recorded.number, recorded.who, recorded.source) == (first + 1, "minh", "/registry")
    assert recorded.at == NOW
    assert recorded.change.key == "bach-thong/tram-01969-1/vnpt"
    assert recorded.change.before is not None
    assert recorded.change.after is not None
    assert msgspec.json.decode(recorded.change.before)["plan_down_bps"] == 300e6
    assert msgspec.json.decode(recorded.change.after)["plan_down_bps"] == 500e6
    store.registry.apply(Registry(communes=official()), "minh", "/registry", NOW)
    gone = store.registry.changes(after=recorded.number)
    assert len(gone) == 7
    assert all(entry.change.after is None for entry in gone)
    assert store.registry.read().line(LINE) is None


def test_the_exported_file_makes_the_same_registry(store: Store) -> None:
    text = SOUND.replace("UBND xã Vĩnh Thông", 'UBND \\"Vĩnh\\" \\\\ \\u007f') + DATED
    wanted = registry(text)
    store.registry.apply(wanted, "lan", "r.toml", NOW)
    assert registry(to_toml(store.registry.read(), official())) == wanted
