"""Floor 1. Makes the centre's registry from an Ansible inventory.

Probes, places, lines and plans are in the inventory already; the centre's reports need them as a
registry (`collector/registry.example.toml`). What an inventory does not hold, when a contract began
and what a line is made of, is left to be filled in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from runtime.language import unmarked
from wire.decoding import decode_json
from wire.figures import MEGABIT
from wire.topics import is_name

_WORD = re.compile(r"[a-z0-9]+")


class _Site(Struct):
    commune_code: str
    office: str
    group: str | None = None


class _Line(Struct):
    id: str
    isp: str
    # YAML takes 300e+6 for a text; the role makes a number of it, and so do we.
    plan_download_bps: float | str | None = None
    plan_upload_bps: float | str | None = None


class _Box(Struct):
    probe_name: str
    probe_tenant: str
    probe_site: _Site
    probe_lines: list[_Line]


def toml(variables: Mapping[str, bytes]) -> str:
    """The registry as TOML, as `tramdo-collector registry apply` takes it.

    Args:
        variables: each box's own, as `deploy.fleet.inventory.variables_of` has them.

    Raises:
        ValueError: a box's variables do not say enough, or a name has no letter to make an id of.
    """
    boxes = [_box(name, content) for name, content in sorted(variables.items())]
    isps = {_id(line.isp): line.isp for box in boxes for line in box.probe_lines}
    groups: dict[str, str] = {}
    communes: dict[str, set[str]] = {}
    for site in (box.probe_site for box in boxes):
        if site.group:
            groups.setdefault(_id(site.group), site.group)
            communes.setdefault(_id(site.group), set()).add(site.commune_code)
    table = {
        "isp": [{"id": id_, "name": name} for id_, name in sorted(isps.items())],
        "probe": [_probe(box) for box in boxes],
        "group": [
            {"id": id_, "name": name, "communes": sorted(communes[id_])}
            for id_, name in sorted(groups.items())
        ],
    }
    return msgspec.toml.encode({name: rows for name, rows in table.items() if rows}).decode()


def _box(name: str, content: bytes) -> _Box:
    try:
        return decode_json(content, _Box)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{name}: the inventory does not say enough: {error}") from error


def _probe(box: _Box) -> dict[str, Any]:
    return {
        "tenant": box.probe_tenant,
        "probe": box.probe_name,
        "commune": box.probe_site.commune_code,
        "office": box.probe_site.office,
        "line": [_line(line) for line in box.probe_lines],
    }


def _line(line: _Line) -> dict[str, Any]:
    plans = {
        "plan_down_mbit_s": line.plan_download_bps,
        "plan_up_mbit_s": line.plan_upload_bps,
    }
    declared = {name: float(bps) / MEGABIT for name, bps in plans.items() if bps is not None}
    return {"id": line.id, "isp": _id(line.isp), **declared}


def _id(name: str) -> str:
    """A name's id: "Bạch Thông (cũ)" is bach-thong-cu."""
    made = "-".join(_WORD.findall(unmarked(name.lower())))[:40].strip("-")
    if not is_name(made):
        raise ValueError(f"{name!r}: no id can be made of this name")
    return made
