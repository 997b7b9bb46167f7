"""Floor 3. What an address asks for, read strictly: what is wrong is told, never bent."""

from __future__ import annotations

from starlette.exceptions import HTTPException

# The largest integer of SQLite and PostgreSQL.
NUMBER_MOST = 2**63 - 1


def whole_number(name: str, text: str | None, default: int, least: int, most: int) -> int:
    """A whole number within bounds; the default where the address has none.

    Raises:
        HTTPException: 400, with what was expected.
    """
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 19 or not least <= int(text) <= most:
        raise HTTPException(400, f"`{name}` is a whole number, {least} to {most}")
    return int(text)
