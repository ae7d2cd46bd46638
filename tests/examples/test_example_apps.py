"""The example apps under their real servers: what the store knows is what the browsers did."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from sojourn.core.session import EndReason
from sojourn.stores.reporting.model import Span
from tests.examples.servers import COMMANDS, ROOT, Example, environment, eventually, served, visit_on


@pytest.fixture(scope="module", params=list(COMMANDS))
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Each of them: Starlette under uvicorn, Flask and Django under gunicorn with two workers."""
    with served(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture(scope="module")
def starlette_example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    with served("starlette", tmp_path_factory.mktemp("starlette")) as running:
        yield running


def test_a_whole_visit_is_one_session(example: Example) -> None:
    browser = example.browser()
    first = browser.get("/")
    pages = [
        first,
        browser.get("/seeds/basil"),
        browser.get("/login"),
        browser.post("/login", data={"name": "Anna"}),
        browser.post("/seeds/basil"),
        browser.get("/fail"),
        browser.get("/seeds/nothing"),
    ]
    stock = browser.get("/api/stock", headers={"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"})

    assert [page.status_code for page in pages] == [200, 200, 200, 200, 200, 500, 404]
    assert stock.json() == {"packets": 48}
    assert len({visit_on(page) for page in pages[:6]}) == 1

    row = example.recorded(visit_on(first), requests=9)  # the login's redirect is one as well
    assert (row.requests, row.user_id, row.user_name, row.entry_path) == (9, "anna", "Anna", "/")
    assert row.is_open

    events = example.events(row)
    assert events[0].name == "session.start"
    (identified,) = (event for event in events if event.name == "user.identify")
    (purchase,) = (event for event in events if event.name == "purchase")
    assert (identified.user_id, purchase.user_id) == ("anna", "anna")
    assert purchase.attributes["event_properties.seed"] == "basil"
    views = [
        (
            view.attributes["http.request.method"],
            view.attributes["url.path"],
            view.attributes["http.response.status_code"],
        )
        for view in events
        if view.name == "page_view"
    ]
    html_404 = (
        [("GET", "/seeds/nothing", 404)] if example.kind != "starlette" else []
    )  # Starlette's own 404 is plain text
    assert views == [
        ("GET", "/", 200),
        ("GET", "/seeds/basil", 200),
        ("GET", "/login", 200),
        ("GET", "/", 200),
        ("POST", "/seeds/basil", 200),
        ("GET", "/fail", 500),
        *html_404,
    ]


def test_after_a_logout_the_visit_goes_on_without_a_user(example: Example) -> None:
    browser = example.browser()
    in_ = browser.post("/login", data={"name": "Bert"})
    out = browser.post("/logout")

    assert visit_on(in_) == visit_on(out)
    row = example.recorded(visit_on(in_), requests=4)
    assert (row.end_reason, row.user_id, row.is_tagged) == (None, "bert", False)
    assert [event.user_id for event in example.events(row) if event.name == "user.identify"] == ["bert", None]
    assert "Log in" in out.text


def test_another_user_on_the_same_device_gets_a_session_of_their_own(example: Example) -> None:
    browser = example.browser()
    cleo = browser.post("/login", data={"name": "Cleo"})
    browser.post("/seeds/basil")
    dan = browser.post("/login", data={"name": "Dan"})
    browser.post("/seeds/marigold")

    new = example.recorded(visit_on(dan), requests=3)  # whose first record ends the old one
    old = example.recorded(visit_on(cleo), requests=3)
    carts = [(row.properties or {})["session_properties.cart_value"].value for row in (old, new)]
    assert carts == [2.4, 1.9]
    assert (old.end_reason, old.user_id, new.user_id) == (EndReason.USER_CHANGED, "cleo", "dan")
    assert example.events(new)[0].previous_id == old.session_id
    assert old.visitor_id == new.visitor_id


def test_a_choice_and_the_carts_value_are_on_what_follows(example: Example) -> None:
    browser = example.browser()
    visit = visit_on(browser.get("/"))
    home = browser.post("/country", data={"country": "Germany"})
    assert "<option selected>Germany" in home.text
    browser.post("/country", data={"country": "Atlantis"})
    browser.post("/seeds/basil")
    browser.post("/seeds/tomato")
    browser.get("/seeds/basil")

    row = example.recorded(visit, requests=8)  # two choices with a redirect each
    kept = {name: value.value for name, value in (row.properties or {}).items()}
    assert kept == {"session_properties.country": "Germany", "session_properties.cart_value": 5.6}
    values = [
        (event.attributes.get("session_properties.country"), event.attributes.get("session_properties.cart_value"))
        for event in example.events(row)
        if event.name == "page_view"
    ]
    assert values[0] == (None, None)
    assert values[-1] == ("Germany", 5.6)


def test_an_error_that_the_shop_handles_is_recorded_with_its_type(example: Example) -> None:
    browser = example.browser()
    response = browser.post("/seeds/pumpkin")
    assert (response.status_code, "sold out" in response.text) == (409, True)

    row = example.recorded(visit_on(response), requests=1)
    (error,) = (event for event in example.events(row) if event.name == "exception")
    assert error.attributes["exception.type"] == "LookupError"
    assert error.attributes["exception.escaped"] is False
    assert "take_from_shelf" in str(error.attributes["exception.stacktrace"])


def test_an_error_that_it_does_not_handle_is_recorded_once(example: Example) -> None:
    browser = example.browser()
    opens_a_page = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    visit = visit_on(browser.get("/fail", headers=opens_a_page))
    row = example.recorded(visit, requests=1)
    by_name = {event.name: event for event in example.events(row)}
    assert len(example.events(row)) == len(by_name)
    assert by_name["exception"].attributes["exception.type"] == "RuntimeError"
    assert by_name["exception"].attributes["exception.escaped"] is True
    assert by_name["page_view"].attributes["error.type"] == "500"


def test_many_visitors_at_once_have_one_session_each(example: Example) -> None:
    visitors, pages = 20, 5
    browsers = [example.browser() for _ in range(visitors)]

    def walks(browser: httpx.Client) -> str:
        seen = {visit_on(browser.get("/")), *(visit_on(browser.get("/seeds/tomato")) for _ in range(pages - 1))}
        (visit,) = seen
        return visit

    with ThreadPoolExecutor(visitors) as pool:
        visits = list(pool.map(walks, browsers))

    rows = [example.recorded(visit, requests=pages) for visit in visits]
    assert len({row.visitor_id for row in rows}) == visitors
    for row in rows:
        names = Counter(event.name for event in example.events(row))
        assert (row.requests, names) == (pages, {"session.start": 1, "page_view": pages})


def test_a_name_is_shown_as_it_is_and_never_as_markup(example: Example) -> None:
    page = example.browser().post("/login", data={"name": "<script>alert(1)</script>"})
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "<script>alert" not in page.text


def test_a_login_without_a_name_asks_again(example: Example) -> None:
    page = example.browser().post("/login", data={"name": "  "})
    assert (page.status_code, "Who are you?" in page.text) == (200, True)
    assert example.recorded(visit_on(page), requests=1).user_id is None


@pytest.mark.parametrize("path", ["/", "/seeds/basil", "/login", "/privacy"])
def test_pages_need_nothing_from_elsewhere(example: Example, path: str) -> None:
    text = example.browser().get(path).text
    assert [mark for mark in ("http://", "https://", 'src="', "<link", "@import", "url(") if mark in text] == []


def test_a_crawler_and_an_assistant_get_what_they_ask_for(example: Example) -> None:
    browser = example.browser()
    for path, agent in (("/robots.txt", "GPTBot/1.2"), ("/llms.txt", "Claude-User/1.0")):
        response = browser.get(path, headers={"user-agent": f"Mozilla/5.0 (compatible; {agent})"})
        assert (response.status_code, response.headers["content-type"].partition(";")[0]) == (200, "text/plain")
    everything = Span(0, time.time_ns() // 1_000_000 + 60_000)

    def seen() -> dict[str, tuple[int, int]]:
        return {line.agent: (line.robots, line.llms) for line in example.store.agents.agents(everything)}

    eventually(lambda: len(seen()) == 2, "both agents are counted")
    assert seen() == {"GPTBot": (1, 0), "Claude-User": (0, 1)}


def test_a_stream_records_its_whole_length_and_what_was_tracked_in_it(starlette_example: Example) -> None:
    browser = starlette_example.browser()
    visit = visit_on(browser.get("/"))
    letter = browser.get("/letter")
    assert letter.text.count("<p>") == 4

    row = starlette_example.recorded(visit, requests=2)
    eventually(
        lambda: "connection.end" in [event.name for event in starlette_example.events(row)],
        "the stream's end is recorded",
    )
    by_name = {event.name: event for event in starlette_example.events(row)}
    assert "letter_read" in by_name
    # Four pauses of 0.3 s: the page view is over when the response starts, the connection when it ends.
    assert float(by_name["connection.end"].attributes["connection.duration_ms"]) >= 1200
    assert by_name["connection.end"].attributes["url.path"] == "/letter"


def test_messages_on_a_websocket_belong_to_the_session(starlette_example: Example) -> None:
    browser = starlette_example.browser()
    visit = visit_on(browser.get("/live"))
    address = urlsplit(starlette_example.address)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    raw = socket.create_connection((address.hostname, address.port))  # so that no proxy of the environment is asked
    with connect(f"ws://{address.netloc}/live/socket", sock=raw, additional_headers={"cookie": cookie}) as live:
        live.send("water")
        assert live.recv(20) == "🌱🌱"

    row = starlette_example.recorded(visit, requests=1)
    eventually(
        lambda: "connection.end" in [event.name for event in starlette_example.events(row)],
        "the socket's end is recorded",
    )
    closed = next(event for event in starlette_example.events(row) if event.name == "connection.end")
    assert closed.attributes["websocket.close_code"] == 1000
    assert starlette_example.recorded(visit, requests=1).last_seen_at > row.started_at


@pytest.mark.parametrize("module", ["examples.starlette_app.app", "examples.flask_app.app"])
def test_without_a_key_the_error_prints_one(module: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        env=environment(PYTHONPATH=str(ROOT)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "SOJOURN_SECRET_KEY=" in done.stderr


@pytest.mark.parametrize("module", ["examples.starlette_app.app", "examples.flask_app.app", "examples.django_app.wsgi"])
def test_switched_off_they_run_without_a_key_and_write_nothing(module: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {module}"],
        env=environment(SOJOURN_ENABLED="0"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
