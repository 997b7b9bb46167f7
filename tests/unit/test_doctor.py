"""The doctor: how it judges, and what it finds on this machine's loopback."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from cryptography import x509
from msgspec import structs

from deploy.authority import authority
from deploy.authority.authority import Authority
from probe import cli
from probe.config import Config
from probe.doctor import check, family_checks, network_checks, output, prerequisites
from probe.doctor.check import CheckResult, CheckStatus, DoctorReport
from probe.doctor.family_checks import FamilyFinding, FamilyState
from probe.measure.families import InterfaceAddress
from probe.show import status_file
from probe.show.status import Status, StatusSnapshot
from runtime import certificate
from runtime.broker import BrokerConfig
from runtime.connection_failure import ConnectionFailure, FailureCause
from runtime.language import Language, Phrase
from tests.unit.test_plan import PARSED
from wire.record import Clock, Family

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
OURS, RENEW = Phrase("của trạm", "ours"), Phrase("cấp lại", "renew it")
# Nobody listens there.
CLOSED_PORT = 3
BOOT = Clock(synchronised=True, boot_id="b", boottime_s=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority with a server's certificate for localhost."""
    path = tmp_path_factory.mktemp("authority") / "a"
    authority.init(path, "Tramdo Bạch Thông", None, datetime.now(UTC))
    Authority(path).server(["localhost"], datetime.now(UTC))
    return path


# How it judges


@pytest.mark.parametrize(
    ("left_days", "verdict"),
    [
        (-1, CheckStatus.BAD),
        (0, CheckStatus.BAD),
        (1, CheckStatus.WATCH),
        (59, CheckStatus.WATCH),
        (61, CheckStatus.GOOD),
    ],
)
def test_a_certificate_is_judged_by_what_is_left(left_days: int, verdict: CheckStatus) -> None:
    found = check.certificate(OURS, NOW + timedelta(days=left_days), NOW, RENEW)
    assert found.verdict is verdict
    assert (found.todo is None) == (verdict is CheckStatus.GOOD)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (check.certificate(OURS, None, NOW, RENEW), CheckStatus.UNKNOWN),
        (check.clock(BOOT, NOW), CheckStatus.GOOD),
        (check.clock(structs.replace(BOOT, synchronised=False), NOW), CheckStatus.WATCH),
        (check.clock(structs.replace(BOOT, synchronised=None), NOW), CheckStatus.UNKNOWN),
        (check.disk(None, 0, 10**9), CheckStatus.BAD),
        (check.disk(10**8, 0, 10**9), CheckStatus.BAD),
        (check.disk(6 * 10**8, 10**8, 10**9), CheckStatus.WATCH),
        (check.disk(10**10, 10**8, 10**9), CheckStatus.GOOD),
        (check.power(throttled=None), CheckStatus.UNKNOWN),
        (check.power(throttled=True), CheckStatus.BAD),
        (check.power(throttled=False), CheckStatus.GOOD),
        (check.temperature(None), CheckStatus.UNKNOWN),
        (check.temperature(55.0), CheckStatus.GOOD),
        (check.temperature(70.0), CheckStatus.WATCH),
        (check.temperature(85.0), CheckStatus.BAD),
        (check.python((3, 9)), CheckStatus.BAD),
        (check.python((3, 13)), CheckStatus.GOOD),
    ],
)
def test_each_part_by_its_own_rule(found: CheckResult, verdict: CheckStatus) -> None:
    assert found.verdict is verdict
    assert verdict is not CheckStatus.BAD or found.todo, "who finds a fault says what to do"


def report() -> DoctorReport:
    """One finding of each verdict."""
    findings = [
        check.good(Phrase("một", "a"), Phrase("ổn", "fine")),
        check.warning(Phrase("hai", "b"), Phrase("sắp", "soon"), Phrase("để ý", "see to it")),
        check.unknown(Phrase("ba", "c"), Phrase("chưa rõ", "who knows")),
        check.bad(
            Phrase("tên dài hơn", "longer name"), Phrase("hỏng", "broken"), Phrase("sửa", "mend it")
        ),
    ]
    at = NOW.astimezone(ZoneInfo("Asia/Ho_Chi_Minh"))
    return DoctorReport(at=at, probe="p", version="1", findings=findings)


