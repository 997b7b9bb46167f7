"""What deploy/broker renders for a cluster: rights by name, mistakes with their sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.broker import __main__ as command
from deploy.broker.cluster import ClusterSettings, ClusterUser, Node
from deploy.broker.configuration import probe_acl
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
    user = ClusterUser("phu-thong-01", probe_acl("t"))
    assert set(user.topics("read")) == {
        "tramdo/v1/t/phu-thong-01/receipt",
        "tramdo/v1/t/phu-thong-01/cmd/#",
    }
    assert set(user.subjects("read")) == {
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


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("probes = ['a']\ncollectors = ['a']", "`a` is there twice"),
        ("probes = ['A']", "expected a name of a-z, 0-9 and -, up to 40"),
        ("[[nodes]]\nname = 'n2'\ncluster_host = 'h'", "take an odd number"),
        ("[[nodes]]\nname = 'n1'\ncluster_host = 'h'", "`n1` is there twice"),
    ],
)
def test_each_mistake_has_its_sentence(fields: str, problem: str) -> None:
    first = "[[nodes]]\nname = 'n1'\ncluster_host = 'h'\n"
    text = f"tenant = 't'\n{fields}\n{first}"
    with pytest.raises(SettingsError) as caught:
        parse(text.encode(), ClusterSettings, "c")
    assert problem in str(caught.value)
