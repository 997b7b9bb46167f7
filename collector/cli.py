"""Floor 3. The command `tramdo-collector`: options, signals, systemd, exit codes."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from collector.alerts.alert_database import (
    AlertDatabase,
    AlertFile,
    AlertStoreError,
    AlertTables,
    move_file,
)
from collector.alerts.alert_store import AlertStore
from collector.alerts.centre_monitor import CentreMonitor, RunningParts
from collector.alerts.health_records import HealthRecords
from collector.alerts.monitor import AlertMonitor
from collector.alerts.notifier import Notifier, channels
from collector.analytics import cli as analytics_cli
from collector.commands import cli as commands_cli
from collector.commands.state import NotSentError
from collector.config import Config
from collector.copy_cli import EPILOG, add_command, read_config
from collector.domain import signature_cli, thresholds_file
from collector.domain.lines import known_lines
from collector.domain.place_search import commune_text
from collector.domain.read_model import ReadModel
from collector.domain.thresholds import Thresholds
from collector.evidence import cli as evidence_cli
from collector.evidence.bundle import BundleSources
from collector.export import cli as export_cli
from collector.ingest.pipeline import IngestPipeline, authority_pem, tune_interpreter
from collector.ingest.status import IngestStatus
from collector.mailing.mailing_store import MailingStore
from collector.mailing.sender import MailingSender
from collector.open_data import cli as open_data_cli
from collector.reports import cli as reports_cli
from collector.reports.service import ReportService, sources_of
from collector.store import cli as store_cli
from collector.store import lease_report, rollup_cli
from collector.store.collector_store import CollectorStore
from collector.store.factory import open_leases, open_store
from collector.store.leases import MAINTENANCE, StoredLease, without_homes
from collector.store.maintenance import Maintenance
from collector.store.settings import describe
from collector.store.store import Store, StoreError
from collector.users import cli as users_cli
from collector.users.user_store import UserStore, UserStoreError
from collector.web.app import Web
from collector.web.change_signal import ChangeSignal
from collector.web.exported_results import exported_body, without_addresses
from collector.web.page_warmer import PageWarmer, sample_addresses
from collector.web.server import WebServer
from runtime import certificate_file, systemd_notify
from runtime.broker import BrokerConfig
from runtime.mqtt import try_connection
from runtime.settings import SettingsError

# Names of version 0.1.0 that stay valid.
_ALIASES = {"users": ["people"]}
# Printed by `example`, by name; the first one where none is given.
EXAMPLES = {
    "collector": Path(__file__).with_name("collector.example.toml"),
    "registry": Path(__file__).with_name("registry.example.toml"),
    "thresholds": thresholds_file.SHIPPED,
}
OK, FAILED, BAD_INPUT = 0, 1, 2
_SIGNALS = {signal.SIGTERM, signal.SIGINT}
# How often to check that ingest and pages are alive while waiting for a signal.
_LOOK_S = 1.0

log = logging.getLogger("collector")


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    if options.command == "example":
        print(EXAMPLES[options.file].read_text(encoding="utf-8"), end="")
        return OK
    if (config := read_config(options.config)) is None:
        return BAD_INPUT
    match options.command:
        case "check":
            return _check(config, options.config)
        case name if name in _WITH_OPTIONS:
            return _WITH_OPTIONS[name](config, options)
        case "users" | "people":
            return users_cli.run(options, Path(config.web.people_file))
        case name if name in store_cli.COMMANDS:
            return store_cli.run(options, config.store)
        case _:
            return _run(config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tramdo-collector",
        description="Takes the probes' results from the MQTT broker, stores each once, "
        "confirms it to its probe, and shows it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"tramdo-collector {version('tramdo')}"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("run", "Take in, store, confirm and show results, until stopped (SIGTERM)."),
        ("check", "Check the configuration, the store and the broker; one sentence each."),
        ("status", "What is stored, and which collector holds which tenant."),
        ("users", "Who may sign in to the pages: add, list, disable (also `people`)."),
        ("report", "Draft or issue reports: weekly, monthly, bulletin."),
        *store_cli.COMMANDS.items(),
        ("rollup", "Compare a line's roll-ups with raw results (check), or mend them (rebuild)."),
        ("export", "Write results in another program's shape (lmap)."),
        ("signatures", "Hold stored results against what their probes have signed."),
        ("evidence", "Write a bundle of results and signatures that tramdo-verify checks."),
        ("open-data", "Publish the raw results of a closed month, signed, as open data."),
        ("analytics", "Export results to ClickHouse, for questions over all of them."),
        ("example", "Print an example file with every key: settings, registry or thresholds."),
        ("command", "Ask a probe to identify itself, measure, replay or reload; wait for it."),
    ):
        command = add_command(commands, name, text, _ALIASES.get(name, []))
        if name == "example":
            command.add_argument(
                "file", nargs="?", choices=EXAMPLES, default="collector", help="which one"
            )
        if name == "status":
            command.add_argument("--json", action="store_true", help="print it as JSON")
        if name in store_cli.COMMANDS:
            store_cli.add_arguments(name, command)
        if name in _ARGUMENTS:
            _ARGUMENTS[name](command)
    return parser


def _run(config: Config) -> int:
    tune_interpreter()
    # Blocked before any thread starts, so that `sigtimedwait` receives these signals.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    change_signal = ChangeSignal()
    config, holder = _at_this_host(config)
    try:
        opened = CollectorStore(
            config.store,
            holder,
            config.tenants,
            config.spare_for,
            change_signal.notify,
        )
        store = opened.store
        ingest = IngestPipeline(config, store, change_signal.notify, opened.leases)
        user_store = UserStore(Path(config.web.people_file))
        maintenance = Maintenance(store, config.store, change_signal.notify, opened.leases)
        limits = _thresholds(config)
        read_model = ReadModel(store, limits)
        certificates = _certificate_files(config)
        alert_database = _open_alerts(config, opened)
        alert_store = AlertStore(alert_database)
        reports = ReportService(
            lambda: sources_of(store, limits, config.papers.office), Path(config.papers.path)
        )
        centre = CentreMonitor(
            read_model,
            HealthRecords(alert_database),
            None if config.store.postgresql else Path(config.store.path).absolute().parent,
            [*certificates, *map(Path, config.alerts.certificate_files)],
            lambda: _running_parts(ingest, maintenance, opened),
        )
        watch = AlertMonitor(
            read_model,
            alert_store,
            Notifier(
                alert_store,
                channels(
                    config.alerts,
                    ZoneInfo(config.web.timezone),
                    lambda code: commune_text(code, read_model.registry().communes),
                ),
                holds=opened.leases.holds,
            ),
            config.alerts,
            certificates,
            lambda: ingest.state.broker_trouble is None,
            change_signal.notify,
            ingest.name_conflicts.current,
            opened.leases,
            centre,
        )
        mailing = MailingSender(
            MailingStore(alert_database), reports, config.alerts.mail, opened.leases
        )
        web = Web(
            read_model,
            change_signal,
            lambda: _status(ingest, maintenance, opened),
            config.web.timezone,
            user_store,
            ingest.commands,
            [*certificates, *map(Path, config.alerts.certificate_files)],
            alert_store,
            reports,
            _bundle_sources(config, store, limits),
            Path(config.open_data.path),
            centre,
            mailing,
            " – ".join((config.papers.office.name or "").splitlines()),
        )
        application = web.application()
        server = WebServer(application, config.web.host, config.web.port)
        warmer = PageWarmer(application, lambda: sample_addresses(read_model.lines()))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except (StoreError, UserStoreError, AlertStoreError) as error:
        log.error("cannot start: %s", error)  # noqa: TRY400 - a setting failed, not this code
        return FAILED
    except OSError as error:
        log.error(  # noqa: TRY400 - as above
            "cannot listen on %s port %d: %s", config.web.host, config.web.port, error.strerror
        )
        return FAILED
    thread = threading.Thread(target=ingest.run, name="ingest")
    threads = [
        threading.Thread(target=maintenance.run, name="maintenance"),
        threading.Thread(target=watch.run, name="watch"),
        threading.Thread(target=mailing.run, name="mailing"),
        threading.Thread(target=warmer.run, name="warmer"),
        thread,
    ]
    server.start()
    opened.start(ingest.on_leases_changed)
    for one in threads:
        one.start()
    log.info("pages at http://%s:%d/", config.web.host, config.web.port)
    stopping = False
    while not stopping and thread.is_alive() and server.is_alive():
        stopping = _stop_requested(_LOOK_S)
    systemd_notify.stopping()
    # Pages first, so that nobody's reading delays the rest.
    change_signal.close()
    server.begin_stop()
    for part in (ingest, maintenance, watch, warmer, mailing):
        part.stop()
    for one in threads:
        one.join()
    server.stop()
    opened.close()
    alert_store.close()
    if not stopping:
        log.error("ended because a part of it had ended")
        return FAILED
    log.info("ended, all that was stored is receipted")
    return OK


def _open_alerts(config: Config, opened: CollectorStore) -> AlertDatabase:
    """The alerts: in a file, or where collectors share a database, there."""
    path = Path(config.alerts.path)
    if (shared := opened.alerts()) is None:
        return AlertFile(path)
    tables = AlertTables(shared.database, opened.holder, shared.fence)
    try:
        move_file(path, tables)
    except AlertStoreError as error:
        # A standby, or a database that is just going away: at the next start.
        log.warning("alerts from before are not moved: %s", error)
    return tables


def _stop_requested(timeout_s: float) -> bool:
    """Wait for one of our signals; False when none came in time.

    CPython 3.11 returns a value that is no signal where the wait was interrupted past its deadline,
    as by SIGSTOP and SIGCONT (Ctrl-Z and `fg`, a frozen container).
    """
    received = signal.sigtimedwait(_SIGNALS, timeout_s)
    return received is not None and received.si_signo in _SIGNALS


def _status(
    ingest: IngestPipeline, maintenance: Maintenance, opened: CollectorStore
) -> IngestStatus:
    """The status for `/healthz`: without roll-ups, results are on no page."""
    state, taken = ingest.state, ingest.client_id_trouble()
    return IngestStatus(
        taken or state.broker_trouble,
        state.store_trouble or maintenance.trouble or opened.trouble,
        taken is not None,
        tuple(ingest.name_conflicts.current(datetime.now(UTC))),
        opened.holder,
        opened.stored_leases,
    )


def _running_parts(
    ingest: IngestPipeline, maintenance: Maintenance, opened: CollectorStore
) -> RunningParts:
    status = _status(ingest, maintenance, opened)
    return RunningParts(
        broker_trouble=status.broker_trouble,
        broker_version=ingest.broker_version,
        store_trouble=status.store_trouble,
        waiting_messages=ingest.waiting_messages,
        night=maintenance.night,
        leases=tuple(
            (one.name, one.holder if one.is_held else "") for one in without_homes(status.leases)
        ),
        holder=status.holder,
    )


def _command(config: Config, options: argparse.Namespace) -> int:
    try:
        standing = commands_cli.send_and_wait(config, options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except (StoreError, NotSentError, commands_cli.SessionTakenOverError) as error:
        print(error, file=sys.stderr)
        return FAILED
    if options.json:
        print(msgspec.json.encode(standing).decode())
    else:
        print(commands_cli.describe(standing))
    return OK if commands_cli.is_done(standing) else FAILED


def _thresholds(config: Config) -> Thresholds:
    """The configured thresholds. Raises SettingsError."""
    own = config.papers.thresholds_file
    return thresholds_file.read(Path(own) if own else thresholds_file.SHIPPED)


def _at_this_host(config: Config) -> tuple[Config, str]:
    """The configuration as `run` uses it here, and this collector's name in leases."""
    host = socket.gethostname()
    config = config.at_host(host)
    return config, f"{config.client_id}@{host}"


