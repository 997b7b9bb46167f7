"""From what probes state of their lines to alerts and pages, and who sees whole addresses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from collector.alerts.alert import AlertKind
from collector.alerts.alert_store import AlertStore
from collector.alerts.monitor import AlertMonitor
from collector.alerts.notifier import Notifier
from collector.alerts.settings import AlertsConfig
from collector.domain import thresholds_file
from collector.domain.read_model import ReadModel
from collector.ingest.status import IngestStatus
from collector.ingest.validation import validate
from collector.registry.communes import official
from collector.registry.file_format import parse_csv, parse_toml, to_toml
from collector.registry.registry import LineKey
from collector.store.messages import ResultsMessage, StatusMessage
from collector.store.sqlite import SqliteStore
from collector.users import passwords
from collector.users.sessions import Claim, SessionSigner
from collector.users.user import Role, User
from collector.users.user_store import UserStore
from collector.web.app import Web
from collector.web.change_signal import ChangeSignal
from collector.web.page_context import SESSION_COOKIE
from collector.web.server import WebServer
from runtime.settings import SettingsError
from tests import samples
from tests.ports import free_port
from tests.unit.test_web_server import _PASSWORD, Centre
from wire.record import Line, LineOperator, Nat

NOW = datetime.now(UTC).replace(microsecond=0)
REGISTRY = b"""
[[isp]]
id = "vnpt"
name = "VNPT"
prefixes = ["113.160.0.0/11", "2001:ee0::/32"]
[[isp]]
id = "viettel"
name = "Viettel"
prefixes = ["27.64.0.0/12"]
[[probe]]
tenant = "bach-thong"
probe = "tram-01969-1"
commune = "01969"
office = "UBND xa Phu Thong"
[[probe.line]]
id = "vnpt"
isp = "vnpt"
[[probe.line]]
id = "viettel"
isp = "viettel"
"""
ADDRESSES = ("113.160.44.77", "27.64.99.88", "2001:ee0:4141:7::9")
LINE = f"/line/{samples.TENANT}/{samples.PROBE}/vnpt"


class Stage:
    """A centre: its store, its alerts and its pages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = SqliteStore(folder / "results.sqlite")
        self.store.registry.apply(
            parse_toml(REGISTRY, "registry.toml", official()), "test", "test", NOW
        )
        self.model = ReadModel(self.store, thresholds_file.read())
        self.alerts = AlertStore(folder / "alerts.sqlite")
        self.monitor = self._monitor()

    def _monitor(self) -> AlertMonitor:
        return AlertMonitor(
            self.model,
            self.alerts,
            Notifier(self.alerts, {}),
            AlertsConfig(path=str(self.folder / "alerts.sqlite")),
            [],
            lambda: True,
            lambda: None,
            lambda _: (),
        )

    def restart_alerts(self) -> None:
        self.alerts.close()
        self.alerts = AlertStore(self.folder / "alerts.sqlite")
        self.monitor = self._monitor()

    def hear(self, at: datetime, **operators: tuple[str, Nat]) -> None:
        """A probe's health, and the check that follows it."""
        stated = {
            line: [LineOperator(address, nat, at - timedelta(minutes=10))]
            for line, (address, nat) in operators.items()
        }
        health = structs.replace(samples.health(at=at), operators=stated)
        message = StatusMessage(samples.TENANT, samples.PROBE, at, False, health)
        self.store.store_batch([message], at)
        self.model.invalidate()
        self.monitor.check(at)

    def open_kinds(self) -> list[AlertKind]:
        kinds = {key.kind for key in self.alerts.open_alerts()}
        wanted = (AlertKind.LINES_CROSSED, AlertKind.OTHER_NETWORK, AlertKind.NAT_CHANGED)
        return [kind for kind in wanted if kind in kinds]

    def close(self) -> None:
        self.alerts.close()
        self.store.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


def usual(stage: Stage, days: int = 9) -> None:
    for day in range(days, 0, -1):
        stage.hear(
            NOW - timedelta(days=day),
            vnpt=(ADDRESSES[0], Nat.NAT),
            viettel=(ADDRESSES[1], Nat.NAT),
        )


