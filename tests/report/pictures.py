"""Takes the pictures of the README and the docs: `scripts/pictures`. The report over a generated store, in Chromium."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sojourn.demo.generator import generate
from sojourn.report.serving import ReportServer, Source
from sojourn.stores import SQLiteStore
from tests.chromium import launched

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
PICTURES: Final = (
    ("report-overview", "/?range=30d&tabs=campaigns", 1200),
    ("report-sessions", "/sessions", 760),
    ("report-campaigns", "/panels/campaigns?range=30d&goal=Purchase&sort=goal_rate", 470),
)
"""Name, address, height."""
WIDTH: Final = 1280
NOW: Final = round(datetime(2026, 11, 20, 16, 30, tzinfo=UTC).timestamp() * 1000)
"""A busy hour: whenever they are taken, the pictures are the same."""
SESSIONS: Final = 20_000
DAYS: Final = 75


def main() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sojourn.db"
        generate(path, SESSIONS, now=NOW, days=DAYS, on_progress=lambda *_: None)
        with closing(SQLiteStore(path)) as store:
            store.open()
            source = Source(store=lambda: store, now=lambda: NOW, service="seed-shop")
            with ReportServer(source) as report, launched() as chromium:
                page = chromium.new_page(locale="en", timezone_id="Europe/Vienna", color_scheme="light")
                page.goto(report.link)
                for name, address, height in PICTURES:
                    page.set_viewport_size({"width": WIDTH, "height": height})
                    page.goto(f"http://127.0.0.1:{report.port}{address}")
                    page.screenshot(path=IMAGES / f"{name}.png")
                    print(IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
