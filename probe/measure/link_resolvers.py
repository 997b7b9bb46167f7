"""Floor 2. Wraps resolvectl(1) and nmcli(1): the resolvers that a network manager has for a link.

systemd-resolved and NetworkManager know which link each resolver came by; /etc/resolv.conf mixes
those of all links, or names a stub. A manager that does not run is not asked.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from runtime.ip_address import is_ip_address

_LIMIT_S = 3.0
# Each manager's run-time directory (there while it runs), and how it is asked about an interface.
_MANAGERS: tuple[tuple[Path, tuple[str, ...]], ...] = (
    (Path("/run/systemd/resolve"), ("resolvectl", "--no-pager", "dns")),
    (
        Path("/run/NetworkManager"),
        ("nmcli", "--escape", "no", "--get-values", "IP4.DNS,IP6.DNS", "device", "show"),
    ),
)


def of_link(interface: str) -> list[str]:
    """The addresses of a link's resolvers by the first manager that has any; else empty."""
    for directory, command in _MANAGERS:
        if directory.is_dir() and (found := addresses_in(_said((*command, interface)))):
            return found
    return []


def addresses_in(text: str) -> list[str]:
    """The addresses that either program prints, in order.

    resolvectl prints "Link 2 (eth0): ADDRESS ADDRESS" and may add a port or `#NAME` for DNS over
    TLS; one with a port is left out, as it is no resolver of plain DNS. nmcli separates by "|".
    """
    words = re.split(r"[\s|]+", re.sub(r"(?m)^Link \d+ \(.*?\):", "", text))
    return [word for word in (word.partition("#")[0] for word in words) if is_ip_address(word)]


def _said(command: Sequence[str]) -> str:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
