"""Floor 3. `tramdo-collector report weekly|monthly|bulletin`: draft or issue reports."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from collector.reports.archive import ArchiveError
from collector.reports.pdf import TooManyRowsError
from collector.reports.rendering import ReportFormat, formats, render
from collector.reports.report import ReportKind
from collector.reports.service import ReportService
from collector.rollup.periods import Period, parse_period
from collector.store.store import StoreError

OK, FAILED, BAD_INPUT = 0, 1, 2

log = logging.getLogger("report")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    command.add_argument("kind", type=ReportKind, choices=list(ReportKind), metavar="KIND",
                         help="weekly, monthly or bulletin")  # fmt: skip
    command.add_argument(
        "--period",
        type=_period,
        help="2026-W30, 2026-07, or 2026-07-01..2026-07-15 (bulletin); "
        "default: the last week or month that is over",
    )
    command.add_argument(
        "--group",
        default=None,
        help="a group's id, a commune code, a province code, or all; "
        "default: every group of the registry",
    )
    command.add_argument(
        "--format",
        type=ReportFormat,
        choices=list(ReportFormat),
        action="append",
        help="repeatable; default: every format of the report",
    )
    command.add_argument(
        "--by-holder",
        action="store_true",
        help="for timers: of several collectors of one store, only the one that holds its "
        "maintenance makes reports",
    )
    command.add_argument(
        "--out",
        type=Path,
        help="write a draft into this folder or file; without it the report is issued into the "
        "archive, which needs a period that is over",
    )


def run(options: argparse.Namespace, reports: ReportService) -> int:
    """Make the reports and print the path of each file. Returns the exit code."""
    areas = [options.group] if options.group else reports.areas()
    if options.out is not None and len(areas) > 1 and options.out.suffix:
        print("--out is one file, and there are several groups: name a folder", file=sys.stderr)
        return BAD_INPUT
    worst = OK
    for area in areas:
        try:
            for path in _made(options, reports, area):
                print(path)
        except ValueError as error:
            print(error, file=sys.stderr)
            worst = max(worst, BAD_INPUT)
        except (StoreError, ArchiveError, TooManyRowsError, OSError) as error:
            print(f"{area}: {error}", file=sys.stderr)
            worst = max(worst, FAILED)
    return worst


def _made(options: argparse.Namespace, reports: ReportService, area: str) -> list[Path]:
    kind: ReportKind = options.kind
    if options.out is None:
        if options.format:
            raise ValueError("an issue is archived in every format: --format goes with --out")
        return reports.issue(kind, area, options.period)
    out: Path = options.out
    wanted = options.format or _by_suffix(out) or list(formats(kind))
    if out.suffix and len(wanted) > 1:
        raise ValueError("--out is one file, and there are several formats: name a folder")
    report = reports.draft(kind, area, options.period)
    written = []
    for report_format in wanted:
        file = render(report, report_format)
        path = out if out.suffix else out / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        written.append(path)
    return written


def _by_suffix(out: Path) -> list[ReportFormat]:
    return [one for one in ReportFormat if out.suffix == f".{one}"]


def _period(text: str) -> Period:
    try:
        return parse_period(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