def _stored_leases(config: Config) -> list[StoredLease] | None:
    """The leases of an open store, None where it has none. Raises StoreError."""
    table = open_leases(config.store)
    if table is None:
        return None
    try:
        return table.read()
    finally:
        table.close()


def _status_command(config: Config, options: argparse.Namespace) -> int:
    _, holder = _at_this_host(config)
    try:
        store = open_store(config.store)
        totals, leases = store.totals(), _stored_leases(config)
        store.close()
    except StoreError as error:
        print(error, file=sys.stderr)
        return FAILED
    if options.json:
        print(msgspec.json.encode(lease_report.as_table(totals, leases, holder)).decode())
    else:
        print(lease_report.as_text(totals, leases, holder))
    return OK


def _issues_reports(config: Config) -> str | None:
    """Which other collector of this store issues reports by timer, None where this one does.

    Raises:
        StoreError: the leases cannot be read.
    """
    _, holder = _at_this_host(config)
    for one in _stored_leases(config) or ():
        if one.name == MAINTENANCE and one.is_held and one.holder != holder:
            return one.holder
    return None


def _with_store(config: Config, run: Callable[[Store], int]) -> int:
    """Run on the store, and close it; a sentence where it cannot be opened or read."""
    try:
        with closing(open_store(config.store)) as store:
            return run(store)
    except StoreError as error:
        print(error, file=sys.stderr)
        return FAILED


