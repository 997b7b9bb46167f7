"""Floor 1. Strict settings: TOML bytes to frozen types, or all errors at once with their places.

msgspec stops at the first error of a document; a person who edits a file wants all of them. So each
value of the tables is checked by msgspec on its own. Unknown keys are errors: a misspelt key would
otherwise silently leave the default. Knows no file and no program.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct, structs

from runtime.language import Language, Phrase
from runtime.problem import Problem
from runtime.value_errors import phrase_of
from wire.decoding import converted

S = TypeVar("S", bound=Struct)
MISSING = Phrase("còn thiếu", "is missing")


class SettingsError(Exception):
    """Settings that cannot be used, with every problem; as text in English, a line each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(self.in_(Language.EN))

    def in_(self, language: Language) -> str:
        """All of it in a language, a line for each problem."""
        return "\n".join(problem.in_(language) for problem in self.problems)

    def phrase(self) -> Phrase:
        """All of it in both languages."""
        return Phrase(self.in_(Language.VI), self.in_(Language.EN))


def not_utf_8(source: str, error: UnicodeDecodeError) -> SettingsError:
    """What is said of bytes that are no text."""
    what = Phrase(
        f"không phải văn bản UTF-8 (byte {error.start})", f"is not UTF-8 text (byte {error.start})"
    )
    return SettingsError([Problem(source, what)])


def _nothing(_: Mapping[str, Any]) -> Iterable[Problem]:
    return ()


def parse(
    content: bytes,
    settings_type: type[S],
    source: str,
    implausible: Callable[[Mapping[str, Any]], Iterable[Problem]] = _nothing,
) -> S:
    """Settings of the given type from TOML.

    Args:
        content: the file's bytes, UTF-8; a byte order mark at the front, which editors of Windows
            write, is no part of the text.
        settings_type: a frozen msgspec Struct; nested Structs are tables, lists of them arrays.
        source: the file's name, for messages.
        implausible: finds values in the table of the file that are of the right type and cannot be
            meant; whatever the types of the others, so that all is reported at once.

    Raises:
        SettingsError: with every problem found, each as "source: key: what is wrong".
    """
    try:
        table = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise not_utf_8(source, error) from error
    except tomllib.TOMLDecodeError as error:
        what = Phrase(f"không phải TOML: {error}", f"is not TOML: {error}")
        raise SettingsError([Problem(source, what)]) from error
    problems = [*_problems_of_table(table, settings_type, ""), *implausible(table)]
    if problems:
        raise SettingsError(problem.within(source) for problem in problems)
    return converted(table, settings_type)


def _problems_of_table(table: dict[str, Any], struct: type[Struct], place: str) -> list[Problem]:
    fields = fields_of(struct)
    prefix = f"{place}." if place else ""
    problems = [
        Problem(f"{prefix}{key}", _unknown(key, list(fields))) for key in table if key not in fields
    ]
    for name, field in fields.items():
        if name in table:
            problems += _problems_of_value(table[name], field.type, f"{prefix}{name}")
        elif field.required:
            problems.append(Problem(f"{prefix}{name}", MISSING))
    # Rules between keys (a Struct's __post_init__) make sense only once each key is right.
    return problems or problems_by_msgspec(table, struct, place, shown=None)


@cache
def fields_of(struct: type[Struct]) -> Mapping[str, structs.FieldInfo]:
    """The fields of a Struct by their names in a file; msgspec evaluates its annotations anew."""
    return {field.encode_name: field for field in structs.fields(struct)}


def _problems_of_value(value: Any, expected: Any, place: str) -> list[Problem]:
    table, table_list = _tables_in(expected)
    if table is not None and isinstance(value, dict):
        return _problems_of_table(value, table, place)
    if table_list is not None and isinstance(value, list):
        problems: list[Problem] = []
        for position, item in enumerate(value, start=1):
            problems += _problems_of_value(item, table_list, f"{place}[{position}]")
        return problems or problems_by_msgspec(value, expected, place, shown=None)
    return problems_by_msgspec(value, expected, place, shown=value)


def problems_by_msgspec(
    value: Any,
    expected: Any,
    place: str,
    shown: object,
    *,
    strict: bool = True,
) -> list[Problem]:
    """What msgspec finds wrong with a value: the first thing, or nothing.

    Args:
        value: of plain types, as TOML or a cell has it.
        expected: the type that it must fit.
        place: where it stands.
        shown: how the message quotes it; None where the place says enough.
        strict: as in msgspec: a cell's text may be a date.
    """
    try:
        converted(value, expected, strict=strict)
    except msgspec.ValidationError as error:
        what = phrase_of(error, expected)
        if shown is not None:
            what = Phrase(f"{what.vi} (đang là {shown!r})", f"{what.en} (it is {shown!r})")
        return [Problem(place, what)]
    return []


def _tables_in(expected: Any) -> tuple[type[Struct] | None, type[Struct] | None]:
    """The Struct that a table, or each table of an array, must fit; None where there is none."""
    if get_origin(expected) is Annotated:
        return _tables_in(get_args(expected)[0])
    if get_origin(expected) in (Union, UnionType):
        found = [_tables_in(option) for option in get_args(expected)]
        return next((pair for pair in found if pair != (None, None)), (None, None))
    if get_origin(expected) is list:
        return None, _tables_in(get_args(expected)[0])[0]
    if isinstance(expected, type) and issubclass(expected, Struct):
        return expected, None
    return None, None


def _unknown(key: str, known: list[str]) -> Phrase:
    if close := difflib.get_close_matches(key, known, n=1):
        return Phrase(
            f"khóa không có (ý là `{close[0]}`?)", f"unknown key (did you mean `{close[0]}`?)"
        )
    listed = ", ".join(known)
    return Phrase(f"khóa không có (các khóa: {listed})", f"unknown key (known: {listed})")
