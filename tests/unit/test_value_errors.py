"""Mistakes in what a person wrote, told in Vietnamese and English."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from runtime.language import Language, Phrase
from runtime.settings import SettingsError, parse
from runtime.value_errors import RuleError, phrase_of


class Fruit(StrEnum):
    PLUM = "plum"
    LONGAN = "longan"


class Span(Struct, frozen=True, kw_only=True):
    first: int
    last: int

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise RuleError("`first` phải trước `last`", "`first` comes before `last`")


class Settings(Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=3)]
    span: Span


CASES: list[tuple[Any, Any, str, str]] = [
    ("x", int, "cần số nguyên, không phải chuỗi ký tự", "expected `int`, got `str`"),
    ([], dict, "cần bảng, không phải danh sách", "expected `object`, got `array`"),
    (
        1.5,
        str | None,
        "cần chuỗi ký tự hoặc để trống, không phải số",
        "expected `str | null`, got `float`",
    ),
    (1, Annotated[int, Meta(ge=2)], "cần số nguyên >= 2", "expected `int` >= 2"),
    (
        "a",
        Annotated[str, Meta(min_length=3)],
        "độ dài phải >= 3 ký tự",
        "expected `str` of length >= 3",
    ),
    (
        [],
        Annotated[list[int], Meta(min_length=1)],
        "số phần tử phải >= 1",
        "expected `array` of length >= 1",
    ),
    (
        [1, 2, 3],
        tuple[int, int],
        "cần 2 phần tử, có 3",
        "expected `array` of length 2, got 3",
    ),
    (
        "b",
        Annotated[str, Meta(pattern="^a$")],
        "có dạng hoặc ký tự không được phép",
        "has a form or characters that are not allowed",
    ),
    ("2026", date, "không phải ngày theo RFC 3339", "invalid RFC3339 encoded date"),
    (
        "2026-01-01T00:00:00",
        Annotated[datetime, Meta(tz=True)],
        "ngày giờ thiếu múi giờ",
        "expected `datetime` with a timezone component",
    ),
    (
        "apple",
        Fruit | None,
        "giá trị 'apple' không được phép; được phép: plum, longan",
        "invalid enum value 'apple'; allowed: plum, longan",
    ),
    (
        3,
        Annotated[Literal[1, 2], Meta(description="one or two")],
        "giá trị 3 không được phép; được phép: 1, 2",
        "invalid enum value 3; allowed: 1, 2",
    ),
    (
        {"first": 2, "last": 1},
        Span,
        "`first` phải trước `last`",
        "`first` comes before `last`",
    ),
]


@pytest.mark.parametrize(("value", "expected", "vi", "en"), CASES, ids=[row[3] for row in CASES])
def test_each_form_is_told_in_both_languages(value: Any, expected: Any, vi: str, en: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(value, expected)
    assert phrase_of(caught.value, expected) == Phrase(vi, en)


def test_a_form_that_is_not_known_is_told_as_it_is() -> None:
    said = phrase_of(msgspec.ValidationError("Expected better weather"), int)
    assert said == Phrase("Expected better weather", "expected better weather")


def test_settings_tell_every_mistake_with_its_place_in_a_language() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(b'name = "a"\nnme = 1\n', Settings, "s.toml")
    assert caught.value.in_(Language.VI).splitlines() == [
        "s.toml: nme: khóa không có (ý là `name`?)",
        "s.toml: name: độ dài phải >= 3 ký tự (đang là 'a')",
        "s.toml: span: còn thiếu",
    ]
    assert str(caught.value).splitlines()[0] == "s.toml: nme: unknown key (did you mean `name`?)"
