"""Floor 2. A command whose reader has gone, as in `tramdo-probe check | head`, ends quietly.

Python raises BrokenPipeError where other programs are ended by SIGPIPE, which a daemon must not be:
its sockets would raise it too.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable

# What a shell reports for a program that SIGPIPE ended: 128 and the signal's number.
CLOSED = 141


def until_closed(command: Callable[[], int]) -> int:
    """Run a command; returns its exit code, or 141 where nobody reads its standard output."""
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()  # --help ends by SystemExit, and its text is in the buffer
    except BrokenPipeError:
        if not _is_closed():
            raise
        # What is still in the buffer would be written, and fail, when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED


def _is_closed() -> bool:
    """Whether it is standard output that nobody reads, and not a socket of the command."""
    poller = select.poll()
    poller.register(sys.stdout.fileno(), 0)
    return any(events & select.POLLERR for _, events in poller.poll(0))
