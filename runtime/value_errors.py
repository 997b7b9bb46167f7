"""Floor 1. Errors of values in settings, in Vietnamese and English.

The English sentences are msgspec's own, but for patterns, which are described in words. They follow
a few forms; one that is unknown here is shown untranslated.
"""

from __future__ import annotations

import ast
import enum
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from runtime.language import Phrase
from runtime.value_forms import FORMS, UNKNOWN

# msgspec quotes the pattern as Python does.
_PATTERN = re.compile(r"Expected `str` matching regex ('.+'|\".+\")", re.DOTALL)
# By msgspec's names; a type that is not here is shown by that name.
_TYPES_VI = {
    "int": "số nguyên",
    "float": "số",
    "str": "chuỗi ký tự",
    "bool": "true hoặc false",
    "array": "danh sách",
    "object": "bảng",
    "date": "ngày",
    "time": "giờ",
    "datetime": "ngày giờ",
    "null": "để trống",
}


class RuleError(ValueError):
    """A rule between keys is violated; raised in a Struct's `__post_init__`."""

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(en)
        self.phrase = Phrase(vi, en)


def require_pair(table: Struct, one: str, other: str) -> None:
    """Require two keys of a table to be set together, such as the halves of a credential.

    Raises:
        RuleError: one of them is None and the other is not.
    """
    if (getattr(table, one) is None) != (getattr(table, other) is None):
        raise RuleError(
            f"`{one}` và `{other}` phải đi cùng nhau", f"`{one}` and `{other}` go together"
        )


def phrase_of(error: msgspec.ValidationError, expected: Any) -> Phrase:  # noqa: ANN401 - any type
    """The phrase of an error of msgspec.

    Args:
        error: as `msgspec.convert` raised it.
        expected: the type of the value; the values of an enumeration are listed.
    """
    # msgspec wraps what `__post_init__` raises.
    if isinstance(error.__cause__, RuleError):
        return error.__cause__.phrase
    sentence = str(error).partition(" - at `")[0]
    english = sentence[:1].lower() + sentence[1:]
    if (found := _PATTERN.fullmatch(sentence)) is not None:
        return FORMS.get(ast.literal_eval(found[1]), UNKNOWN)
    said = Phrase(_vietnamese(sentence), english)
    if sentence.startswith("Invalid enum value") and (choices := _choices(expected)):
        listed = ", ".join(choices)
        return Phrase(f"{said.vi}; được phép: {listed}", f"{said.en}; allowed: {listed}")
    return said


def _vietnamese(sentence: str) -> str:
    for pattern, describe in _FORMS:
        if (found := pattern.fullmatch(sentence)) is not None:
            return describe(found)
    return sentence


def _type(names: str) -> str:
    return " hoặc ".join(_TYPES_VI.get(name, f"`{name}`") for name in names.split(" | "))


_Describe = Callable[[re.Match[str]], str]


def _form(pattern: str, describe: _Describe) -> tuple[re.Pattern[str], _Describe]:
    return re.compile(pattern, re.DOTALL), describe


_FORMS = (
    _form(r"Expected `(.+)`, got `(.+)`", lambda m: f"cần {_type(m[1])}, không phải {_type(m[2])}"),
    _form(r"Expected `str` of length ([<>]=?) (\d+)", lambda m: f"độ dài phải {m[1]} {m[2]} ký tự"),
    _form(r"Expected `\w+` of length ([<>]=?) (\d+)", lambda m: f"số phần tử phải {m[1]} {m[2]}"),
    _form(r"Expected `\w+` of length (\d+), got (\d+)", lambda m: f"cần {m[1]} phần tử, có {m[2]}"),
    _form(r"Expected `(\w+)` ([<>]=?) (\S+)", lambda m: f"cần {_type(m[1])} {m[2]} {m[3]}"),
    _form(r"Expected `datetime` with a timezone component", lambda _: "ngày giờ thiếu múi giờ"),
    _form(r"Invalid enum value (.+)", lambda m: f"giá trị {m[1]} không được phép"),
    _form(
        r"Invalid RFC3339 encoded (\w+)",
        lambda m: f"không phải {_type(m[1])} theo RFC 3339",
    ),
)


def _choices(expected: Any) -> list[str]:  # noqa: ANN401 - any type
    """The values of an enumeration or of Literals, whatever else the type allows beside them."""
    if isinstance(expected, type) and issubclass(expected, enum.Enum):
        return [str(one.value) for one in expected]
    if get_origin(expected) is Literal:
        return [str(value) for value in get_args(expected)]
    options = get_args(expected)[:1] if get_origin(expected) is Annotated else get_args(expected)
    return [choice for option in options for choice in _choices(option)]
