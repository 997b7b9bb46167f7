"""Reports mailed on schedule, to a real SMTP server: once each, over failures and restarts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from collector.alerts.alert_database import AlertFile
from collector.alerts.settings import MailConfig
from collector.domain import thresholds_file
from collector.mailing.mailing_store import MailingStore
from collector.mailing.schedule import DeliveryState, Mailing, deliveries, due_at
from collector.mailing.sender import MailingSender
from collector.reports.report import OfficeConfig, ReportKind, last_complete_period
from collector.reports.service import ReportService, sources_of
from collector.store.leases import SoleCollector
from collector.store.sqlite import SqliteStore
from tests import seeded_centre
from tests.ports import free_port
from tests.system.test_alerts import Mailbox, mailbox

__all__ = ["mailbox"]
NOW = datetime.now(UTC)
PERIOD = last_complete_period(ReportKind.WEEKLY, NOW)
# On the first day after the week, at midnight: it is due from then on.
WEEKLY = Mailing(
    kind=ReportKind.WEEKLY,
    area_id="01969",
    recipients=("a@example.vn", "b@example.vn"),
    day=1,
    minute=0,
    is_draft=False,
    author="lan",
    since=NOW - timedelta(days=30),
)
DUE = due_at(WEEKLY, PERIOD) + timedelta(minutes=5)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportService]:
    folder = tmp_path_factory.mktemp("reports")
    store = SqliteStore(folder / "results.sqlite")
    seeded_centre.fill(store, NOW)
    limits = thresholds_file.read()
    yield ReportService(lambda: sources_of(store, limits, OfficeConfig()), folder / "papers")
    store.close()


@pytest.fixture
def mailings(tmp_path: Path) -> MailingStore:
    return MailingStore(AlertFile(tmp_path / "alerts.sqlite"))


def sender_of(mailings: MailingStore, reports: ReportService, port: int) -> MailingSender:
    """What a process that has just started has."""
    config = MailConfig(
        host="127.0.0.1",
        port=port,
        security="none",
        sender="tramdo@example.vn",
        recipients=["x@example.vn"],
        timeout_s=5.0,
    )
    return MailingSender(mailings, reports, config, SoleCollector(()))


def states(mailings: MailingStore) -> dict[str, DeliveryState]:
    return {one.recipient: one.state for one in mailings.newest(10)}


def test_a_weekly_report_is_issued_and_mailed_once_to_each(
    mailings: MailingStore, reports: ReportService, mailbox: tuple[Mailbox, int]
) -> None:
    box, port = mailbox
    mailings.add(WEEKLY)
    for _ in range(2):
        # Each is a new process; the second finds nothing to do.
        sender_of(mailings, reports, port).run_once(DUE)
        sender_of(mailings, reports, port).run_once(DUE + timedelta(hours=1))
    assert sorted(str(mail["To"]) for mail in box.mails) == ["a@example.vn", "b@example.vn"]
    assert set(states(mailings).values()) == {DeliveryState.SENT}
    files = {one.get_filename(): one.get_content() for one in box.mails[0].iter_attachments()}
    name = f"weekly_01969_{PERIOD.first:%Y%m%d}-{PERIOD.last:%Y%m%d}_v1"
    assert set(files) == {f"{name}.pdf", f"{name}.xlsx"}
    archived = reports.archive.file(f"{name}.pdf")
    assert archived is not None
    assert files[f"{name}.pdf"] == archived.read_bytes()
    assert "Lần phát hành: 1." in box.mails[0].get_body().get_content()  # type: ignore[union-attr]


def test_a_bulletin_stands_in_the_mail_and_a_draft_issues_nothing(
    mailings: MailingStore, reports: ReportService, mailbox: tuple[Mailbox, int]
) -> None:
    box, port = mailbox
    bulletin = structs.replace(WEEKLY, kind=ReportKind.BULLETIN, is_draft=True, is_active=False)
    number = mailings.add(bulletin)
    issued = len(reports.archive.issues())
    period = last_complete_period(ReportKind.BULLETIN, NOW)
    mailings.plan(deliveries(structs.replace(bulletin, number=number), period, NOW, by_hand=True))
    sender_of(mailings, reports, port).run_once(NOW)
    assert len(box.mails) == 2
    text = box.mails[0].get_body().get_content()  # type: ignore[union-attr]
    assert "BẢN NHÁP" in text
    assert "Kính thưa bà con" in text
    assert len(reports.archive.issues()) == issued


def test_a_server_that_is_away_is_tried_again_and_a_refused_address_is_not(
    mailings: MailingStore, reports: ReportService, mailbox: tuple[Mailbox, int]
) -> None:
    box, port = mailbox
    box.is_away, box.refused = True, {"b@example.vn"}
    # Stopped, so that it is sent by hand alone, whatever day it is.
    draft = structs.replace(WEEKLY, is_draft=True, is_active=False)
    draft = structs.replace(draft, number=mailings.add(draft))
    mailings.plan(deliveries(draft, PERIOD, NOW, by_hand=True))
    sender_of(mailings, reports, port).run_once(NOW)
    assert states(mailings) == {
        "a@example.vn": DeliveryState.WAITING,
        "b@example.vn": DeliveryState.FAILED,
    }
    box.is_away = False
    (waiting,) = [one for one in mailings.newest(2) if one.state is DeliveryState.WAITING]
    assert "451 not now" in waiting.detail
    sender = sender_of(mailings, reports, port)
    sender.run_once(waiting.try_at - timedelta(seconds=1))
    assert box.mails == []
    sender.run_once(waiting.try_at)
    assert [str(mail["To"]) for mail in box.mails] == ["a@example.vn"]
    assert states(mailings)["a@example.vn"] is DeliveryState.SENT


def test_a_connection_that_ends_before_the_answer_leaves_no_second_mail(
    mailings: MailingStore, reports: ReportService
) -> None:
    """The server has the whole mail and dies before it answers: nobody knows, so nobody repeats."""
    taken: list[bytes] = []
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as server:
        threading.Thread(target=take_and_die, args=(server, taken), daemon=True).start()
        mailings.add(structs.replace(WEEKLY, recipients=("a@example.vn",), is_draft=True))
        sender_of(mailings, reports, port).run_once(DUE)
        assert states(mailings) == {"a@example.vn": DeliveryState.UNCERTAIN}
        for hours in (1, 30):
            sender_of(mailings, reports, port).run_once(DUE + timedelta(hours=hours))
    assert len(taken) == 1
    assert b"weekly_01969" in taken[0]


def take_and_die(server: socket.socket, taken: list[bytes]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rwb") as lines:
                lines.write(b"220 here\r\n")
                lines.flush()
                for line in lines:
                    if line.upper().startswith(b"DATA"):
                        lines.write(b"354 go on\r\n")
                        lines.flush()
                        taken.append(b"".join(iter(lines.readline, b".\r\n")))
                        break
                    lines.write(b"250 well\r\n")
                    lines.flush()
