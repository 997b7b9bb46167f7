"""Floor 1. Where a probe stands, as the probe reports it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from wire.record import Text

CommuneCode = Annotated[
    str, Meta(pattern=r"^[0-9]{5}\Z", description="official 5-digit commune code, a string")
]


class Site(Struct, frozen=True, forbid_unknown_fields=True):
    """The probe's place by its own configuration; the centre's registry takes precedence."""

    commune_code: CommuneCode
    office: Text
    group: Text | None = None
