"""Floor 3. Writes docs/contract/ from the types in `wire`: `python -m deploy.contract`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from wire import dictionary, documents
from wire.decoding import decode_json
from wire.result import KINDS

FOLDER = Path(__file__).parent.parent / "docs" / "contract"
EXAMPLES = FOLDER / "examples"


class Example(Struct, frozen=True):
    """A message as it travels: its topic and its payload."""

    topic: str
    payload: Any


def examples() -> dict[str, Example]:
    """Name to example, of every kind of result and every other message."""
    return {
        file.stem: decode_json(file.read_bytes(), Example)
        for file in sorted(EXAMPLES.glob("*.json"))
    }


def examples_by_channel() -> dict[str, list[dict[str, Any]]]:
    """Channel of the AsyncAPI document to its examples."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, example in examples().items():
        channel = "results" if name in KINDS else name
        found.setdefault(channel, []).append({"name": name, "payload": example.payload})
    return found


def files() -> dict[str, bytes]:
    """File name to content, as it must stand in docs/contract/."""
    asyncapi = documents.asyncapi(examples_by_channel())
    everything = {**documents.json_schemas(), "asyncapi.json": asyncapi}
    written = {
        name: msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n"
        for name, document in everything.items()
    }
    return {**written, "envelope.dictionary": dictionary.RESULTS}


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
