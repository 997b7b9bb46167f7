"""Floor 2. Reads the file of thresholds: the packaged one, or one of the owner's."""

from __future__ import annotations

from pathlib import Path

from collector.domain import thresholds
from collector.domain.thresholds import Thresholds
from runtime import settings_file

SHIPPED = Path(__file__).parents[1] / "thresholds.toml"


def read(path: Path = SHIPPED) -> Thresholds:
    """Read the thresholds.

    Raises:
        runtime.settings.SettingsError: the file cannot be read, or every problem in it.
    """
    return thresholds.parse(settings_file.content(path), str(path))
