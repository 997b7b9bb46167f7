"""Floor 3. The demo's system: the real parts, each in its own process, and all of them ended.

As root the office has two dual-stack ISP lines as network namespaces, shaped to different speeds;
without root both lines are loopback addresses, and their figures say what this machine can do, no
more.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from msgspec import Struct

from collector.users import passwords
from collector.users.user import Role, User
from collector.users.user_store import UserStore
from deploy.demo import settings
from deploy.demo.message_log import MessageLog
from deploy.demo.past import Past
from deploy.demo.pulse import Pulse
from deploy.demo.settings import DemoLine, DemoServer, DemoServices
from probe.measure.latency.line_socket import icmp_refusal
from runtime.broker import BrokerConfig
from tests import resources
from tests.broker import Broker, BrokerError
from tests.lab import network
from tests.lab.network import (
    PAYLOAD_BYTES,
    PAYLOAD_BYTES_IPV6,
    LineShape,
    OfficeNetwork,
    Stack,
    theoretical_goodput_bps,
)
from tests.nginx import Nginx, NginxError
from tests.ports import free_port
from tests.services import Names, Pages, ServiceError
from wire.decoding import decode_json
from wire.result import AnyResult, Family

_SERVER_NAMES = ("may-chu-1", "may-chu-2")
_SERVER_ADDRESSES = (network.SERVER_ADDRESSES, network.SERVER_ADDRESSES_IPV6)
_STAMP_PORT = 8620
_START_S = 15.0
_LOOK_S = 0.2
_PERMIT_ICMP = 'sudo sysctl -w net.ipv4.ping_group_range="0 2147483647"'
_USER = "can-bo"
_SEEDING, _REPORTS = "seeding", "reports"
# They end by themselves.
_ENDING = frozenset({"probe", _SEEDING, _REPORTS})
_SEED = [sys.executable, "-m", "deploy.demo.seed"]
_SEED_STEPS = {
    "keys": "a district's month: keys",
    "sign": "a district's month: results, signed by their probes",
    "store": "a district's month: validated and stored",
    "rollup": "a district's month: rolled up",
}
_HTTP_FILES = Path(__file__).parents[2] / "out" / "http-files"


# A step of the start, and how much of it is done, 0 to 1; None where that is not known.
Progress = Callable[[str, float | None], None]


class DemoError(Exception):
    """A part of the demo could not be started; the text says which and why."""


class StoredRow(Struct, frozen=True):
    """A result as the centre's API gives it. The probe and epoch make `seq` unique for ever."""

    probe: str
    epoch: str
    seq: int
    result: AnyResult


class _StoredRows(Struct, frozen=True):
    results: list[StoredRow]


