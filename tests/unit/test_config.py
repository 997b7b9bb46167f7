"""Every rule of the configuration has one bad file, and its exact sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from collector.config import Config as CollectorConfig
from collector.domain.thresholds import Thresholds
from collector.registry.file_format import RegistryFile
from deploy.broker.configuration import BrokerSettings
from deploy.fleet.box import BoxSettings
from deploy.fleet.seed import SeedSettings
from probe import config, implausible
from probe.config import Config
from runtime.language import Language
from runtime.settings import SettingsError
from runtime.value_forms import FORMS

GOOD = (Path(__file__).parents[1] / "golden" / "config" / "good.toml").read_text(encoding="utf-8")
NAME = "expected a name of a-z, 0-9 and -, up to 40"

# (what to replace in the good file, by what, the sentence)
BAD = [
    ('probe = "phu-thong-01"', "", "probe: is missing"),
    ('probe = "phu-thong-01"', 'probe = "Phủ Thông"', f"probe: {NAME} (it is 'Phủ Thông')"),
    ('tenant = "bach-thong"', "tenant = 7", "tenant: expected `str`, got `int` (it is 7)"),
    (
        'group = "bach',
        'groop = "bach',
        "site.groop: unknown key (did you mean `group`?)",
    ),
    (
        'commune_code = "01969"',
        'commune_code = "1969"',
        (
            "site.commune_code: expected the official code of a commune: five digits in quotes, "
            "for example \"01969\" (it is '1969')"
        ),
    ),
    (
        'interface = "eth0"',
        "",
        "lines[1]: a line needs `interface` or `source_address`",
    ),
    (
        'gateway = "192.168.1.1"',
        'gateway = "192.168.1.256"',
        "lines[1]: `gateway`: '192.168.1.256' is not an IP address",
    ),
    (
        'interface = "eth0"',
        'interface = "eth0"\nfamilies = ["ipv4", "ipv4"]',
        "lines[1]: `families` names one twice",
    ),
    (
        'interface = "eth0"',
        'source_address = "192.0.2.7"\nfamilies = ["ipv4", "ipv6"]',
        (
            "lines[1]: `families`: a line with `source_address` 192.0.2.7 is measured over `ipv4` "
            "alone"
        ),
    ),
    ('id = "viettel"', 'id = "vnpt"', "two lines are called `vnpt`"),
    (
        'id = "viettel"',
        'id = "host"',
        "no line may be called `host`: it stands for the box itself",
    ),
    ('name = "hcm-1"', 'name = "hn-1"', "two servers are called `hn-1`"),
    (
        "iperf3_ports = [5201, 5202]",
        "iperf3_ports = [5201, 5202]\nlease_port = 5202",
        "servers[1]: `lease_port` 5202 is that of iperf3 or HTTP",
    ),
    (
        "iperf3_ports = [5201, 5202]",
        "iperf3_ports = [70000]",
        "servers[1].iperf3_ports: expected `int` <= 65535 (it is [70000])",
    ),
    (
        "iperf3_ports = [5201, 5202]",
        "iperf3_ports = []",
        "servers[1].iperf3_ports: expected `array` of length >= 1 (it is [])",
    ),
    (
        'key_file = "/etc/tramdo/probe.key"',
        "",
        "broker: `certificate_file` and `key_file` go together",
    ),
    (
        "[broker]",
        '[broker]\nusername = "probe"',
        "broker: `username` and `password_file` go together",
    ),
    ("[broker]", "[broker]\ntls = false", "broker: certificates need `tls = true`"),
    (
        "[broker]",
        "[broker]\nprotocol = 4",
        "broker.protocol: invalid enum value 4; allowed: 5, 311 (it is 4)",
    ),
    (
        "[broker]",
        '[broker]\ntransport = "udp"',
        "broker.transport: invalid enum value 'udp'; allowed: tcp, websockets (it is 'udp')",
    ),
    (
        "[broker]",
        '[broker]\nwebsocket_path = "mqtt"',
        (
            "broker.websocket_path: expected a path that begins with / and has no blanks "
            "(it is 'mqtt')"
        ),
    ),
    (
        "[broker]",
        "[latency]\nmean_gap_s = 0.01\nwindow_s = 3600\n[broker]",
        "latency: `window_s` holds more than 20000 packets at a gap of `mean_gap_s`",
    ),
    ("[broker]", '[broker.proxy]\nhost = "a"\n[broker]', "broker.proxy.port: is missing"),
    (
        "[broker]",
        '[broker.proxy]\nhost = "a"\nport = 1\ntype = "ftp"\n[broker]',
        "broker.proxy.type: invalid enum value 'ftp'; allowed: http, socks4, socks5 (it is 'ftp')",
    ),
    (
        'tenant = "bach-thong"',
        'tenant = "bach-thong"\ntimezone = "Asia/Hà Nội"',
        "`timezone`: 'Asia/Hà Nội' is not a known time zone",
    ),
    (
        "[broker]",
        "[leds]\nline_pins = [[22, 23]]\n[broker]",
        "`leds.line_pins` needs a pair of pins for each line",
    ),
    (
        "[broker]",
        "[leds]\nline_pins = [[22, 23], [24, 17]]\n[broker]",
        "`leds`: power and viettel.red are on the same pin",
    ),
    (
        "[broker]",
        "[leds]\nline_pins = [[22, 40], [24, 25]]\n[broker]",
        "leds.line_pins: expected `int` <= 27 (it is [[22, 40], [24, 25]])",
    ),
    (
        "[broker]",
        '[leds]\ndriver = "blinkenlights"\n[broker]',
        (
            "leds.driver: invalid enum value 'blinkenlights'"
            "; allowed: gpio, simulated, none (it is 'blinkenlights')"
        ),
    ),
    (
        "[broker]",
        '[commands]\nallow = ["run"]\n[broker]',
        (
            "commands.allow: invalid enum value 'run'"
            "; allowed: identify, measure, replay, reload (it is ['run'])"
        ),
    ),
    (
        "[broker]",
        "[commands]\nmeasures_per_hour = 61\n[broker]",
        "commands.measures_per_hour: expected `int` <= 60 (it is 61)",
    ),
    (
        "[broker]",
        "[plan]\npeak_from_hour = 23\npeak_to_hour = 19\n[broker]",
        "plan: `peak_from_hour` comes before `peak_to_hour`",
    ),
    (
        "[broker]",
        '[plan]\noffice_from = "17:30"\noffice_to = "07:00"\n[broker]',
        "plan: `office_from` comes before `office_to`",
    ),
    (
        "[broker]",
        '[plan]\noffice_hours = "avoid"\noffice_from = "04:00"\noffice_to = "23:00"\n[broker]',
        "plan: `office_from` to `office_to` leaves less than 6 h",
    ),
    (
        "[broker]",
        '[plan]\noffice_from = "7:00"\n[broker]',
        (
            "plan.office_from: expected hours and minutes, two digits each, for example 07:30 "
            "(it is '7:00')"
        ),
    ),
    (
        "[broker]",
        "[plan]\noffice_weekdays = [0]\n[broker]",
        "plan.office_weekdays: expected `int` >= 1 (it is [0])",
    ),
    (
        "[broker]",
        '[plan]\noffice_hours = "never"\n[broker]',
        (
            "plan.office_hours: invalid enum value 'never'"
            "; allowed: avoid, idle_only, allow (it is 'never')"
        ),
    ),
    (
        "[broker]",
        "[throughput]\nstreams = 0\n[broker]",
        "throughput.streams: expected `int` >= 1 (it is 0)",
    ),
    (
        "[broker]",
        '[operator]\nurl = "ftp://x"\n[broker]',
        (
            "operator.url: expected an address that begins with http:// or https:// "
            "(it is 'ftp://x')"
        ),
    ),
]


def test_the_good_file_is_read_whole() -> None:
    parsed = config.parse(GOOD.encode(), "probe.toml")
    assert [line.id for line in parsed.lines] == ["vnpt", "viettel"]
    assert parsed.lines[0].plan_download_bps == 300e6
    assert parsed.servers[0].iperf3_ports == [5201, 5202]
    assert parsed.servers[1].iperf3_ports == [5201], "the default"
    assert parsed.site.office == "UBND xã Phủ Thông"


@pytest.mark.parametrize(("old", "new", "sentence"), BAD, ids=[row[2][:40] for row in BAD])
def test_a_bad_file_names_its_place_and_what_was_expected(
    old: str, new: str, sentence: str
) -> None:
    assert old in GOOD
    with pytest.raises(SettingsError) as caught:
        config.parse(GOOD.replace(old, new, 1).encode(), "probe.toml")
    assert str(caught.value).splitlines() == [f"probe.toml: {sentence}"]
    (problem,) = caught.value.problems
    assert problem.what.vi != problem.what.en, "it is told in Vietnamese too"


def test_all_mistakes_are_told_at_once() -> None:
    text = GOOD.replace('"01969"', "1969").replace("[broker]", "[brokr]").replace("hn-1", "HN 1")
    with pytest.raises(SettingsError) as caught:
        config.parse(text.encode(), "probe.toml")
    assert sorted(problem.split(":")[1].strip() for problem in str(caught.value).splitlines()) == [
        "broker",
        "brokr",
        "servers[1].name",
        "site.commune_code",
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"tenant = ", "probe.toml: is not TOML: "),
        (b'tenant = "\xff"', "probe.toml: is not UTF-8 text (byte 10)"),
    ],
)
def test_what_is_not_toml_is_told_so(content: bytes, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        config.parse(content, "probe.toml")
    assert str(caught.value).splitlines()[0].startswith(sentence)


def test_a_line_is_found_by_its_id() -> None:
    parsed = config.parse(GOOD.encode(), "probe.toml")
    assert parsed.line("viettel") is parsed.lines[1]
    assert parsed.line("fpt") is None


def test_all_that_cannot_be_meant_is_reported_at_once_with_what_was_probably_meant() -> None:
    text = (
        GOOD.replace("plan_download_bps = 300e6", "plan_download_bps = 300", 1)
        .replace('interface = "eth1"', 'interface = "eth0"')
        .replace(
            'probe = "phu-thong-01"', 'probe = "Phủ Thông"\nstate_dir = "var/lib/tramdo-probe"'
        )
    )
    with pytest.raises(SettingsError) as told:
        config.parse(text.encode(), "p.toml")
    assert str(told.value).splitlines() == [
        f"p.toml: probe: {NAME} (it is 'Phủ Thông')",
        (
            "p.toml: lines[1].plan_download_bps: 300 bit/s is no plan: did you mean 300e6 "
            "(300 Mbit/s)?"
        ),
        (
            "p.toml: lines[2].interface: eth0 is the interface of lines[1] too: give each line an "
            "interface, or each a `source_address`, of its own"
        ),
        (
            "p.toml: state_dir: expected a full path; did you mean `/var/lib/tramdo-probe`? "
            "(it is 'var/lib/tramdo-probe')"
        ),
    ]
    vietnamese = told.value.in_(Language.VI)
    assert "ý là 300e6 (300 Mbit/s)?" in vietnamese
    assert "eth0 đã là cổng của lines[1]" in vietnamese


@pytest.mark.parametrize("bps", [57_600, 2e6, 10e9])
def test_a_slow_plan_is_a_plan(bps: float) -> None:
    text = GOOD.replace("plan_download_bps = 300e6", f"plan_download_bps = {bps}", 1)
    assert config.parse(text.encode(), "p").lines[0].plan_download_bps == bps


def test_two_lines_of_one_interface_with_an_address_each_are_two() -> None:
    lines = [{"interface": "eth0", "source_address": f"192.0.2.{n}"} for n in (1, 2)]
    assert list(implausible.problems({"lines": lines})) == []
    same = [lines[0], lines[0] | {"interface": "eth1"}, lines[0]]
    assert [one.place for one in implausible.problems({"lines": same})] == ["lines[3].interface"]


@pytest.mark.parametrize("table", [{"lines": 3}, {"lines": [3, None]}, {"state_dir": 7}, {}])
def test_what_is_of_another_type_is_left_to_the_types(table: dict[str, object]) -> None:
    assert list(implausible.problems(table)) == []


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert config.parse(b"\xef\xbb\xbf" + GOOD.encode(), "p") == config.parse(GOOD.encode(), "p")


def _patterns(expected: object) -> Iterator[str]:
    for inner in get_args(expected):
        if isinstance(inner, msgspec.Meta) and inner.pattern is not None:
            yield inner.pattern
        yield from _patterns(inner)
    if isinstance(expected, type) and issubclass(expected, msgspec.Struct):
        for field in msgspec.structs.fields(expected):
            yield from _patterns(field.type)


@pytest.mark.parametrize(
    "settings_type",
    [Config, CollectorConfig, RegistryFile, Thresholds, BrokerSettings, SeedSettings, BoxSettings],
)
def test_every_pattern_of_settings_is_described_in_words(
    settings_type: type[msgspec.Struct],
) -> None:
    found = set(_patterns(settings_type))
    assert found
    assert sorted(found - FORMS.keys()) == []
