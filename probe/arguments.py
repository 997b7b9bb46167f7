"""Floor 3. The command line of `tramdo-probe`: commands, options and their help."""

from __future__ import annotations

import argparse
import os
from datetime import date
from pathlib import Path

from probe.measure.kinds import MEASURES
from probe.version import VERSION
from runtime.language import Language, of_locale
from wire.record import Family

DEFAULT_CONFIG = Path("/etc/tramdo/probe.toml")
_EPILOG = """exit codes:
  0  success
  1  a measurement failed, a check found a problem, or the daemon failed
  2  the command line or the configuration is wrong; nothing was started
  3  (status, identify) no daemon is running here
"""


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="tramdo-probe",
        description="Measures this office's Internet lines and sends the results to the centre.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"tramdo-probe {VERSION}")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "-c",
        "--config",
        type=Path,
        default=DEFAULT_CONFIG,
        help="configuration file (default: %(default)s)",
    )
    shared.add_argument("-v", "--verbose", action="store_true", help="log more")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            parents=[shared],
            help=text,
            description=text,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    _speaks(
        command("check", "Check the configuration and this machine's prerequisites; start nothing.")
    )
    run = command("run", "Measure by the schedule and deliver until stopped (SIGHUP reloads).")
    # Its output goes into a log.
    run.set_defaults(lang=Language.EN)
    run.add_argument(
        "--round-now", action="store_true", help="begin with one bulk test on every line"
    )
    run.add_argument(
        "--once",
        action="store_true",
        help="run one round of every kind on every line, wait for the centre's receipt, exit",
    )
    run.add_argument(
        "--deliver-within",
        type=float,
        default=60.0,
        metavar="S",
        help="with --once: how long to wait for the receipt (default: %(default)s s)",
    )
    measure = command("measure", "Measure one kind on one line now, and show the result.")
    measure.add_argument("kind", choices=sorted(MEASURES), help="what to measure")
    measure.add_argument("--line", required=True, help="a line's id in the configuration")
    measure.add_argument("--server", help="a server's name (default: the first one)")
    measure.add_argument(
        "--family",
        type=Family,
        choices=list(Family),
        metavar="FAMILY",
        help="ipv4 or ipv6, with no fall-back to the other (default: any that the line has)",
    )
    measure.add_argument("--json", action="store_true", help="print the results as a JSON array")
    _speaks(measure)
    of_host = command(
        "ceiling",
        "Measure this host's own ceiling against a peer in the LAN (iperf3 --server there), "
        "compare it with each line's plan, and store it for later results.",
    )
    of_host.add_argument("--peer", required=True, metavar="HOST", help="a host in the same LAN")
    of_host.add_argument(
        "--port", type=int, default=5201, help="its iperf3 port (default: %(default)s)"
    )
    of_host.add_argument("--line", help="only this line's interface (default: every line's)")
    of_host.add_argument("--json", action="store_true", help="print it as one JSON object")
    _speaks(of_host)
    plan = command("plan", "Show the slots of a day and the bytes expected in the month.")
    plan.add_argument(
        "--day", type=date.fromisoformat, metavar="YYYY-MM-DD", help="which day (default: today)"
    )
    plan.add_argument("--month", action="store_true", help="show each day of the month in a row")
    plan.add_argument("--json", action="store_true", help="print it as one JSON object")
    _speaks(plan)
    status = command("status", "Show what the running daemon is doing.")
    status.add_argument("--json", action="store_true", help="print it as one JSON object")
    _speaks(status)
    doctor = command("doctor", "Check the installation, and say what to do about each fault.")
    doctor.add_argument("--json", action="store_true", help="print it as one JSON object")
    _speaks(doctor)
    leds = command("leds", "Lamp test: show each LED and each pattern in turn, with its meaning.")
    leds.add_argument(
        "--each",
        type=float,
        default=3.0,
        metavar="S",
        help="how long each (default: %(default)s s)",
    )
    _speaks(leds)
    command("example", "Print a configuration file with every setting and its default.")
    _speaks(command("identify", "Make the running daemon flash every LED for a minute."))
    return whole


def _speaks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lang",
        type=Language,
        choices=list(Language),
        default=of_locale(os.environ),
        metavar="{vi,en}",
        help="Vietnamese or English (default: by the locale; here %(default)s)",
    )
