"""Headless Chromium, as every browser test starts it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM: Final = shutil.which("chromium") or ""
_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

in_chromium: Final = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium"),
]
"""The marks of a module of browser tests."""


@contextmanager
def launched(*arguments: str) -> Iterator[Browser]:
    """Start a browser, with further arguments, and close it after the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()
