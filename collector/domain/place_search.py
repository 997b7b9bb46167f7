"""Floor 1. Finds communes, provinces and probes by what people type.

Marks, capitals and blanks do not matter (Hoà, Hòa, hoa), nor i and y (Mỹ, Mĩ), nor the kind in
front of a name (xã, phường). A commune is found by part of its name, by its name with its
province's, and by its code. Who types marks gets names with just these marks first.

Where that finds nothing, other ways to type are tried: the kind of a place amid the words ("xã Phủ
Thông, tỉnh Thái Nguyên"), TP.HCM, letters of Telex or VNI that were left over ("phur thoong"), and
words without blanks ("phuthong").
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple, Self

from msgspec import Struct, structs

from collector.registry.former_provinces import FORMER_PROVINCES
from collector.registry.registry import Commune, Probe, Registry
from runtime.language import unmarked

QUERY_MOST = 100
_KINDS = re.compile(r"^(xa|phuong|dac khu|tinh|thanh pho|tp|p|x) ")
_KINDS_MARKED = re.compile(r"^(xã|phường|đặc khu|tỉnh|thành phố|tp|p|x) ")
_PUNCTUATION = re.compile(r"[.,;()–-]")
# What stands before names amid an address, and is no part of them.
_KINDS_WITHIN = re.compile(
    r"\b(uy ban nhan dan|uy ban|ubnd|tru so|van phong|xa|phuong|dac khu|thi tran|thi xa|huyen|quan"
    r"|tinh|thanh pho|tp|cu)\b"
)
_HO_CHI_MINH = re.compile(r"\b(tphcm|tp hcm|hcm|sai gon)\b")
# Keys of Telex and VNI: doubled letters, w, a tone's key after its vowel or at a syllable's end.
_TELEX = re.compile(
    r"([aeod])\1|(?<=[uoa])w|(?<=[aeiouyw])[sfrxj](?=[a-z]+$)|(?<=[a-z])[sfrxj]$"
    r"|(?<=[a-z])[0-9](?=[a-z]*$)"
)
# A name typed without blanks has so many letters at least.
_JOINED_LEAST = 5
# Ranks up to this one are of names that have the query at a word's beginning.
_WORD = 3
# Letters that look like Đ and are not (U+00D0, U+00F0).
_LOOKS_LIKE_D = str.maketrans("ÐðƉɖ", "ĐđĐđ")


class Place(Struct, frozen=True, kw_only=True):
    """What may be found: `key` is a commune's or province's code, or TENANT/PROBE."""

    key: str
    kind: str
    name: str
    province_code: str = ""
    province: str = ""
    probes: int = 0
    # The name of a former province, which is a part of this one.
    former: str = ""


class _Entry(NamedTuple):
    """A place with its texts as they are compared: `name` without its kind, `text` all of it."""

    place: Place
    key: str
    full: str
    marked: str
    name: str
    text: str


class PlaceIndex:
    """The places of a registry. Immutable."""

    def __init__(self, registry: Registry, today: date) -> None:
        places = [
            *_provinces(registry.communes.values()),
            *_communes(registry, today),
            *_probes(registry),
        ]
        self._entries = [
            *(_entry(place) for place in places),
            *_former_provinces(places),
            *_former_codes(registry, places),
        ]

    def find(self, query: str, kinds: Sequence[str] = ()) -> list[Place]:
        """The places that match, best first; none for an empty query.

        Where a name begins with what was typed, or has it at the beginning of a word, weaker
        matches are left out.

        Args:
            query: as it was typed.
            kinds: of places; all where none is given.
        """
        for text in _ways_to_type(query[:QUERY_MOST]):
            if found := self._find(_Typed.of(text), kinds):
                return found
        compact = bare(query[:QUERY_MOST]).replace(" ", "")
        return [
            entry.place
            for entry in self._entries
            if len(compact) >= _JOINED_LEAST
            and (not kinds or entry.place.kind in kinds)
            and entry.name.replace(" ", "").startswith(compact)
        ]

    def _find(self, typed: _Typed, kinds: Sequence[str]) -> list[Place]:
        if not typed.name:
            return []
        ranked = [
            (rank, entry)
            for entry in self._entries
            if not kinds or entry.place.kind in kinds
            if (rank := _rank(entry, typed.name)) is not None
        ]
        best = min((rank for rank, _ in ranked), default=0)
        if best <= _WORD:
            ranked = [pair for pair in ranked if pair[0] <= _WORD]
        ranked.sort(key=lambda pair: _order(pair[0], pair[1], typed))
        return list({entry.place.key: entry.place for _, entry in reversed(ranked)}.values())[::-1]

    def exact(self, query: str, kinds: Sequence[str] = ()) -> Place | None:
        """The one place that is meant: the only match, or the only one of just this code or name.

        With the kind and the marks that were typed, if that is not one, without them.
        """
        # A former province is a part of the one that it is found as.
        found = [place for place in self.find(query, kinds) if not place.former]
        typed = _Typed.of(query)
        if typed.full.startswith("tinh "):
            # Not the ward that has the name of a former province.
            found = [place for place in found if place.kind == "province"]
        if len(found) == 1:
            return found[0]
        marks = found if typed.has_marks else []
        for same in (
            [place for place in found if place.key == query.strip()],
            [place for place in marks if _plain(place.name) == typed.plain],
            [place for place in marks if marked_name(place.name) == typed.marked],
            [place for place in found if unmarked(_plain(place.name)) == typed.full],
            [place for place in found if bare(place.name) == typed.name],
        ):
            if same:
                return same[0] if len(same) == 1 else None
        return None


class _Typed(NamedTuple):
    """A query in the forms that are compared."""

    plain: str
    full: str
    marked: str
    name: str

    @classmethod
    def of(cls, query: str) -> Self:
        plain = _plain(query)
        return cls(plain, unmarked(plain), marked_name(query), bare(query))

    @property
    def has_marks(self) -> bool:
        """Whether it was typed with marks, so that they mean something."""
        return self.plain != self.full


def _ways_to_type(query: str) -> list[str]:
    """A query as it was typed, then in the ways in which it may have been meant."""
    words = _HO_CHI_MINH.sub("ho chi minh", unmarked(_plain(query)))
    named = " ".join(_KINDS_WITHIN.sub(" ", words).split())
    keys = " ".join(_TELEX.sub(_telex_letter, word).replace("w", "u") for word in named.split())
    return list(dict.fromkeys(text for text in (query, words, named, keys) if text))


def _telex_letter(match: re.Match[str]) -> str:
    return match[1] or ""


def bare(text: str) -> str:
    """A name as it is compared: without marks, capitals, kind, doubled blanks; y as i."""
    words = unmarked(_plain(text))
    return (_KINDS.sub("", f"{words} ").strip() or words).replace("y", "i")


def marked_name(text: str) -> str:
    """A name with its marks, without capitals and kind."""
    words = _plain(text)
    return _KINDS_MARKED.sub("", words).strip() or words


def _plain(text: str) -> str:
    """A text without capitals, punctuation and doubled blanks."""
    folded = unicodedata.normalize("NFC", text.translate(_LOOKS_LIKE_D)).casefold()
    return " ".join(_PUNCTUATION.sub(" ", folded).split())


def short_province(name: str) -> str:
    """A province's name without its kind: "Tỉnh Thái Nguyên" is "Thái Nguyên"."""
    for kind in ("Tỉnh ", "Thành phố "):
        if name.startswith(kind):
            return name.removeprefix(kind)
    return name