def _report(config: Config, options: argparse.Namespace) -> int:
    papers = config.papers
    try:
        limits = _thresholds(config)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT

    def made(store: Store) -> int:
        if options.by_holder and (other := _issues_reports(config)) is not None:
            print(f"{other} issues the reports: nothing was made here")
            return OK
        reports = ReportService(lambda: sources_of(store, limits, papers.office), Path(papers.path))
        return reports_cli.run(options, reports)

    return _with_store(config, made)


def _export(config: Config, options: argparse.Namespace) -> int:
    write = sys.stdout.buffer.write
    return _with_store(config, lambda store: export_cli.run(options, store, write))


def _signatures(config: Config, options: argparse.Namespace) -> int:
    return _with_store(config, lambda store: signature_cli.run(options, store))


def _bundle_sources(
    config: Config, store: Store, limits: Thresholds
) -> Callable[[bool], BundleSources]:
    """Of what bundles of evidence are made, with whole addresses or without."""

    def sources(whole_addresses: bool) -> BundleSources:
        return BundleSources(
            store=store,
            report=sources_of(store, limits, config.papers.office),
            authority_pem=authority_pem(config),
            shown=exported_body if whole_addresses else without_addresses(store),
            version=version("tramdo"),
        )

    return sources


def _rollup(config: Config, options: argparse.Namespace) -> int:
    try:
        trail = UserStore(Path(config.web.people_file))
    except UserStoreError as error:
        print(error, file=sys.stderr)
        return FAILED

    def record(subject: str, detail: str) -> None:
        users_cli.record(trail, "rollup_rebuild", subject, detail)

    now = datetime.now(UTC)
    try:
        return _with_store(config, lambda store: rollup_cli.run(options, store, record, now))
    except UserStoreError as error:
        print(error, file=sys.stderr)
        return FAILED


