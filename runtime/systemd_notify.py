"""Floor 2. Wraps systemd's notification socket: sd_notify(3) and sd_watchdog_enabled(3).

Without NOTIFY_SOCKET in the environment (a terminal, a test) nothing is sent and nothing fails. A
notification that cannot be delivered must not end a program that works, so it is only logged.
"""

from __future__ import annotations

import logging
import os
import socket

log = logging.getLogger(__name__)


def ready() -> None:
    """Report that startup is complete, so that units ordered after this one may start."""
    _send("READY=1")


def watchdog() -> None:
    """Feed the watchdog. To be called only where the real work has made progress."""
    _send("WATCHDOG=1")


def stopping() -> None:
    """Report that the service is stopping."""
    _send("STOPPING=1")


def status(text: str) -> None:
    """Set the text of `systemctl status`, on one line: a line break would begin a command."""
    _send("STATUS=" + " ".join(text.split()))


def watchdog_interval_s() -> float | None:
    """How often to call `watchdog`, in seconds: half of systemd's timeout, by sd_watchdog(3).

    None when systemd does not wait for this process.
    """
    try:
        timeout_us = int(os.environ["WATCHDOG_USEC"])
        pid = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except (KeyError, ValueError):
        return None
    return timeout_us / 2_000_000 if timeout_us > 0 and pid == os.getpid() else None


def _send(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return  # none, or one over vsock, which only virtual machines' managers give
    # A leading @ stands for the NUL of an abstract socket.
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            # Never blocks, even if the manager does not read.
            sock.setblocking(False)
            sock.sendto(state.encode(), target)
    except OSError as error:
        log.warning("systemd was not notified of %s: %s", state.partition("=")[0], error)
