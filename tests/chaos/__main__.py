"""Floor 3. `python -m tests.chaos`: run the seeds, say how each ended, and sum up.

Exit code 0 where nothing was lost or doubled, 1 where something was, 2 where it cannot be run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests import resources
from tests.broker import why_not
from tests.chaos.faults import deck
from tests.chaos.run import Ended, run_seed
from tests.collector_process import ROOT

# What a failed seed leaves for a person to look at.
KEPT = ROOT / "out" / "chaos"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Kill, cut, fill and damage while it measures, then count every result.",
    )
    parser.add_argument("--seeds", type=int, default=20, help="how many (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="to repeat one of them")
    parser.add_argument(
        "--faults-per-seed", type=int, default=12, help="how many (default: %(default)s)"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="faults whose name has this")
    parser.add_argument(
        "--clones-s",
        type=float,
        default=0.0,
        metavar="S",
        help="two boxes of one card run side by side for so long (default: some seconds)",
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args(argv)
    if (reason := why_not()) is not None:
        _say(f"cannot run: {reason}")
        return 2
    resources.watch()
    resources.unwind_on_signals()
    every, refused = deck(options.clones_s)
    faults = {name: fault for name, fault in every.items() if options.only in name}
    if not faults:
        _say(f"no fault has {options.only!r} in its name; there are: {', '.join(every)}")
        return 2
    for name, reason in refused.items():
        _say(f"left out: {name}: {reason}")
    ended = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        begun_s = time.monotonic()
        one = run_seed(seed, options.faults_per_seed, faults, KEPT)
        ended.append(one)
        _say(_line(one, time.monotonic() - begun_s))
    _report(ended, len(refused), as_json=options.json)
    return exit_code(ended)


def exit_code(ended: Sequence[Ended]) -> int:
    """1 where anything was lost or doubled in any seed, else 0."""
    return int(any(one.verdict.lost or one.verdict.doubled for one in ended))


def _line(one: Ended, took_s: float) -> str:
    verdict = one.verdict
    summary = (
        f"seed {one.seed:3}: {len(one.faults)} faults, sent {verdict.sent}, "
        f"stored {verdict.stored}, doubled {verdict.doubled}, lost {verdict.lost}, "
        f"dropped and named {verdict.dropped_named}; never numbered (in a killed process's "
        f"memory) {verdict.unnumbered}; {took_s:.1f} s"
    )
    lines = [summary]
    if verdict.findings:
        lines += [f"    {number:2}. {name}" for number, name in enumerate(one.faults, 1)]
        lines += [f"    {finding}" for finding in verdict.findings[:20]]
        lines += [f"    kept in {KEPT / f'seed-{one.seed}'}"]
    return "\n".join(lines)


def _report(ended: Sequence[Ended], refused: int, *, as_json: bool) -> None:
    total = {
        "seeds": len(ended),
        "faults": sum(len(one.faults) for one in ended),
        "sent": sum(one.verdict.sent for one in ended),
        "stored": sum(one.verdict.stored for one in ended),
        "doubled": sum(one.verdict.doubled for one in ended),
        "lost": sum(one.verdict.lost for one in ended),
        "dropped_named": sum(one.verdict.dropped_named for one in ended),
    }
    if as_json:
        print(json.dumps(total))
        return
    struck = Counter(name for one in ended for name in one.faults)
    print("\nfaults injected:")
    for name, times in sorted(struck.items()):
        print(f"  {times:4}  {name}")
    edges_missed = sum(one.missed for one in ended)
    print(f"  ({edges_missed} kills found no packet at their edge and struck all the same; ")
    print(f"  {refused} faults cannot be had on this machine)\n")
    print("\n".join(f"{name.replace('_', ' and '):18}{count}" for name, count in total.items()))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
