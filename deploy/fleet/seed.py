"""Floor 1. A seed: the cloud-init files that make a freshly flashed card one particular probe.

Raspberry Pi Imager (or Raspberry Pi OS Trixie by itself) reads `user-data`, `network-config` and
`meta-data` from the boot partition. Everybody who holds the card can read them, and they stay
there. So nothing in them is secret but an enrolment token, which is valid once, for one name.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

import yaml
from msgspec import Meta, Struct

from wire.record import Name

_INTERFACE = Annotated[str, Meta(pattern=r"^[a-z0-9@._-]{1,15}\Z")]
# The first line is the way out until the probe's role sets a table for each (policy routing).
_FIRST_METRIC = 100
# What the first boot needs, until the box's own roles install the rest. Each by a name that Debian
# 12, 13 and Raspberry Pi OS have: one that is unknown, and cloud-init installs none of them. Hence
# no python3-lgpio, which only Raspberry Pi OS has: role `probe` sees to it (decision 0007).
PACKAGES = ("python3-venv", "libiperf0", "curl", "openssl", "ansible-core")


class SeedLine(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One ISP line's socket: DHCP, or `address` (with its prefix) and `gateway`."""

    interface: _INTERFACE
    address: str | None = None
    gateway: str | None = None
    nameservers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse invalid addresses, and a fixed address without a gateway."""
        if (self.address is None) != (self.gateway is None):
            raise ValueError("`address` and `gateway` come together")
        if self.address is not None and self.gateway is not None:
            network = ipaddress.ip_interface(self.address).network
            if "/" not in self.address or ipaddress.ip_address(self.gateway) not in network:
                raise ValueError(f"`gateway` {self.gateway} is not in the network of `address`")
        for text in self.nameservers:
            ipaddress.ip_address(text)


class SeedSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all boxes of a centre share, and each one's lines. From a TOML file."""

    url: Annotated[str, Meta(pattern=r"^https://[^\s/]+$")]
    technician_keys: Annotated[list[str], Meta(min_length=1)]
    technician: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,30}\Z")] = "tramdo-tech"
    timezone: str = "Asia/Ho_Chi_Minh"
    packages: tuple[str, ...] = PACKAGES
    lines: dict[Name, Annotated[list[SeedLine], Meta(min_length=1, max_length=8)]]

    def __post_init__(self) -> None:
        """A key that is no OpenSSH public key would leave the technician outside."""
        for key in self.technician_keys:
            if not key.startswith(("ssh-ed25519 ", "ecdsa-sha2-", "ssh-rsa ", "sk-")):
                raise ValueError("`technician_keys` holds what is no OpenSSH public key")


class Seed(Struct, frozen=True):
    """The three files, as text."""

    user_data: str
    network_config: str
    meta_data: str


def make(
    settings: SeedSettings, probe: str, token: str, ca_pem: str, release_pub: str, first_boot: str
) -> Seed:
    """The seed of one probe.

    Args:
        settings: the centre's seed settings; `lines` has an entry for the probe.
        probe: its name.
        token: its enrolment token.
        ca_pem: the authority's certificate, `release_pub` the public release key (both public).
        first_boot: the script deploy/image/first-boot.

    Raises:
        ValueError: the settings have no lines for this probe.
    """
    if probe not in settings.lines:
        known = ", ".join(sorted(settings.lines)) or "none"
        raise ValueError(f"`lines.{probe}` is missing; there are: {known}")
    fleet_toml = f'probe = "{probe}"\nurl = "{settings.url}"\n'
    user_data = {
        "hostname": probe,
        "timezone": settings.timezone,
        "ssh_pwauth": False,
        "users": [
            {
                "name": settings.technician,
                "groups": "sudo",
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": True,
                "ssh_authorized_keys": list(settings.technician_keys),
            }
        ],
        "package_update": True,
        "packages": list(settings.packages),
        "write_files": [
            _file("/etc/tramdo/fleet.toml", fleet_toml, "0644"),
            _file("/etc/tramdo/ca.pem", ca_pem, "0644"),
            _file("/etc/tramdo/release.pub", release_pub, "0644"),
            _file("/etc/tramdo/enrol.token", token + "\n", "0600"),
            _file("/etc/tramdo/packages", " ".join(settings.packages) + "\n", "0644"),
            _file("/usr/local/sbin/tramdo-first-boot", first_boot, "0755"),
        ],
        # Raspberry Pi's images have SSH off; who may come in, box and firewall know.
        "runcmd": [["systemctl", "enable", "--now", "ssh"], ["/usr/local/sbin/tramdo-first-boot"]],
    }
    return Seed(
        user_data="#cloud-config\n" + _yaml(user_data),
        network_config=_yaml({"version": 2, "ethernets": _ethernets(settings.lines[probe])}),
        meta_data=_yaml({"instance-id": f"tramdo-{probe}-{token[:6]}", "local-hostname": probe}),
    )


def _file(path: str, content: str, permissions: str) -> dict[str, str]:
    return {"path": path, "permissions": permissions, "owner": "root:root", "content": content}


def _ethernets(lines: list[SeedLine]) -> dict[str, object]:
    return {
        line.interface: _ethernet(line, _FIRST_METRIC * place)
        for place, line in enumerate(lines, start=1)
    }


def _ethernet(line: SeedLine, metric: int) -> dict[str, object]:
    if line.address is None:
        # Optional: a line that is down must not hold the boot up.
        return {"dhcp4": True, "optional": True, "dhcp4-overrides": {"route-metric": metric}}
    fixed: dict[str, object] = {
        "dhcp4": False,
        "optional": True,
        "addresses": [line.address],
        "routes": [{"to": "0.0.0.0/0", "via": line.gateway, "metric": metric}],
    }
    if line.nameservers:
        fixed["nameservers"] = {"addresses": list(line.nameservers)}
    return fixed


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, so that a technician can read them."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _block)


def _yaml(document: object) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
