"""Floor 1. JSON Schemas of our types, in the keywords that validators and generators share.

`msgspec` describes a type exactly, but in words that shut readers out. What is changed here, and
for whom:

- A pattern that ends in `\\Z` (Python's absolute end) becomes `^…$` beside `not` a line break.
  RE2, Go, Rust and ECMA-262 know neither `\\Z` nor a look-ahead; in Python, PCRE, Java and .NET a
  plain `$` also matches before a last line break.
- OpenAPI's `discriminator` goes: unknown to JSON Schema, an error for AJV and in AsyncAPI 3. The
  tag of each type (`kind`, `command`) is required and has one value, which identifies it.
- An `enum` of strings states its `type`, for AJV's strict mode and for typed clients; with one
  value it is a `const`.
- A tuple of equal items is an array of fixed length: `prefixItems` is not in the draft that
  AsyncAPI builds on.
- A docstring loses the indentation of the source.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

Document = dict[str, Any]
# Zero-width assertions but for ^ and $, back-references, possessive and atomic groups, and what
# each engine spells its own way.
_NOT_PORTABLE = ("(?", "\\Z", "\\z", "\\A", "\\G", "\\1", "\\d", "\\w", "\\s", "++", "*+")


def schema_of(message: type[Struct]) -> Document:
    """The schema of one type, complete in itself (`$defs`)."""
    return portable(msgspec.json.schema(message))


def components_of(messages: Sequence[type[Struct]], ref_template: str) -> Document:
    """Name to schema of these types and all that they consist of."""
    _, components = msgspec.json.schema_components(messages, ref_template=ref_template)
    return {name: portable(schema) for name, schema in components.items()}


def portable(schema: Document) -> Document:
    """The schema as every validator reads it.

    Raises:
        ValueError: a pattern has what some engine does not know, or a tuple has unequal items.
    """
    found = {key: _portable(value) for key, value in schema.items() if key != "discriminator"}
    if isinstance(schema.get("pattern"), str):
        found |= _pattern(schema["pattern"])
    if "enum" in schema and all(isinstance(value, str) for value in schema["enum"]):
        found |= {"type": "string"}
        if len(schema["enum"]) == 1:
            (found["const"],) = found.pop("enum")
    if "prefixItems" in schema:
        found["items"] = _same_items(found.pop("prefixItems"))
    if isinstance(schema.get("description"), str):
        found["description"] = inspect.cleandoc(schema["description"])
    return found


def _portable(value: Any) -> Any:  # noqa: ANN401 - any part of a schema
    if isinstance(value, dict):
        return portable(value)
    return [_portable(each) for each in value] if isinstance(value, list) else value


def _pattern(pattern: str) -> Document:
    """As `^…$` and `not` a line break, where the source says `^…\\Z`."""
    whole = pattern.endswith("\\Z")
    plain = pattern.removesuffix("\\Z") + "$" if whole else pattern
    if any(spelling in plain for spelling in _NOT_PORTABLE):
        raise ValueError(f"not every engine reads the pattern {pattern!r} alike")
    if plain.endswith("$") and not whole:
        raise ValueError(f"the pattern {pattern!r} allows a line break at the end: write `\\Z`")
    return {"pattern": plain, "not": {"pattern": "\\n"}} if whole else {"pattern": plain}


def _same_items(items: list[Document]) -> Document:
    if any(item != items[0] for item in items):
        raise ValueError(f"a tuple of unequal items has no schema that all readers know: {items}")
    return items[0]
