"""Floor 1. Filters of the Tramdo roles: TOML, password hashes, and what the preflight reports.

Pure functions of Ansible's variables. They run on the machine that runs Ansible and import nothing
of ours: where a box runs its own playbook there is no more than Ansible.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from typing import Any

Table = Mapping[str, Any]
_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_GROUPS = {
    "probes", "brokers", "broker_nodes", "collectors", "databases", "database_witnesses",
    "measurement_servers", "fleet_centres", "rescue_hosts",
}  # fmt: skip
# systemd/tramdo-fleet-serve.service names it.
_FLEET_AUTHORITY = "/var/lib/tramdo-fleet-serve/authority"
_NAME = re.compile(r"[a-z0-9-]{1,40}")
_COMMUNE_CODE = re.compile(r"[0-9]{5}")
_INTERFACE = re.compile(r"[^\s/]{1,15}")
# What a line of the inventory and a line of probe.toml have in common.
_LINE_KEYS = (
    "id", "isp", "interface", "gateway", "plan_download_bps", "plan_upload_bps",
    "monthly_budget_bytes", "office_networks", "families",
)  # fmt: skip
# A minute is down where so many hosts beyond the office were tried
# (probe/availability/minutes.py).
_LEAST_TARGETS = 2
# Spaces without an owner (probe/measure/own_networks.py): RFC 1918, RFC 6598, RFC 4193.
_PRIVATE = (("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"), ("100.64.0.0/10",), ("fc00::/7",))
# Of difflib's ratio (ours): two letters of twelve are wrong; a technician's own names are farther.
_ALIKE = 0.84
# probe/implausible.py: a plan in Mbit/s is below it.
_LEAST_PLAN_BPS = 56_000
# mosquitto_passwd's: PBKDF2 with SHA-512, 101 rounds, 64 bytes, a salt of 12 (Mosquitto 2.0).
_ROUNDS, _SALT_BYTES = 101, 12


def to_toml(table: Table) -> str:
    """A table as TOML; keys whose value is None are left out, as Tramdo's settings want it."""
    return "\n".join(_table_lines(table, ())).strip() + "\n"


def _table_lines(table: Table, path: tuple[str, ...]) -> Iterator[str]:
    present = {key: value for key, value in table.items() if value is not None}
    for key, value in present.items():
        if not isinstance(value, Mapping) and not _is_tables(value):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in present.items():
        inner = (*path, key)
        name = ".".join(_key(part) for part in inner)
        if isinstance(value, Mapping):
            yield from ("", f"[{name}]", *_table_lines(value, inner))
        elif _is_tables(value):
            for each in value:
                yield from ("", f"[[{name}]]", *_table_lines(each, inner))