def test_crossed_lines_are_an_alert_until_they_are_put_right(stage: Stage) -> None:
    usual(stage)
    assert stage.open_kinds() == []
    hour = timedelta(hours=1)
    crossed = {"vnpt": ("27.64.1.1", Nat.NAT), "viettel": ("113.160.1.1", Nat.NAT)}
    stage.hear(NOW - 5 * hour, **crossed)
    assert stage.open_kinds() == [], "a look-up alone"
    # What was seen is known after a restart too.
    stage.restart_alerts()
    stage.hear(NOW - 4 * hour, **crossed)
    assert stage.open_kinds() == [AlertKind.LINES_CROSSED]
    (alert,) = stage.alerts.open_alerts().values()
    assert alert.key.subject.line == "viettel"
    assert alert.began_at == NOW - 5 * hour - timedelta(minutes=10)
    stage.hear(NOW - 3 * hour, vnpt=(ADDRESSES[0], Nat.NAT), viettel=(ADDRESSES[1], Nat.NAT))
    assert stage.open_kinds() == []


def test_a_fall_back_and_another_nat(stage: Stage) -> None:
    usual(stage)
    for back in (6, 3):
        stage.hear(
            NOW - timedelta(hours=back),
            vnpt=("171.224.1.1", Nat.CARRIER_GRADE),
            viettel=("27.64.99.7", Nat.CARRIER_GRADE),
        )
    assert stage.open_kinds() == [AlertKind.OTHER_NETWORK, AlertKind.NAT_CHANGED]
    lines = {key.kind: key.subject.line for key in stage.alerts.open_alerts()}
    assert lines[AlertKind.OTHER_NETWORK] == "vnpt"
    assert lines[AlertKind.NAT_CHANGED] == "viettel"


def test_a_dynamic_address_of_the_same_isp_is_no_alert(stage: Stage) -> None:
    for day in range(12, 0, -1):
        stage.hear(
            NOW - timedelta(days=day),
            vnpt=(f"113.{160 + day}.1.1", Nat.NAT),
            viettel=(f"27.{64 + day}.1.1", Nat.NAT),
        )
    assert stage.open_kinds() == []


def test_a_line_that_is_not_heard_of_any_more_is_forgotten(stage: Stage) -> None:
    key = LineKey(samples.TENANT, samples.PROBE, "vnpt")
    stage.hear(NOW - timedelta(days=200), vnpt=(ADDRESSES[0], Nat.NAT))
    assert stage.alerts.operator_history(key)
    stage.monitor.check(NOW)
    assert stage.alerts.operator_history(key) == {}
    assert stage.alerts.operator_histories() == {}


# Pages


@pytest.fixture
def centre(stage: Stage, tmp_path: Path) -> Iterator[Centre]:
    usual(stage)
    stage.hear(NOW, vnpt=(ADDRESSES[2], Nat.NONE), viettel=(ADDRESSES[1], Nat.NAT))
    line = Line("vnpt", "VNPT", "eth1", "2001:ee0:4141:7::10")
    status = StatusMessage(samples.TENANT, samples.PROBE, NOW, False, samples.info(lines=[line]))
    result = structs.replace(
        samples.latency(),
        line=line,
        operator=LineOperator(ADDRESSES[2], Nat.NONE, NOW),
        detail=None,
    )
    checked = validate(
        f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/latency",
        samples.envelope([(1, result)]),
        NOW,
    )
    assert isinstance(checked, ResultsMessage)
    stage.store.store_batch([status, checked], NOW)
    stage.model.invalidate()
    users = UserStore(tmp_path / "people.sqlite")
    users.put(User(name="lan", role=Role.TECHNICIAN), passwords.make_hash(_PASSWORD))
    web = Web(
        stage.model,
        ChangeSignal(),
        IngestStatus,
        "Asia/Ho_Chi_Minh",
        users,
        alerts=stage.alerts,
    )
    port = free_port()
    server = WebServer(web.application(), "127.0.0.1", port)
    server.start()
    yield Centre(port, tmp_path / "results.sqlite")
    server.stop()


