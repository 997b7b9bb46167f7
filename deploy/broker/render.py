"""Floor 2. Renders a broker's files from Jinja2 templates: Mosquitto's two, a NATS node's one.

Ansible may render the same templates with the same names. It must not know how Mosquitto is run.
"""

from __future__ import annotations

from pathlib import Path

import jinja2
from msgspec import Struct, structs

from deploy.broker import configuration, limits
from deploy.broker.cluster import ClusterSettings, Node
from deploy.broker.configuration import BrokerSettings
from wire.envelope import MAX_ENVELOPE_BYTES
from wire.topics import ROOT

TEMPLATES = Path(__file__).parent


class BrokerFiles(Struct, frozen=True):
    """mosquitto.conf, and the access list that belongs at `acl_file`."""

    configuration: str
    access_list: str


def render(settings: BrokerSettings) -> BrokerFiles:
    """Render both files.

    Raises:
        jinja2.UndefinedError: a template asks for a setting that there is not.
    """
    environment = _environment()
    names = structs.asdict(settings) | {
        "max_packet_bytes": limits.MAX_PACKET_BYTES,
        "max_envelope_bytes": MAX_ENVELOPE_BYTES,
        "root": ROOT,
        "probe_acl": configuration.probe_acl(settings.tenant),
        "collector_acl": configuration.collector_acl(settings.tenant),
        "subscriber_acl": configuration.subscriber_acl(settings.tenant),
    }
    return BrokerFiles(
        environment.get_template("mosquitto.conf.j2").render(names),
        environment.get_template("acl.j2").render(names),
    )


def render_nats(settings: ClusterSettings, node: Node, *, client_port: int = 4222) -> str:
    """Render a NATS node's nats-server.conf.

    Args:
        settings: of the cluster.
        node: one of its nodes.
        client_port: on loopback, for NATS' own tools; -1 takes any.
    """
    return (
        _environment()
        .get_template("nats.conf.j2")
        .render(
            settings=settings,
            node=node,
            client_port=client_port,
            max_packet_bytes=limits.MAX_PACKET_BYTES,
            max_envelope_bytes=MAX_ENVELOPE_BYTES,
        )
    )


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
