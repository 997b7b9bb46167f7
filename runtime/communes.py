"""Floor 2. The official communes by code, for whoever has no registry: a probe that is set up.

The file has code and name of every row of the registry's own list, which a probe does not have
(`tail -n +2 collector/registry/data/vn_communes.csv | cut -d, -f3,4 | tr , ' '`); a test compares
them. Communes are merged and made, so a code that is not in it may be newer than this release.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from types import MappingProxyType

from runtime.language import Phrase

_DIGITS = "0123456789"
_MOST_ALIKE = 3


@cache
def names() -> MappingProxyType[str, str]:
    """The name of each commune by its code."""
    file = resources.files(__package__).joinpath("communes.txt")
    rows = (line.partition(" ") for line in file.read_text(encoding="utf-8").splitlines())
    return MappingProxyType({code: name for code, _, name in rows})


def problem(code: str) -> Phrase | None:
    """Why a code is no commune's, with those that it resembles; None where it is one's."""
    if code in names():
        return None
    unlisted = Phrase(
        f"{code!r} không có trong danh mục xã chính thức của bản phát hành này",
        f"{code!r} is not in this release's list of official communes",
    )
    found = [f"{one} ({names()[one]})" for one in alike(code)]
    if not found:
        return unlisted
    return Phrase(
        f"{unlisted.vi}; ý là {' hay '.join(found)}?",
        f"{unlisted.en}; did you mean {' or '.join(found)}?",
    )


def alike(code: str) -> list[str]:
    """Codes of communes with two neighbouring digits swapped, then with one other digit."""
    places = range(len(code))
    swapped = (code[:n] + code[n : n + 2][::-1] + code[n + 2 :] for n in places)
    other = (code[:n] + digit + code[n + 1 :] for n in places for digit in _DIGITS)
    return [one for one in dict.fromkeys((*swapped, *other)) if one in names()][:_MOST_ALIKE]