def _evidence(config: Config, options: argparse.Namespace) -> int:
    try:
        limits = _thresholds(config)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT

    def written(store: Store) -> int:
        places = evidence_cli.Places(Path(config.papers.path), Path(config.web.people_file))
        return evidence_cli.run(options, _bundle_sources(config, store, limits), places)

    return _with_store(config, written)


def _open_data(config: Config, options: argparse.Namespace) -> int:
    def published(store: Store) -> int:
        if options.by_holder and (other := _issues_reports(config)) is not None:
            print(f"{other} publishes open data: nothing was made here")
            return OK
        lines = known_lines(store.registry.read(), store.probes())
        return open_data_cli.run(
            options,
            config.open_data,
            store,
            lines,
            version("tramdo"),
            config.store.raw_days,
            datetime.now(UTC),
        )

    return _with_store(config, published)


def _analytics(config: Config, options: argparse.Namespace) -> int:
    analytics = config.analytics
    if options.action == "ddl":
        return analytics_cli.print_tables(analytics, cluster=options.cluster)
    if analytics is None:
        print(f"{options.config}: `analytics.url` is not set", file=sys.stderr)
        return BAD_INPUT
    if options.action == "create":
        return analytics_cli.create_tables(analytics)

    def exported(store: Store) -> int:
        body_of = exported_body if analytics.addresses else without_addresses(store)
        return analytics_cli.export(store, analytics, body_of, once=options.once)

    return _with_store(config, exported)


