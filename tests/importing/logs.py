"""Access logs to import, and stores to import into."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sojourn import cli
from sojourn.core.clock import SYSTEM_CLOCK
from sojourn.stores import open_store
from sojourn.stores.protocol import Store
from sojourn.stores.rows import SessionRow

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
THEN = (SYSTEM_CLOCK.now() - 30 * DAY) // DAY * DAY + 10 * HOUR
"""Ten in the morning, UTC, a month ago: inside of any retention."""
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def line(
    minutes: float,
    path: str = "/",
    *,
    address: str = "192.0.2.7",
    agent: str = FIREFOX,
    status: int = 200,
    method: str = "GET",
    referer: str = "-",
) -> str:
    """A line in the combined format, so many minutes after `THEN`."""
    at = datetime.fromtimestamp((THEN + minutes * MINUTE) / 1000, UTC)
    return f'{address} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "{method} {path} HTTP/1.1" {status} 512 "{referer}" "{agent}"'


def write(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("".join(f"{each}\n" for each in lines))
    return path


def run(store: Store, *logs: Path, options: Sequence[str] = ()) -> int:
    return cli.main(["import", *map(str, logs), "--store", store.name, "--host", "shop.example", *options])


def sessions(store: Store) -> list[SessionRow]:
    """All sessions, the first first."""
    return sorted(store.sessions.latest(limit=10_000), key=lambda row: (row.started_at, row.last_seen_at))


def minutes_of(row: SessionRow) -> tuple[float, float]:
    return (row.started_at - THEN) / MINUTE, (row.last_seen_at - THEN) / MINUTE


def contents_of(log: Path, place: Path) -> list[tuple[object, ...]]:
    """What there is in a new store after the import of a log."""
    store = open_store(f"sqlite:///{place}")
    store.open()
    try:
        run(store, log)
        return contents(store)
    finally:
        store.close()


def contents(store: Store) -> list[tuple[object, ...]]:
    """What there is, but for ids that are random and what only serves later folds."""
    found = [
        (
            row.visitor_id,
            minutes_of(row),
            row.requests,
            row.page_views,
            row.entry_path,
            row.exit_path,
            row.source,
            row.end_reason,
            row.end_revision,
            row.imported,
            sorted((each.time, each.name, each.attributes.get("url.path")) for each in store.log.of_session(row.key)),
        )
        for row in sessions(store)
    ]
    return sorted(found, key=lambda each: repr(each[1:]))
