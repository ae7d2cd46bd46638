"""Workers of a server share who a visitor without a cookie is: real processes, real connections, no cookie at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from sojourn.core.events import START
from sojourn.stores import open_store

from .conftest import Place, Start

pytestmark = pytest.mark.slow

VISITORS = 12
PAGES = 8


def visit(url: str, number: int) -> set[str]:
    """One visitor, with a connection of its own for each page, so that any worker may get it: the sessions it was in."""
    headers = {
        "accept": "text/html",
        "user-agent": f"Mozilla/5.0 (X11; Linux x86_64; rv:{number}.0) Firefox/{number}.0",
    }
    sessions = set()
    for page in range(PAGES):
        query = f"?user=user-{number}" if page == PAGES // 2 else ""
        response = httpx.get(f"{url}/shop/{page}{query}", headers=headers, timeout=30)
        assert "set-cookie" not in response.raise_for_status().headers
        sessions.add(response.headers["x-session"])
    return sessions


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_every_worker_knows_the_visitor_and_so_does_the_next_server(place: Place, serve: Start, kind: str) -> None:
    known: list[set[str]] = []
    for _ in range(2):
        server = serve(kind, workers=3, cookieless="always")
        with ThreadPoolExecutor(VISITORS) as crowd:
            known.append(set().union(*crowd.map(visit, [server.url] * VISITORS, range(VISITORS))))
        server.process.terminate()
        server.process.wait(15)
    assert [len(sessions) for sessions in known] == [VISITORS, VISITORS]
    assert known[0] == known[1], "a restart goes on with the sessions of before"
    store = open_store(place.store)
    store.open()
    try:
        events = store.log.after(START, limit=100_000)
    finally:
        store.close()
    started = [event for event in events if event.name == "session.start"]
    assert {event.session_id for event in started} == known[0]
    assert len(started) == len({event.visitor_id for event in started}) == VISITORS
    assert sum(event.name == "page_view" for event in events) == 2 * VISITORS * PAGES
    assert {event.attributes.get("visitor.kind") for event in started} == {"cookieless"}