class DemoSystem:
    """Everything but the probe is running while the context lasts.

    Raises:
        DemoError: a part is missing or does not start.
    """

    def __init__(
        self,
        *,
        once: bool,
        messages: Path | None = None,
        progress: Progress = lambda _step, _done: None,
    ) -> None:
        self._once = once
        self._messages = messages
        self._progress = progress
        self._exits = ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._office_prefix: list[str] = []
        self._centre_prefix: list[str] = []
        self.why_loopback = network.why_not()
        self.folder = Path()
        self.lines: list[DemoLine] = []
        self.page = ""
        # Who may sign in: name and password; None where the centre has no past (`once`).
        self.user: tuple[str, str] | None = None
        # Why ICMP results will have no figures, in both languages; None where they will.
        self.icmp_refusal: str | None = None
        if self.why_loopback is not None and (refusal := icmp_refusal()) is not None:
            self.icmp_refusal = f"{refusal.vi}\n{refusal.en}\n{_PERMIT_ICMP}"
        self._page_address = ("127.0.0.1", 0)
        self._past: Past | None = None

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(self._processes):
            _end(self._processes[name])
        self._exits.close()

    def start_probe(self) -> subprocess.Popen[bytes]:
        """Start the probe in the office."""
        mode = "--once" if self._once else "--round-now"
        config = str(self.folder / "probe.toml")
        return self._start(
            "probe", [*self._office_prefix, _tool("tramdo-probe"), "run", "-c", config, mode]
        )

    def died(self) -> str | None:
        """A part that was to go on and has ended by itself, with its log; None while all run."""
        return next(
            (
                f"{name} ended with {process.returncode}:\n{self.log(name)}"
                for name, process in self._processes.items()
                if name not in _ENDING and process.poll() is not None
            ),
            None,
        )

    def log(self, name: str, lines: int = 20) -> str:
        """The end of what a part has logged."""
        text = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def stored(self) -> list[StoredRow]:
        """This office's newest results at the centre, oldest first; none while it is silent."""
        answer = self._ask_page("/api/results?limit=500")
        rows = [] if answer is None else decode_json(answer, _StoredRows).results
        return [row for row in rows if row.probe == settings.PROBE]

    def goodput_bps(self, line: DemoLine, direction: str, family: Family | None) -> float | None:
        """What TCP can carry over the shaped line at best, None where it is not shaped."""
        rate: int | None = getattr(line, f"{direction}_bps")
        payload_bytes = PAYLOAD_BYTES_IPV6 if family is Family.IPV6 else PAYLOAD_BYTES
        return None if rate is None else theoretical_goodput_bps(rate, payload_bytes=payload_bytes)

    def issue_reports(self) -> None:
        """Begin to issue the reports of the weeks and the month that are over.

        By a process that yields the processor to whoever wants it: lines are being measured.
        """
        self._start(_REPORTS, ["nice", "-n", "19", *_SEED, str(self.folder), "--reports"])

    def _build(self) -> None:
        self.folder = resources.new_folder("tramdo-demo-")
        self._exits.callback(shutil.rmtree, self.folder, ignore_errors=True)
        if not self._once:
            self._past = Past.until(datetime.now(UTC))
            until = ["--until", self._past.now.isoformat()]
            self._start(_SEEDING, [*_SEED, str(self.folder), *until])
        self._progress("network, broker, servers", None)
        hosts = [["127.0.0.1"], ["127.0.0.1"]]
        broker_at_centre = broker_at_office = listen = "127.0.0.1"
        if self.why_loopback is None:
            net = self._build_network()
            hosts = [list(pair) for pair in zip(*_SERVER_ADDRESSES, strict=True)]
            net.office.name_hosts(dict(zip(map(_host_name, _SERVER_NAMES), hosts, strict=True)))
            broker_at_office, listen = hosts[0][0], "0.0.0.0"  # inside a namespace of our own
            broker_at_centre = str(net.centre.management_address)
        else:
            self.lines = [
                DemoLine("vnpt", None, "127.0.0.1"), DemoLine("viettel", None, "127.0.0.2"),
            ]  # fmt: skip
        self.broker = broker = self._start_broker(listen)
        servers = self._start_servers(hosts, self._start_nginx(listen))
        self._write(
            "probe.toml",
            settings.probe_toml(
                self.lines,
                servers,
                self._start_services(hosts),
                (broker_at_office, broker.port),
                str(self.folder),
                once=self._once,
            ),
        )
        if self._messages is not None:
            self._log_messages(BrokerConfig(host=broker_at_centre, port=broker.port, tls=False))
        self._start_collector((broker_at_centre, broker.port))
        if self._past is not None:
            at_centre = BrokerConfig(host=broker_at_centre, port=broker.port, tls=False)
            self._exits.enter_context(Pulse(at_centre, self._past))

    def _build_network(self) -> OfficeNetwork:
        shapes = [
            LineShape(name, *rates, stack=Stack.DUAL) for name, rates in settings.SHAPES.items()
        ]
        net = self._exits.enter_context(OfficeNetwork(shapes, management=True))
        self._office_prefix = ["ip", "netns", "exec", net.office.name]
        self._centre_prefix = ["ip", "netns", "exec", net.centre.name]
        self.lines = [
            # By its interface alone, as an office's lines are: an address has one family.
            DemoLine(
                line.shape.name,
                line.interface,
                None,
                line.shape.download_bps,
                line.shape.upload_bps,
            )
            for line in net.lines
        ]
        return net

    def _start_broker(self, listen: str) -> Broker:
        broker = Broker(self.folder / "broker", host=listen, prefix=self._centre_prefix)
        try:
            return self._exits.enter_context(broker)
        except BrokerError as error:
            raise DemoError(str(error)) from error

    def _start_nginx(self, listen: str) -> int:
        """The HTTP test's server; its 273 MiB of random files are made once and kept."""
        port = free_port()
        both = [f"{listen}:{port}", *([f"[::]:{port}"] if self._centre_prefix else [])]
        nginx = Nginx(
            self.folder / "nginx", root=_HTTP_FILES, port=port, listen=both,
            prefix=self._centre_prefix,
        )  # fmt: skip
        try:
            return self._exits.enter_context(nginx).port
        except NginxError as error:
            raise DemoError(str(error)) from error

    def _start_services(self, hosts: Sequence[Sequence[str]]) -> DemoServices:
        """Names and pages, as an office uses them: the first server's addresses."""
        first, last = hosts[0], hosts[-1]
        dns_port = 53 if self._centre_prefix else free_port()
        pages_port = 443 if self._centre_prefix else free_port()
        pages = Pages(
            self.folder / "pages",
            host=first[0],
            port=pages_port,
            sites=settings.SITES,
            also=first[1:],
            prefix=self._centre_prefix,
        )
        names = Names(
            self.folder / "names",
            hosts=list(dict.fromkeys([*first, *last])),
            port=dns_port,
            addresses=dict.fromkeys(settings.SITES, first),
            prefix=self._centre_prefix,
        )
        try:
            for server in (pages, names):
                self._exits.enter_context(server)
        except ServiceError as error:
            raise DemoError(str(error)) from error
        return DemoServices(list(first), last[0], dns_port, pages_port, str(pages.ca_file))

    def _start_servers(self, hosts: Sequence[Sequence[str]], http_port: int) -> list[DemoServer]:
        iperf3 = shutil.which("iperf3")
        if iperf3 is None:
            raise DemoError("iperf3 is not installed (Debian: apt-get install iperf3)")
        servers = []
        stamp_port = _STAMP_PORT if self._centre_prefix else free_port()
        for name, its in zip(_SERVER_NAMES, hosts, strict=True):
            # Without an address it listens on every one, of both families.
            bind = [] if self._centre_prefix else ["-B", its[0]]
            ports = [free_port(), free_port()]
            for port in ports:
                self._start(
                    f"iperf3-{name}-{port}",
                    [*self._centre_prefix, iperf3, "-s", *bind, "-p", str(port)],
                )
            host = _host_name(name) if self._centre_prefix else its[0]
            servers.append(DemoServer(name, host, ports, stamp_port, http_port))
        every = dict.fromkeys(address for its in hosts for address in its)
        listen = [word for address in every for word in ("--listen", address)]
        self._start(
            "reflector",
            [*self._centre_prefix, _tool("tramdo-reflector"), *listen, "--port", str(stamp_port)],
        )
        return servers

    def _log_messages(self, broker: BrokerConfig) -> None:
        assert self._messages is not None
        try:
            self._exits.enter_context(MessageLog(broker, self._messages))
        except OSError as error:
            raise DemoError(f"{self._messages} cannot be written: {error.strerror}") from error

    def _await_past(self) -> None:
        """Wait until the past is stored. Measuring begins after it, so that neither disturbs."""
        seeding = self._processes[_SEEDING]
        while seeding.poll() is None:
            step, _, done = (self.log(_SEEDING, 1) or "keys 0").partition(" ")
            self._progress(_SEED_STEPS.get(step, step), float(done or 0))
            time.sleep(_LOOK_S)
        if seeding.returncode:
            raise DemoError(f"the month could not be made:\n{self.log(_SEEDING)}")
        self.user = _USER, _added_user(self.folder / "people.sqlite")

    def _start_collector(self, broker: tuple[str, int]) -> None:
        self._page_address = ("127.0.0.1", free_port())
        self.page = f"http://{self._page_address[0]}:{self._page_address[1]}"
        if not self._once:
            self._await_past()
        self._progress("the centre", None)
        self._write(
            "collector.toml",
            settings.collector_toml(
                broker, str(self.folder), self._page_address, has_past=not self._once
            ),
        )
        config = str(self.folder / "collector.toml")
        self._start("collector", [_tool("tramdo-collector"), "run", "--config", config])
        deadline_s = time.monotonic() + _START_S
        while self._ask_page("/api/probes") is None:
            if (died := self.died()) is not None:
                raise DemoError(died)
            if time.monotonic() > deadline_s:
                raise DemoError(f"the collector does not answer:\n{self.log('collector')}")
            time.sleep(0.1)

    def _ask_page(self, path: str) -> bytes | None:
        try:
            with urllib.request.urlopen(f"{self.page}{path}", timeout=5) as answer:
                content: bytes = answer.read()
                return content
        except OSError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def _start(self, name: str, argv: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._processes[name] = process
        return process


def _added_user(path: Path) -> str:
    """Add the user with whom to sign in; returns the password, which is drawn anew each time."""
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    UserStore(path).put(User(name=_USER, role=Role.CENTRE), passwords.make_hash(password))
    return password


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL to its whole group: nothing of it is left."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(12)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _host_name(server: str) -> str:
    return f"{server}.{settings.SERVER_DOMAIN}"


def _tool(name: str) -> str:
    """One of our own commands, from the environment that runs the demo."""
    return str(Path(sys.executable).parent / name)
