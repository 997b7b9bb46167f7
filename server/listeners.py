"""Floor 2. Opens what a measurement server's program listens on: each address, or none of them."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - probes must reach it


class _Closable(Protocol):
    def close(self) -> None: ...


L = TypeVar("L", bound=_Closable)


def open_listeners(
    addresses: Sequence[str] | None,
    port: int,
    listen: Callable[[str, int], L],
    log: logging.Logger,
) -> list[L]:
    """A listener for each address; an empty list when one of them fails, which is logged.

    Without addresses it listens on both families, of which a host may lack one.
    """
    listeners: list[L] = []
    for address in addresses or _EVERYWHERE:
        try:
            listeners.append(listen(address, port))
        except OSError as error:
            if not addresses and error.errno == errno.EAFNOSUPPORT:
                continue
            # The cause is a setting, so there is no traceback.
            log.error(  # noqa: TRY400
                "cannot listen on %s port %d: %s", address, port, error.strerror or error
            )
            for listener in listeners:
                listener.close()
            return []
    return listeners
