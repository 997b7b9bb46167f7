"""The broker's settings, and the two files that are rendered from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.broker import __main__ as command
from deploy.broker import configuration, limits
from deploy.broker.configuration import BrokerSettings, Listener
from deploy.broker.render import render
from runtime import settings
from runtime.broker import BrokerConfig
from runtime.mqtt import SESSION_EXPIRY_S
from runtime.settings import SettingsError
from wire import topics
from wire.envelope import MAX_ENVELOPE_BYTES
from wire.result import KINDS

EXAMPLE = Path(configuration.__file__).with_name("example.toml")
TEXT = EXAMPLE.read_text(encoding="utf-8")
MINIMAL = 'tenant = "bach-thong"\n'
PLAIN = '[[listeners]]\nport = 1\ncredential = "password"\n'
SECURED_WEBSOCKET = '[[listeners]]\nport = 2\ncredential = "certificate"\nprotocol = "websockets"'
IGNORED = (
    "on `websockets`, Mosquitto 2.0 ignores the revocation list: make it "
    '`credential = "password"`, or `protocol = "mqtt"`, or use Mosquitto 2.1'
)
INJECTED = r"(it is '/etc/a\nallow_anonymous true')"


def parse(text: str) -> BrokerSettings:
    return settings.parse(text.encode(), BrokerSettings, "b.toml")


def directives(text: str) -> list[str]:
    """The lines that Mosquitto reads."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def listeners(text: str) -> list[list[str]]:
    """Each listener's own lines."""
    blocks = re.split(r"^(?=listener )", text, flags=re.MULTILINE)[1:]
    return [directives(block) for block in blocks]


# Settings


