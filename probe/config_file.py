"""Floor 2. Reads the configuration file, whose content `probe.config` defines."""

from __future__ import annotations

from pathlib import Path

from probe import config
from probe.config import Config
from runtime import settings_file

EXAMPLE = Path(__file__).with_name("probe.example.toml")


def load(path: Path) -> tuple[Config, str]:
    """The configuration in a file, and the SHA-256 of its bytes.

    Raises:
        runtime.settings.SettingsError: it cannot be read, or it has problems; lists all of them.
    """
    content = settings_file.content(path)
    return config.parse(content, str(path)), config.digest(content)
