"""Floor 2. Checks that this machine has what the configuration needs."""

from __future__ import annotations

import ctypes.util
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psutil

from probe.availability.minutes import LEAST_TARGETS
from probe.config import Config
from probe.measure import line_networks, own_networks
from runtime import certificate_file, communes, secret_file
from runtime.language import Phrase


def problems(config: Config) -> list[Phrase]:
    """A sentence for each missing prerequisite; empty where there is none."""
    return [
        *_site(config),
        *_lines(config),
        *_targets(config),
        *_directories(config),
        *_tools(),
        *_secrets(config),
    ]


def certificates(config: Config, now: datetime) -> list[Phrase]:
    """A sentence for each certificate file that is of no use: unreadable, no PEM, or ended."""
    files = (config.broker.ca_file, config.broker.certificate_file)
    # One that this user cannot open is among `problems`.
    readable = (Path(text) for text in files if text is not None and os.access(text, os.R_OK))
    return [one for path in readable if (one := certificate_file.problem(path, now)) is not None]


def _site(config: Config) -> Iterator[Phrase]:
    unknown = communes.problem(config.site.commune_code)
    if unknown is not None:
        yield Phrase(f"site.commune_code: {unknown.vi}", f"site.commune_code: {unknown.en}")


def _lines(config: Config) -> Iterator[Phrase]:
    interfaces = psutil.net_if_stats()
    addresses = {a.address for every in psutil.net_if_addrs().values() for a in every}
    for line in config.lines:
        if line.interface is not None and line.interface not in interfaces:
            known = ", ".join(sorted(interfaces))
            yield Phrase(
                f"đường truyền {line.id}: không có cổng mạng {line.interface} (hiện có {known})",
                f"line {line.id}: no interface {line.interface!r} here (there are {known})",
            )
        elif line.interface is not None and not interfaces[line.interface].isup:
            yield Phrase(
                f"đường truyền {line.id}: cổng mạng {line.interface} không hoạt động",
                f"line {line.id}: the interface {line.interface} is down",
            )
        if line.source_address is not None and line.source_address not in addresses:
            yield Phrase(
                f"đường truyền {line.id}: không cổng mạng nào có địa chỉ {line.source_address}",
                f"line {line.id}: no interface here has the address {line.source_address}",
            )


def _targets(config: Config) -> Iterator[Phrase]:
    """Hosts of the office's own among the targets, where too few others are left for a minute."""
    hosts = [server.host for server in config.servers] + config.latency.icmp_targets
    for line in config.lines:
        own = own_networks.within(hosts, line_networks.of_line(line))
        if own and len(set(hosts) - set(own)) < LEAST_TARGETS:
            those = ", ".join(dict.fromkeys(own))
            yield Phrase(
                f"đường truyền {line.id}: {those} thuộc mạng của chính trụ sở nên không chứng tỏ "
                f"gì về đường truyền; cần ít nhất {LEAST_TARGETS} máy ngoài Internet trong "
                "`servers` và `latency.icmp_targets`",
                f"line {line.id}: {those} is in the office's own networks and shows nothing of the "
                f"line; name at least {LEAST_TARGETS} hosts on the Internet in `servers` and "
                "`latency.icmp_targets`",
            )


def _directories(config: Config) -> Iterator[Phrase]:
    for name, text in (("state_dir", config.state_dir), ("runtime_dir", config.runtime_dir)):
        path = Path(text)
        nearest = next(parent for parent in (path, *path.parents) if parent.exists())
        if not os.access(nearest, os.W_OK):
            yield Phrase(
                f"{name}: tài khoản này không ghi được vào {path}",
                f"{name}: {path} cannot be written by this user",
            )


def _tools() -> Iterator[Phrase]:
    if ctypes.util.find_library("iperf") is None:
        yield Phrase(
            "thiếu libiperf: cài gói libiperf0 của Debian",
            "libiperf is missing: install Debian's package libiperf0",
        )


def _secrets(config: Config) -> Iterator[Phrase]:
    broker = config.broker
    for name in ("ca_file", "certificate_file"):
        text: str | None = getattr(broker, name)
        if text is not None and not os.access(text, os.R_OK):
            yield Phrase(
                f"broker.{name}: không có {text}, hoặc tài khoản này không đọc được",
                f"broker.{name}: {text} is not there or cannot be read by this user",
            )
    for name in ("key_file", "password_file"):
        secret: str | None = getattr(broker, name)
        failure = None if secret is None else secret_file.problem(secret)
        if failure is not None:
            yield Phrase(f"broker.{name}: {failure.vi}", f"broker.{name}: {failure.en}")
