"""Floor 1. Selects each box's own variables from an Ansible inventory.

Reads what `ansible-inventory --list` prints. A box gets the variables of the roles that it runs on
itself (ansible/box.yml) and no others: an inventory also holds the centre's passwords, say.
"""

from __future__ import annotations

from typing import Any

import msgspec

from deploy.fleet import variables
from wire.decoding import decode_json
from wire.topics import is_name


class _Meta(msgspec.Struct):
    hostvars: dict[str, dict[str, Any]] = {}


class _Group(msgspec.Struct):
    hosts: list[str] = []
    children: list[str] = []


def variables_of(listing: bytes, group: str) -> dict[str, bytes]:
    """The variables of each host in a group (or below it), as JSON a person can read.

    Args:
        listing: what `ansible-inventory --list` printed.
        group: the group's name.

    Raises:
        ValueError: not such a listing, a host whose name is not a probe's, or variables that a box
            would not take (`deploy.fleet.variables`).
    """
    try:
        raw = decode_json(listing, dict[str, msgspec.Raw])
        meta = decode_json(raw.pop("_meta", msgspec.Raw(b"{}")), _Meta)
        groups = {name: decode_json(content, _Group) for name, content in raw.items()}
    except msgspec.MsgspecError as error:
        raise ValueError(f"the inventory's listing cannot be read: {error}") from error
    found = {}
    for host in sorted(_hosts(groups, group)):
        if not is_name(host):
            raise ValueError(f"{host!r} is no probe's name: a-z, 0-9 and -, 1 to 40 characters")
        own = variables.for_box(meta.hostvars.get(host, {}), host)
        content = msgspec.json.encode(own, order="sorted")
        found[host] = msgspec.json.format(content, indent=2) + b"\n"
    return found


def _hosts(groups: dict[str, _Group], name: str) -> set[str]:
    group = groups.get(name, _Group())
    return set(group.hosts).union(*(_hosts(groups, child) for child in group.children))
