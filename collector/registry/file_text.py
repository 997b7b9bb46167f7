"""Floor 1. The text of a file that an office's program wrote: UTF-8, UTF-16 or Windows-1258.

Windows-1258 has the tones of Vietnamese as marks of their own, and a Mac writes every mark so: the
text is composed (NFC), as everywhere else. Bytes of any encoding can be read as Windows-1258, so
what is no Vietnamese then (TCVN3, VNI, Latin) is refused and never guessed.
"""

from __future__ import annotations

import codecs
import unicodedata

from runtime.language import Phrase
from runtime.problem import Problem
from runtime.settings import SettingsError

_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_VOWELS = "aăâeêioôơuưy"
_TONES = ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
_LOWER = {unicodedata.normalize("NFC", vowel + tone) for vowel in _VOWELS for tone in _TONES} | {
    "đ"
}
_LETTERS = frozenset(_LOWER | {letter.upper() for letter in _LOWER})
# What offices write beside letters: no-break space, dashes, quotes, dots.
_SIGNS = frozenset("\u00a0–—‘’“”…•°«»₫")
_ADVICE = Phrase(
    "lưu tệp dạng XLSX, hoặc «CSV UTF-8» (LibreOffice: bộ ký tự Unicode UTF-8)",
    "save it as XLSX, or as “CSV UTF-8” (LibreOffice: character set Unicode UTF-8)",
)


def decode(content: bytes, source: str) -> str:
    """The text, composed, without a byte order mark.

    Raises:
        runtime.settings.SettingsError: the encoding is none of these.
    """
    if b"\0" in content and not content.startswith(tuple(_UTF_16)):
        # UTF-16 without its mark would pass for UTF-8 as long as it is ASCII.
        raise _unknown(source, content, content.index(b"\0"))
    for mark, name in _UTF_16.items():
        if content.startswith(mark):
            return _composed(_decoded(content[len(mark) :], name, source))
    try:
        return _composed(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        text = _composed(content.decode("cp1258", "replace"))
        if not _is_vietnamese(text):
            raise _unknown(source, content, error.start) from error
        return text


def _decoded(content: bytes, encoding: str, source: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _unknown(source, content, error.start) from error


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _is_vietnamese(text: str) -> bool:
    """Whether there is nothing in a text but ASCII and what Vietnamese is written with."""
    return all(
        letter in "\t\r\n" or " " <= letter <= "~" or letter in _LETTERS or letter in _SIGNS
        for letter in text
    )


def _unknown(source: str, content: bytes, start: int) -> SettingsError:
    row = content.count(b"\n", 0, start) + 1
    what = Phrase(
        f"chữ không phải UTF-8, UTF-16 hay Windows-1258: {_ADVICE.vi}",
        f"the text is not UTF-8, UTF-16 or Windows-1258: {_ADVICE.en}",
    )
    return SettingsError([Problem(f"{source}:{row}", what)])
