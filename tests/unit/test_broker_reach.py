"""The `[broker]` table: the probe's example names every setting, defaults as they are."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from probe import config
from runtime.backoff import reconnect_delay_s
from runtime.broker import BrokerConfig, ProxyConfig

TEXT = Path(config.__file__).with_name("probe.example.toml").read_text(encoding="utf-8")
BROKER = TEXT.partition("\n[broker]\n")[2].partition("\n[throughput]\n")[0]


@pytest.mark.parametrize("field", BrokerConfig.__struct_fields__)
def test_every_setting_stands_in_the_example(field: str) -> None:
    assert re.search(rf"^(# )?(\[broker\.)?{field}\b", BROKER, re.MULTILINE)


def test_what_it_shows_are_the_defaults() -> None:
    shown = config.parse(TEXT.encode(), "example").broker
    for field in msgspec.structs.fields(BrokerConfig):
        if field.default not in (msgspec.NODEFAULT, None):
            assert getattr(shown, field.name) == field.default, field.name


def test_the_proxy_that_it_shows_is_sound() -> None:
    table = BROKER.partition("# [broker.proxy]")[2]
    fields = re.findall(r"^# (\w+) = (\S+)", table, re.MULTILINE)
    assert [name for name, _ in fields] == list(ProxyConfig.__struct_fields__)
    shown = msgspec.toml.decode("\n".join(f"{name} = {value}" for name, value in fields))
    assert msgspec.convert(shown, ProxyConfig).type == "http"


@pytest.mark.parametrize(
    # Three of them are figures of docs/delivery.md.
    ("down_s", "most"),
    [(0.0, 370), (5.0, 439), (20.0, 692), (60.0, 606), (900.0, 192)],
)
def test_ten_thousand_probes_do_not_return_in_the_same_second(down_s: float, most: int) -> None:
    """All lose it in one moment; each tries until it is back. Evenly over 30 s it would be 333."""
    rng = random.Random(1770)
    returns: Counter[int] = Counter()
    for _ in range(10_000):
        at_s, failures = 0.0, 0
        while at_s <= down_s:
            failures += 1
            at_s += reconnect_delay_s(failures, 120.0, rng.random(), spread_s=30.0)
        returns[int(at_s - down_s)] += 1
    assert max(returns.values()) == most
    assert max(returns) < 120 + 1
