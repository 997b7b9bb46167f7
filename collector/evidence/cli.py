"""Floor 3. `tramdo-collector evidence`: writes a bundle that `tramdo-verify` checks."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from collector.evidence.bundle import BundlePieces, BundleSources, Written, as_of, write
from collector.evidence.question import Question, parse_line, question_of_issue
from collector.reports.archive import Archive, ArchiveError
from collector.rollup.periods import Period, parse_period
from collector.store.store import StoreError
from collector.users.user import AuditEvent
from collector.users.user_store import UserStore, UserStoreError

OK, FAILED, BAD_INPUT = 0, 1, 2


class Places(Struct, frozen=True):
    """Where issued reports are archived, and the file of users with the audit trail."""

    archive: Path
    users: Path


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `evidence`."""
    command.add_argument(
        "--line",
        action="append",
        default=[],
        metavar="TENANT/PROBE/LINE",
        help="a line of the registry; repeatable; goes with --period",
    )
    command.add_argument(
        "--period",
        type=_period,
        help="2026-07, 2026-W30, or 2026-07-01..2026-07-15",
    )
    command.add_argument(
        "--issue",
        metavar="NAME",
        help="an issued report, by the name of its files without their suffix, as "
        "monthly_bach-thong-cu_20260701-20260731_v1; in place of --line and --period",
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


def run(
    options: argparse.Namespace, sources: Callable[[bool], BundleSources], places: Places
) -> int:
    """Write the bundle, record it in the audit trail, print its digest. Returns the exit code.

    Args:
        options: of the command line.
        sources: those of a bundle, with whole addresses or without. May raise StoreError.
        places: of reports and of the audit trail.
    """
    path: Path = options.output
    try:
        bundle, subject = _bundle(options, sources(options.with_addresses), places.archive)
        users = UserStore(places.users)
        written = write(path, bundle)
    except ValueError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except (StoreError, ArchiveError, UserStoreError) as error:
        print(error, file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return FAILED
    try:
        _record(users, subject, written)
    except UserStoreError as error:
        # None is given out that is not on record.
        path.unlink(missing_ok=True)
        print(error, file=sys.stderr)
        return FAILED
    print(f"{path}: {written.results} results, {written.bytes} bytes")
    print(f"manifest SHA-256: {written.sha256}")
    if written.waiting:
        print(f"{written.waiting} results are not rolled up yet: the report may lack them")
    return OK


def _bundle(
    options: argparse.Namespace, sources: BundleSources, archive: Path
) -> tuple[BundlePieces, str]:
    """The bundle that is asked for, and what it is of for the audit trail. Raises ValueError."""
    if options.issue is not None:
        if options.line or options.period is not None:
            raise ValueError("--issue names lines and period: without --line and --period")
        return _of_issue(options, sources, archive), options.issue
    if not options.line or options.period is None:
        raise ValueError("--line and --period, or --issue")
    return _of_lines(options, sources), f"{' '.join(options.line)} {_days(options.period)}"


def _of_issue(options: argparse.Namespace, sources: BundleSources, archive: Path) -> BundlePieces:
    found = Archive(archive).record(options.issue)
    if found is None:
        raise ValueError(f"there is no issued report {options.issue!r} in {archive}")
    content, report = found
    question = question_of_issue(
        options.issue,
        report,
        whole_addresses=options.with_addresses,
        every_line=options.every_line,
    )
    return BundlePieces(question, sources, content)


def _of_lines(options: argparse.Namespace, sources: BundleSources) -> BundlePieces:
    period: Period = options.period
    now, registry = datetime.now(UTC), sources.report.registry
    if period.starts_at >= now:
        raise ValueError(f"{period.first} has not begun")
    question = Question(
        lines=tuple(sorted({parse_line(text, registry) for text in options.line})),
        period=period,
        as_of=as_of(now, period.ends_at),
        whole_addresses=options.with_addresses,
        every_line=options.every_line,
    )
    return BundlePieces(question, sources)


def _record(users: UserStore, subject: str, written: Written) -> None:
    users.record(
        AuditEvent(
            at=datetime.now(UTC),
            user=f"uid {os.getuid()}",
            address="command line",
            action="take_evidence",
            subject=subject,
            detail=f"sha256:{written.sha256}",
        )
    )


def _days(period: Period) -> str:
    return f"{period.first}..{period.last}"


def _period(text: str) -> Period:
    try:
        return parse_period(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
