"""Floor 3. `python -m tests.fuzz [--inputs N] [--seed S] [--target NAME] [--json]`.

`--inputs` go to intake; every other target gets a tenth. Outcomes guide it: an input that had a new
one becomes a start for others. Exit code 1 when an input made anything of ours raise; each is
printed with what is needed to try it again.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import Target, targets

_CORPUS_MOST = 2_000
_CRASHES_MOST = 20
_TELL_EVERY_S = 30.0


class Crash(Struct, frozen=True):
    """An input that made something raise."""

    target: str
    number: int
    payload_hex: str
    error: str


class Figures(Struct):
    """What came of one target's inputs."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    distinct_outcomes: int = 0
    slowest_cpu_ms: float = 0.0
    crashes: list[Crash] = []


def fuzz(target: Target, inputs: int, seed: int, *, tell: bool = False) -> Figures:
    """Try so many inputs; the same seed tries the same ones."""
    draw = random.Random(f"{seed} {target.name}")
    corpus = list(target.corpus)
    outcomes: Counter[str] = Counter()
    figures = Figures(target.name, crashes=[])
    began_s = told_s = time.monotonic()
    for number in range(inputs):
        # The first ones are the sound inputs themselves.
        good = corpus[number] if number < len(target.corpus) else draw.choice(corpus)
        payload = good if number < len(target.corpus) else mutated(good, corpus, draw)
        cpu_s = time.thread_time()
        try:
            outcome = target.take(payload, draw)
        except Exception:  # noqa: BLE001 - which ones there are is what we want to know
            figures.crashes.append(
                Crash(target.name, number, payload.hex(), traceback.format_exc(limit=-3))
            )
            if len(figures.crashes) == _CRASHES_MOST:
                break
            continue
        finally:
            took_ms = (time.thread_time() - cpu_s) * 1e3
            figures.slowest_cpu_ms = max(figures.slowest_cpu_ms, took_ms)
            figures.inputs = number + 1
        if outcome not in outcomes and len(corpus) < _CORPUS_MOST and len(payload) < 20_000:
            corpus.append(payload)
        outcomes[outcome] += 1
        if tell and time.monotonic() - told_s > _TELL_EVERY_S:
            told_s = time.monotonic()
            print(f"{target.name}: {number + 1} inputs, {len(outcomes)} outcomes", file=sys.stderr)
    target.close()
    figures.seconds = round(time.monotonic() - began_s, 1)
    figures.slowest_cpu_ms = round(figures.slowest_cpu_ms, 1)
    figures.distinct_outcomes = len(outcomes)
    return figures


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Give our decoders messages that no program of ours would send.",
    )
    parser.add_argument(
        "--inputs",
        type=int,
        default=1_000_000,
        help="for intake; every other target gets a tenth (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="to repeat a run (default: 1)")
    parser.add_argument("--target", action="append", help="only this one; repeatable")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(argv)
    done = []
    with tempfile.TemporaryDirectory() as folder:
        for target in targets(Path(folder)):
            if options.target is None or target.name in options.target:
                inputs = options.inputs if target.name == "intake" else options.inputs // 10
                done.append(fuzz(target, inputs, options.seed, tell=True))
    if options.json:
        print(json.dumps({"seed": options.seed, "targets": msgspec.to_builtins(done)}))
    else:
        for one in done:
            print(
                f"{one.target:8} {one.inputs:9} inputs {one.seconds:7.1f} s "
                f"{one.distinct_outcomes:5} outcomes  slowest {one.slowest_cpu_ms:6.1f} ms CPU  "
                f"{len(one.crashes)} crashes"
            )
        for crash in (crash for one in done for crash in one.crashes):
            print(f"\n{crash.target} input {crash.number}: {crash.payload_hex}\n{crash.error}")
    return 1 if any(one.crashes for one in done) else 0


if __name__ == "__main__":
    sys.exit(main())
