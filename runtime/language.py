"""Floor 1. Vietnamese and English side by side: a phrase has both, whoever shows it picks one."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Language(StrEnum):
    """The languages that people are spoken to in; Vietnamese comes first."""

    VI = "vi"
    EN = "en"


class Phrase(NamedTuple):
    """The same in each language."""

    vi: str
    en: str

    def in_(self, language: Language) -> str:
        """The phrase in a language."""
        return self.vi if language is Language.VI else self.en


def number(english: str) -> Phrase:
    """A number as each language writes it, from the English: 1,234.5 is 1.234,5 in Vietnamese."""
    return Phrase(english.translate(_PUNCTUATION), english)


_PUNCTUATION = str.maketrans(",.", ".,")


def unmarked(text: str) -> str:
    """Vietnamese without its marks: "Bạch Thông" is Bach Thong."""
    bare = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in bare if not unicodedata.combining(letter))


def of_locale(environment: Mapping[str, str]) -> Language:
    """The language of a terminal's messages, in the order of POSIX (XBD 8.2): the first one set.

    The locale need not be installed here: a technician's own comes with him by SSH.
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "")
    language = locale.partition(".")[0].partition("@")[0].partition("_")[0]
    return Language.VI if language.lower() == Language.VI else Language.EN
