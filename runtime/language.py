"""Floor 1. Texts in Vietnamese and English: a phrase has both, and the output chooses one."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

# Control characters, line ends, and those that turn the direction of a text.
_NOT_PLAIN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


class Language(StrEnum):
    """The languages of the user interface; Vietnamese comes first."""

    VI = "vi"
    EN = "en"


class Phrase(NamedTuple):
    """A text in both languages."""

    vi: str
    en: str

    def in_(self, language: Language) -> str:
        """The text in a language."""
        return self.vi if language is Language.VI else self.en


def number(english: str) -> Phrase:
    """A number in both languages from its English form: 1,234.5 is 1.234,5 in Vietnamese."""
    return Phrase(english.translate(_PUNCTUATION), english)


_PUNCTUATION = str.maketrans(",.", ".,")


# A nation's communes and offices are sorted and searched by it at every request.
@lru_cache(maxsize=16_384)
def unmarked(text: str) -> str:
    """Vietnamese text without diacritics: "Bạch Thông" becomes Bach Thong."""
    bare = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in bare if not unicodedata.combining(letter))


# Words that begin a place's or an office's name without being a part of it.
_COMMON_NOUNS = (
    "Xã ", "Phường ", "Đặc khu ", "Thị trấn ", "Tỉnh ", "Thành phố ", "Trụ sở ", "Văn phòng ",
)  # fmt: skip
# Written with a capital everywhere (Nghị định 30/2020/NĐ-CP, Phụ lục II, mục III.1).
_CAPITAL_EVERYWHERE = "Thành phố Hồ Chí Minh"


def within_sentence(name: str) -> str:
    """A Vietnamese name within a sentence: "Xã Phủ Thông" is "xã Phủ Thông" there."""
    if name.startswith(_COMMON_NOUNS) and name != _CAPITAL_EVERYWHERE:
        return name[0].lower() + name[1:]
    return name


def of_locale(environment: Mapping[str, str]) -> Language:
    """The language by the locale's variables in the order of POSIX (XBD 8.2).

    The locale need not be installed: SSH forwards the technician's own.
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "")
    language = locale.partition(".")[0].partition("@")[0].partition("_")[0]
    return Language.VI if language.lower() == Language.VI else Language.EN


def is_plain_line(text: str) -> bool:
    """Whether a text is one line that everybody reads alike: nothing unseen is in it."""
    return all(unicodedata.category(one) not in _NOT_PLAIN for one in text)