def test_nobody_reads_a_whole_address_without_signing_in(centre: Centre) -> None:
    probe = f"{samples.TENANT}/{samples.PROBE}"
    read = 0
    for path in (
        "/", LINE, f"{LINE}?lang=en", f"{LINE}/chart", f"/probe/{probe}", "/commune/01969", "/live",
        f"/parts?probe={probe}", "/isps", "/campaign", "/system", "/alerts", "/public",
        "/public/01969", "/embed/01969", "/open/lines.csv", "/open/lines.json",
        "/open/communes.geojson", "/api/probes", "/api/results", "/api/v1/lines",
        f"/api/v1/lines/{probe}/vnpt/series", "/metrics",
    ):  # fmt: skip
        answer = centre.ask("GET", path)
        assert answer.status == 200, path
        for address in (*ADDRESSES, "2001:ee0:4141:7::10", "2001:ee0:4141:7"):
            assert address not in answer.text, (path, address)
        read += "2001:ee0:4141::/48" in answer.text
    assert read >= 3, "the line's page in both languages, and the API"


def test_the_line_s_page_and_the_api_show_whole_addresses_to_an_officer(centre: Centre) -> None:
    anybody = centre.ask("GET", f"{LINE}?lang=en").text
    assert "113.160.44.0/24" in anybody
    assert "VNPT" in anybody
    assert "no NAT" in anybody
    assert "users who have signed in" in anybody
    key = UserStore(centre.store_path.with_name("people.sqlite")).session_key()
    session = SessionSigner(key).cookie(Claim("lan", 0))
    cookie = {"Cookie": f"{SESSION_COOKIE}={session}"}
    page = centre.ask("GET", LINE, headers=cookie).text
    assert ADDRESSES[0] in page
    assert ADDRESSES[2] in page
    assert "không NAT" in page
    for path in ("/api/results", "/api/probes"):
        assert ADDRESSES[2] in centre.ask("GET", path, headers=cookie).text


def test_a_page_that_is_shared_is_not_that_of_somebody_signed_in(centre: Centre) -> None:
    key = UserStore(centre.store_path.with_name("people.sqlite")).session_key()
    session = SessionSigner(key).cookie(Claim("lan", 0))
    cookie = {"Cookie": f"{SESSION_COOKIE}={session}"}
    for path in ("/live", "/", "/system?lang=en", "/live?lang=en"):
        texts = set()
        for accepted in ("identity", "gzip", "gzip", "identity"):
            encoding = {"Accept-Encoding": accepted}
            anybody = centre.ask("GET", path, headers=encoding)
            assert anybody.headers.get("content-encoding", "identity") == accepted
            assert 'href="/sign-in"' in anybody.text
            texts.add(anybody.text)
            signed_in = centre.ask("GET", path, headers=encoding | cookie)
            assert '<span class="who">lan</span>' in signed_in.text
            assert 'href="/sign-in"' not in signed_in.text
        # The other two state times.
        assert len(texts) == 1 or not path.startswith("/live"), path


# The registry's prefixes


def test_prefixes_survive_store_and_files(stage: Stage) -> None:
    registry = stage.store.registry.read()
    assert registry.isps["vnpt"].prefixes == ("113.160.0.0/11", "2001:ee0::/32")
    again = parse_toml(to_toml(registry, official()).encode(), "again.toml", official())
    assert again.isps == registry.isps
    rows = (
        "tenant,probe,commune,office,line,isp,isp_name\n"
        "bach-thong,tram-01969-1,01969,UBND xa Phu Thong,vnpt,vnpt,VNPT\n"
    )
    assert parse_csv(rows, "lines.csv", registry).isps["vnpt"] == registry.isps["vnpt"]


@pytest.mark.parametrize(
    ("prefixes", "problem"),
    [
        ('["113.160.0.1/11"]', "isp[1].prefixes"),
        ('["113.160.0.0/33"]', "isp[1].prefixes"),
        ('["27.64.0.0/12"]', "isp[2].prefixes"),
        ('["VNPT"]', "prefixes"),
    ],
)
def test_a_prefix_that_is_none_or_of_two_isps(prefixes: str, problem: str) -> None:
    text = REGISTRY.decode().replace('["113.160.0.0/11", "2001:ee0::/32"]', prefixes)
    with pytest.raises(SettingsError, match=r"prefixes") as error:
        parse_toml(text.encode(), "registry.toml", official())
    assert problem in str(error.value)