def _is_tables(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and bool(value)
        and all(isinstance(each, Mapping) for each in value)
    )


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _value(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # A JSON string is a basic string of TOML, but for DEL, which TOML wants escaped.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(each) for each in value)}]"
    raise ValueError(f"{value!r} cannot be written as TOML")


def tramdo_lines(lines: Sequence[Table]) -> list[dict[str, Any]]:
    """The `[[lines]]` of probe.toml for the inventory's `probe_lines`.

    Each is bound to its interface: an address has one family, and a line is measured over both.
    """
    return [{key: line[key] for key in _LINE_KEYS if line.get(key) is not None} for line in lines]


def mosquitto_passwords(passwords: Mapping[str, str]) -> str:
    """Mosquitto's password file for `{user: password}`; the same for the same passwords.

    The salt comes of user and password, so that a second run changes nothing; two users with one
    password still have different hashes.
    """
    lines = []
    for user, password in sorted(passwords.items()):
        seed = f"tramdo\0{user}\0{password}".encode()
        salt = hashlib.sha256(seed).digest()[:_SALT_BYTES]
        digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
        words = "$".join(base64.b64encode(part).decode() for part in (salt, digest))
        lines.append(f"{user}:$7${_ROUNDS}${words}")
    return "".join(f"{line}\n" for line in lines)


def tramdo_preflight(host: Table) -> list[str]:
    """What is wrong with a host's variables, a sentence each, naming host and variable.

    Args:
        host: the host's variables, with `inventory_hostname` and `group_names`.
    """
    groups = host.get("group_names", [])
    found: list[str] = []
    if "probes" in groups:
        found += _probe_problems(host)
    if "brokers" in groups:
        found += _broker_problems(host)
    if "broker_nodes" in groups:
        found += _cluster_problems(host)
    if {"databases", "database_witnesses"} & set(groups):
        found += _database_problems(host)
    if "fleet_centres" in groups:
        found += _fleet_problems(host)
    if not _GROUPS & set(groups):
        found.append(
            f"is in none of the groups {', '.join(sorted(_GROUPS))}: nothing would be done with it"
        )
    found += _firewall_problems(host)
    return [f"{host['inventory_hostname']}: {sentence}" for sentence in found]


def tramdo_misspelt(host: Table, specifications: Sequence[Table]) -> list[str]:
    """A sentence for each variable of a host that no role has, and that looks like one.

    Args:
        host: the host's variables, with `inventory_hostname`.
        specifications: `argument_specs` of every role, whose names begin with the role's.
    """
    known = tuple(sorted({name for one in specifications for name in one["main"]["options"]}))
    return [
        f"{host['inventory_hostname']}: {sentence}"
        for name in sorted(host)
        if (sentence := _misspelt(name, known)) is not None
    ]


@cache
def _misspelt(name: str, known: Sequence[str]) -> str | None:
    """Cached: a nation's boxes have the same names."""
    close = get_close_matches(name, known, n=1)
    of_a_role = name.startswith(tuple(f"{one.partition('_')[0]}_" for one in known))
    alike = bool(get_close_matches(name, close, cutoff=_ALIKE))
    if name in known or name.startswith("ansible_") or not (of_a_role or alike):
        return None
    return f"{name} is no variable of a role{_meant(close)}"


def _meant(close: Sequence[str]) -> str:
    return f": did you mean {close[0]}?" if close else ""


def _unknown_keys(table: Table, known: Sequence[str]) -> Iterator[str]:
    for key in table:
        if key not in known:
            yield f"{key} is unknown{_meant(get_close_matches(str(key), known, n=1))}"


def tramdo_seconds(text: object) -> int:
    """A time of an inventory, as in 2026-11-25T18:00+07:00, in seconds since 1970.

    Raises:
        ValueError: not such a time, or one without its zone.
    """
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise ValueError(
            f'{str(text)!r}: a time with its zone, in quotes, for example "2026-11-25T18:00+07:00"'
        )
    return int(when.timestamp())


def tramdo_port(name: str) -> int:
    """The port of a probe's tunnel on the rescue host, from a hash of its name: 20000 to 29999."""
    return 20_000 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 10_000


def tramdo_tunnels(hosts: Sequence[Table], now_s: float) -> list[dict[str, Any]]:
    """The probes whose tunnel is open at a time (seconds since 1970): name and port."""
    found = []
    for host in hosts:
        if (until := host.get("tunnel_until")) and tramdo_seconds(until) > now_s:
            name = str(host.get("probe_name", host["inventory_hostname"]))
            port = int(host.get("tunnel_port", tramdo_port(name)))
            found.append({"probe": name, "port": port})
    return found


def tramdo_twins(names: Mapping[str, str]) -> list[str]:
    """A sentence for each duplicate name: `{host: probe_name}`."""
    hosts_of: dict[str, list[str]] = {}
    for host, name in names.items():
        hosts_of.setdefault(name, []).append(host)
    return [
        f"{', '.join(sorted(hosts))}: probe_name is {name!r} on each: two boxes of one name would "
        "throw each other out of the broker"
        for name, hosts in sorted(hosts_of.items())
        if len(hosts) > 1
    ]


def tramdo_unknown_commune(host: Table, text: str) -> list[str]:
    """A sentence where a probe's commune is not in the list of official ones.

    Args:
        host: its variables.
        text: runtime/communes.txt; empty on a box, which has no checkout: what it is set up with
            has been looked at where it was written.
    """
    site = host.get("probe_site")
    code = site.get("commune_code") if isinstance(site, Mapping) else None
    known = _commune_names(text)
    if not known or not isinstance(code, str) or not _COMMUNE_CODE.fullmatch(code):
        return []
    if code in known or code in (host.get("preflight_new_communes") or []):
        return []
    # As runtime/communes.py: two neighbouring digits are swapped, or one digit is another.
    near = [code[:n] + code[n : n + 2][::-1] + code[n + 2 :] for n in range(5)]
    near += [code[:n] + digit + code[n + 1 :] for n in range(5) for digit in "0123456789"]
    alike = [f"{one} ({known[one]})" for one in dict.fromkeys(near) if one in known][:3]
    return [
        f"{host['inventory_hostname']}: probe_site.commune_code is {code!r}, which is not in the "
        "list of official communes: "
        + (f"did you mean {' or '.join(alike)}? " if alike else "")
        + "One that is newer than this release goes into preflight_new_communes"
    ]


@cache
def _commune_names(text: str) -> Mapping[str, str]:
    rows = (line.partition(" ") for line in text.splitlines())
    return {code: name for code, _, name in rows}


def _probe_problems(host: Table) -> Iterator[str]:
    name = str(host.get("probe_name", host["inventory_hostname"]))
    if not _NAME.fullmatch(name):
        yield (
            f"probe_name is {name!r}: a probe's name is a-z, 0-9 and -, up to 40, and never changes"
        )
    if not _NAME.fullmatch(str(host.get("probe_tenant", ""))):
        yield "probe_tenant is missing or not a name: a-z, 0-9 and -, up to 40"
    yield from _site_problems(host.get("probe_site"))
    yield from _line_problems(host)
    yield from _tunnel_problems(host)
    yield from _target_problems(host)
    settings = host.get("probe_settings") or {}
    for key in ("state_dir", "runtime_dir"):
        if (path := settings.get(key)) and not str(path).startswith("/"):
            yield f"probe_settings.{key} is {path!r}: a full path; did you mean '/{path}'?"
    broker = host.get("probe_broker")
    if not isinstance(broker, Mapping) or not (broker.get("host") or broker.get("addresses")):
        yield "probe_broker.host is missing: the broker's name as in its certificate"


def _site_problems(site: object) -> Iterator[str]:
    if not isinstance(site, Mapping):
        yield "probe_site is missing: it holds commune_code and office"
        return
    for sentence in _unknown_keys(site, ("commune_code", "office", "group")):
        yield f"probe_site: {sentence}"
    code = site.get("commune_code")
    if not isinstance(code, str) or not _COMMUNE_CODE.fullmatch(code):
        yield (
            f"probe_site.commune_code is {code!r}: the official code is five digits as text, "
            'in quotes, for example "01969"'
        )
    if not site.get("office"):
        yield "probe_site.office is missing: the name that people know the office by"


def _line_problems(host: Table) -> Iterator[str]:
    lines = host.get("probe_lines")
    if not isinstance(lines, Sequence) or isinstance(lines, str) or not lines:
        yield "probe_lines is empty: a probe measures at least one line"
        return
    if not all(isinstance(line, Mapping) for line in lines):
        yield "probe_lines is not a list of lines, each with id, isp and interface"
        return
    for key in ("id", "interface", "address", "address_ipv6"):
        values = [str(line[key]) for line in lines if line.get(key)]
        if twice := sorted({value for value in values if values.count(value) > 1}):
            yield f"probe_lines: two lines have the {key} {twice[0]!r}"
    for number, line in enumerate(lines, 1):
        where = f"probe_lines, line {number} ({line.get('id', 'without id')})"
        known = (*_LINE_KEYS, "address", "nameservers", "address_ipv6", "gateway_ipv6")
        its = [*_unknown_keys(line, known), *_one_line_problems(line), *_plan_problems(line)]
        yield from (f"{where}: {sentence}" for sentence in its)
    leds = host.get("probe_leds") or {}
    pairs = leds.get("line_pins")
    # probe.config's default has two pairs.
    count = 2 if pairs is None else len(pairs)
    if leds.get("driver", "gpio") != "none" and count < len(lines):
        yield (
            f"probe_leds.line_pins has {count} pairs of pins for {len(lines)} lines: "
            'give each line a pair, or set probe_leds.driver to "none"'
        )


def _target_problems(host: Table) -> Iterator[str]:
    servers = host.get("probe_servers")
    if not servers:
        yield "probe_servers is empty: a probe needs a measurement server, two are better"
        return
    latency = (host.get("probe_settings") or {}).get("latency") or {}
    hosts = {str(server.get("host")) for server in servers if isinstance(server, Mapping)}
    hosts |= {str(target) for target in latency.get("icmp_targets") or []}
    lines = [line for line in host.get("probe_lines") or [] if isinstance(line, Mapping)]
    beyond = [{name for name in hosts if not _is_of_office(name, line)} for line in lines]
    if min(map(_most_of_a_family, beyond or [hosts])) < _LEAST_TARGETS:
        yield (
            "probe_servers and probe_settings.latency.icmp_targets name fewer than "
            f"{_LEAST_TARGETS} hosts beyond the office, so that no outage could be detected: name "
            'targets that are not yours, for example icmp_targets: ["8.8.8.8", "1.1.1.1"]'
        )


def _most_of_a_family(hosts: Collection[str]) -> int:
    """How many hosts a line of one address family could try at most: names count for both."""
    versions = [4 if ip is None else ip.version for ip in map(_parsed_address, hosts)]
    names = sum(_parsed_address(host) is None for host in hosts)
    return max(versions.count(4), versions.count(6) + names)


def _is_of_office(host: str, line: Table) -> bool:
    """Whether a host's address is the office's own on a line; a name is not.

    As probe/measure/own_networks.py says it, of what the inventory has of the line.
    """
    asked = _parsed_address(host)
    if asked is None:
        return False
    if asked in {_parsed_address(line.get(key)) for key in ("gateway", "gateway_ipv6")}:
        return True
    if asked.is_loopback or asked.is_unspecified or asked.is_multicast or asked.is_link_local:
        return True
    office = line.get("office_networks")
    address = line.get("address" if asked.version == 4 else "address_ipv6")
    networks = [_parsed_network(text) for text in (*(office or ()), address)]
    if any(network is not None and asked in network for network in networks):
        return True
    own = _parsed_address(str(address or "").partition("/")[0])
    known = own is not None and not own.is_link_local
    return office is None and any(
        _is_in(asked, space) and (not known or _is_in(own, space)) for space in _PRIVATE
    )


def _is_in(address: _Ip | None, space: Sequence[str]) -> bool:
    return address is not None and any(address in ipaddress.ip_network(text) for text in space)


def _parsed_address(text: object) -> _Ip | None:
    """The address in a text, an IPv4-mapped one as IPv4; None where it is none."""
    try:
        ip = ipaddress.ip_address(str(text or "").partition("%")[0])
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return ip if mapped is None else mapped


def _parsed_network(text: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return None


def _tunnel_problems(host: Table) -> Iterator[str]:
    if not (until := host.get("tunnel_until")):
        return
    try:
        tramdo_seconds(until)
    except ValueError as error:
        yield f"tunnel_until is {error}"
    for name in ("tunnel_host", "tunnel_host_key"):
        if not host.get(name):
            yield f"tunnel_until is given without {name}: where the tunnel leads, and its key"


def _one_line_problems(line: Table) -> Iterator[str]:
    if not _NAME.fullmatch(str(line.get("id", ""))):
        yield f"id is {line.get('id')!r}: a-z, 0-9 and -, up to 40"
    if not line.get("isp"):
        yield "isp is missing: whose line it is"
    if not _INTERFACE.fullmatch(str(line.get("interface") or "")):
        yield "interface is missing: the name that `ip link` shows, for example eth0"
    yield from _nameserver_problems(line)
    yield from _address_problems(line, "address", "gateway", "192.168.1.10/24", 4)
    yield from _address_problems(line, "address_ipv6", "gateway_ipv6", "2001:db8:1::10/64", 6)


def _address_problems(
    line: Table, key: str, gateway_key: str, example: str, version: int
) -> Iterator[str]:
    address, gateway = line.get(key), line.get(gateway_key)
    if not address:
        if gateway:
            yield (
                f"{gateway_key} is given without {key}: leave both out where the router gives them"
            )
        return
    if "/" not in str(address):
        yield f"{key} is {address!r}: it needs its prefix, for example {example}"
        return
    try:
        network = ipaddress.ip_interface(address).network
    except ValueError:
        yield f"{key} is {address!r}: no IP address with prefix"
        return
    if network.version != version:
        yield f"{key} is {address!r}: no IPv{version} address, for example {example}"
    elif not _is_on_link(gateway, network):
        yield f"{gateway_key} is {gateway!r}: a line with {key} needs a gateway in {network}"


def _is_on_link(gateway: object, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        address = ipaddress.ip_address(str(gateway))
    except ValueError:
        return False
    return address in network or (address.version == network.version == 6 and address.is_link_local)


def _plan_problems(line: Table) -> Iterator[str]:
    for key in ("plan_download_bps", "plan_upload_bps"):
        yield from _slow_plan(key, line.get(key))


def _slow_plan(key: str, value: object) -> Iterator[str]:
    try:
        bps = float(str(value))
    except ValueError:
        return
    if 0 < bps < _LEAST_PLAN_BPS:
        yield f"{key} is {bps:g} bit/s: did you mean {bps:g}e+6 ({bps:g} Mbit/s)?"


def _nameserver_problems(line: Table) -> Iterator[str]:
    if (nameservers := line.get("nameservers")) is None:
        return
    if not line.get("address"):
        yield "nameservers is given without address: leave it out where the router gives them"
    elif not isinstance(nameservers, Sequence) or isinstance(nameservers, str) or not nameservers:
        yield "nameservers is not a list of addresses; left out, the gateway is asked"
    else:
        for text in nameservers:
            try:
                ipaddress.IPv4Address(text)
            except ValueError:
                yield f"nameservers: {text!r} is no IPv4 address"


def tramdo_tenants(tenants: Sequence[Table], probes: Mapping[str, str]) -> list[Table]:
    """Several tenants of a broker, each with its probes.

    Args:
        tenants: `name`, `collectors` and `subscribers` of each.
        probes: the tenant of each probe of the inventory, by the probe's name.
    """
    return [
        {
            "name": one["name"],
            "probes": sorted(name for name, of in probes.items() if of == one["name"]),
            "collectors": list(one.get("collectors") or []),
            "subscribers": list(one.get("subscribers") or []),
        }
        for one in tenants
    ]


def _tenant_problems(host: Table, prefix: str) -> Iterator[str]:
    """A broker has one tenant, or several by name."""
    if not host.get(f"{prefix}_tenants"):
        if not _NAME.fullmatch(str(host.get(f"{prefix}_tenant", ""))):
            yield f"{prefix}_tenant is missing or not a name: a-z, 0-9 and -, up to 40"
    elif host.get(f"{prefix}_tenant"):
        yield f"{prefix}_tenant and {prefix}_tenants: give one of the two"
    for one in host.get(f"{prefix}_tenants") or []:
        if not isinstance(one, Mapping) or not _NAME.fullmatch(str(one.get("name", ""))):
            yield f"{prefix}_tenants: {one!r} has no `name` of a-z, 0-9 and -, up to 40"


def _broker_problems(host: Table) -> Iterator[str]:
    yield from _tenant_problems(host, "broker")
    if not host.get("broker_hosts"):
        yield "broker_hosts is empty: the names and addresses that clients reach the broker by"
    passwords = host.get("broker_passwords") or {}
    tenants = [one for one in host.get("broker_tenants") or [] if isinstance(one, Mapping)]
    for kind in ("broker_collectors", "broker_subscribers"):
        of_tenants = [one.get(kind.removeprefix("broker_")) or [] for one in tenants]
        users = of_tenants if tenants else [host.get(kind) or []]
        for user in dict.fromkeys(name for names in users for name in names):
            if "." not in user:
                yield f"{kind}: {user!r} has no dot, which distinguishes users from probes"
            if not passwords.get(user):
                yield f"broker_passwords has none for {user!r} of {kind}"


def _cluster_problems(host: Table) -> Iterator[str]:
    yield from _tenant_problems(host, "broker_cluster")
    if host.get("broker_cluster_kind") not in ("rabbitmq", "nats"):
        yield "broker_cluster_kind is rabbitmq or nats"
    if not host.get("broker_cluster_hosts"):
        yield "broker_cluster_hosts is empty: the names and addresses that clients reach it by"
    if not host.get("broker_cluster_address"):
        yield "broker_cluster_address is missing: where the other nodes reach it"
    if host.get("broker_cluster_kind") == "rabbitmq" and not host.get("broker_cluster_cookie"):
        yield "broker_cluster_cookie is missing: the secret that RabbitMQ's nodes share"


def _database_problems(host: Table) -> Iterator[str]:
    if _parsed_address(host.get("database_cluster_address")) is None:
        yield "database_cluster_address is missing or no IP address: where the others reach it"
    if not _NAME.fullmatch(host["inventory_hostname"]):
        yield "its name in the inventory is that in its certificate: a-z, 0-9 and -, up to 40"
    networks = host.get("database_cluster_collectors_from") or []
    if not networks or any(_parsed_network(one) is None for one in networks):
        yield "database_cluster_collectors_from is no list of networks, for example [10.0.0.0/24]"
    if {"databases", "database_witnesses"} <= set(host.get("group_names", [])):
        yield "it is a database and a witness: a witness that dies with a database is none"


def _fleet_problems(host: Table) -> Iterator[str]:
    names = host.get("fleet_centre_hosts") or []
    if not names:
        yield "fleet_centre_hosts is empty: the names and addresses that boxes ask"
    # A server's certificate is kept by its first name.
    elif names[0] in (host.get("broker_hosts") or [])[:1] and names != host["broker_hosts"]:
        yield (
            f"fleet_centre_hosts and broker_hosts both begin with {names[0]!r}, and differ: let "
            "one begin with another name, or both be the same"
        )
    its = (host.get("certificates_authority_host"), host.get("certificates_authority_directory"))
    if its != (host["inventory_hostname"], _FLEET_AUTHORITY):
        yield (
            "it signs for boxes, so the authority is on it: certificates_authority_host is "
            f"{host['inventory_hostname']!r} and certificates_authority_directory "
            f"{_FLEET_AUTHORITY!r}, for all hosts"
        )


def _firewall_problems(host: Table) -> Iterator[str]:
    """Settings with which the firewall would lock out who sets the box up over SSH."""
    if (
        host.get("base_firewall", True)
        and not host.get("base_ssh_from")
        and not host.get("base_close_ssh", False)
        and host.get("ansible_connection", "ssh") != "local"
    ):
        yield (
            "base_ssh_from is empty and you come over SSH: the firewall would shut you out; name "
            "the networks that may come in, or set base_close_ssh to true to close it for good"
        )
    for source in host.get("base_ssh_from") or []:
        try:
            ipaddress.ip_network(source)
        except ValueError:
            yield f"base_ssh_from: {source!r} is no network, for example 192.0.2.0/24"


def tramdo_doctor(report: Table, *verdicts: str) -> list[str]:
    """The findings of `tramdo-probe doctor --json`, a sentence each, for a playbook's output.

    Args:
        report: the doctor's report, in the language that it was asked for.
        verdicts: only findings of these; left out, all that are not good, after one on the whole.
    """
    present = [
        f"{report['probe']}: {one['title']}: {one['seen']}"
        + (f" -> {one['todo']}" if one["todo"] else "")
        for one in report["findings"]
        if (one["verdict"] in verdicts if verdicts else one["verdict"] != "good")
    ]
    if verdicts:
        return present
    return [f"{report['probe']}: {report['summary']}", *present]


class FilterModule:
    """The filter plugin; Ansible looks for a class of this name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """The filters by name."""
        return {
            "to_toml": to_toml,
            "tramdo_lines": tramdo_lines,
            "tramdo_tenants": tramdo_tenants,
            "mosquitto_passwords": mosquitto_passwords,
            "tramdo_preflight": tramdo_preflight,
            "tramdo_misspelt": tramdo_misspelt,
            "tramdo_unknown_commune": tramdo_unknown_commune,
            "tramdo_twins": tramdo_twins,
            "tramdo_doctor": tramdo_doctor,
            "tramdo_seconds": tramdo_seconds,
            "tramdo_port": tramdo_port,
            "tramdo_tunnels": tramdo_tunnels,
        }
