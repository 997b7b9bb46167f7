"""Floor 2. A headless Chromium in a network namespace: when a page's first byte comes.

    with chromium(office) as first_byte_ms:
        first_byte_ms("https://dichvucong.gov.vn/")

It must not know what our own reader of pages makes of the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests import resources
from tests.lab.namespace import Namespace

_CHROMIUM = Path("/usr/bin/chromium")
_TIMEOUT_MS = 60_000
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    # Here and not in the context: the context lets a handshake fail and connects once more.
    "--ignore-certificate-errors",
)
# From the first look-up to the first byte of the answer (W3C Navigation Timing).
_FIRST_BYTE = """() => {
  const page = performance.getEntriesByType("navigation")[0];
  return page.responseStart - page.fetchStart;
}"""


def why_not() -> str | None:
    """Why there is none here, in a sentence; None when there is."""
    if not _CHROMIUM.exists():
        return f"{_CHROMIUM} is not installed (Debian: apt-get install chromium)"
    return None


@contextmanager
def chromium(namespace: Namespace) -> Iterator[Callable[[str], float]]:
    """Chromium, started in the namespace: a function that fetches a page and gives milliseconds.

    Each page is fetched with nothing remembered: names, connections, and which family failed. Its
    certificate may be anybody's. playwright.sync_api.Error where no page comes.
    """
    with resources.temporary_folder("tramdo-") as folder, sync_playwright() as playwright:
        started = folder / "chromium"
        command = f'exec ip netns exec {namespace.name} {_CHROMIUM} "$@"'
        started.write_text(f"#!/bin/sh\n{command}\n", encoding="ascii")
        started.chmod(0o700)
        browser = playwright.chromium.launch(executable_path=str(started), args=list(_ARGUMENTS))
        try:

            def first_byte_ms(page_url: str) -> float:
                with browser.new_context() as context:
                    page = context.new_page()
                    page.goto(page_url, timeout=_TIMEOUT_MS)
                    return float(page.evaluate(_FIRST_BYTE))

            yield first_byte_ms
        finally:
            browser.close()
