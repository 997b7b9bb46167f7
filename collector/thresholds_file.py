"""Floor 2. Reads the file of thresholds: the one that came with this program, or another."""

from __future__ import annotations

from pathlib import Path

from collector import thresholds
from collector.thresholds import Thresholds
from runtime.settings import unreadable

SHIPPED = Path(__file__).with_name("thresholds.toml")


def read(path: Path = SHIPPED) -> Thresholds:
    """The thresholds in force.

    Raises:
        runtime.settings.SettingsError: the file cannot be read, or every problem in it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(str(path), error) from error
    return thresholds.parse(content, str(path))
