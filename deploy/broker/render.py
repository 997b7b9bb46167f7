"""Floor 2. Renders a broker's files from Jinja2 templates: Mosquitto's two, a cluster's by node.

Ansible may render the same templates with the same names. It must not know how Mosquitto is run.
"""

from __future__ import annotations

from pathlib import Path

import jinja2
import msgspec
from msgspec import Struct, structs

from deploy.broker import configuration, limits, rabbitmq
from deploy.broker.cluster import ClusterSettings, Node, subjects
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
    tenant = settings.tenant
    names = structs.asdict(settings) | {
        "title": configuration.title_of([tenant] if tenant else [t.name for t in settings.tenants]),
        "max_packet_bytes": limits.MAX_PACKET_BYTES,
        "max_envelope_bytes": MAX_ENVELOPE_BYTES,
        "root": ROOT,
        "users": configuration.users_of(settings.tenants),
    }
    if tenant is not None:
        names |= {
            "probe_acl": configuration.probe_acl(tenant),
            "collector_acl": configuration.collector_acl(tenant),
            "subscriber_acl": configuration.subscriber_acl(tenant),
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
            subjects=subjects,
            node=node,
            client_port=client_port,
            max_packet_bytes=limits.MAX_PACKET_BYTES,
            max_envelope_bytes=MAX_ENVELOPE_BYTES,
        )
    )


def render_rabbitmq(settings: ClusterSettings, node: Node) -> dict[str, str]:
    """Render a RabbitMQ node's files, by the names that they have in its folder."""
    names = {
        "settings": settings,
        "node": node,
        "node_name": rabbitmq.node_name,
        "max_packet_bytes": limits.MAX_PACKET_BYTES,
        "max_envelope_bytes": MAX_ENVELOPE_BYTES,
    }
    environment = _environment()
    texts = {
        name: environment.get_template(f"{name}.j2").render(names)
        for name in ("rabbitmq.conf", "rabbitmq-env.conf")
    }
    definitions = msgspec.json.format(msgspec.json.encode(rabbitmq.definitions(settings)))
    return texts | {
        "enabled_plugins": rabbitmq.PLUGINS,
        "definitions.json": definitions.decode() + "\n",
    }


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
