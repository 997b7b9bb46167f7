"""Floor 3. Runs all checks of `tramdo-probe doctor` and makes one report."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from probe import clock
from probe.config import Config
from probe.doctor import check, family_checks, network_checks, prerequisites
from probe.doctor.check import CheckResult, DoctorReport, bad, good, unknown, warning
from probe.measure import host
from probe.show import status_file, texts
from probe.show.leds import Leds, LedsUnavailableError
from probe.show.status import Status, StatusSnapshot
from probe.state import ceilings
from probe.version import VERSION
from runtime import certificate
from runtime.language import Phrase

# A running daemon writes its status file every 5 s.
_STALE_S = 60.0


def examine(config: Config) -> DoctorReport:
    """Run all checks; takes seconds, longer where nothing answers."""
    now = clock.utc_now().astimezone(ZoneInfo(config.timezone))
    return DoctorReport(
        at=now, probe=config.probe, version=VERSION, findings=list(_findings(config, now))
    )


def _findings(config: Config, now: datetime) -> Iterator[CheckResult]:
    for problem in prerequisites.problems(config):
        yield bad(Phrase("cấu hình", "configuration"), problem, _MEND_CONFIGURATION)
    yield from network_checks.icmp()
    yield from network_checks.lines(config)
    yield from family_checks.families(config)
    yield from network_checks.servers(config)
    yield from _own_certificate(config, now)
    shown = _board(config)
    connected = shown is not None and shown.status.connected and not _is_stale(shown, now)
    client_id = f"{config.probe}-doctor"
    yield from network_checks.broker(config.broker, now, client_id, connected=connected)
    yield from _daemon(shown, now)
    yield check.clock(clock.reading(), now)
    yield _leds(config, shown)
    outbox = Path(config.state_dir) / "outbox.sqlite"
    logs = (outbox, outbox.with_name("outbox.sqlite-wal"))
    outbox_bytes = sum(path.stat().st_size for path in logs if path.exists())
    yield check.disk(
        host.disk_free_bytes(config.state_dir), outbox_bytes, config.delivery.max_bytes
    )
    yield check.power(host.throttled())
    yield check.temperature(host.temperature_c())
    yield from _ceilings(config)
    yield check.python(sys.version_info[:2])
    release, machine = platform.release(), host.machine_name()
    seen = Phrase(f"nhân Linux {release} trên {machine}", f"kernel {release} on {machine}")
    yield good(check.VERSIONS, seen)


_MEND_CONFIGURATION = Phrase(
    "sửa trong tệp cấu hình, hoặc sửa chính thứ được nêu tên",
    "mend it in the configuration, or what it names",
)


def _own_certificate(config: Config, now: datetime) -> Iterator[CheckResult]:
    path = config.broker.certificate_file
    if path is None:
        return
    try:
        ends_at = certificate.ends_at(Path(path).read_bytes())
    except OSError:
        return  # reported by `prerequisites`
    renew = Phrase(
        "cấp lại chứng thư (docs/security.md, A probe's key)",
        "renew it (docs/security.md, A probe's key)",
    )
    part = Phrase("chứng thư của trạm", "our certificate")
    yield check.certificate(part, ends_at, now, renew)


def _board(config: Config) -> StatusSnapshot | None:
    try:
        shown = status_file.read(config.runtime_dir)
    except (OSError, msgspec.MsgspecError):
        return None
    return shown if shown is not None and status_file.writer_is_alive(shown) else None


def _is_stale(shown: StatusSnapshot, now: datetime) -> bool:
    return (now - shown.written_at).total_seconds() > _STALE_S


def _daemon(shown: StatusSnapshot | None, now: datetime) -> Iterator[CheckResult]:
    if shown is None:
        todo = Phrase(
            "systemctl enable --now tramdo-probe; sau đó xem `journalctl -u tramdo-probe`",
            "systemctl enable --now tramdo-probe; then `journalctl -u tramdo-probe`",
        )
        yield bad(_DAEMON, Phrase("không chạy", "it does not run"), todo)
        return
    age_s = (now - shown.written_at).total_seconds()
    if age_s > _STALE_S:
        silent = Phrase(
            f"không phản hồi đã {age_s:.0f} giây", f"it has said nothing for {age_s:.0f} s"
        )
        restart = "systemctl restart tramdo-probe"
        yield bad(_DAEMON, silent, Phrase(restart, restart))
    else:
        runs = Phrase(
            f"tramdo-probe {shown.version} đang chạy (tiến trình {shown.pid})",
            f"tramdo-probe {shown.version} runs (process {shown.pid})",
        )
        yield good(_DAEMON, runs)
    for part, text in shown.status.fault_reports():
        name = texts.part_name(part)
        yield bad(Phrase(f"{_DAEMON.vi}: {name.vi}", f"{_DAEMON.en}: {name.en}"), text, _SEE_LOG)
    yield _delivery(shown.status)


_DAEMON, _DELIVERY = Phrase("dịch vụ đo", "daemon"), Phrase("gửi kết quả", "delivery")
_SEE_LOG = Phrase("xem `journalctl -u tramdo-probe`", "see `journalctl -u tramdo-probe`")


def _delivery(status: Status) -> CheckResult:
    if not status.connected:
        cause = status.why_unconnected() or Phrase("không rõ nguyên nhân", "no cause stated")
        seen = Phrase(f"không kết nối được: {cause.vi}", f"no connection: {cause.en}")
        above = Phrase("xem mục máy chủ nhận tin (MQTT) ở trên", "see `broker` above")
        return bad(_DELIVERY, seen, above)
    if status.pending:
        waiting = Phrase(
            f"{status.pending} kết quả chờ trung tâm xác nhận",
            f"{status.pending} results wait for the centre's receipt",
        )
        todo = Phrase(
            "xem lại sau một phút; nếu số này tăng, hỏi trung tâm",
            "look again in a minute; if it grows, ask the centre",
        )
        return warning(_DELIVERY, waiting, todo)
    confirmed = Phrase("trung tâm đã xác nhận mọi kết quả", "the centre has confirmed every result")
    return good(_DELIVERY, confirmed)


def _leds(config: Config, shown: StatusSnapshot | None) -> CheckResult:
    part, driver = Phrase("đèn báo", "leds"), config.leds.driver
    if driver != "gpio":
        return good(part, Phrase(f"`leds.driver` là {driver!r}", f"`leds.driver` is {driver!r}"))
    if shown is not None:
        if shown.leds_driver == "gpio":
            seen = Phrase("dịch vụ đo đang điều khiển các chân", "the daemon drives the pins")
            return good(part, seen)
        cannot = Phrase(
            "dịch vụ đo không điều khiển được các chân", "the daemon cannot drive the pins"
        )
        return bad(part, cannot, Phrase("xem mục dịch vụ đo: đèn báo", "see `daemon: leds`"))
    try:
        Leds(config.leds, config.lines).close()
    except LedsUnavailableError as error:
        todo = Phrase(
            "sửa thứ được nêu tên; sơ đồ đấu dây có trong sổ tay",
            "mend what it names; the wiring plan is in the handbook",
        )
        return bad(part, error.sentence, todo)
    seen = Phrase(
        "điều khiển được các chân; `tramdo-probe leds` cho xem mọi kiểu báo",
        "the pins can be driven; `tramdo-probe leds` shows every pattern",
    )
    return good(part, seen)


def _ceilings(config: Config) -> Iterator[CheckResult]:
    known = ceilings.read(config.state_dir)
    for line in config.lines:
        if line.id not in known:
            seen = Phrase(
                f"chưa đo xem chính hộp này đạt được bao nhiêu qua đường truyền {line.id}",
                f"what this host itself can do by line {line.id} was never measured",
            )
            todo = Phrase(
                "tramdo-probe ceiling --peer MÁY, với một máy trong mạng nội bộ",
                "tramdo-probe ceiling --peer HOST, against a LAN peer",
            )
            yield unknown(Phrase("giới hạn của trạm", "ceiling"), seen, todo)
