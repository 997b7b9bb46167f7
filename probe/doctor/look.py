"""Floor 3. Looks at everything that a technician would, and puts it into one report."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from probe import ceilings_file, checks, clock
from probe.config import Config
from probe.doctor import finding, network
from probe.doctor.finding import Finding, Report, bad, good, unknown, watch
from probe.measure import host
from probe.show import board
from probe.show.leds import Leds, LedsUnavailableError
from probe.show.status import Board
from probe.version import VERSION
from runtime import certificate

# A daemon that lives writes its board every 5 s.
_STALE_S = 60.0


def look(config: Config) -> Report:
    """Look; takes seconds, and longer where nothing answers."""
    now = clock.utc_now()
    findings = list(_findings(config, now))
    return Report(
        at=now,
        probe=config.probe,
        version=VERSION,
        well=finding.is_well(findings),
        findings=findings,
    )


def _findings(config: Config, now: datetime) -> Iterator[Finding]:
    for problem in checks.problems(config):
        yield bad("configuration", problem, "mend it in the configuration, or what it names")
    yield from network.lines(config)
    yield from network.servers(config)
    yield from _own_certificate(config, now)
    yield from network.broker(config.broker, now)
    shown = _board(config)
    yield from _daemon(shown, now)
    yield finding.clock(clock.reading(), now)
    yield _leds(config, shown)
    outbox = Path(config.state_dir) / "outbox.sqlite"
    logs = (outbox, outbox.with_name("outbox.sqlite-wal"))
    outbox_bytes = sum(path.stat().st_size for path in logs if path.exists())
    yield finding.disk(
        host.disk_free_bytes(config.state_dir), outbox_bytes, config.delivery.max_bytes
    )
    yield finding.power(host.throttled())
    yield finding.temperature(host.temperature_c())
    yield from _ceilings(config)
    yield finding.python(sys.version_info[:2])
    yield good("versions", f"kernel {platform.release()} on {host.machine_name()}")


def _own_certificate(config: Config, now: datetime) -> Iterator[Finding]:
    path = config.broker.certificate_file
    if path is None:
        return
    try:
        ends_at = certificate.ends_at(Path(path).read_bytes())
    except OSError:
        return  # `checks` has told it
    renew = "renew it (docs/security.md, A probe's key)"
    yield finding.certificate("our certificate", ends_at, now, renew)


def _board(config: Config) -> Board | None:
    try:
        shown = board.read(config.runtime_dir)
    except (OSError, msgspec.MsgspecError):
        return None
    return shown if shown is not None and board.writer_is_alive(shown) else None


def _daemon(shown: Board | None, now: datetime) -> Iterator[Finding]:
    if shown is None:
        todo = "systemctl enable --now tramdo-probe; then `journalctl -u tramdo-probe`"
        yield bad("daemon", "it does not run", todo)
        return
    age_s = (now - shown.written_at).total_seconds()
    if age_s > _STALE_S:
        yield bad(
            "daemon", f"it has said nothing for {age_s:.0f} s", "systemctl restart tramdo-probe"
        )
    else:
        yield good("daemon", f"tramdo-probe {shown.version} runs (process {shown.pid})")
    for part, text in sorted(shown.status.faults.items()):
        yield bad(f"daemon: {part}", text, "see `journalctl -u tramdo-probe`")
    if not shown.status.connected:
        cause = shown.status.cause or "no cause told"
        yield bad("delivery", f"no connection: {cause}", "see `broker` above")
    elif shown.status.pending:
        seen = f"{shown.status.pending} results wait for the centre's receipt"
        yield watch("delivery", seen, "look again in a minute; if it grows, ask the centre")
    else:
        yield good("delivery", "the centre has confirmed every result")


def _leds(config: Config, shown: Board | None) -> Finding:
    driver = config.leds.driver
    if driver != "gpio":
        return good("leds", f"`leds.driver` is {driver!r}")
    if shown is not None:
        if shown.leds_driver == "gpio":
            return good("leds", "the daemon drives the pins")
        return bad("leds", "the daemon cannot drive the pins", "see `daemon: leds`")
    try:
        Leds(config.leds, config.lines).close()
    except LedsUnavailableError as error:
        return bad("leds", str(error), "mend what it names; the wiring plan is in the handbook")
    return good("leds", "the pins can be driven; `tramdo-probe leds` shows every pattern")


def _ceilings(config: Config) -> Iterator[Finding]:
    known = ceilings_file.read(config.state_dir)
    for line in config.lines:
        if line.id not in known:
            seen = f"what this host itself can do by line {line.id} was never measured"
            yield unknown("ceiling", seen, "tramdo-probe ceiling --peer HOST, against a LAN peer")
