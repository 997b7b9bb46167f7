"""Floor 3. Writes docs/contract/ from the types in `wire`: `python -m deploy.contract`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from wire import documents

FOLDER = Path(__file__).parent.parent / "docs" / "contract"


def files() -> dict[str, bytes]:
    """File name to content, as it must stand in docs/contract/."""
    everything = {**documents.json_schemas(), "asyncapi.json": documents.asyncapi()}
    return {
        name: msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n"
        for name, document in everything.items()
    }


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
