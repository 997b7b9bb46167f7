"""Floor 3. Mails reports on their schedules, in a thread of the collector.

Of several collectors the one that holds the maintenance does it. A delivery is claimed before the
mail server gets it; see `collector.mailing.mailing_store`.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from collector.alerts import mail
from collector.alerts.mail import AttachedFile, Letter, RefusedError, UncertainDeliveryError
from collector.alerts.notification import DeliveryError
from collector.alerts.settings import MailConfig
from collector.mailing import letters
from collector.mailing.letters import ReportFacts
from collector.mailing.mailing_store import MailingStore
from collector.mailing.schedule import (
    RETRY_FIRST_S,
    RETRY_LONGEST_S,
    Delivery,
    DeliveryState,
    Mailing,
    deliveries,
    due_period,
    is_given_up,
)
from collector.reports import bulletin
from collector.reports.archive import ArchiveError
from collector.reports.pdf import TooManyRowsError
from collector.reports.rendering import MEDIA_TYPES, ReportFormat, render
from collector.reports.report import Report, ReportKind
from collector.reports.service import ReportService
from collector.store.leases import LeaseLostError, TenantLeases
from collector.store.store import StoreError
from runtime.backoff import backoff_s

_LOOK_EVERY_S = 20.0
_FORMATS = {
    ReportKind.WEEKLY: (ReportFormat.PDF, ReportFormat.XLSX),
    ReportKind.MONTHLY: (ReportFormat.PDF, ReportFormat.XLSX),
    ReportKind.BULLETIN: (ReportFormat.TEXT,),
}

log = logging.getLogger("mailing")


class MailingSender:
    """Sends what is due until `stop`.

    Args:
        mailings: what is set, and what came of it.
        reports: makes the reports.
        config: the mail server; None: there is none, and nothing is sent.
        leases: with which this collector may hold the maintenance.
        look_every_s: the pause between two looks.
    """

    def __init__(
        self,
        mailings: MailingStore,
        reports: ReportService,
        config: MailConfig | None,
        leases: TenantLeases,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self.mailings = self._mailings = mailings
        self._reports = reports
        self._config = config
        self._leases = leases
        self._look_every_s = look_every_s
        self._stopping, self._awake = threading.Event(), threading.Event()
        self._trouble: str | None = None

    @property
    def has_server(self) -> bool:
        """Whether there is a mail server."""
        return self._config is not None

    def run(self) -> None:
        """Look and send until `stop`; an error is logged once, and the work retried."""
        while not self._stopping.is_set():
            try:
                if self._config is not None and self._leases.holds_maintenance():
                    self.run_once(datetime.now(UTC))
                self._trouble = None
            except LeaseLostError as error:
                self._leases.lost(error)
            except Exception as error:
                if self._trouble != repr(error):
                    log.exception("reports cannot be mailed, trying again")
                self._trouble = repr(error)
            self._awake.wait(self._look_every_s)
            self._awake.clear()

    def stop(self) -> None:
        """Stop after the current delivery. Thread-safe."""
        self._stopping.set()
        self._awake.set()

    def wake(self) -> None:
        """Look now. Thread-safe."""
        self._awake.set()

    def run_once(self, now: datetime) -> None:
        """Plan what has fallen due, and try what waits. Raises AlertStoreError."""
        mailings = {one.number: one for one in self._mailings.mailings()}
        for mailing in mailings.values():
            if (period := due_period(mailing, now)) is not None:
                self._mailings.plan(deliveries(mailing, period, now))
        self._mailings.end_interrupted(now)
        self._mailings.delete_old(now)
        due = sorted(self._mailings.due(now), key=lambda one: (one.mailing, one.period))
        for (number, _), some in groupby(due, key=lambda one: (one.mailing, one.period)):
            if number in mailings and not self._stopping.is_set():
                self._send(mailings[number], list(some), now)

    def _send(self, mailing: Mailing, some: Sequence[Delivery], now: datetime) -> None:
        """Make the report once, and send it to each."""
        try:
            facts, files = self._report(mailing, some[0])
        except (StoreError, ArchiveError, ValueError, OSError) as error:
            for one in some:
                if self._mailings.claim(one, now):
                    self._failed(one, str(error), isinstance(error, ValueError))
            return
        for one in some:
            if self._stopping.is_set() or not self._leases.holds_maintenance():
                return
            if self._mailings.claim(one, datetime.now(UTC)):
                self._deliver(one, facts, files)

    def _deliver(self, one: Delivery, facts: ReportFacts, files: Sequence[AttachedFile]) -> None:
        assert self._config is not None
        letter = Letter(
            letters.letter_id(one),
            one.recipient,
            letters.subject(facts),
            letters.text(facts),
            files,
        )
        try:
            mail.send_letter(letter, self._config)
        except UncertainDeliveryError as error:
            now = datetime.now(UTC)
            self._mailings.finish(one, DeliveryState.UNCERTAIN, now, str(error))
            log.warning("nobody knows whether %s has the report: %s", one.recipient, error)
        except DeliveryError as error:
            self._failed(one, str(error), isinstance(error, RefusedError))
        else:
            self._mailings.finish(one, DeliveryState.SENT, datetime.now(UTC))

    def _failed(self, one: Delivery, detail: str, for_good: bool) -> None:
        """Try it again later, or give it up."""
        now = datetime.now(UTC)
        if for_good or is_given_up(one, now):
            self._mailings.finish(one, DeliveryState.FAILED, now, detail)
            log.error("a report is not mailed to %s: %s", one.recipient, detail)
            return
        wait_s = backoff_s(
            one.attempts + 1,
            RETRY_FIRST_S,
            RETRY_LONGEST_S,
            random.random(),  # noqa: S311 - jitter, no secret
        )
        try_at = now + timedelta(seconds=wait_s)
        self._mailings.finish(one, DeliveryState.WAITING, now, detail, try_at)
        log.warning("a report for %s waits %.0f s: %s", one.recipient, wait_s, detail)

    def _report(self, mailing: Mailing, one: Delivery) -> tuple[ReportFacts, list[AttachedFile]]:
        """The report as it is sent; it is issued where there is no issue of the present figures."""
        if mailing.is_draft:
            report = self._reports.draft(mailing.kind, mailing.area_id, one.period)
            files = _rendered(report)
        else:
            report, files = self._issued(mailing, one)
        written = bulletin.text(report) if mailing.kind is ReportKind.BULLETIN else ""
        version = None if report.draft else report.version
        return ReportFacts(mailing.kind, report.area, one.period, version, written), files

    def _issued(self, mailing: Mailing, one: Delivery) -> tuple[Report, list[AttachedFile]]:
        paths = self._reports.issue(mailing.kind, mailing.area_id, one.period)
        found = self._reports.archive.record(paths[-1].stem)
        if found is None:
            raise ArchiveError(f"{paths[-1]} is not there any more")
        files = [
            AttachedFile(path.name, MEDIA_TYPES[wanted], path.read_bytes())
            for wanted in _FORMATS[mailing.kind]
            for path in paths
            if path.suffix == f".{wanted}"
        ]
        return found[1], files


def _rendered(report: Report) -> list[AttachedFile]:
    """The files of a draft; one with too many rows for a PDF has none."""
    files = []
    for wanted in _FORMATS[report.kind]:
        try:
            file = render(report, wanted)
        except TooManyRowsError:
            continue
        files.append(AttachedFile(file.name, file.media_type, file.content))
    return files
