"""Floor 1. RabbitMQ's definitions: users without a password, rights as patterns, queue limits.

MQTT is an adapter there. A client's queue is named after its client identifier, so rights on queues
bind the identifier to the certificate. Topics are routing keys of one exchange: `.` between levels,
`*` for `+`; a filter is a routing key too, and is matched as it is written. A user for whom no
topic permission is listed may use every topic, so each user has one, with `^$` for nothing.
"""

from __future__ import annotations

import re
from typing import Any

from deploy.broker.cluster import ClusterSettings, Node
from deploy.broker.configuration import User

_VHOST, _EXCHANGE = "/", "amq.topic"
_NOTHING = "^$"
PLUGINS = "[rabbitmq_mqtt].\n"


def node_name(node: Node) -> str:
    """The node's Erlang name, a long one."""
    return f"{node.name}@{node.cluster_host}"


def definitions(settings: ClusterSettings) -> dict[str, Any]:
    """What RabbitMQ imports at each start: it adds and changes, and takes nobody out."""
    users = settings.users()
    return {
        "vhosts": [{"name": _VHOST}],
        "users": [_user(user) for user in users],
        "permissions": [_permissions(user) for user in users],
        "topic_permissions": [_topic_permissions(user) for user in users],
        "policies": [_policy(settings)],
    }


def topic_pattern(filters: list[str]) -> str:
    """The routing keys that topics or filters within these filters have, as a regular expression.

    A level that is `+` here may be a name or `+`; what `#` stands for may be anything.
    """
    if not filters:
        return _NOTHING
    levels = [topic_filter.split("/") for topic_filter in filters]
    shared = 0
    while all(len(_named(each)) > shared + 1 for each in levels) and (
        len({each[shared] for each in levels}) == 1
    ):
        shared += 1
    begin = "".join(f"{_level(level)}[.]" for level in levels[0][:shared])
    return f"^{begin}({'|'.join(_key(each[shared:]) for each in levels)})$"


def _key(levels: list[str]) -> str:
    below = "([.].*)?" if levels[-1] == "#" else ""
    return "[.]".join(map(_level, _named(levels))) + below


def _named(levels: list[str]) -> list[str]:
    return levels[:-1] if levels[-1] == "#" else levels


def _level(level: str) -> str:
    """A level: names have no character that means something in a pattern."""
    return "[^.#]+" if level == "+" else level


def _user(user: User) -> dict[str, Any]:
    # An empty hash is no password: nobody comes in by one.
    return {"name": user.name, "password_hash": "", "tags": ""}


def _permissions(user: User) -> dict[str, str]:
    queue = (
        f"mqtt-(subscription|will)-{user.name}{_PROGRAMS if user.is_collector else ''}(qos[01])?"
    )
    exchange = re.escape(_EXCHANGE)
    written = f"({exchange}|{queue})" if user.topics("write") else queue
    return {
        "user": user.name,
        "vhost": _VHOST,
        "configure": f"^{queue}$",
        "write": f"^{written}$",
        "read": f"^({exchange}|{queue})$",
    }


# `tramdo-collector command` has a client identifier of its own.
_PROGRAMS = "(-command-[0-9]+)?"


def _topic_permissions(user: User) -> dict[str, str]:
    return {
        "user": user.name,
        "vhost": _VHOST,
        "exchange": _EXCHANGE,
        "write": topic_pattern(user.topics("write")),
        "read": topic_pattern(user.topics("read")),
    }


def _policy(settings: ClusterSettings) -> dict[str, Any]:
    return {
        "vhost": _VHOST,
        "name": "tramdo-sessions",
        "pattern": "^mqtt-subscription-",
        "apply-to": "queues",
        "priority": 0,
        "definition": {
            "max-length": settings.max_queued_messages,
            "max-length-bytes": settings.max_queued_bytes,
            # The other way, one reader that is away would stop everybody.
            "overflow": "drop-head",
        },
    }
