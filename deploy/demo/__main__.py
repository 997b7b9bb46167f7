"""Floor 3. `python -m deploy.demo`: the whole system on this machine, live or one round.

Exit codes: 0 all went well; 1 something is missing, named on standard error; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from deploy.demo import outcome
from deploy.demo.system import DemoError, DemoSystem
from deploy.demo.view import Snapshot, StartView, View, snapshot
from tests import resources

_REFRESH_S = 0.25
# One round: a latency window and both directions on each line, with room for retries.
_ONCE_LIMIT_S = 300.0


_EPILOG = """exit codes:
  0  all went well
  1  something is missing, named on standard error
  2  the command line is wrong
"""


def main(argv: list[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.demo",
        description="Run the whole system on this machine, until Ctrl-C (`make demo`).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--once", action="store_true", help="one round of every kind on every line, then end"
    )
    parser.add_argument(
        "--json", action="store_true", help="with --once: print one JSON object at the end"
    )
    parser.add_argument(
        "--messages",
        type=Path,
        metavar="FILE",
        help="write every MQTT message to a file (JSON lines)",
    )
    options = parser.parse_args(argv)
    if options.json and not options.once:
        parser.error("--json needs --once")
    resources.unwind_on_signals()
    if "MAKELEVEL" in os.environ:
        resources.end_with_parent()
    try:
        resources.watch()
        with _started(once=options.once, messages=options.messages) as system:
            if system.why_loopback is not None:
                print(f"both lines are loopback: {system.why_loopback}", file=sys.stderr)
            if system.icmp_refusal is not None:
                print(system.icmp_refusal, file=sys.stderr)
            return _once(system, as_json=options.json) if options.once else _live(system)
    except DemoError as error:
        print(f"the demo could not start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal was closed
            print("ended; nothing is left running", file=sys.stderr)
        return 0 if not options.once else 1


@contextmanager
def _started(*, once: bool, messages: Path | None) -> Iterator[DemoSystem]:
    """The running system, its start shown on standard error."""
    with StartView(sys.stderr) as start, ExitStack() as exits:
        system = DemoSystem(once=once, messages=messages, progress=start.show)
        exits.enter_context(system)
        running = exits.pop_all()
    with running:
        yield system


def _live(system: DemoSystem) -> int:
    probe = system.start_probe()
    system.issue_reports()
    with View(sys.stdout) as view:
        while probe.poll() is None:
            view.show(snapshot(system))
            if (died := system.died()) is not None:
                raise DemoError(died)
            time.sleep(_REFRESH_S)
    print(f"the probe ended with {probe.returncode}:\n{system.log('probe')}", file=sys.stderr)
    return 1


def _once(system: DemoSystem, *, as_json: bool) -> int:
    probe = system.start_probe()
    deadline_s = time.monotonic() + _ONCE_LIMIT_S
    last: Snapshot | None = None
    with View(sys.stderr) as view:
        while probe.poll() is None and time.monotonic() < deadline_s:
            last = snapshot(system)
            view.show(last)
            time.sleep(_REFRESH_S)
    problems = []
    if probe.poll() is None:
        problems.append(f"the round was not complete after {_ONCE_LIMIT_S:.0f} s")
    elif probe.returncode:
        problems.append(f"the probe ended with {probe.returncode}:\n{system.log('probe')}")
    if (died := system.died()) is not None:
        problems.append(died)
    round_ = outcome.of_round(system)
    problems += outcome.missing(round_)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(round_), indent=2).decode())
    else:
        outcome.print_table(round_)
    for problem in problems:
        print(f"missing: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
