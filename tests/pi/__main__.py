"""Floor 3. `make test-pi`: boot the board, try everything, print the table.

Exit code 0 where all held, 1 where something did not, 2 where it cannot be run here.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from tests import resources
from tests.pi import image
from tests.pi.board import DiedError, Powered
from tests.pi.trials import Check, all_of_them

# What the guest and the daemon in it have written.
CONSOLE = image.ROOT / "out" / "pi" / "console.log"
_BEGIN, _END = "<!-- run -->", "<!-- end of run -->"


class _TooLateError(Exception):
    """The time limit is over."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.pi",
        description="Boot an emulated Raspberry Pi and try the LEDs on it (`make test-pi`).",
    )
    parser.add_argument(
        "--limit-min", type=float, default=30.0, help="give up after (default: %(default)s min)"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FILE",
        help="write the table into this page, where it has its place",
    )
    options = parser.parse_args(argv)
    if (reason := image.why_not()) is not None:
        _say(f"cannot run: {reason}")
        return 2
    os.umask(0o022)
    signal.signal(signal.SIGALRM, _too_late)
    # The emulator must not outlive us.
    resources.watch()
    resources.unwind_on_signals()
    signal.alarm(round(options.limit_min * 60))
    begun_s = time.monotonic()
    try:
        with image.prepared(_say) as made, Powered(made, CONSOLE) as board:
            boot_s = board.wait_ready(_say)
            _say(f"booted in {boot_s:.0f} s")
            checks = all_of_them(board, _say)
    except image.CannotMakeError as error:
        _say(f"cannot run: {error}")
        return 2
    except (DiedError, _TooLateError) as error:
        _say(f"FAIL: {error}")
        return 1
    report = _report(checks, made.versions, boot_s, time.monotonic() - begun_s)
    print(report)
    if options.keep is not None:
        page = options.keep.read_text("utf-8")
        before, _, rest = page.partition(_BEGIN)
        after = rest.partition(_END)[2]
        options.keep.write_text(f"{before}{_BEGIN}\n{report}\n{_END}{after}", encoding="utf-8")
    return int(not all(check.ok for check in checks))


def _report(checks: Sequence[Check], versions: dict[str, str], boot_s: float, took_s: float) -> str:
    """The run as a piece of Markdown."""
    failed = sum(not check.ok for check in checks)
    verdict = f"{len(checks) - failed} of {len(checks)} held"
    times = f"{took_s / 60:.0f} min in all, {boot_s:.0f} s of it to boot"
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, `make test-pi`: {times}; no KVM.",
        "",
        ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "",
        "| | What | Seen |",
        "| --- | --- | --- |",
    ]
    part = ""
    for check in checks:
        if check.part != part:
            part = check.part
            lines.append(f"| | **{part}** | |")
        seen = check.seen.replace("|", "/").replace("\n", " ")
        lines.append(f"| {'ok' if check.ok else 'FAIL'} | {check.what} | {seen} |")
    lines += ["", f"**{'FAIL' if failed else 'PASS'}**: {verdict}."]
    return "\n".join(lines)


def _too_late(_number: int, _frame: FrameType | None) -> None:
    raise _TooLateError("the time limit is over")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
