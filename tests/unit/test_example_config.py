"""The example file names every setting, and states the defaults as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probe import config
from probe.config import Config

EXAMPLE = Path(config.__file__).with_name("probe.example.toml")
TEXT = EXAMPLE.read_text(encoding="utf-8")


def settings(struct: type[msgspec.Struct], place: str = "") -> list[tuple[str, str, Any]]:
    """(table, key, default) of every setting; NODEFAULT where there is none."""
    found: list[tuple[str, str, Any]] = []
    for field in msgspec.structs.fields(struct):
        nested = field.default if isinstance(field.default, msgspec.Struct) else None
        if nested is not None:
            found += settings(type(nested), field.encode_name)
        else:
            found.append((place, field.encode_name, field.default))
    return found


def test_the_example_is_sound() -> None:
    assert config.parse(TEXT.encode(), "example").site.commune_code == "01969"


@pytest.mark.parametrize(("table", "key", "default"), settings(Config))
def test_every_setting_stands_in_the_example_with_its_default(
    table: str, key: str, default: Any
) -> None:
    assert re.search(rf"^(# |\[+)?{key}\b", TEXT, re.MULTILINE), f"{table}.{key} is not in it"
    parsed = config.parse(TEXT.encode(), "example")
    holder = getattr(parsed, table) if table else parsed
    if default is not msgspec.NODEFAULT:
        assert getattr(holder, key) == default
