"""Each example file names every key of the settings that it is an example of, in its own table.

What an example leaves at its default stands behind a `#`. With those taken away, the whole file is
one that the program takes: no key is misspelt, out of place or of a wrong type.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from collector.config import Config as CollectorConfig
from collector.registry.file_format import RegistryFile as RegistryDocument
from deploy.broker.cluster import ClusterSettings
from deploy.broker.configuration import BrokerSettings
from deploy.fleet.seed import SeedSettings
from probe.config import Config as ProbeConfig
from runtime import settings

ROOT = Path(__file__).parents[2]
EXAMPLES: dict[str, type[msgspec.Struct]] = {
    "probe/probe.example.toml": ProbeConfig,
    "collector/collector.example.toml": CollectorConfig,
    "collector/registry.example.toml": RegistryDocument,
    "deploy/broker/example.toml": BrokerSettings,
    "deploy/broker/cluster.example.toml": ClusterSettings,
    "deploy/image/example.toml": SeedSettings,
}
_OF_ONE_TENANT = re.compile(r"^(tenant|probes|collectors|subscribers) = .*\n", re.MULTILINE)
_COMMENTED = re.compile(r"^# (?=\[+[\w.-]+\]+(\s|$)|[\w-]+ = )", re.MULTILINE)


def uncommented(file: str) -> str:
    """The example with every commented setting and table in force."""
    return _COMMENTED.sub("", (ROOT / file).read_text(encoding="utf-8"))


def structs_in(hint: Any) -> list[type[msgspec.Struct]]:
    """The types of ours that a field's type consists of."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return [hint]
    return [found for argument in get_args(hint) for found in structs_in(argument)]


def missing(struct: type[msgspec.Struct], table: Any, place: str = "") -> Iterator[str]:
    """The keys that no table of this place has, as `table.key`."""
    tables = rows(table, struct)
    hints = get_type_hints(struct)
    for field in msgspec.structs.fields(struct):
        key = field.encode_name
        given = [row[key] for row in tables if key in row]
        if not given:
            yield f"{place}{key}"
            continue
        for inner in structs_in(hints[field.name]):
            yield from missing(inner, given, f"{place}{key}.")


def rows(table: Any, struct: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """The tables of a type in what stands at a place: one, a list of them, or by name."""
    if isinstance(table, list):
        return [row for each in table for row in rows(each, struct)]
    names = {field.encode_name for field in msgspec.structs.fields(struct)}
    if isinstance(table, dict):
        if names.isdisjoint(table):
            return [row for each in table.values() for row in rows(each, struct)]
        return [table]
    return []


@pytest.mark.parametrize("file", EXAMPLES)
def test_an_example_names_every_key(file: str) -> None:
    whole = tomllib.loads(uncommented(file))
    assert list(missing(EXAMPLES[file], whole)) == []


@pytest.mark.parametrize("file", EXAMPLES)
def test_an_example_is_sound_with_and_without_what_it_leaves_at_its_default(file: str) -> None:
    # A cluster's addresses stand in the place of one host.
    whole = uncommented(file).replace('[broker]\nhost = "broker.example.vn"\n', "[broker]\n")
    if "[[tenants]]" in whole:
        # Several tenants stand in the place of one and its clients.
        one, table, rest = whole.partition("[[")
        whole = _OF_ONE_TENANT.sub("", one) + table + rest
    for text in ((ROOT / file).read_text(encoding="utf-8"), whole):
        settings.parse(text.encode(), EXAMPLES[file], file)


def test_a_key_that_is_left_out_is_found() -> None:
    whole = tomllib.loads(uncommented("collector/collector.example.toml"))
    del whole["broker"]["keepalive_s"]
    assert list(missing(CollectorConfig, whole)) == ["broker.keepalive_s"]