def test_the_example_shows_every_default() -> None:
    given = parse(TEXT)
    # With every commented key taken in, nothing changes but what has no default.
    of_one_tenant = TEXT.partition("# Several tenants")[0]
    told = parse(re.sub(r"^# (?=\[limits\]|\w+ = )", "", of_one_tenant, flags=re.MULTILINE))
    assert told.limits == given.limits
    assert told.log_file == "/var/log/mosquitto/mosquitto.log"
    for name in BrokerSettings.__struct_fields__:
        assert name in {"listeners", "limits", "tenants"} or f"{name} = " in TEXT
        if name not in {"listeners", "log_file"}:
            assert getattr(told, name) == getattr(given, name)
    assert [each.port for each in given.listeners] == [8883, 8884, 443]
    assert given.listeners == BrokerSettings(tenant="a").listeners
    for name in (*limits.BrokerLimits.__struct_fields__, *Listener.__struct_fields__):
        assert f"{name} = " in TEXT


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (PLAIN, "give `tenant`, or tables `[[tenants]]`, and not both"),
        (
            f"{MINIMAL}[[tenants]]\nname = 'a'",
            "give `tenant`, or tables `[[tenants]]`, and not both",
        ),
        ("[[tenants]]\nname = 'a'\nprobes = ['p', 'p']", "`p` is there twice"),
        (
            "collectors = ['a.1']\n[[tenants]]\nname = 'a'",
            "with `[[tenants]]`, `a.1` belongs to the table of its tenant",
        ),
        (
            MINIMAL + 'collectors = ["collector"]',
            (
                "collectors: expected two names of a-z, 0-9 and -, joined by a dot, for example "
                "reader.vnpt (it is ['collector'])"
            ),
        ),
        (
            MINIMAL + 'collectors = ["a.1"]\nsubscribers = ["a.1"]',
            "`a.1` is there twice among `collectors` and `subscribers`",
        ),
        (
            MINIMAL + 'acl_file = "/etc/a\\nallow_anonymous true"',
            f"acl_file: expected a full path: it begins with / and has no blanks {INJECTED}",
        ),
        (
            MINIMAL + '[[listeners]]\nport = 1\ncredential = "none"',
            (
                "listeners[1].credential: invalid enum value 'none'"
                "; allowed: certificate, password, both (it is 'none')"
            ),
        ),
        (
            MINIMAL + PLAIN + PLAIN,
            "two listeners have port 1",
        ),
        (
            MINIMAL + PLAIN + 'protocol = "websockets"',
            "without a listener of protocol `mqtt`, Mosquitto 2.0 does not start",
        ),
        (
            MINIMAL + PLAIN + SECURED_WEBSOCKET,
            IGNORED,
        ),
    ],
)
def test_each_mistake_has_its_sentence(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert str(caught.value).splitlines() == [f"b.toml: {problem}"]


def test_2_1_may_have_certificates_on_websockets() -> None:
    text = f'{MINIMAL}syntax = "2.1"\n{SECURED_WEBSOCKET}'
    assert parse(text).listeners[0].credential == "certificate"


def test_the_limits_are_those_of_our_own_programs() -> None:
    given = limits.BrokerLimits()
    assert given.session_days * 86_400 == SESSION_EXPIRY_S
    longer = f'host = "a"\nkeepalive_s = {given.max_keepalive_s + 1}'
    with pytest.raises(SettingsError):
        settings.parse(longer.encode(), BrokerConfig, "b")


# The rendered files


@pytest.mark.parametrize("syntax", ["2.0", "2.1"])
def test_every_listener_has_tls_and_asks_for_something(syntax: str) -> None:
    rendered = render(parse(f'syntax = "{syntax}"\n{TEXT}')).configuration
    lines = directives(rendered)
    assert "allow_anonymous false" in lines
    assert not [line for line in lines if "anonymous true" in line or "per_listener" in line]
    certificate, password, websocket = listeners(rendered)
    for block in (certificate, password, websocket):
        assert {"tls_version tlsv1.2", "use_username_as_clientid true"} <= set(block)
        assert any(line.startswith("keyfile ") for line in block)
    assert {"require_certificate true", "use_identity_as_username true"} <= set(certificate)
    assert "crlfile /etc/mosquitto/tramdo/crl.pem" in certificate
    assert "use_identity_as_username true" not in password
    assert "protocol websockets" in websocket


def test_both_asks_for_a_certificate_and_leaves_the_name_to_the_password() -> None:
    text = MINIMAL + '[[listeners]]\nport = 1\ncredential = "both"'
    (block,) = listeners(render(parse(text)).configuration)
    assert "require_certificate true" in block
    assert "use_identity_as_username true" not in block


def test_2_0_has_options_where_2_1_has_plugins() -> None:
    old = directives(render(parse(TEXT)).configuration)
    new = directives(render(parse(f'syntax = "2.1"\n{TEXT}')).configuration)
    assert "acl_file /etc/mosquitto/tramdo/acl" in old
    assert "plugin_opt_acl_file /etc/mosquitto/tramdo/acl" in new
    assert "plugin_opt_password_file /etc/mosquitto/tramdo/passwords" in new
    assert not [line for line in new if line.startswith(("acl_file", "password_file"))]
    assert not [line for line in old if "plugin" in line]


def test_an_address_and_an_interface_are_the_listeners() -> None:
    text = MINIMAL + (
        '[[listeners]]\nport = 1\ncredential = "both"\naddress = "127.0.0.1"\ninterface = "lo"\n'
        "max_connections = 7"
    )
    (block,) = listeners(render(parse(text)).configuration)
    assert block[0] == "listener 1 127.0.0.1"
    assert {"bind_interface lo", "max_connections 7"} <= set(block)


def test_a_packet_has_room_for_the_largest_envelope_on_the_longest_topic() -> None:
    name = "x" * 40
    topic = topics.measurement(name, name, name)
    # Fixed header 5, topic's length 2, packet identifier 2, no properties 1 (MQTT 5 §3.3).
    overhead = 5 + 2 + len(topic) + 2 + 1
    assert MAX_ENVELOPE_BYTES + overhead <= limits.MAX_PACKET_BYTES
    assert f"max_packet_size {limits.MAX_PACKET_BYTES}" in directives(
        render(parse(TEXT)).configuration
    )


def test_the_access_list_is_these_lines_and_no_others() -> None:
    own, every = "tramdo/v1/bach-thong/%u", "tramdo/v1/bach-thong/+"
    assert directives(render(parse(TEXT)).access_list) == [
        *(f"pattern write {own}/m/{kind}" for kind in KINDS),
        f"pattern write {own}/state",
        f"pattern write {own}/info",
        f"pattern write {own}/health",
        f"pattern write {own}/reply",
        f"pattern read {own}/receipt",
        f"pattern read {own}/cmd/#",
        "user collector.1",
        "topic deny tramdo/v1/bach-thong/collector.1/#",
        "topic read tramdo/v1/bach-thong/#",
        f"topic write {every}/receipt",
        f"topic write {every}/cmd/#",
        "topic read $SYS/broker/version",
        "user collector.command",
        "topic deny tramdo/v1/bach-thong/collector.command/#",
        "topic read tramdo/v1/bach-thong/#",
        f"topic write {every}/receipt",
        f"topic write {every}/cmd/#",
        "topic read $SYS/broker/version",
        "user reader.vnpt",
        "topic deny tramdo/v1/bach-thong/reader.vnpt/#",
        f"topic read {every}/m/+",
        f"topic read {every}/state",
        f"topic read {every}/info",
        f"topic read {every}/health",
    ]


def test_a_subscriber_may_read_what_the_contract_publishes() -> None:
    allowed = {right.topic for right in configuration.subscriber_acl("bach-thong")}
    assert allowed <= set(topics.collector_filters("bach-thong"))


@pytest.mark.parametrize("syntax", ["2.0", "2.1"])
def test_what_a_client_can_make_the_broker_hold_has_limits(syntax: str) -> None:
    rendered = render(parse(f'syntax = "{syntax}"\n{TEXT}')).configuration
    lines = directives(rendered)
    assert {
        "memory_limit 2147483648",
        "max_queued_bytes 134217728",
        "max_queued_messages 100000",
        "max_inflight_bytes 16777216",
        "queue_qos0_messages false",
    } <= set(lines)
    # A message of QoS 2 that is never released would stay.
    assert all("max_qos 1" in block for block in listeners(rendered))


# The rule of the memory


def test_the_rule_counts_what_each_user_may_hold() -> None:
    given = limits.BrokerLimits(
        probes=100,
        max_queued_messages=1_000,
        max_queued_bytes=10_000_000,
        max_inflight_messages=10,
        max_inflight_bytes=1_000_000,
    )
    budget = limits.memory_budget(given, sessions=3)
    assert (budget.hostile_probes, budget.honest_probes) == (5, 95)
    # Queue and window, one message beyond each, and 512 bytes for each message.
    assert budget.session_bytes == 11_000_000 + 2 * limits.MAX_PACKET_BYTES + 1_010 * 512
    # A retained message on 9 kinds and 4 channels, a will, a packet half received; its session.
    assert budget.hostile_probe_bytes == 15 * limits.MAX_PACKET_BYTES + 32_768
    assert budget.required_bytes == (
        3 * budget.session_bytes + 5 * budget.hostile_probe_bytes + 95 * 32_768
    )


def test_a_probe_may_write_no_more_topics_than_the_rule_counts() -> None:
    writes = [each.topic for each in configuration.probe_acl("a") if each.access == "write"]
    assert len(writes) == len(KINDS) + len(limits.PROBE_CHANNELS)
    assert not [topic for topic in writes if "+" in topic or "#" in topic]


def test_the_smallest_limit_is_taken_and_one_byte_less_is_not() -> None:
    smallest = parse(TEXT).memory_budget().smallest_limit_bytes
    text = f"{MINIMAL}collectors = ['a.1', 'b.1']\nsubscribers = ['c.1']\n[limits]\n"
    assert parse(f"{text}memory_limit_bytes = {smallest}").memory_budget().sessions == 3
    with pytest.raises(SettingsError, match=r"limits\.memory_limit_bytes is"):
        parse(f"{text}memory_limit_bytes = {smallest - 10}")


def test_the_limits_of_before_are_refused() -> None:
    """Three readers that are away came to the limit, and the broker could not start again."""
    before = TEXT.replace("# [limits]", "[limits]")
    before = before.replace("# max_queued_bytes = 134217728", "max_queued_bytes = 268435456")
    before = before.replace("# memory_limit_bytes = 2147483648", "memory_limit_bytes = 1073741824")
    with pytest.raises(SettingsError) as caught:
        parse(before)
    assert "but 3 users that are away and 5% of 1000 probes can make the broker hold" in str(
        caught.value
    )


def test_check_prints_the_rule_and_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["check", str(EXAMPLE)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^3 users that are away +[\d.]+ MiB each +[\d.]+ MiB$", said, re.MULTILINE)
    assert re.search(r"^50 probes at their worst +[\d.]+ MiB each", said, re.MULTILINE)
    assert re.search(r"^memory_limit_bytes +2048.00 MiB$", said, re.MULTILINE)
    small = tmp_path / "small.toml"
    small.write_text(f"{MINIMAL}[limits]\nmemory_limit_bytes = 1000000\n", encoding="utf-8")
    assert command.main(["check", str(small)]) == 2
    assert "limits.memory_limit_bytes is 1000000" in capsys.readouterr().err
    assert command.main([str(small), str(tmp_path)]) == 2, "nor is it rendered"


# The command


def test_the_command_writes_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(EXAMPLE), str(tmp_path)]) == 0
    rendered = render(parse(TEXT))
    assert (tmp_path / "mosquitto.conf").read_text(encoding="utf-8") == rendered.configuration
    assert (tmp_path / "acl").read_text(encoding="utf-8") == rendered.access_list
    assert command.main([str(EXAMPLE), str(tmp_path / "nowhere")]) == 1
    assert command.main([str(tmp_path / "nothing.toml"), str(tmp_path)]) == 2
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("tenant = 7\n", encoding="utf-8")
    assert command.main([str(wrong), str(tmp_path)]) == 2
    assert "tenant: expected `str | null`, got `int`" in capsys.readouterr().err
