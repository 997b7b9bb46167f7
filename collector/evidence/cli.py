"""Floor 3. `tramdo-collector evidence`: writes a bundle that `tramdo-verify` checks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from collector.evidence.bundle import BundleSources, as_of, write
from collector.evidence.question import Question, parse_line
from collector.rollup.periods import Period, parse_period
from collector.store.store import StoreError

OK, FAILED, BAD_INPUT = 0, 1, 2


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `evidence`."""
    command.add_argument(
        "--line",
        action="append",
        required=True,
        metavar="TENANT/PROBE/LINE",
        help="a line of the registry; repeatable",
    )
    command.add_argument(
        "--period",
        type=_period,
        required=True,
        help="2026-07, 2026-W30, or 2026-07-01..2026-07-15",
    )
    command.add_argument("--output", type=Path, required=True, metavar="FILE", help="a ZIP file")
    command.add_argument(
        "--with-addresses",
        action="store_true",
        help="the office's whole public addresses, so that each result can be checked byte for "
        "byte; without it their /24 or /48 stands in the results",
    )
    command.add_argument(
        "--every-line",
        action="store_true",
        help="the results of the other lines of these probes too, so that none is there by its "
        "digest alone",
    )


def run(options: argparse.Namespace, sources: Callable[[bool], BundleSources]) -> int:
    """Write the bundle and print its digest. Returns the exit code.

    Args:
        options: of the command line.
        sources: those of a bundle, with whole addresses or without. May raise StoreError.
    """
    path: Path = options.output
    period: Period = options.period
    now = datetime.now(UTC)
    if period.starts_at >= now:
        print(f"{period.first} has not begun", file=sys.stderr)
        return BAD_INPUT
    try:
        opened = sources(options.with_addresses)
        registry = opened.report.registry
        question = Question(
            lines=tuple(sorted({parse_line(text, registry) for text in options.line})),
            period=period,
            as_of=as_of(now, period.ends_at),
            whole_addresses=options.with_addresses,
            every_line=options.every_line,
        )
        written = write(path, question, opened)
    except ValueError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except (StoreError, OSError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return FAILED
    print(f"{path}: {written.results} results, {path.stat().st_size} bytes")
    print(f"manifest SHA-256: {written.sha256}")
    if written.waiting:
        print(f"{written.waiting} results are not rolled up yet: the report may lack them")
    return OK


def _period(text: str) -> Period:
    try:
        return parse_period(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
