"""Floor 2. Sends notifications and letters by SMTP (`smtplib`), with a verified TLS certificate."""

from __future__ import annotations

import contextlib
import logging
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from email.header import Header
from email.mime.application import MIMEApplication
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formatdate
from typing import NamedTuple

from collector.alerts.notification import DeliveryError, Notification
from collector.alerts.settings import MailConfig
from runtime import secret_file

log = logging.getLogger("alerts")


class AttachedFile(NamedTuple):
    """A file of a letter."""

    name: str
    media_type: str
    content: bytes


class Letter(NamedTuple):
    """A mail to one recipient; `id` is the same when it is sent again."""

    id: str
    recipient: str
    subject: str
    text: str
    files: Sequence[AttachedFile]


class RefusedError(DeliveryError):
    """The server refuses the letter for good."""


class UncertainDeliveryError(DeliveryError):
    """Nobody knows whether the server has accepted the letter."""


def message(notification: Notification, config: MailConfig) -> MIMEText:
    """The mail. Its Message-ID is made from the notification's id, so that a repeat is recognised.

    Not an EmailMessage: in Python 3.11 its folding loses a blank between two encoded words.
    """
    mail = MIMEText(notification.text, "plain", "utf-8")
    _address(mail, notification.id, notification.subject, config.recipients, config)
    return mail


def letter(one: Letter, config: MailConfig) -> MIMEMultipart:
    """The mail of a letter."""
    mail = MIMEMultipart()
    _address(mail, one.id, one.subject, [one.recipient], config)
    mail.attach(MIMEText(one.text, "plain", "utf-8"))
    for file in one.files:
        part = MIMEApplication(file.content, file.media_type.partition(";")[0].partition("/")[2])
        part.replace_header("Content-Type", file.media_type)
        part.add_header("Content-Disposition", "attachment", filename=file.name)
        mail.attach(part)
    return mail


def _address(
    mail: MIMEBase | MIMEText, mail_id: str, subject: str, to: Sequence[str], config: MailConfig
) -> None:
    mail["From"] = config.sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = Header(subject, "utf-8", header_name="Subject").encode()
    mail["Date"] = formatdate(localtime=False)
    mail["Message-ID"] = f"<{mail_id}@{config.sender.partition('@')[2]}>"
    # RFC 3834: no vacation notices back.
    mail["Auto-Submitted"] = "auto-generated"


def send(notification: Notification, config: MailConfig) -> None:
    """Send the notification to all recipients.

    It counts as delivered when the server accepts at least one recipient: a retry would repeat the
    mail to those who have it for as long as another address is refused. Refused ones are logged.

    Raises:
        DeliveryError: the server accepted it for no recipient.
    """
    with _session(config) as server:
        refused = server.send_message(message(notification, config))
    if refused:
        log.warning("mail server %s refused %s", config.host, ", ".join(sorted(refused)))


def send_letter(one: Letter, config: MailConfig) -> None:
    """Send a letter to its recipient.

    Raises:
        UncertainDeliveryError: the connection ended before the server answered the content.
        RefusedError: the server refuses it for good (a reply 5xx).
        DeliveryError: the server did not accept it.
    """
    mail = letter(one, config)
    content = mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))
    with _session(config) as server:
        server.ehlo_or_helo_if_needed()
        _require(server.mail(config.sender), config)
        _require(server.rcpt(one.recipient), config)
        try:
            reply = server.data(content)
        except smtplib.SMTPDataError as error:
            reply = error.smtp_code, _as_bytes(error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            raise UncertainDeliveryError(_sentence(config, error)) from error
        _require(reply, config)


def _as_bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _require(reply: tuple[int, bytes], config: MailConfig) -> None:
    code, text = reply
    if 200 <= code < 400:
        return
    sentence = _sentence(config, f"{code} {text.decode('utf-8', 'replace')}")
    raise RefusedError(sentence) if code >= 500 else DeliveryError(sentence)


@contextlib.contextmanager
def _session(config: MailConfig) -> Iterator[smtplib.SMTP]:
    """A connection to the mail server, signed in; its failures are DeliveryErrors."""
    try:
        server = _connected(config)
        try:
            if config.username is not None and config.password_file is not None:
                server.login(config.username, secret_file.read_text(config.password_file))
            yield server
        finally:
            # The mail was accepted or refused by now, whatever QUIT answers.
            with contextlib.suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise DeliveryError(_sentence(config, error)) from error


def _sentence(config: MailConfig, problem: object) -> str:
    return f"mail server {config.host} port {config.port}: {problem}"


def _connected(config: MailConfig) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=config.ca_file)
    if config.security == "tls":
        return smtplib.SMTP_SSL(config.host, config.port, timeout=config.timeout_s, context=context)
    server = smtplib.SMTP(config.host, config.port, timeout=config.timeout_s)
    try:
        if config.security == "starttls":
            server.starttls(context=context)
    except (OSError, smtplib.SMTPException):
        server.close()
        raise
    return server
