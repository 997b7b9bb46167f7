"""Floor 3. The command `tramdo-lease`: options, signals, systemd, exit codes."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import version

from runtime import systemd_notify
from server.arguments import count, port, positive
from server.lease_service import LeaseService
from server.leases import LeaseLimits
from server.listeners import open_listeners

log = logging.getLogger("lease")
OK, CANNOT_LISTEN = 0, 1
PORT, HTTP_PORT = 8620, 8621
_BACKLOG = 512
_DEFAULTS = LeaseLimits()
_EPILOG = """exit codes:
  0  ended by SIGTERM or SIGINT
  1  an address cannot be listened on
  2  the command line is wrong

signals:
  SIGUSR1  log the counters

Under systemd: Type=notify, and WatchdogSec= is honoured.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    listeners = open_listeners(options.listen, options.port, _listen, log)
    loopback = open_listeners(["127.0.0.1"], options.http_port, _listen, log)
    if not listeners or not loopback:
        return CANNOT_LISTEN
    asyncio.run(_run(_limits(options), listeners, loopback[0], options.proxy))
    return OK


def _limits(options: argparse.Namespace) -> LeaseLimits:
    return LeaseLimits(
        iperf3_ports=tuple(options.iperf3_port or _DEFAULTS.iperf3_ports),
        http_port=options.http_test_port,
        capacity_bps=options.capacity_bps,
        longest_s=options.longest_s,
        held_per_source=options.held_per_source,
        source_s_per_hour=options.source_s_per_hour,
    )


async def _run(
    limits: LeaseLimits,
    listeners: Sequence[socket.socket],
    loopback: socket.socket,
    proxies: Sequence[str],
) -> None:
    """Serve until a signal ends it; feeds systemd's watchdog from the loop."""
    service = LeaseService(limits, listeners, loopback, proxies)

    def show() -> None:
        log.info("%s", service.table.counters)
        systemd_notify.status(str(service.table.counters))

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    loop.add_signal_handler(signal.SIGUSR1, show)
    for sock in (*listeners, loopback):
        address, port = sock.getsockname()[:2]
        log.info("listening on %s port %d", address, port)
    systemd_notify.ready()
    await service.run(systemd_notify.watchdog)
    systemd_notify.stopping()
    log.info("ended: %s", service.table.counters)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=_BACKLOG)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tramdo-lease",
        description="Grants probes the test slots of this measurement server: one bulk test at a "
        "port at a time, and no more of them than its card carries.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tramdo-lease {version('tramdo')}")
    parser.add_argument(
        "--listen", action="append", metavar="ADDRESS",
        help="IPv4 or IPv6 address to listen on; repeatable (default: every one, both families)",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=port, default=PORT,
        help="TCP port for probes; 0 lets the system choose (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--http-port", type=port, default=HTTP_PORT,
        help="TCP port on the loopback for nginx and /metrics (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--iperf3-port", action="append", type=port, metavar="PORT",
        help="a port of this host's iperf3 servers; repeatable (default: 5201)",
    )  # fmt: skip
    parser.add_argument(
        "--http-test-port", type=port, metavar="PORT",
        help="the port of nginx for the HTTP test (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--capacity-bps", type=positive, default=_DEFAULTS.capacity_bps, metavar="BPS",
        help="the sum of the rates of all tests at a time (default: %(default).0f)",
    )  # fmt: skip
    parser.add_argument(
        "--longest-s", type=positive, default=_DEFAULTS.longest_s, metavar="S",
        help="the longest lease, and the longest wait for one (default: %(default).0f)",
    )  # fmt: skip
    parser.add_argument(
        "--held-per-source", type=count, default=_DEFAULTS.held_per_source, metavar="N",
        help="leases at a time of an IPv4 address or an IPv6 /64 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--source-s-per-hour", type=positive, default=_DEFAULTS.source_s_per_hour, metavar="S",
        help="seconds of leases in an hour of an IPv4 address or an IPv6 /64 "
        "(default: %(default).0f)",
    )  # fmt: skip
    parser.add_argument(
        "--proxy", action="append", default=[], metavar="ADDRESS",
        help="a proxy before nginx, whose connections are not a test's; repeatable",
    )  # fmt: skip
    return parser
