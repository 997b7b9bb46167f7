"""Floor 2. Sends a notification by SMTP (`smtplib`), with a verified TLS certificate."""

from __future__ import annotations

import contextlib
import logging
import smtplib
import ssl
from email.header import Header
from email.mime.text import MIMEText
from email.utils import formatdate

from collector.alerts.notification import DeliveryError, Notification
from collector.alerts.settings import MailConfig
from runtime import secret_file

log = logging.getLogger("alerts")


def message(notification: Notification, config: MailConfig) -> MIMEText:
    """The mail. Its Message-ID is made from the notification's id, so that a repeat is recognised.

    Not an EmailMessage: in Python 3.11 its folding loses a blank between two encoded words.
    """
    mail = MIMEText(notification.text, "plain", "utf-8")
    mail["From"] = config.sender
    mail["To"] = ", ".join(config.recipients)
    mail["Subject"] = Header(notification.subject, "utf-8", header_name="Subject").encode()
    mail["Date"] = formatdate(localtime=False)
    mail["Message-ID"] = f"<{notification.id}@{config.sender.partition('@')[2]}>"
    # RFC 3834: no vacation notices back.
    mail["Auto-Submitted"] = "auto-generated"
    return mail


def send(notification: Notification, config: MailConfig) -> None:
    """Send the notification to all recipients.

    It counts as delivered when the server accepts at least one recipient: a retry would repeat the
    mail to those who have it for as long as another address is refused. Refused ones are logged.

    Raises:
        DeliveryError: the server accepted it for no recipient.
    """
    try:
        server = _connected(config)
        try:
            if config.username is not None and config.password_file is not None:
                server.login(config.username, secret_file.read_text(config.password_file))
            refused = server.send_message(message(notification, config))
        finally:
            # The mail was accepted or refused by now, whatever QUIT answers.
            with contextlib.suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise DeliveryError(f"mail server {config.host} port {config.port}: {error}") from error
    if refused:
        log.warning("mail server %s refused %s", config.host, ", ".join(sorted(refused)))


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
