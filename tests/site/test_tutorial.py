"""The tutorial, followed in a browser to the letter: its file, its commands, and what it says one sees."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.chromium import in_chromium, launched
from tests.ports import free_port

TUTORIAL = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()
PROGRAM = re.findall(r"^```python\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

pytestmark = in_chromium


@pytest.fixture
def page() -> Iterator[Page]:
    with launched() as chromium:
        page = chromium.new_context(user_agent=FIREFOX).new_page()
        page.set_default_timeout(15_000)
        yield page


@contextmanager
def shop(folder: Path, *parts: str, **environment: str) -> Iterator[str]:
    """Run the shop of these blocks as the tutorial does."""
    (folder / "shop.py").write_text("\n\n".join(parts))
    port = free_port()
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "shop", "run", "--port", str(port)],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
        ) as server,
    ):
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(200):
                try:
                    httpx.get(f"{address}/favicon.ico")
                    break
                except httpx.TransportError:
                    assert server.poll() is None, (folder / "log").read_text()
                    time.sleep(0.1)
            yield address
        finally:
            server.terminate()
            server.wait(20)


def log_in(page: Page, address: str) -> None:
    page.goto(f"{address}/_sojourn")
    if page.get_by_role("navigation", name="Menu").count():
        return  # still logged in
    page.get_by_label("Password or token").fill("open sesame")
    page.get_by_label("Password or token").press("Enter")
    expect(page.get_by_role("navigation", name="Menu")).to_be_visible()


def test_your_visit_gets_a_name_a_purchase_and_an_error(page: Page, tmp_path: Path) -> None:
    with shop(tmp_path, PROGRAM[0]) as address:
        page.goto(address)
        page.get_by_role("link", name="Poppies").click()
        page.wait_for_load_state()
        log_in(page, address)
        page.goto(f"{address}/_sojourn/sessions")
        expect(page.locator("main tbody tr")).to_have_count(1)
    with shop(tmp_path, *PROGRAM) as address:
        page.goto(f"{address}/login/anna")
        expect(page.locator("body")).to_contain_text("Hello, anna!")
        page.goto(f"{address}/seeds/1")
        page.get_by_role("button", name="Buy").click()
        page.wait_for_load_state()
        log_in(page, address)
        page.goto(f"{address}/_sojourn/sessions")
        anna = page.locator("main tbody tr", has_text="anna")
        expect(anna).to_have_count(1)
        anna.get_by_role("link").first.click()
        for text in ("purchase", "/thanks", "KeyError", "shop.py"):
            expect(page.locator("main")).to_contain_text(text)
        page.goto(f"{address}/_sojourn/")
        expect(page.locator("main")).to_contain_text("KeyError")
        page.goto(f"{address}/_sojourn/goals")
        page.get_by_label("Name").fill("Purchase")
        page.get_by_label("Page or event").fill("purchase")
        page.get_by_role("button", name="Add").click()
        expect(page.locator("main tbody tr", has_text="purchase")).to_contain_text("100")


def test_a_session_ends_and_is_in_the_file(page: Page, tmp_path: Path) -> None:
    assert "SOJOURN_IDLE_TIMEOUT=60 SOJOURN_BACKENDS=jsonl:events.jsonl flask --app shop run" in TUTORIAL
    # Two seconds rather than the tutorial's minute: the rule is the same.
    with shop(tmp_path, *PROGRAM, SOJOURN_IDLE_TIMEOUT="2", SOJOURN_BACKENDS="jsonl:events.jsonl") as address:
        page.goto(address)
        file, deadline = tmp_path / "events.jsonl", time.monotonic() + 60
        while "session.end" not in (file.read_text() if file.exists() else ""):
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.2)
    (command,) = re.findall(r"^grep .*$", TUTORIAL, re.MULTILINE)
    found = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert found.splitlines() == ['"type":"session.start"', '"type":"session.end"']
    end = json.loads(file.read_text().splitlines()[-1])["data"]
    assert {"session.duration_ms", "session.page_views", "session.end_reason"} <= end.keys()
