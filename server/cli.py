"""Floor 3. The command `tramdo-reflector`: options, signals, systemd, exit codes."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from ipaddress import IPv4Network, IPv6Network, ip_network

from runtime import systemd_notify
from server.arguments import count, port
from server.listeners import open_listeners
from server.rate_limit import RateLimit
from server.reflector import Listener, Reflector, listen
from wire import stamp

log = logging.getLogger("reflector")
OK, CANNOT_LISTEN = 0, 1
_EPILOG = """exit codes:
  0  ended by SIGTERM or SIGINT
  1  an address cannot be listened on
  2  the command line is wrong

signals:
  SIGUSR1  log the counters

Under systemd: Type=notify, WatchdogSec= is honoured, and a port below 1024 needs
AmbientCapabilities=CAP_NET_BIND_SERVICE.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    listeners = open_listeners(options.listen, options.port, listen, log)
    if not listeners:
        return CANNOT_LISTEN
    limit = RateLimit(options.rate_limit_pps)
    _run(Reflector(listeners, limit, options.twamp_light_sender), listeners)
    return OK


def _run(reflector: Reflector, listeners: Sequence[Listener]) -> None:
    """Reflect until a signal ends it; feeds systemd's watchdog from the loop."""
    asked_for_counters = False

    def on_usr1(*_: object) -> None:
        nonlocal asked_for_counters
        asked_for_counters = True
        reflector.wake()

    def on_wake() -> None:
        nonlocal asked_for_counters
        systemd_notify.watchdog()
        if asked_for_counters:
            asked_for_counters = False
            log.info("%s", reflector.counters)
            systemd_notify.status(str(reflector.counters))

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: reflector.stop())
    signal.signal(signal.SIGUSR1, on_usr1)
    # After the handlers are set: a signal before that ends the program.
    for listener in listeners:
        log.info("listening on %s", listener.address)
    systemd_notify.ready()
    reflector.run(on_wake)
    systemd_notify.stopping()
    log.info("ended: %s", reflector.counters)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tramdo-reflector",
        description="Reflects STAMP packets (RFC 8762) so that probes can measure round trips.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"tramdo-reflector {version('tramdo')}"
    )
    parser.add_argument(
        "--listen",
        action="append",
        metavar="ADDRESS",
        help="IPv4 or IPv6 address to listen on; repeatable (default: every one, both families)",
    )
    parser.add_argument(
        "--port",
        type=port,
        default=stamp.PORT,
        help="UDP port; 0 lets the system choose (default: %(default)s)",
    )
    parser.add_argument(
        "--rate-limit-pps",
        type=count,
        default=1000,
        metavar="N",
        help="packets answered each second for one source (an IPv4 address, an IPv6 /64); "
        "0 for no limit (default: %(default)s)",
    )
    parser.add_argument(
        "--twamp-light-sender",
        action="append",
        type=_network,
        default=[],
        metavar="NETWORK",
        help="address or prefix of TWAMP Light senders, which get 44 octets for a shorter packet "
        "(RFC 8762, 4.6); repeatable; everybody else gets no more octets than were sent",
    )
    return parser


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
