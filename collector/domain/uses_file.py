"""Floor 2. Reads the packaged file of uses."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from collector.domain import uses
from collector.domain.uses import Uses
from runtime import settings_file

SHIPPED = Path(__file__).parents[1] / "uses.toml"


@cache
def read() -> Uses:
    """Read the uses.

    Raises:
        runtime.settings.SettingsError: the file cannot be read, or every problem in it.
    """
    return uses.parse(settings_file.content(SHIPPED), str(SHIPPED))
