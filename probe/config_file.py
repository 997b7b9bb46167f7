"""Floor 2. Reads the configuration file; `probe.config` says what is in it."""

from __future__ import annotations

from pathlib import Path

from probe import config
from probe.config import Config
from runtime.settings import unreadable


def load(path: Path) -> tuple[Config, str]:
    """The configuration in a file, and the SHA-256 of its bytes.

    Raises:
        runtime.settings.SettingsError: it cannot be read, or every problem in it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(str(path), error) from error
    return config.parse(content, str(path)), config.digest(content)