def with_province(commune: Commune) -> str:
    """A commune's name with its province's, for where two could be meant."""
    return f"{commune.name}, {short_province(commune.province_name)}"


def commune_text(code: str, communes: Mapping[str, Commune]) -> str:
    """The name of a commune with its province's; "" of one that is not known."""
    commune = communes.get(code)
    return with_province(commune) if commune else ""


def named_among(communes: Iterable[Commune], every: Iterable[Commune]) -> dict[str, str]:
    """The name of each commune by its code, for a list of them.

    The province's stands beside it where the list is of several provinces and another commune of
    `every` has the name.
    """
    found = list(communes)
    several = len({commune.province_code for commune in found}) > 1
    shared = shared_names(every) if several else frozenset()
    return {
        commune.code: with_province(commune) if commune.name in shared else commune.name
        for commune in found
    }


def shared_names(communes: Iterable[Commune]) -> frozenset[str]:
    """The names that more than one commune has."""
    counted = Counter(commune.name for commune in communes)
    return frozenset(name for name, count in counted.items() if count > 1)


def _provinces(communes: Iterable[Commune]) -> list[Place]:
    names = {commune.province_code: commune.province_name for commune in communes}
    return [
        Place(key=code, kind="province", name=name, province_code=code)
        for code, name in sorted(names.items())
    ]


