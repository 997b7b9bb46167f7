"""The collector's settings: defaults, and the exact sentence for each mistake."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from collector.alerts.rules import Rules
from collector.config import (
    Config,
    IngestConfig,
    ReceiptConfig,
    ReportsConfig,
    WebConfig,
    parse,
)
from collector.reports.report import OfficeConfig
from collector.store.settings import StoreConfig
from runtime.broker import BrokerConfig
from runtime.settings import SettingsError
from wire.envelope import MAX_ENVELOPE_BYTES

MINIMAL = '[broker]\nhost = "broker.example.vn"\n'
EXAMPLE = Path(__file__).parents[2] / "collector" / "collector.example.toml"


def test_a_broker_is_all_that_must_be_said() -> None:
    assert parse(MINIMAL.encode(), "c.toml") == Config(
        broker=BrokerConfig(host="broker.example.vn"),
        client_id="tramdo-collector",
        tenant=None,
        store=StoreConfig(path="/var/lib/tramdo-collector/results.sqlite", rejected_kept=1000),
        web=WebConfig(host="127.0.0.1", port=8080, timezone="Asia/Ho_Chi_Minh"),
        intake=IngestConfig(max_message_bytes=MAX_ENVELOPE_BYTES, batch_messages=200),
        receipts=ReceiptConfig(min_gap_s=0.1),
    )


def test_tenants_are_none_one_or_several() -> None:
    for text, tenants in (
        ("", ()),
        ("tenant = 'vn'\n", ("vn",)),
        ("tenant = ['thai-nguyen', 'bac-kan']\n", ("thai-nguyen", "bac-kan")),
    ):
        assert parse((text + MINIMAL).encode(), "c.toml").tenants == tenants


def test_the_example_is_good_and_shows_the_defaults() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    given = parse(text.encode(), "example")
    assert given.broker.username == "collector.1"
    # With every commented key taken in, nothing changes but what has no default.
    lines = [
        line.removeprefix("# ")
        if line.startswith("# [") or (line.startswith("# ") and " = " in line)
        else line
        for line in text.splitlines()
        # In the place of the addresses.
        if not line.startswith("host = ")
    ]
    told = parse("\n".join(lines).encode(), "example")
    assert told.tenant == "bach-thong"
    assert told.broker.certificate_file == "/etc/tramdo/collector.pem"
    assert told.broker.addresses == ["a.example.vn", "b.example.vn:8884", "[2001:db8::1]"]
    without = parse(MINIMAL.encode(), "c").broker
    for name in ("protocol", "transport", "websocket_path", "tls", "keepalive_s"):
        assert getattr(told.broker, name) == getattr(without, name)
    for name in ("connect_timeout_s", "reconnect_max_s"):
        assert getattr(told.broker, name) == getattr(without, name)
    assert told.store.postgresql == "host=/run/postgresql dbname=tramdo"
    assert msgspec.structs.replace(told.store, postgresql=None) == StoreConfig()
    assert msgspec.structs.replace(told.intake, authority_file=None) == IngestConfig()
    for name in ("client_id", "web", "receipts"):
        assert getattr(told, name) == getattr(parse(MINIMAL.encode(), "c"), name)
    assert (told.papers.path, told.alerts.rules) == (ReportsConfig().path, Rules())
    assert told.papers.office.place == "Thái Nguyên"
    assert told.alerts.mail is not None
    assert told.alerts.webhook is not None
    for section in (StoreConfig, WebConfig, IngestConfig, ReceiptConfig, Rules, OfficeConfig):
        for key in section.__struct_fields__:
            assert f"{key} = " in text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "c.toml: broker: is missing"),
        ("[broker]", "c.toml: broker: needs `host`, or `addresses` where there are several"),
        (
            "tennant = 'a'\n" + MINIMAL,
            "c.toml: tennant: unknown key (did you mean `tenant`?)",
        ),
        (
            "tenant = 'Bạch Thông'\n" + MINIMAL,
            "c.toml: tenant: expected a name of a-z, 0-9 and -, up to 40 (it is 'Bạch Thông')",
        ),
        (
            "tenant = ['vn', 'Bạch Thông']\n" + MINIMAL,
            (
                "c.toml: tenant: expected a name of a-z, 0-9 and -, up to 40"
                " (it is ['vn', 'Bạch Thông'])"
            ),
        ),
        (
            "tenant = []\n" + MINIMAL,
            "c.toml: `tenant` needs one name at least, unless `spare_for` has one",
        ),
        (
            "tenant = ['vn', 'vn']\n" + MINIMAL,
            "c.toml: `tenant` and `spare_for` name one twice",
        ),
        (
            "tenant = 'vn'\nspare_for = ['vn']\n" + MINIMAL,
            "c.toml: `tenant` and `spare_for` name one twice",
        ),
        (
            "spare_for = ['vn']\n" + MINIMAL,
            "c.toml: `spare_for` needs `tenant`: without it every tenant is taken in",
        ),
        (
            "tenant = 'vn'\nspare_for = ['la']\n" + MINIMAL,
            "c.toml: `spare_for` needs `store.postgresql`: SQLite has one collector",
        ),
        (
            "client_id = 'a.b'\n" + MINIMAL,
            (
                "c.toml: client_id: expected letters of ASCII, digits, - and _, up to 64"
                " (it is 'a.b')"
            ),
        ),
        (
            MINIMAL
            + "[alerts.mail]\nhost = 'm'\nsender = 'a@b'\nrecipients = ['c@d']\n"
            + "security = 'none'\nusername = 'u'\npassword_file = 'p'",
            "c.toml: alerts.mail: `username` needs `security` to be starttls or tls",
        ),
        (
            MINIMAL + "[alerts.mail]\nhost = 'm'\nsender = 'a@b'\nrecipients = []",
            "c.toml: alerts.mail.recipients: expected `array` of length >= 1 (it is [])",
        ),
        (
            MINIMAL + "[alerts.webhook]\nurl = 'ftp://x'",
            (
                "c.toml: alerts.webhook.url: expected an address that begins with http:// or "
                "https:// (it is 'ftp://x')"
            ),
        ),
        (
            MINIMAL + "[web]\nport = 0",
            "c.toml: web.port: expected `int` >= 1 (it is 0)",
        ),
        (
            MINIMAL + "[web]\ntimezone = 'Asia/Hanoi'",
            "c.toml: web: `timezone`: 'Asia/Hanoi' is not a known time zone",
        ),
        (
            MINIMAL + "[store]\npath = ''",
            "c.toml: store.path: expected `str` of length >= 1 (it is '')",
        ),
        (
            MINIMAL + "[store]\nrejected_kept = -1",
            "c.toml: store.rejected_kept: expected `int` >= 0 (it is -1)",
        ),
        (
            MINIMAL + "[intake]\nmax_message_bytes = 10",
            "c.toml: intake.max_message_bytes: expected `int` >= 1024 (it is 10)",
        ),
        (
            MINIMAL + "[intake]\nbatch_messages = 0",
            "c.toml: intake.batch_messages: expected `int` >= 1 (it is 0)",
        ),
        (
            MINIMAL + "[receipts]\nmin_gap_s = 61",
            "c.toml: receipts.min_gap_s: expected `float` <= 60.0 (it is 61)",
        ),
    ],
)
def test_each_mistake_has_its_sentence(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text.encode(), "c.toml")
    assert str(caught.value).splitlines() == [problem]


def test_all_mistakes_are_told_at_once() -> None:
    text = "tenant = 1\n[broker]\nhost = ''\n[web]\nport = 'a'\n"
    with pytest.raises(SettingsError) as caught:
        parse(text.encode(), "c.toml")
    assert [problem.split(": ")[1] for problem in str(caught.value).splitlines()] == [
        "broker.host",
        "tenant",
        "web.port",
    ]