@pytest.mark.parametrize(
    ("language", "head", "seen", "todos"),
    [
        (
            Language.EN,
            "p, tramdo-probe 1, 2026-11-24 12:00+0700",
            ("fine", "soon", "who knows", "broken"),
            ("-> see to it", "-> mend it", "1 to be mended", "BAD"),
        ),
        (
            Language.VI,
            "p, tramdo-probe 1, 12:00 ngày 24/11/2026",
            ("ổn", "sắp", "chưa rõ", "hỏng"),
            ("-> để ý", "-> sửa", "1 lỗi cần khắc phục", "LỖI"),
        ),
    ],
)
def test_what_was_seen_stands_in_one_column_and_every_todo_below(
    language: Language, head: str, seen: tuple[str, ...], todos: tuple[str, ...]
) -> None:
    first, _, *lines = output.text(report(), language).splitlines()
    assert first == head
    columns = {
        next(line.index(f"  {word}") for line in lines if f"  {word}" in line) for word in seen
    }
    assert len(columns) == 1
    assert all(any(words in line for line in lines) for words in todos)


def test_only_what_is_bad_makes_it_fail() -> None:
    assert not check.has_no_errors(report().findings)
    assert check.has_no_errors(report().findings[:-1])


def test_programs_read_the_same_in_every_language() -> None:
    """Parts and verdicts are names; titles, what was seen and what to do are for people."""
    vietnamese, english = (
        json.loads(msgspec.json.encode(output.document(report(), language)))
        for language in Language
    )
    assert vietnamese["at"] == english["at"] == "2026-11-24T05:00:00Z"
    for name in ("probe", "version", "well"):
        assert vietnamese[name] == english[name]
    assert (vietnamese["language"], english["language"]) == ("vi", "en")
    assert (vietnamese["summary"], english["summary"]) == ("1 lỗi cần khắc phục", "1 to be mended")
    for one, other in zip(vietnamese["findings"], english["findings"], strict=True):
        assert (one["part"], one["verdict"]) == (other["part"], other["verdict"])
        assert (one["title"], one["seen"]) != (other["title"], other["seen"])
        assert (one["todo"] is None) is (other["todo"] is None)
    assert english["findings"][3]["part"] == english["findings"][3]["title"] == "longer name"


# Certificates


def test_the_end_of_a_certificate_is_read_as_openssl_reads_it(folder: Path) -> None:
    for path in (folder / "ca.pem", folder / "servers" / "localhost.pem"):
        pem = path.read_bytes()
        known = x509.load_pem_x509_certificate(pem)
        assert certificate.ends_at(pem) == known.not_valid_after_utc


def test_whatever_the_bytes_an_end_or_none(folder: Path) -> None:
    pem = (folder / "ca.pem").read_bytes()
    for cut in range(0, len(pem), 7):
        certificate.ends_at(pem[:cut] + pem[cut + 1 :])
        broken = bytearray(pem)
        broken[cut] ^= 1
        certificate.ends_at(bytes(broken))
    assert certificate.ends_at(b"") is None
    assert certificate.ends_at(b"-----BEGIN CERTIFICATE-----AAAA-----END CERTIFICATE-----") is None


# The network, on loopback


def loopback(port: int) -> Config:
    line = structs.replace(PARSED.lines[0], interface=None, source_address="127.0.0.1")
    server = structs.replace(PARSED.servers[0], host="127.0.0.1", iperf3_ports=[1, port])
    return structs.replace(PARSED, lines=[line], servers=[server])


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port that takes whoever comes, by TLS where a context is given."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def serve() -> None:
            try:
                plain, _ = server.accept()
                with plain:
                    if context is None:
                        return
                    with context.wrap_socket(plain, server_side=True) as secured:
                        secured.recv(1)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)


def test_a_server_is_reached_by_the_line_itself() -> None:
    with listening() as port:
        (found,) = network_checks.servers(loopback(port))
    assert found.verdict is CheckStatus.GOOD, found
    assert f"port {port}" in found.seen.en
    assert f"cổng {port}" in found.seen.vi


def test_a_lease_service_is_reached_or_its_lack_is_something_to_know_of() -> None:
    with listening() as iperf3, listening() as leases:
        config = loopback(iperf3)
        server = structs.replace(config.servers[0], lease_port=leases)
        found = list(network_checks.servers(structs.replace(config, servers=[server])))
    assert [one.verdict for one in found] == [CheckStatus.GOOD, CheckStatus.GOOD], found
    with listening() as iperf3:
        server = structs.replace(loopback(iperf3).servers[0], lease_port=CLOSED_PORT)
        found = list(network_checks.servers(structs.replace(config, servers=[server])))
    assert [one.verdict for one in found] == [CheckStatus.GOOD, CheckStatus.WATCH]
    assert "Nothing listens" in found[1].seen.en


def test_a_server_that_nobody_listens_on_is_told_with_every_port() -> None:
    (found,) = network_checks.servers(loopback(2))
    assert found.verdict is CheckStatus.BAD
    assert found.seen.en == (
        "Nothing listens on TCP 127.0.0.1 port 1. Nothing listens on TCP 127.0.0.1 port 2."
    )
    assert found.seen.vi == (
        "127.0.0.1 cổng 1: không có chương trình nào nhận kết nối; "
        "127.0.0.1 cổng 2: không có chương trình nào nhận kết nối"
    )
    assert found.todo is not None
    assert all("iperf3" in words for words in found.todo)


