"""Floor 1. The variables that a fleet centre gives a box: a closed list of data, no templates.

Ansible evaluates the strings of variables as Jinja templates, as root, with lookups that run
programs. Who can write at the centre's web server must not get that far, so a box takes no name
that is not in `BoxVariables`, no value of another form, and hands Ansible every string tagged
`!unsafe`: what stands there arrives as that very text. The patterns matter beside the tag, because
strings that a role joins to others lose it (ansible-core before 2.19).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from wire.decoding import converted, decode_json
from wire.record import Name

# Whatever people write, on one line: no control character may begin a new line in a settings file.
_TEXT = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]{0,500}\Z"
Text = Annotated[str, Meta(pattern=_TEXT)]
_NUMBER_TEXT = r"^[0-9]{1,15}(\.[0-9]{1,15})?([eE]\+?[0-9]{1,2})?\Z"
# YAML takes 300e+6 for a text.
Number = float | Annotated[str, Meta(pattern=_NUMBER_TEXT)]
Host = Annotated[str, Meta(pattern=r"^[0-9A-Za-z.:_-]{0,253}\Z")]
_Address = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?\Z")]
_Interface = Annotated[str, Meta(pattern=r"^[0-9A-Za-z@._-]{1,15}\Z")]
_Port = Annotated[int, Meta(ge=1, le=65535)]
_PortRange = Annotated[str, Meta(pattern=r"^[0-9]{1,5}(-[0-9]{1,5})?\Z")]
# Settings of the unit's [Service] section that only bound it: nothing there may start a program.
_UnitLimit = Literal[
    "MemoryHigh", "MemoryMax", "MemorySwapMax", "TasksMax", "CPUQuota", "CPUWeight", "IOWeight",
    "LimitNOFILE", "Nice",
]  # fmt: skip
_UnitValue = int | Annotated[str, Meta(pattern=r"^(infinity|-?[0-9]{1,15}[KMGT%]?)\Z")]
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_TEMPLATE = ("{{", "{%", "{#")
_DEEPEST = 8
# Of the same prefixes, for whoever runs a playbook: of no use to a box, and left out.
_TECHNICIANS = {
    "base_close_ssh", "probe_connects_within_s", "probe_doctor", "probe_doctor_language",
    "probe_sources", "tunnel_sources",
}  # fmt: skip
_ROLES = ("base_", "probe_", "tunnel_")


class VariablesError(ValueError):
    """Variables that a box does not take; the text says which, and why."""


class _Site(Struct, forbid_unknown_fields=True):
    commune_code: Annotated[str, Meta(pattern=r"^[0-9]{5}\Z")]
    office: Text
    group: Text | None = None


class _Line(Struct, forbid_unknown_fields=True):
    id: Name
    interface: _Interface
    isp: Text | None = None
    address: _Address | None = None
    gateway: _Address | None = None
    nameservers: list[_Address] | None = None
    plan_download_bps: Number | None = None
    plan_upload_bps: Number | None = None
    monthly_budget_bytes: Number | None = None


class _OpenPort(Struct, forbid_unknown_fields=True, rename={"source": "from"}):
    port: _PortRange | _Port
    protocol: Literal["tcp", "udp"] = "tcp"
    source: list[_Address] | UnsetType = UNSET


# Tables of probe.toml: the probe itself checks them, as a user without privileges.
_Table = dict[str, Any]


class BoxVariables(Struct, forbid_unknown_fields=True, kw_only=True):
    """Every variable that a box takes from its centre; ansible/roles say what each is for."""

    base_firewall: bool | UnsetType = UNSET
    base_journal_max: Annotated[str, Meta(pattern=r"^[0-9]{1,6}[KMG]?\Z")] | UnsetType = UNSET
    base_network: Literal["auto", "networkd", "networkmanager", "none"] | UnsetType = UNSET
    base_open_ports: list[_OpenPort] | UnsetType = UNSET
    base_ping_groups: Annotated[str, Meta(pattern=r"^[0-9]+ [0-9]+\Z")] | UnsetType = UNSET
    base_reboot_at: Annotated[str, Meta(pattern=r"^[0-2][0-9]:[0-5][0-9]\Z")] | UnsetType = UNSET
    base_ssh_from: list[_Address] | UnsetType = UNSET
    base_time_servers: list[Host] | UnsetType = UNSET
    base_timezone: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*\Z")] | (
        UnsetType
    ) = UNSET
    base_unattended_upgrades: bool | UnsetType = UNSET
    base_watchdog_s: Annotated[int, Meta(ge=0, le=86_400)] | UnsetType = UNSET
    base_zram: bool | UnsetType = UNSET
    base_zram_size: Annotated[str, Meta(pattern=r"^[a-z0-9 */+(),.-]{1,60}\Z")] | UnsetType = UNSET
    probe_broker: _Table | UnsetType = UNSET
    probe_broker_port: _Port | UnsetType = UNSET
    probe_leds: _Table | UnsetType = UNSET
    probe_lines: list[_Line] | UnsetType = UNSET
    probe_name: Name
    probe_round_at_start: bool | UnsetType = UNSET
    probe_servers: list[_Table] | UnsetType = UNSET
    probe_settings: _Table | UnsetType = UNSET
    probe_site: _Site | UnsetType = UNSET
    probe_tenant: Name | UnsetType = UNSET
    probe_unit: dict[_UnitLimit, _UnitValue] | UnsetType = UNSET
    tunnel_host: Host | UnsetType = UNSET
    tunnel_host_key: (
        Annotated[str, Meta(pattern=r"^([0-9A-Za-z@.-]+ [0-9A-Za-z+/=]+)?\Z")] | UnsetType
    ) = UNSET
    tunnel_host_port: _Port | UnsetType = UNSET
    tunnel_name: Name | UnsetType = UNSET
    tunnel_port: _Port | UnsetType = UNSET
    tunnel_until: Annotated[str, Meta(pattern=r"^[0-9T:+Z .-]{0,40}\Z")] | UnsetType = UNSET
    tunnel_user: Annotated[str, Meta(pattern=r"^[a-z_][a-z0-9_-]{0,31}\Z")] | UnsetType = UNSET


def for_box(hostvars: Mapping[str, Any], probe: str) -> dict[str, Any]:
    """The variables of an inventory's host that its box is to have.

    Args:
        hostvars: all that `ansible-inventory` has for the host.
        probe: the host's name, which is the probe's.

    Raises:
        VariablesError: a box would not take one of them, or one is a template.
    """
    own = {
        name: value
        for name, value in hostvars.items()
        if name.startswith(_ROLES) and name not in _TECHNICIANS
    } | {"probe_name": probe}
    for path, value in _strings(own, ""):
        if any(mark in value for mark in _TEMPLATE):
            raise VariablesError(
                f"{path} of {probe} is a template: a box takes data only, so write the value itself"
            )
    _validate(own, probe)
    return own


def decode(content: bytes, probe: str) -> dict[str, Any]:
    """The variables in what a centre answered.

    Args:
        content: JSON.
        probe: the box's own name; another box's variables are refused.

    Raises:
        VariablesError: no JSON object, an unknown name, a value of another form, another box's.
    """
    try:
        own: dict[str, Any] = decode_json(content, dict[str, Any])
    except msgspec.MsgspecError as error:
        raise VariablesError(f"no JSON object: {error}") from error
    _validate(own, probe)
    return own


def _validate(own: dict[str, Any], probe: str) -> None:
    try:
        found = converted(own, BoxVariables)
    except msgspec.ValidationError as error:
        raise VariablesError(f"not what a box takes: {error}") from error
    if found.probe_name != probe:
        raise VariablesError(f"probe_name is {found.probe_name}, and this is {probe}")
    text = re.compile(_TEXT)
    for path, value in _strings(own, ""):
        if not text.match(value):
            raise VariablesError(f"{path} has a control character, or more than 500 characters")


def _strings(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Every string in a tree of JSON with its path; keys are names, and the tree is shallow."""
    if path.count(".") > _DEEPEST:
        raise VariablesError(f"{path} lies too deep")
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if not _KEY.fullmatch(key):
                raise VariablesError(f"{path or 'the variables'} has a key that is no name")
            yield from _strings(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, Sequence):
        for number, inner in enumerate(value):
            yield from _strings(inner, f"{path}.{number}")


def to_ansible(own: Mapping[str, Any]) -> bytes:
    """The variables as YAML for `--extra-vars`; no string of them is evaluated."""
    return f"{_unsafe(own)}\n".encode()


def _unsafe(value: object) -> str:
    if isinstance(value, str):
        # A JSON string without control characters is a double-quoted scalar of YAML.
        return f"!unsafe {json.dumps(value, ensure_ascii=False)}"
    if isinstance(value, Mapping):
        inner = (f"{json.dumps(key)}: {_unsafe(each)}" for key, each in value.items())
        return f"{{{', '.join(inner)}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(_unsafe(each) for each in value)}]"
    return json.dumps(value)
