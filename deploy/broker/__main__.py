"""Floor 3. `python -m deploy.broker SETTINGS.toml FOLDER`: writes mosquitto.conf and acl.

`python -m deploy.broker nats SETTINGS.toml FOLDER` writes a NATS cluster's, a file for each node,
`python -m deploy.broker rabbitmq SETTINGS.toml FOLDER` a RabbitMQ cluster's, a folder for each.
`python -m deploy.broker check SETTINGS.toml` prints whether the broker's memory suffices for the
worst that its users may do, and writes nothing.

Exit codes: 0 written; 1 cannot be written; 2 wrong settings, every problem on standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from deploy import rendering
from deploy.broker.cluster import ClusterSettings
from deploy.broker.configuration import BrokerSettings
from deploy.broker.limits import MemoryBudget
from deploy.broker.render import render, render_nats, render_rabbitmq


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    given = sys.argv[1:] if argv is None else argv
    commands = {"check": _check, "nats": _write_nats, "rabbitmq": _write_rabbitmq}
    other = commands.get(given[0] if given else "")
    return _write(given) if other is None else other(given[1:])


def _check(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.broker check",
        description="Print whether the broker's memory suffices for the worst its users may do.",
    )
    parser.add_argument("settings", type=Path, help="settings as TOML")
    read = rendering.read_settings(parser.parse_args(argv).settings, BrokerSettings)
    if read is None:
        return 2
    print("\n".join(_budget_lines(read.memory_budget())))
    return 0


def _budget_lines(budget: MemoryBudget) -> list[str]:
    rows = (
        ("users that are away", budget.sessions, budget.session_bytes),
        ("probes at their worst", budget.hostile_probes, budget.hostile_probe_bytes),
        ("other probes", budget.honest_probes, budget.honest_probe_bytes),
    )
    each = [
        f"{f'{count} {what}':<28}{_mib(size):>14} each{_mib(count * size):>14}"
        for what, count, size in rows
    ]
    sums = (
        ("together", budget.required_bytes),
        ("headroom", budget.headroom_bytes),
        ("memory_limit_bytes", budget.limit_bytes),
    )
    return [*each, *(f"{what:<28}{_mib(size):>33}" for what, size in sums)]


def _mib(size: int) -> str:
    return f"{size / 2**20:.2f} MiB"


def _write_nats(argv: list[str]) -> int:
    def files_of(settings: ClusterSettings) -> dict[str, str]:
        return {f"{node.name}.nats.conf": render_nats(settings, node) for node in settings.nodes}

    description = "Write NODE.nats.conf for each node of a NATS cluster."
    return _write_cluster("nats", description, argv, files_of)


def _write_rabbitmq(argv: list[str]) -> int:
    def files_of(settings: ClusterSettings) -> dict[str, str]:
        return {
            f"{node.name}/{name}": text
            for node in settings.nodes
            for name, text in render_rabbitmq(settings, node).items()
        }

    description = "Write a folder NODE of /etc/rabbitmq for each node of a RabbitMQ cluster."
    return _write_cluster("rabbitmq", description, argv, files_of)


def _write_cluster(
    name: str,
    description: str,
    argv: list[str],
    files_of: Callable[[ClusterSettings], dict[str, str]],
) -> int:
    parser = rendering.parser_of(
        f"python -m deploy.broker {name}",
        description,
        "cluster.example.toml",
        "the files are written",
    )
    options = parser.parse_args(argv)
    if (read := rendering.read_settings(options.settings, ClusterSettings)) is None:
        return 2
    return rendering.write_files(options.folder, files_of(read))


def _write(argv: list[str]) -> int:
    parser = rendering.parser_of(
        "python -m deploy.broker",
        "Write Mosquitto's configuration and access control list from settings; "
        "`check SETTINGS` writes nothing and prints whether the broker's memory suffices.",
        "deploy/broker/example.toml",
        "mosquitto.conf and acl are written",
    )
    options = parser.parse_args(argv)
    if (read := rendering.read_settings(options.settings, BrokerSettings)) is None:
        return 2
    rendered = render(read)
    files = {"mosquitto.conf": rendered.configuration, "acl": rendered.access_list}
    return rendering.write_files(options.folder, files)


if __name__ == "__main__":
    sys.exit(main())