@pytest.mark.parametrize(
    ("where", "vietnamese", "english"),
    [
        (
            {"interface": None, "source_address": "203.0.113.77"},
            "không cổng mạng nào có địa chỉ 203.0.113.77 của đường truyền",
            "No interface has the line's address 203.0.113.77.",
        ),
        (
            {"interface": "tramdo-none0", "source_address": None},
            "không có cổng mạng tramdo-none0",
            "There is no interface tramdo-none0.",
        ),
    ],
)
def test_a_line_that_is_not_there_is_bad_and_no_server_is_tried_by_it(
    where: dict[str, str | None], vietnamese: str, english: str
) -> None:
    line = structs.replace(PARSED.lines[0], **where)
    config = structs.replace(loopback(2), lines=[line])
    (found,) = network_checks.lines(config)
    assert found.verdict is CheckStatus.BAD
    assert found.seen == (vietnamese, english)
    assert list(network_checks.servers(config)) == []


def address(ip: str, *, usable: bool = True) -> InterfaceAddress:
    return InterfaceAddress(ip, usable)


LINK_LOCAL, ULA = address("fe80::1", usable=False), address("fd00::1")
GLOBAL, OLD = address("2001:db8::1"), address("2001:db8::2", usable=False)


@pytest.mark.parametrize(
    ("addresses", "has_route", "state"),
    [
        ([], True, FamilyState.NONE),
        ([LINK_LOCAL], True, FamilyState.LINK_LOCAL),
        ([LINK_LOCAL, ULA], True, FamilyState.UNIQUE_LOCAL),
        ([LINK_LOCAL, OLD], True, FamilyState.UNUSABLE),
        ([LINK_LOCAL, ULA, GLOBAL], False, FamilyState.NO_ROUTE),
        ([GLOBAL, OLD], True, None),
        ([address("192.168.1.10")], True, None),
        ([address("169.254.1.1", usable=False)], True, FamilyState.LINK_LOCAL),
    ],
)
def test_what_addresses_and_routes_say_of_a_family(
    addresses: list[InterfaceAddress], has_route: bool, state: FamilyState | None
) -> None:
    found = family_checks.state_of(addresses, has_route=has_route)
    assert (None if found is None else found.state) is state


@pytest.mark.parametrize("state", list(FamilyState))
@pytest.mark.parametrize("needed", [True, False])
def test_a_family_s_state_is_bad_only_where_it_is_needed(state: FamilyState, needed: bool) -> None:
    found = FamilyFinding(state, "2001:db8::1")
    seen = family_checks.result("vnpt", Family.IPV6, found, needed=needed)
    fine = {FamilyState.WORKS: CheckStatus.GOOD, FamilyState.UNASKED: CheckStatus.UNKNOWN}
    absent = state in (FamilyState.NONE, FamilyState.LINK_LOCAL)
    otherwise = CheckStatus.BAD if needed else (CheckStatus.GOOD if absent else CheckStatus.WATCH)
    assert seen.verdict is fine.get(state, otherwise)
    assert seen.part == ("đường truyền vnpt, IPv6", "line vnpt, IPv6")
    assert all(seen.seen)


@pytest.mark.parametrize(
    ("servers", "icmp_targets", "told"),
    [
        (["203.0.113.5"], [], None),
        (["203.0.113.5", "203.0.113.6"], ["192.168.7.1"], None),
        (["203.0.113.5"], ["192.168.7.1"], "192.168.7.1"),
        (["10.0.0.5"], ["8.8.8.8"], "10.0.0.5"),
    ],
)
def test_targets_in_the_office_are_refused_where_too_few_others_are_left(
    servers: list[str], icmp_targets: list[str], told: str | None
) -> None:
    config = structs.replace(
        PARSED,
        lines=[structs.replace(PARSED.lines[0], interface="tramdo-none0", source_address=None)],
        servers=[
            structs.replace(PARSED.servers[0], name=f"s{n}", host=host)
            for n, host in enumerate(servers)
        ],
        latency=structs.replace(PARSED.latency, icmp_targets=icmp_targets),
    )
    found = [one for one in prerequisites.problems(config) if "own networks" in one.en]
    assert [told in one.vi and told in one.en for one in found if told] == [True] * bool(told)
    assert bool(found) == (told is not None)


def test_the_brokers_door_and_the_end_of_its_certificate(folder: Path) -> None:
    pem = folder / "servers" / "localhost.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, pem.with_suffix(".key"))
    with listening(context) as port:
        config = BrokerConfig(host="localhost", port=port, ca_file=str(folder / "ca.pem"))
        now = datetime.now(UTC)
        door, theirs = network_checks.broker(config, now, "doctor", connected=True)
    assert door.verdict is CheckStatus.GOOD, door
    assert theirs.verdict is CheckStatus.GOOD
    assert "holds until" in theirs.seen.en
    assert "có hiệu lực đến" in theirs.seen.vi