def _former_provinces(places: Iterable[Place]) -> list[_Entry]:
    """Provinces of today by the names of those that they are made of."""
    by_code = {place.key: place for place in places if place.kind == "province"}
    return [
        _entry(structs.replace(place, former=name), name)
        for name, code in FORMER_PROVINCES.items()
        if (place := by_code.get(code)) is not None
    ]


def _former_codes(registry: Registry, places: Iterable[Place]) -> list[_Entry]:
    """Communes by the codes that they had."""
    by_code = {place.key: place for place in places if place.kind == "commune"}
    return [
        _entry(place)._replace(key=code, name=code, full=code, marked=code, text=f" {code}")
        for code, former in registry.former_codes.items()
        if (place := by_code.get(former.present)) is not None
    ]


def _communes(registry: Registry, today: date) -> list[Place]:
    probes = Counter(probe.commune for probe in registry.probes.values())
    return [
        Place(
            key=commune.code,
            kind="commune",
            name=commune.name,
            province_code=commune.province_code,
            province=commune.province_name,
            probes=probes[commune.code],
        )
        for commune in registry.communes.values()
        if commune.is_valid_on(today) or probes[commune.code]
    ]


def _probes(registry: Registry) -> list[Place]:
    return [_probe(probe, registry.communes) for probe in registry.probes.values()]


def _probe(probe: Probe, communes: Mapping[str, Commune]) -> Place:
    commune = communes.get(probe.commune)
    return Place(
        key=f"{probe.tenant}/{probe.probe}",
        kind="probe",
        name=probe.office,
        province_code=commune.province_code if commune else "",
        province=commune.province_name if commune else "",
        probes=1,
    )


def _entry(place: Place, called: str = "") -> _Entry:
    """A place with its texts: of its name, or of another one that it is called by."""
    called = called or place.name
    name, key = bare(called), bare(place.key)
    return _Entry(
        place=place,
        key=key,
        full=unmarked(_plain(called)),
        marked=marked_name(called),
        name=name,
        text=f" {name} {bare(place.province)} {key}",
    )


def _rank(entry: _Entry, query: str) -> int | None:
    """How well a place matches, 0 is best; None where it does not."""
    if query == entry.key:
        return 0
    if entry.name == query:
        return 1
    if entry.name.startswith(query):
        return 2
    if f" {query}" in f" {entry.name}":
        return _WORD
    if all(f" {word}" in entry.text for word in query.split()):
        return 4
    # Within a word only for what is no syllable's beginning by chance.
    return 5 if len(query) > 2 and query in entry.text else None


_KIND_ORDER = {"province": 0, "commune": 1, "probe": 2}


def _order(rank: int, entry: _Entry, typed: _Typed) -> tuple[object, ...]:
    place = entry.place
    return (
        place.kind == "probe" and rank > 0,
        bool(place.former),
        rank,
        typed.has_marks and not entry.marked.startswith(typed.marked),
        not entry.full.startswith(typed.full),
        _KIND_ORDER[place.kind],
        not place.probes,
        entry.name,
        bare(place.province),
        place.key,
    )
