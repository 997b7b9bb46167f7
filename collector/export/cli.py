"""Floor 3. `tramdo-collector export lmap`: results in formats of other systems."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from collector.export import lmap
from collector.store.store import Store, StoreError

OK, FAILED = 0, 1
# How many results are in memory at a time.
_AT_A_TIME = 1_000


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    command.add_argument("shape", choices=["lmap"], help="RFC 8193/8194, JSON, a report a line")
    command.add_argument(
        "--after",
        type=int,
        default=0,
        metavar="NUMBER",
        help="only results with a higher number; the last number is printed on standard error",
    )
    command.add_argument(
        "--limit", type=int, default=10_000, metavar="COUNT", help="the maximum number of results"
    )


def run(options: argparse.Namespace, store: Store, write: Callable[[bytes], object]) -> int:
    """Write the LMAP reports. Returns the exit code."""
    after, left = options.after, options.limit
    try:
        registry = store.registry.read()
        while left > 0 and (results := store.results_after(after, min(left, _AT_A_TIME))):
            for report in lmap.reports(results, registry, datetime.now(UTC)):
                write(lmap.as_json(report) + b"\n")
            after, left = results[-1].number, left - len(results)
    except StoreError as error:
        print(error, file=sys.stderr)
        return FAILED
    print(f"last number: {after}", file=sys.stderr)
    return OK