def test_a_broker_of_another_authority_is_told_by_what_to_look_at(folder: Path) -> None:
    pem = folder / "servers" / "localhost.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, pem.with_suffix(".key"))
    with listening(context) as port:
        (found,) = network_checks.broker(BrokerConfig(host="localhost", port=port), NOW, "doctor")
    assert found.verdict is CheckStatus.BAD
    assert found.todo is not None
    assert all("ca_file" in words for words in found.todo)
    assert "không xác minh được chứng thư của máy chủ" in found.seen.vi


def test_a_closed_broker_is_bad() -> None:
    nobody = BrokerConfig(host="127.0.0.1", port=1, tls=False)
    (found,) = network_checks.broker(nobody, NOW, "doctor")
    assert found.verdict is CheckStatus.BAD
    assert found.seen.vi.startswith("127.0.0.1 cổng 1: không có chương trình nào nhận kết nối")


# The command


def probe_toml(tmp_path: Path) -> Path:
    """A configuration of this machine's loopback, where nothing listens."""
    path = tmp_path / "probe.toml"
    path.write_text(
        f"""
tenant = "bach-thong"
probe = "phu-thong-01"
state_dir = "{tmp_path}"
runtime_dir = "{tmp_path}"
site = {{ commune_code = "01969", office = "UBND xã Phủ Thông" }}
lines = [{{ id = "vnpt", isp = "VNPT", source_address = "127.0.0.1" }}]
servers = [{{ name = "closed", host = "127.0.0.1", iperf3_ports = [1] }}]
broker = {{ host = "127.0.0.1", port = 1, tls = false }}
leds = {{ driver = "simulated" }}
""",
        encoding="utf-8",
    )
    return path


def test_the_command_prints_a_report_and_fails_for_what_is_bad(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = probe_toml(tmp_path)
    assert cli.main(["doctor", "-c", str(path), "--json"]) == cli.FAILED
    report = json.loads(capsys.readouterr().out)
    assert report["well"] is False
    by_part = {one["part"]: one for one in report["findings"]}
    assert by_part["daemon"]["verdict"] == "bad"
    assert by_part["line vnpt"]["verdict"] == "good"
    assert all(one["todo"] for one in report["findings"] if one["verdict"] == "bad")
    wanted = {"broker", "clock", "disk", "power", "temperature", "leds", "versions", "ceiling"}
    assert wanted <= by_part.keys()
    assert cli.main(["doctor", "-c", str(path), "--lang", "en"]) == cli.FAILED
    assert "to be mended" in capsys.readouterr().out
    assert cli.main(["doctor", "-c", str(path), "--lang", "vi"]) == cli.FAILED
    shown = capsys.readouterr().out
    assert "LỖI  dịch vụ đo" in shown
    assert "tốt  đường truyền vnpt" in shown
    assert cli.main(["identify", "-c", str(path), "--lang", "vi"]) == cli.NOT_RUNNING
    assert "dịch vụ đo không chạy" in capsys.readouterr().err
    assert cli.main(["leds", "-c", str(path), "--each", "0.2"]) == cli.OK
    shown = capsys.readouterr().out
    assert "vnpt.green [##########]" in shown
    assert "đang tìm trạm đo này" in shown


def test_what_ails_the_daemon_is_in_the_technicians_language(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = probe_toml(tmp_path)
    why = ConnectionFailure(FailureCause.CREDENTIALS, "Not authorized").report()
    ailing = Status(
        tenant="bach-thong",
        probe="phu-thong-01",
        lines={},
        cause=why.en,
        cause_vi=why.vi,
        faults={"outbox": "the outbox cannot be written: disk full"},
        faults_vi={"outbox": "không ghi được tệp kết quả (disk full)"},
    )
    snapshot = StatusSnapshot(
        written_at=datetime.now(UTC), pid=os.getpid(), version="1", leds_driver="none",
        status=ailing, leds={},
    )  # fmt: skip
    status_file.write(str(tmp_path), snapshot)
    for command in ("doctor", "status"):
        cli.main([command, "-c", str(path), "--lang", "vi"])
        shown = capsys.readouterr().out
        assert why.vi in shown
        assert "tệp kết quả" in shown
        assert "không ghi được tệp kết quả (disk full)" in shown
        assert "the broker" not in shown
        assert "the outbox" not in shown
        cli.main([command, "-c", str(path), "--lang", "en"])
        shown = capsys.readouterr().out
        assert why.en in shown
        assert "outbox" in shown
