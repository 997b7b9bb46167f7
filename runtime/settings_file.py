"""Floor 2. Reads a settings file, whose content `runtime.settings` checks."""

from __future__ import annotations

from pathlib import Path

from runtime.language import Phrase
from runtime.problem import Problem
from runtime.settings import SettingsError


def content(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        runtime.settings.SettingsError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        what = Phrase(f"không đọc được: {error.strerror}", f"cannot be read: {error.strerror}")
        raise SettingsError([Problem(str(path), what)]) from error
