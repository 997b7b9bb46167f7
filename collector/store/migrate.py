"""Floor 2. Reads the numbered migrations that are packaged beside this file.

Each database has a folder (`sqlite`, `postgresql`) with files `NNNN_name.sql`, numbered from 1
without a gap; a released file is never changed. A statement ends with a semicolon at the end of a
line. The store applies each migration and its record in one transaction.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import NamedTuple

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class Migration(NamedTuple):
    """One step of a schema."""

    number: int
    name: str
    statements: tuple[str, ...]


def packaged(database: str = "sqlite") -> list[Migration]:
    """The migrations of a database in order.

    Raises:
        ValueError: a file has no valid name, or a number is missing or used twice.
    """
    migrations = []
    for file in resources.files(__package__).joinpath("migrations", database).iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise ValueError(f"not a migration: {file.name}")
        statements = split_statements(file.read_text(encoding="utf-8"))
        migrations.append(Migration(int(match[1]), match[2], statements))
    migrations.sort()
    if [migration.number for migration in migrations] != list(range(1, len(migrations) + 1)):
        raise ValueError("the migrations are not numbered 1, 2, 3 …")
    return migrations


def split_statements(script: str) -> tuple[str, ...]:
    """The statements of a script, comment lines left out."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    pieces = re.split(r";\s*\n", "\n".join(lines) + "\n")
    return tuple(piece.strip() for piece in pieces if piece.strip())
