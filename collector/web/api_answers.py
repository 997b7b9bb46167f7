"""Floor 1. What addresses for programs answer beside `/api/v1`, as types for the OpenAPI document.

What a probe sent is an object here: `docs/contract` has its schemas, and addresses in it may be
masked.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from collector.web.public_view import OpenLine
from wire.messages import Presence

# Of a numbered result, revision or change: the largest that every reader of JSON holds exactly
# (RFC 7493). A database's largest would overflow in "the ones after it".
NUMBER_MOST = 2**53 - 1


class ApiReceipt(Struct, frozen=True, kw_only=True):
    """What is stored of an epoch: all numbers through `stored_through` but `missing` ranges."""

    epoch: UUID
    stored_through: int
    missing: list[tuple[int, int]]


class ApiProbe(Struct, frozen=True, kw_only=True):
    """A probe as stored: its last messages, null where none was received. Times are UTC."""

    tenant: str
    probe: str
    revision: int
    site: dict[str, Any] | None
    presence: Presence | None
    presence_since: datetime | None
    info: dict[str, Any] | None
    health: dict[str, Any] | None
    health_at: datetime | None
    last_contact_at: datetime | None
    receipt: ApiReceipt | None


class ApiProbes(Struct, frozen=True, kw_only=True):
    """Probes by tenant and name; `next_after` is null with the last one."""

    probes: list[ApiProbe]
    next_after: str | None


class ApiResult(Struct, frozen=True, kw_only=True):
    """A stored result; `result` is as the probe sent it, null where this version cannot read it.

    `signature` is there where the query has `signatures=1`.
    """

    number: int
    tenant: str
    probe: str
    epoch: UUID
    seq: int
    kind: str
    line: str
    target: str | None
    received_at: datetime
    stored_at: datetime
    result: dict[str, Any] | None
    signature: Literal["checked", "unsigned", "unknown_key", "mismatch"] | UnsetType = UNSET


class ApiResults(Struct, frozen=True, kw_only=True):
    """Stored results, oldest first; `next_after` is the `after` of the next page."""

    results: list[ApiResult]
    next_after: int


class OpenLines(Struct, frozen=True, kw_only=True):
    """Open data: a row per line, with licence and method."""

    licence: str
    licence_url: str
    method: str
    thresholds_version: str
    lines: list[OpenLine]


class OpenPoint(Struct, frozen=True, tag_field="type", tag="Point"):
    """A place: longitude and latitude, WGS 84."""

    coordinates: tuple[float, float]


class OpenCommune(Struct, frozen=True, kw_only=True):
    """A commune and its lines."""

    commune_code: str
    commune: str
    province_code: str
    lines: list[OpenLine]


class OpenFeature(Struct, frozen=True, kw_only=True, tag_field="type", tag="Feature"):
    """A commune as a feature of GeoJSON (RFC 7946); `id` is its code."""

    id: str
    geometry: OpenPoint
    properties: OpenCommune


class OpenCommunes(Struct, frozen=True, kw_only=True, tag_field="type", tag="FeatureCollection"):
    """Open data as GeoJSON (RFC 7946): a point per commune."""

    licence: str
    licence_url: str
    method: str
    features: list[OpenFeature]


class OpenMonth(Struct, frozen=True, kw_only=True):
    """A published month of raw results: where its description and signature are."""

    month: str
    published_at: datetime
    results: int
    files: int
    bytes: int
    parquet: bool
    description: str
    signature: str
    sha256: str


class OpenMonths(Struct, frozen=True, kw_only=True):
    """The published months, the latest first."""

    licence: str
    licence_url: str
    public_key: str
    dictionary: str
    months: list[OpenMonth]


class OpenTable(Struct, frozen=True, kw_only=True):
    """A kind of file; `schema` is a Frictionless Table Schema."""

    title: str
    title_vi: str
    schema: dict[str, Any]


class OpenDictionary(Struct, frozen=True, kw_only=True):
    """The data dictionary of published months, by kind."""

    standard: str
    method: str
    licence: str
    tables: dict[str, OpenTable]


class Healthz(Struct, frozen=True, kw_only=True):
    """Whether results can be ingested and read; each problem as a sentence, null without one.

    `holder` is this collector's name, `holds` the leases that it has, where several share a store.
    """

    ok: bool
    broker: str | None
    store: str | None
    holder: str | UnsetType = UNSET
    holds: list[str] | UnsetType = UNSET


class ApiAlert(Struct, frozen=True, kw_only=True):
    """The last event of an alert, as the webhook has it: `began_at` by the data, `seen_at` by the
    centre's clock. Of an alert of the centre itself there is no probe.
    """

    number: int
    edge: Literal["begin", "end"]
    kind: str
    tenant: str | None
    probe: str | None
    line: str | None
    name: str | None
    commune_code: str | None
    office: str | None
    began_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    evidence: dict[str, str | int | float]


class ApiAlerts(Struct, frozen=True, kw_only=True):
    """The newest alerts, the newest first."""

    alerts: list[ApiAlert]


TYPES: tuple[type[Struct], ...] = (
    ApiAlerts,
    ApiProbes,
    ApiResults,
    OpenLines,
    OpenCommunes,
    OpenMonths,
    OpenDictionary,
    Healthz,
)
