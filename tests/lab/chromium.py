"""Floor 2. A headless Chromium in a network namespace: when a page's first byte comes.

    with chromium(office) as first_byte_ms:
        first_byte_ms("https://dichvucong.gov.vn/")

It must not know what our own reader of pages makes of the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests import resources
from tests.chromium import CHROMIUM, launched
from tests.lab.namespace import Namespace

_TIMEOUT_MS = 60_000
# Here and not in the context: the context lets a handshake fail and connects once more.
_ANY_CERTIFICATE = "--ignore-certificate-errors"
# From the first look-up to the first byte of the answer (W3C Navigation Timing).
_FIRST_BYTE = """() => {
  const page = performance.getEntriesByType("navigation")[0];
  return page.responseStart - page.fetchStart;
}"""


@contextmanager
def chromium(namespace: Namespace) -> Iterator[Callable[[str], float]]:
    """Chromium, started in the namespace: a function that fetches a page and gives milliseconds.

    Each page is fetched with nothing remembered: names, connections, and which family failed. Its
    certificate may be anybody's. playwright.sync_api.Error where no page comes.
    """
    with resources.temporary_folder("tramdo-") as folder:
        started = folder / "chromium"
        command = f'exec ip netns exec {namespace.name} {CHROMIUM} "$@"'
        started.write_text(f"#!/bin/sh\n{command}\n", encoding="ascii")
        started.chmod(0o700)
        with launched(_ANY_CERTIFICATE, program=started) as browser:

            def first_byte_ms(page_url: str) -> float:
                with browser.new_context() as context:
                    page = context.new_page()
                    page.goto(page_url, timeout=_TIMEOUT_MS)
                    return float(page.evaluate(_FIRST_BYTE))

            yield first_byte_ms
