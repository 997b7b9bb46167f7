"""Floor 3. The command `tramdo-probe`: runs its subcommands and returns the exit codes."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import date, datetime
from types import FrameType
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from probe import arguments, clock, config_file
from probe.config import Config, LineConfig, ServerConfig
from probe.daemon import IDENTIFY_S, Daemon
from probe.doctor import output, prerequisites
from probe.doctor.examination import examine
from probe.measure import resolvers
from probe.measure.failure import Failure
from probe.measure.families import families_of
from probe.measure.host_limits import LEAST_CEILING_RATIO
from probe.measure.latency.line_socket import icmp_refusal
from probe.measure.measurement import Progress
from probe.measure.runner import Runner
from probe.plan import tables
from probe.show import ceiling, lamp_test, status_file, texts
from probe.show.leds import LedsUnavailableError
from probe.state import ceilings
from probe.state.usage import UsageFile
from runtime.language import Language, Phrase
from runtime.settings import SettingsError
from wire.result import Outcome, ThroughputResult, kind_of

if TYPE_CHECKING:
    from probe.measure.operator.answer import Operator

OK, FAILED, BAD_INPUT, NOT_RUNNING = 0, 1, 2, 3

log = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = arguments.parser().parse_args(argv)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("schedule").setLevel(logging.WARNING)
    if options.command == "example":
        print(config_file.EXAMPLE.read_text(encoding="utf-8"), end="")
        return OK
    return _configured(options)


def _configured(options: argparse.Namespace) -> int:
    """Run a command that needs the configuration file."""
    try:
        config, digest = config_file.load(options.config)
    except SettingsError as error:
        print(error.in_(options.lang), file=sys.stderr)
        return BAD_INPUT
    match options.command:
        case "check":
            return _check(config, options)
        case "measure":
            return _measure(config, options)
        case "ceiling":
            return _ceiling(config, options)
        case "plan":
            return _plan(config, options)
        case "status":
            return _status(config, options)
        case "doctor":
            return _doctor(config, options)
        case "leds":
            return _leds(config, options)
        case "identify":
            return _identify(config, options.lang)
        case _:
            return _run(config, digest, options)


def _check(config: Config, options: argparse.Namespace) -> int:
    # Imported here, because `requests` would take 4 MB of the daemon's memory.
    from probe.measure.operator import external  # noqa: PLC0415

    language: Language = options.lang
    problems = prerequisites.problems(config)
    problems += prerequisites.certificates(config, clock.utc_now())
    print(texts.summary(config, str(options.config), language))
    for line in config.lines:
        seen = external.look_up(line, config.operator)
        if isinstance(seen, Failure):
            problems.append(_address_unknown(line, seen))
        elif seen is not None:
            print(_outside(line, seen).in_(language))
    today = _today(config)
    plan = _plan_document(config, today, language)
    of_host = ceiling.notes(config.lines, ceilings.read(config.state_dir))
    note, problem = Phrase("lưu ý", "note"), Phrase("lỗi", "problem")
    for sentence in (*plan.notes, *(one.in_(language) for one in of_host)):
        print(f"{note.in_(language)}: {sentence}")
    for one in problems:
        print(f"{problem.in_(language)}: {one.in_(language)}")
    ending = Phrase("chưa sẵn sàng", "not ready") if problems else Phrase("sẵn sàng", "ready")
    print(ending.in_(language))
    return FAILED if problems else OK


def _address_unknown(line: LineConfig, trouble: Failure) -> Phrase:
    why = texts.failure_text(trouble.reason, trouble.sentence)
    return Phrase(
        f"đường truyền {line.id}: không biết địa chỉ công cộng: {why.vi}",
        f"line {line.id}: its public address is not known: {why.en}",
    )


def _outside(line: LineConfig, seen: Operator) -> Phrase:
    return Phrase(
        f"đường truyền {line.id} có địa chỉ công cộng {seen.public_address}, "
        f"{seen.name or 'không rõ của ai'}",
        f"line {line.id} is {seen.public_address} outside, {seen.name or 'by nobody named'}",
    )


def _chosen(
    config: Config, options: argparse.Namespace
) -> tuple[LineConfig, ServerConfig] | Phrase:
    """The line and server of `measure`; a sentence where there are no such ones."""
    line = config.line(options.line)
    by_name = {server.name: server for server in config.servers}
    server = by_name.get(options.server or config.servers[0].name)
    if line is None or server is None:
        known, servers = ", ".join(line.id for line in config.lines), ", ".join(by_name)
        return Phrase(
            f"không có đường truyền hoặc máy chủ đo đó; đường truyền: {known}; máy chủ đo: "
            f"{servers}",
            f"no such line or server; lines: {known}; servers: {servers}",
        )
    if line.source_address is not None and options.family not in (None, *families_of(line)):
        return Phrase(
            f"đường truyền {line.id} được gắn với địa chỉ {line.source_address}",
            f"line {line.id} is bound to {line.source_address}",
        )
    return line, server


def _measure(config: Config, options: argparse.Namespace) -> int:
    chosen = _chosen(config, options)
    if isinstance(chosen, Phrase):
        print(chosen.in_(options.lang), file=sys.stderr)
        return BAD_INPUT
    line, server = chosen
    stop = threading.Event()
    _on_signals(stop.set)
    runner = Runner(config, _progress_shown(options.lang), ceilings.read(config.state_dir))
    results = list(runner.run(options.kind, line, server, stop, family=options.family))
    _clear_progress()
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(results), indent=2).decode())
    else:
        print("\n\n".join(texts.result(result, options.lang) for result in results))
    good = bool(results) and all(result.outcome is Outcome.OK for result in results)
    return OK if good else FAILED


def _ceiling(config: Config, options: argparse.Namespace) -> int:
    lines = [line for line in config.lines if options.line in (None, line.id)]
    if not lines or not 0 < options.port < 65536:
        known = ", ".join(line.id for line in config.lines)
        wrong = Phrase(
            f"không có đường truyền hoặc cổng đó; đường truyền: {known}",
            f"no such line or port; lines: {known}",
        )
        print(wrong.in_(options.lang), file=sys.stderr)
        return BAD_INPUT
    stop = threading.Event()
    _on_signals(stop.set)
    runner = Runner(ceiling.without_latency(config), _progress_shown(options.lang))
    server = ceiling.peer_server(options.peer, options.port)
    found, kept = [], []
    for line in lines:
        for result in runner.run(kind_of(ThroughputResult), line, server, stop):
            assert isinstance(result, ThroughputResult)
            found.append(ceiling.line_ceiling(line, result))
            if result.outcome is Outcome.OK:
                kept.append(ceiling.published_ceiling(found[-1], result, options.peer))
    _clear_progress()
    shown = ceiling.CeilingDocument(options.peer, LEAST_CEILING_RATIO, found)
    print(
        msgspec.json.encode(shown).decode() if options.json else ceiling.text(shown, options.lang)
    )
    try:
        if kept:
            ceilings.store(config.state_dir, kept)
    except OSError as error:
        unkept = Phrase(f"không lưu được kết quả ({error})", f"it cannot be kept: {error}")
        print(unkept.in_(options.lang), file=sys.stderr)
        return FAILED
    return OK if all(one.good for one in found) else FAILED


def _plan_document(config: Config, day: date, language: Language) -> tables.PlanDocument:
    usage = UsageFile(config.state_dir, ZoneInfo(config.timezone)).on(day)
    return tables.document(resolvers.with_resolvers(config), day, usage, language)


def _plan(config: Config, options: argparse.Namespace) -> int:
    day = options.day or _today(config)
    plan = _plan_document(config, day, options.lang)
    if options.json:
        print(msgspec.json.encode(plan).decode())
    else:
        print(tables.text(plan, options.lang, whole_month=options.month))
    return OK


def _today(config: Config) -> date:
    return clock.utc_now().astimezone(ZoneInfo(config.timezone)).date()


def _progress_shown(language: Language) -> Callable[[object], None]:
    def show(event: object) -> None:
        progress: Progress | None = getattr(event, "progress", None)
        if progress is not None and sys.stderr.isatty():
            drawn = texts.progress(progress, language)
            print(f"\r\033[K{drawn}", end="", file=sys.stderr, flush=True)

    return show


def _clear_progress() -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)


def _status(config: Config, options: argparse.Namespace) -> int:
    folder, language = config.runtime_dir, options.lang
    try:
        shown = status_file.read(folder)
    except (OSError, msgspec.MsgspecError) as error:
        unread = Phrase(
            f"không đọc được trạng thái trong {folder} ({error})",
            f"the status in {folder} cannot be read: {error}",
        )
        print(unread.in_(language), file=sys.stderr)
        return FAILED
    if shown is None or not status_file.writer_is_alive(shown):
        print(_not_running(folder).in_(language), file=sys.stderr)
        return NOT_RUNNING
    print(msgspec.json.encode(shown).decode() if options.json else texts.snapshot(shown, language))
    return OK


def _not_running(folder: str) -> Phrase:
    return Phrase(
        f"dịch vụ đo không chạy (không có gì hoạt động trong {folder})",
        f"no daemon is running (nothing alive in {folder})",
    )


def _doctor(config: Config, options: argparse.Namespace) -> int:
    report = examine(config)
    shown = output.document(report, options.lang)
    print(
        msgspec.json.encode(shown).decode() if options.json else output.text(report, options.lang)
    )
    return OK if shown.well else FAILED


def _leds(config: Config, options: argparse.Namespace) -> int:
    real = config.leds.driver == "gpio"
    stop = threading.Event()
    _on_signals(stop.set)
    if not real:
        driver = config.leds.driver
        simulated = Phrase(
            f"`leds.driver` là {driver!r}: mô phỏng, kèm độ sáng của từng đèn",
            f"`leds.driver` is {driver!r}: simulated, with each LED's brightness",
        )
        print(simulated.in_(options.lang))
        config = lamp_test.simulated(config)
    try:
        lamp_test.run(config, options.each, stop, print, draw=None if real else _draw)
    except LedsUnavailableError as error:
        print(error.sentence.in_(options.lang), file=sys.stderr)
        return FAILED
    return OK


def _draw(row: str) -> None:
    # In its place on a terminal; anywhere else each change is a line.
    if sys.stdout.isatty():
        print(f"\r\033[K{row}\r", end="", flush=True)
    else:
        print(row)


def _identify(config: Config, language: Language) -> int:
    ending, words = _request_identify(config)
    print(words.in_(language), file=sys.stderr if ending else sys.stdout)
    return ending


def _request_identify(config: Config) -> tuple[int, Phrase]:
    folder = config.runtime_dir
    try:
        shown = status_file.read(folder)
        if shown is None or not status_file.writer_is_alive(shown):
            return NOT_RUNNING, _not_running(folder)
        os.kill(shown.pid, signal.SIGUSR1)
    except (OSError, msgspec.MsgspecError) as error:
        return FAILED, Phrase(
            f"không báo được cho dịch vụ đo ({error})", f"the daemon cannot be signalled: {error}"
        )
    if shown.leds_driver == "none":
        return FAILED, Phrase(
            "dịch vụ đo không điều khiển đèn nào: xem `tramdo-probe doctor`",
            "the daemon drives no LEDs: see `tramdo-probe doctor`",
        )
    return OK, Phrase(
        f"mọi đèn nháy trong {IDENTIFY_S:.0f} giây", f"every LED flashes for {IDENTIFY_S:.0f} s"
    )


def _run(config: Config, digest: str, options: argparse.Namespace) -> int:
    slots_checked: datetime | None = None
    if (refusal := icmp_refusal()) is not None:
        # Stated once: every ICMP result will fail with `permission_denied`.
        log.warning("%s", refusal.en)
    while True:
        try:
            daemon = Daemon(config, digest, options.config, slots_checked)
        except OSError as error:
            print(f"cannot start: {error}", file=sys.stderr)
            return FAILED
        _on_signals(daemon.stop, daemon.reload)
        _on_identify(daemon.identify)
        if options.once:
            return _run_once(daemon, options.deliver_within)
        if not daemon.run(round_now=options.round_now):
            return OK
        options.round_now = False
        slots_checked = daemon.slots_checked
        config, digest = config_file.load(options.config)


def _run_once(daemon: Daemon, deliver_within_s: float) -> int:
    problems = daemon.run_once(deliver_within_s)
    for problem in problems:
        print(problem, file=sys.stderr)
    return FAILED if problems else OK


def _on_signals(stop: Callable[[], None], reload: Callable[[], None] | None = None) -> None:
    def on_signal(number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGHUP:
            stop()
        elif reload is not None:
            reload()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)


def _on_identify(identify: Callable[[], None]) -> None:
    def on_signal(_number: int, _frame: FrameType | None) -> None:
        identify()

    signal.signal(signal.SIGUSR1, on_signal)
