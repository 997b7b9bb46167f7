"""Floor 2. A real headless Chromium, as every test and benchmark that needs one starts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


def why_not() -> str | None:
    """Why there is none here, in a sentence; None when there is."""
    if not CHROMIUM.exists():
        return f"{CHROMIUM} is not installed (Debian: apt-get install chromium)"
    return None


@contextmanager
def launched(*arguments: str, program: Path = CHROMIUM) -> Iterator[Browser]:
    """A browser with further arguments; `program` starts it where that is not Chromium itself."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(program), args=[*_ARGUMENTS, *arguments]
        )
        try:
            yield browser
        finally:
            browser.close()
