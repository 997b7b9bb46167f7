"""Floor 1. Strict settings: TOML bytes to frozen types, or every error at once with its place.

msgspec checks a whole document and stops at the first error; a person who edits a file wants all
of them. So the tables are walked here and each value is handed to msgspec alone. Unknown keys are
errors: a misspelt key would otherwise be a default in silence. Knows no file and no program.
"""

from __future__ import annotations

import difflib
import tomllib
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct, structs

S = TypeVar("S", bound=Struct)


class SettingsError(Exception):
    """Settings that cannot be used; `problems` has a sentence for each, file and key first."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def parse(content: bytes, settings_type: type[S], source: str) -> S:
    """Settings of the given type from TOML.

    Args:
        content: the file's bytes, UTF-8.
        settings_type: a frozen msgspec Struct; nested Structs are tables, lists of them arrays.
        source: the file's name, for messages.

    Raises:
        SettingsError: with every problem found, each as "source: key: what is wrong".
    """
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise SettingsError([f"{source}: is not UTF-8 text (byte {error.start})"]) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{source}: is not TOML: {error}"]) from error
    problems = _problems_of_table(table, settings_type, "")
    if problems:
        raise SettingsError([f"{source}: {problem}" for problem in problems])
    return msgspec.convert(table, settings_type)


def _problems_of_table(table: dict[str, Any], struct: type[Struct], place: str) -> list[str]:
    fields = {field.encode_name: field for field in structs.fields(struct)}
    prefix = f"{place}." if place else ""
    problems = [
        f"{prefix}{key}: unknown key{_nearest(key, list(fields))}"
        for key in table
        if key not in fields
    ]
    for name, field in fields.items():
        if name in table:
            problems += _problems_of_value(table[name], field.type, f"{prefix}{name}")
        elif field.required:
            problems.append(f"{prefix}{name}: is missing")
    # Rules between keys (a Struct's __post_init__) make sense only once each key is right.
    return problems or _problems_by_msgspec(table, struct, place, shown=None)


def _problems_of_value(value: Any, expected: Any, place: str) -> list[str]:
    table, table_list = _tables_in(expected)
    if table is not None and isinstance(value, dict):
        return _problems_of_table(value, table, place)
    if table_list is not None and isinstance(value, list):
        problems: list[str] = []
        for position, item in enumerate(value, start=1):
            problems += _problems_of_value(item, table_list, f"{place}[{position}]")
        return problems or _problems_by_msgspec(value, expected, place, shown=None)
    return _problems_by_msgspec(value, expected, place, shown=value)


def _problems_by_msgspec(value: Any, expected: Any, place: str, shown: Any) -> list[str]:
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        sentence = str(error).partition(" - at `")[0]
        sentence = sentence[:1].lower() + sentence[1:]
        got = "" if shown is None else f" (it is {shown!r})"
        return [f"{place}: {sentence}{got}" if place else f"{sentence}{got}"]
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


def _nearest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f" (did you mean `{close[0]}`?)" if close else f" (known: {', '.join(known)})"
