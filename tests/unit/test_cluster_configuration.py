"""What deploy/broker renders for a cluster: rights by name, mistakes with their sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.broker import __main__ as command
from deploy.broker.cluster import ClusterSettings, ClusterTenant, Node, subjects
from deploy.broker.configuration import User, probe_acl
from deploy.broker.rabbitmq import definitions, topic_pattern
from deploy.broker.render import render_nats
from runtime.settings import SettingsError, parse

EXAMPLE = Path(command.__file__).with_name("cluster.example.toml")
THREE = [Node(name=f"n{number}", cluster_host=f"10.0.0.{number}") for number in (1, 2, 3)]


def test_the_command_writes_a_file_for_each_node(tmp_path: Path) -> None:
    assert command.main(["nats", str(EXAMPLE), str(tmp_path)]) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["node-1.nats.conf", "node-2.nats.conf", "node-3.nats.conf"]
    second = (tmp_path / names[1]).read_text()
    assert re.findall(r"nats-route://(\S+)\"", second) == ["10.0.0.1:6222", "10.0.0.3:6222"]
    assert "stream_replicas: 3" in second
    assert "consumer_memory_storage: true" in second
    assert second.count('user: "CN=') == 5


def test_one_node_alone_has_no_cluster() -> None:
    text = render_nats(ClusterSettings(tenant="t", nodes=THREE[:1]), THREE[0])
    assert "cluster {" not in text
    assert "stream_replicas: 1" in text


def test_a_probe_s_rights_are_those_of_the_access_list() -> None:
    user = User("phu-thong-01", probe_acl("t"))
    assert set(user.topics("read")) == {
        "tramdo/v1/t/phu-thong-01/receipt",
        "tramdo/v1/t/phu-thong-01/cmd/#",
    }
    assert set(subjects(user, "read")) == {
        "tramdo.v1.t.phu-thong-01.receipt",
        "tramdo.v1.t.phu-thong-01.cmd.>",
    }
    assert all(topic.startswith("tramdo/v1/t/phu-thong-01/") for topic in user.topics("write"))


def test_who_may_write_nothing_is_denied_everything() -> None:
    """An empty list of what is allowed allows everything (seen with 2.15.1)."""
    settings = ClusterSettings(tenant="t", nodes=THREE, subscribers=["reader"])
    text = render_nats(settings, THREE[0])
    assert 'publish: { deny: [">"] }' in text
    assert "allow: []" not in text


ONE = "[[tenants]]\nname = 't'"
SEVERAL = ClusterSettings(
    tenants=[
        ClusterTenant(name="t1", probes=["p1"], collectors=["c", "c1"], subscribers=["s"]),
        ClusterTenant(name="t2", probes=["p2"], collectors=["c"], subscribers=["s", "s2"]),
    ],
    nodes=THREE,
)


def test_several_tenants_share_a_cluster() -> None:
    users = {user.name: user for user in SEVERAL.users()}
    assert list(users) == ["p1", "p2", "c", "c1", "s", "s2"]
    assert {topic.split("/")[2] for topic in users["p1"].topics("write")} == {"t1"}
    assert users["c"].topics("read") == ["tramdo/v1/t1/#", "tramdo/v1/t2/#"]
    assert users["c1"].topics("read") == ["tramdo/v1/t1/#"]
    assert {topic.split("/")[2] for topic in users["s"].topics("read")} == {"t1", "t2"}
    text = render_nats(SEVERAL, THREE[0])
    assert text.startswith("# Node n1 of the Tramdo broker of tenants t1, t2:")
    assert text.count('user: "CN=') == 6
    assert "name: tramdo\n" in text
    reads = {one["user"]: one["read"] for one in definitions(SEVERAL)["topic_permissions"]}
    for user, mine, others in (
        ("c", ["t1.p1.state", "t2.#", "t2.p.m.dns"], ["t3.p.state", "#", "*.p.state"]),
        ("c1", ["t1.p1.state"], ["t2.p2.state", "t2.#"]),
        ("p1", ["t1.p1.receipt"], ["t2.p1.receipt", "t1.p2.receipt"]),
        ("s", ["t1.p1.m.dns", "t2.*.state"], ["t1.p1.receipt", "t2.p2.cmd.identify"]),
        ("s2", ["t2.p2.state"], ["t1.p1.state"]),
    ):
        assert [key for key in mine if not re.search(reads[user], f"tramdo.v1.{key}")] == []
        assert [key for key in others if re.search(reads[user], f"tramdo.v1.{key}")] == []


def test_the_command_writes_a_folder_for_each_rabbitmq_node(tmp_path: Path) -> None:
    assert command.main(["rabbitmq", str(EXAMPLE), str(tmp_path)]) == 0
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*"))
    files = ["definitions.json", "enabled_plugins", "rabbitmq-env.conf", "rabbitmq.conf"]
    assert names == [f"node-{number}/{name}" for number in (1, 2, 3) for name in files]
    text = (tmp_path / "node-2/rabbitmq.conf").read_text()
    nodes = ["node-1@10.0.0.1", "node-2@10.0.0.2", "node-3@10.0.0.3"]
    assert re.findall(r"classic_config[.]nodes[.]\d = (\S+)", text) == nodes
    assert "listeners.tcp = none" in text
    assert "mqtt.durable_queue_type = quorum" in text
    assert "NODENAME=node-2@10.0.0.2" in (tmp_path / "node-2/rabbitmq-env.conf").read_text()
    same = {(tmp_path / f"node-{number}/definitions.json").read_text() for number in (1, 2, 3)}
    assert len(same) == 1


def test_every_rabbitmq_user_has_topic_permissions_and_no_password() -> None:
    """Without topic permissions a user may use every topic; an empty hash is no password."""
    settings = ClusterSettings(
        tenant="t", nodes=THREE, probes=["p"], collectors=["c"], subscribers=["s"]
    )
    made = definitions(settings)
    assert {user["name"]: user["password_hash"] for user in made["users"]} == dict.fromkeys(
        "pcs", ""
    )
    for kind in ("permissions", "topic_permissions"):
        assert [one["user"] for one in made[kind]] == ["p", "c", "s"]
        assert all(pattern_of(one, kind) for one in made[kind])
    writes = {one["user"]: one["write"] for one in made["topic_permissions"]}
    assert writes["s"] == "^$"
    queues = {one["user"]: one["configure"] for one in made["permissions"]}
    assert re.search(queues["p"], "mqtt-subscription-pqos1")
    assert not re.search(queues["p"], "mqtt-subscription-p-2qos1")
    assert re.search(queues["c"], "mqtt-subscription-c-command-77qos1")
    exchange = {one["user"]: one["write"] for one in made["permissions"]}
    assert re.search(exchange["p"], "amq.topic")
    assert not re.search(exchange["s"], "amq.topic")


def pattern_of(one: dict[str, str], kind: str) -> bool:
    """Whether each pattern is anchored at both ends: RabbitMQ searches."""
    names = ("write", "read") if kind == "topic_permissions" else ("configure", "write", "read")
    return all(one[name].startswith("^") and one[name].endswith("$") for name in names)


@pytest.mark.parametrize(
    ("filters", "within", "beyond"),
    [
        ([], [""], ["t", "#"]),
        (["t/a"], ["t.a"], ["t", "t.b", "t.a.b", "t.*", "#", "xt.a", "t.ab"]),
        (["t/#"], ["t", "t.a", "t.a.b", "t.#", "t.*.m.*"], ["x", "tx", "#", "*", "tx.a"]),
        (["t/+/m"], ["t.a.m", "t.*.m"], ["t.m", "t.a.b.m", "t.#.m", "t..m", "t.#"]),
        (
            ["t/a/r", "t/a/c/#"],
            ["t.a.r", "t.a.c", "t.a.c.x"],
            ["t.a", "t.a.rx", "t.a.r.x", "t.a.#"],
        ),
        (["t/+/r", "t/+/c/#"], ["t.a.r", "t.a.c.x"], ["t.a", "t.a.x", "t.a.b.c.x"]),
    ],
)
def test_a_topic_pattern_has_what_the_filters_have(
    filters: list[str], within: list[str], beyond: list[str]
) -> None:
    pattern = topic_pattern(filters)
    assert [key for key in within if not re.search(pattern, key)] == []
    assert [key for key in beyond if re.search(pattern, key)] == []


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("probes = ['a']\ncollectors = ['a']", "`a` is there twice"),
        ("probes = ['A']", "expected a name of a-z, 0-9 and -, up to 40"),
        ("[[nodes]]\nname = 'n2'\ncluster_host = 'h'", "take an odd number"),
        ("[[nodes]]\nname = 'n1'\ncluster_host = 'h'", "`n1` is there twice"),
        ("[[tenants]]\nname = 'u'", "give `tenant`, or tables `[[tenants]]`, and not both"),
        (
            "rabbitmq_release = '3.10'\n"
            + "".join(f"[[nodes]]\nname = 'm{number}'\ncluster_host = 'h'\n" for number in (1, 2)),
            "RabbitMQ 3.10 has one node",
        ),
    ],
)
def test_each_mistake_has_its_sentence(fields: str, problem: str) -> None:
    first = "[[nodes]]\nname = 'n1'\ncluster_host = 'h'\n"
    text = f"tenant = 't'\n{fields}\n{first}"
    with pytest.raises(SettingsError) as caught:
        parse(text.encode(), ClusterSettings, "c")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "give `tenant`, or tables `[[tenants]]`, and not both"),
        ("probes = ['a']\n[[tenants]]\nname = 't'", "`a` belongs to the table of its tenant"),
        ("[[tenants]]\nname = 't'\n[[tenants]]\nname = 't'", "`t` is there twice"),
        (
            f"{ONE}\nprobes = ['a']\n[[tenants]]\nname = 'u'\nprobes = ['a']",
            "`a` is there twice",
        ),
        (
            f"{ONE}\ncollectors = ['a']\n[[tenants]]\nname = 'u'\nsubscribers = ['a']",
            "`a` is there twice",
        ),
    ],
)
def test_each_mistake_of_several_tenants_has_its_sentence(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(
            f"{text}\n[[nodes]]\nname = 'n1'\ncluster_host = 'h'\n".encode(), ClusterSettings, "c"
        )
    assert problem in str(caught.value)