def _check(config: Config, path: Path) -> int:
    print(f"{path}: sound")
    well = True
    try:
        store = open_store(config.store)
    except StoreError as error:
        well = False
        print(f"problem: store: {error}")
    else:
        print(f"store: {describe(config.store)} opens; {store.totals().results} results in it")
        store.close()
    for problem in _certificate_problems(config):
        well = False
        print(f"problem: {problem}")
    well = _check_broker(config) and well
    print("ready" if well else "not ready")
    return OK if well else FAILED


def _certificate_problems(config: Config) -> Iterator[str]:
    """A sentence for each file of ours that is unreadable, no PEM, or ended."""
    now = datetime.now(UTC)
    files = dict.fromkeys(
        [*_certificate_files(config), *map(Path, config.alerts.certificate_files)]
    )
    for path in files:
        if (problem := certificate_file.problem(path, now)) is not None:
            yield problem.en


def _certificate_files(config: Config) -> list[Path]:
    """The certificates that the collector uses itself."""
    names = (config.broker.certificate_file, config.broker.ca_file)
    return [Path(name) for name in names if name is not None]


def _check_broker(config: Config) -> bool:
    """Print of each of the broker's addresses whether it takes us; whether one does is returned."""
    reached = False
    for node in config.broker.each():
        address = f"{node.host} port {node.port}"
        trouble = _broker_trouble(node, config.client_id)
        reached = reached or trouble is None
        print(
            f"broker: {address} takes us"
            if trouble is None
            else f"problem: broker {address}: {trouble}"
        )
    return reached


def _broker_trouble(broker: BrokerConfig, client_id: str) -> str | None:
    """Why there is no connection to the broker and what to do, None where there is one.

    It connects under another client id, so that a running collector keeps its session. A broker
    that uses the user name as client id still takes the session over for some seconds; no
    message is lost, because none is acknowledged here.
    """
    failure = try_connection(broker, f"{client_id}-check")
    return None if failure is None else failure.report().en


_ARGUMENTS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "users": users_cli.add_arguments,
    "report": reports_cli.add_arguments,
    "rollup": rollup_cli.add_arguments,
    "export": export_cli.add_arguments,
    "signatures": signature_cli.add_arguments,
    "evidence": evidence_cli.add_arguments,
    "open-data": open_data_cli.add_arguments,
    "analytics": analytics_cli.add_arguments,
    "command": commands_cli.add_arguments,
}
_WITH_OPTIONS: dict[str, Callable[[Config, argparse.Namespace], int]] = {
    "command": _command,
    "report": _report,
    "rollup": _rollup,
    "export": _export,
    "signatures": _signatures,
    "evidence": _evidence,
    "open-data": _open_data,
    "analytics": _analytics,
    "status": _status_command,
}

if __name__ == "__main__":
    sys.exit(main())
