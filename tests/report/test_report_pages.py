"""The pages through ASGI and WSGI: figures, sessions and timelines, and untrusted text as mere text."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable

import pytest

from sojourn import capture_exception, end_session, identify, set_session_properties, track
from sojourn.stores.reporting.model import Filter, SessionLine
from tests.report.conftest import MakeApp
from tests.report.harness import PASSWORD, App, Reader

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 1234567 * 7 }}",
    "'; DROP TABLE sessions; --",
    "\u202egnp.exe",
    "a\u0000b\u0007c\u009b31m",
    "=HYPERLINK(1)",
    "&lt;b&gt;",
    "\u2066\u2067\u2068 hidden \u200b end",
)


def visit(app: App, path: str = "/", *calls: Callable[[], object], **headers: str) -> str:
    """Record a session of one page; return its key."""

    def view() -> None:
        for call in calls:
            call()

    app.view = view
    app.visit(path, **headers)
    app.view = lambda: None
    app.clock.advance(1)
    return latest(app)


def newest(app: App) -> SessionLine:
    return app.engine.store.sessions.page(Filter()).lines[0]


def latest(app: App) -> str:
    return newest(app).key


def test_overview_figures(app: App, reader: Reader) -> None:
    visit(app, "/seeds", lambda: identify("anna"), referer="https://garden.example/some/page")
    visit(app, "/seeds")
    app.status = 500
    visit(app, "/broken")
    words = reader.get("/").words
    assert "3 online now" in words
    for phrase in (
        "Sessions 3",
        "Visitors 3",
        "Identified users 1",
        "Bounce rate — no ended session with a page view",
        "With errors 1",
        "garden.example 1",
        "/seeds 2",
    ):
        assert phrase in words


def test_the_own_host_is_no_source(app: App, reader: Reader) -> None:
    key = visit(app, "/cart", referer="https://app.example:8443/catalogue")
    assert "No data in this range" in reader.get("/").words
    assert "Referrer (within the site) https://app.example:8443/catalogue" in reader.get(f"/sessions/{key}").words
    (row,) = json.loads(reader.get("/sessions.json", referrer="(within the site)").text)
    assert (row["session_key"], row["referrer"]) == (key, "(within the site)")


def test_a_bounce_is_one_page_view_and_nothing_tracked(app: App, reader: Reader) -> None:
    visit(app, "/left", lambda: identify("anna"), end_session)
    visit(app, "/tracked", lambda: track("purchase"), end_session)
    visit(app, "/open")
    assert "Bounce rate 50 % one page view, nothing tracked" in reader.get("/").words


def test_without_page_views_there_is_no_bounce_rate(make_app: MakeApp) -> None:
    app = make_app(settings={"page_views": False}, password=PASSWORD)
    reader = Reader(app)
    reader.log_in()
    for number in range(6):
        visit(app, f"/{number}", lambda: identify("anna"), end_session)
    words = reader.get("/").words
    assert "Sessions 6" in words
    assert "Bounce rate — no ended session with a page view" in words


def test_errors_are_counted_one_way_everywhere(app: App, reader: Reader) -> None:
    """Two captured exceptions, and a failed page whose request captured a third; then a page that is missing."""
    first = visit(app, "/captured", *[lambda: capture_exception(ValueError())] * 2)
    app.status = 500
    second = visit(app, "/failed", lambda: capture_exception(ValueError()))
    app.status = 404
    third = visit(app, "/missing")
    errors = {first: (2, 0), second: (1, 0), third: (0, 1)}

    assert "With errors 2" in reader.get("/").words
    assert "67 % of sessions; 1 with 4xx pages" in reader.get("/").words
    rows = json.loads(reader.get("/sessions.json").text)
    assert {row["session_key"]: (row["errors"], row["client_errors"]) for row in rows} == errors
    assert {row["session_key"] for row in json.loads(reader.get("/sessions.json", errors="1..").text)} == {
        first,
        second,
    }
    for key, (count, refused) in errors.items():
        page = reader.get(f"/sessions/{key}")
        assert re.search(rf"\bErrors (✕ )?{count}\b", page.words)
        assert ("and 1 4xx page" in page.words) is bool(refused)
        assert ("is-odd" in page.text) is bool(refused)
        assert ("is-bad" in page.text) is bool(count)


def test_the_form_keeps_filters_that_it_has_no_field_for(reader: Reader) -> None:
    text = reader.get("/sessions", browser="Firefox", campaign_source="mail", sort="pages", dir="up").text
    kept = dict(
        re.findall(
            r'<input type="hidden" name="(\w+)" value="([^"]*)">',
            text.partition("filter panel")[2].partition("</form>")[0],
        )
    )
    assert kept == {"browser": "Firefox", "campaign_source": "mail", "sort": "pages", "dir": "up"}


def test_empty_store_explains_the_next_step(app: App, reader: Reader) -> None:
    assert "Open a page of your app" in reader.get("/").words
    assert "Open a page of your app" in reader.get("/sessions").words
    assert "No backend is configured" in reader.get("/delivery").words


@pytest.mark.parametrize("name", ["today", "24h", "7d", "30d", "90d", "12m", "nonsense", "7d'"])
def test_overview_of_every_range(app: App, reader: Reader, name: str) -> None:
    visit(app)
    assert "Sessions 1" in reader.get("/", range=name).words


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        pytest.param({}, {"/one", "/two", "/three"}, id="all"),
        pytest.param({"user": "anna"}, {"/one"}, id="a user"),
        pytest.param({"entry": "/t*"}, {"/two", "/three"}, id="entry page"),
        pytest.param({"path": "/two"}, {"/two"}, id="viewed page"),
        pytest.param({"prop": "plan", "value": "pro"}, {"/two"}, id="a property"),
        pytest.param({"errors": "1"}, {"/three"}, id="errors"),
        pytest.param({"exit_path": "/two"}, {"/two"}, id="exit page"),
        pytest.param({"browser": "None of them"}, set(), id="browser"),
        pytest.param({"state": "open"}, {"/one", "/three"}, id="open"),
        pytest.param({"reason": "ended"}, {"/two"}, id="end reason"),
        pytest.param({"q": "ANNA"}, {"/one"}, id="a text"),
        pytest.param({"range": "24h"}, {"/one", "/two", "/three"}, id="a range"),
        pytest.param({"since": "1999-01-01T00:00Z", "until": "1999-02-01T00:00Z"}, set(), id="another range"),
        pytest.param({"user": "anna", "errors": "1"}, set(), id="two that exclude each other"),
        pytest.param({"q": "'; DROP TABLE sessions; --"}, set(), id="hostile"),
        pytest.param(
            {"reason": "nonsense", "sort": "nonsense", "at": "garbage", "state": "x"},
            {"/one", "/two", "/three"},
            id="garbage",
        ),
    ],
)
def test_filters_are_url_parameters(app: App, reader: Reader, query: dict[str, str], paths: set[str]) -> None:
    visit(app, "/one", lambda: identify("anna"))
    visit(app, "/two", lambda: set_session_properties({"plan": "pro"}), end_session)
    app.status = 500
    visit(app, "/three")
    reply = reader.get("/sessions", **query)
    assert reply.status == 200
    assert set(re.findall(r"<bdi>(/(?:one|two|three))</bdi>", reply.text)) == paths
    for name in set(query) & {"user", "entry", "q"}:
        assert f'name="{name}" value="{html.escape(query[name])}"' in reply.text.replace("&#39;", "&#x27;")


@pytest.mark.parametrize("sort", ["started", "seen", "duration", "pages", "events", "errors"])
def test_sorted_column_is_marked_and_a_second_click_reverses_it(app: App, reader: Reader, sort: str) -> None:
    visit(app)
    text = reader.get("/sessions", sort=sort).text
    (head,) = re.findall(r'<th[^>]*aria-sort="descending"[^>]*><a href="([^"]+)"', text)
    assert "dir=up" in head
    path, _, query = html.unescape(head).removeprefix("/_sojourn").partition("?")
    turned = reader.get(path, **dict(pair.split("=") for pair in query.split("&"))).text
    assert 'aria-sort="ascending"' in turned


def test_list_pagination_goes_forward_and_back(app: App, reader: Reader) -> None:
    for number in range(120):
        visit(app, f"/page-{number:03}")
    seen: list[str] = []
    text = reader.get("/sessions").text
    for _ in range(3):
        seen += re.findall(r"<bdi>(/page-\d+)</bdi>", text)
        (following, *_) = [*re.findall(r'rel="next" href="/_sojourn/sessions\?at=([^"]+)"', text), ""]
        if following:
            text = reader.get("/sessions", at=following).text
    assert seen == [f"/page-{number:03}" for number in reversed(range(120))]
    (before,) = re.findall(r'rel="prev" href="/_sojourn/sessions\?at=([^"]+)"', text)
    back = re.findall(r"<bdi>(/page-\d+)</bdi>", reader.get("/sessions", at=before).text)
    assert back == [f"/page-{number:03}" for number in reversed(range(20, 70))]


def test_session_page_shows_the_timeline(app: App, reader: Reader) -> None:
    def fails() -> None:
        try:
            raise ValueError("nothing on the shelf")
        except ValueError as error:
            capture_exception(error)

    key = visit(
        app,
        "/seeds/tomato",
        lambda: identify("anna", "Anna", traits={"plan": "garden"}),
        lambda: set_session_properties({"cart": 12.5}),
        lambda: track("purchase", {"seed": "tomato"}),
        fails,
    )
    words = reader.get(f"/sessions/{key}").words
    for phrase in (
        "Anna",
        "Session started /seeds/tomato",
        "Identified Anna",
        "Event purchase",
        "seed tomato",
        "cart 12.5",
        "Handled exception ValueError",
        "nothing on the shelf",
        "Stack trace",
        "Page view /seeds/tomato",
        "200",
        "plan garden",
    ):
        assert phrase in words, phrase


def test_event_url_redirects_to_its_session(app: App, reader: Reader) -> None:
    key = visit(app, "/", lambda: track("purchase"))
    after = reader.get(f"/sessions/{key}").text.partition("purchase")[2]
    event_id = re.findall(r'/_sojourn/events/([^"]+)"', after)[0]
    reply = reader.get(f"/events/{event_id}")
    assert reply.status == 303
    assert re.fullmatch(rf"/_sojourn/sessions/{key}#e\d+", reply.header("location"))


@pytest.mark.parametrize(
    "path", ["/sessions/none-of-this-id", "/users?id=x", "/users", "/visitors?id=x", "/events/x", "/x/y"]
)
def test_unknown_ids_are_not_found(reader: Reader, path: str) -> None:
    assert reader.request("GET", path).status == 404


def test_user_page_spans_browsers(app: App, reader: Reader) -> None:
    for path in ("/one", "/two"):
        visit(app, path, lambda: identify("a/b?c=d&e", "Anna"))
    visit(app, "/three")
    words = reader.get("/users", id="a/b?c=d&e").words
    for phrase in ("Anna", "Sessions 2", "/one", "/two", "Browsers of this user"):
        assert phrase in words
    assert "/three" not in words


def test_live_list_of_a_user_counts_only_their_sessions(app: App, reader: Reader) -> None:
    visit(app, "/one", lambda: identify("anna"))
    (live,) = re.findall(r'data-live="([^"]+)"', reader.get("/users", id="anna").text)
    path, _, query = html.unescape(live).removeprefix("/_sojourn").partition("?")
    params = dict(pair.split("=") for pair in query.split("&"))
    visit(app, "/two")
    assert '"newer":0' in reader.get(path, **params).text
    visit(app, "/three", lambda: identify("anna"))
    assert '"newer":1' in reader.get(path, **params).text


def test_live_list_returns_current_rows(app: App, reader: Reader) -> None:
    key = visit(app, "/one")
    visit(app, "/two")
    reply = reader.get("/live/sessions", keys=f"{key},gone", after="0")
    assert (f'data-key=\\"{key}\\"' in reply.text, '"newer":2' in reply.text, "gone" in reply.text) == (
        True,
        True,
        False,
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_untrusted_text_is_escaped_on_every_page(app: App, reader: Reader, text: str) -> None:
    def send_everywhere() -> None:
        safe = "".join(char if char.isprintable() else "." for char in text)
        identify(f"id {safe}", text, traits={"trait": text})
        set_session_properties({"prop": text})
        track("purchase", {"item": text})
        try:
            raise ValueError(text)
        except ValueError as error:
            capture_exception(error)

    path = "/" + "".join(char for char in text if char not in "?#").replace("\u0000", "")
    key = visit(
        app,
        path,
        send_everywhere,
        user_agent=text.encode().decode("latin-1"),
        referer=f"https://x.example/{text}".encode().decode("latin-1"),
    )
    line = newest(app)
    pages = [
        reader.get("/"),
        reader.get("/sessions"),
        reader.get("/sessions", q=text),
        reader.get(f"/sessions/{key}"),
        reader.get("/users", id=str(line.user_id)),
        reader.get("/visitors", id=line.visitor_id),
        reader.get("/live/sessions", keys=key, after="0"),
        reader.get(f"/live/sessions/{key}", after="0"),
        reader.get("/delivery", backend=text),
    ]
    for page in pages:
        assert page.status in {200, 404}
        assert not re.findall(r"<script(?! type=\"module\")|<img|<b>|8641969", page.text)
        # The search field shows what was typed; nowhere else may hidden characters appear.
        shown = re.sub(r'value="[^"]*"', "", page.text.replace("\n", ""))
        assert [char for char in shown if char in "\u202e\u2066\u2067\u2068\u200b\u0000\u0007\u009b"] == []
        assert "javascript:" not in page.text


def test_referrer_is_never_a_link(app: App, reader: Reader) -> None:
    key = visit(app, "/", referer="https://elsewhere.example/page")
    for page in (reader.get("/"), reader.get("/sessions"), reader.get(f"/sessions/{key}")):
        for link in re.findall(r'(?:href|action|src)="([^"]*)"', page.text):
            assert link.startswith(("/_sojourn", "#")), link


def test_long_text_is_cut_and_available_in_full(app: App, reader: Reader) -> None:
    key = visit(app, "/" + "a" * 900, lambda: set_session_properties({"note": "x" * 5000}), lambda: identify("u" * 256))
    text = reader.get("/sessions").text
    assert "a" * 450 not in text
    whole = reader.get(f"/sessions/{key}").text
    assert "5,000 characters" in html.unescape(whole)
    assert "x" * 5000 in whole


def test_time_zone_and_theme_come_from_cookies(app: App, reader: Reader) -> None:
    visit(app)
    reader.cookies |= {"sojourn_report_zone": "Asia/Kolkata", "sojourn_report_theme": "dark"}
    text = reader.get("/sessions").text
    assert ('data-theme="dark"' in text, "UTC+5:30" in text) == (True, True)
    reader.cookies |= {"sojourn_report_zone": "99999", "sojourn_report_theme": '"><b>'}
    text = reader.get("/sessions").text
    assert ('data-theme="auto"' in text, "Times in UTC" in text) == (True, True)


@pytest.mark.parametrize("path", ["/", "/sessions", "/delivery"])
def test_pages_have_landmarks_and_a_skip_link(reader: Reader, path: str) -> None:
    text = reader.get(path).text
    assert re.search(r'<html lang="en"', text)
    assert len(re.findall(r"<main\b", text)) == len(re.findall(r"<h1\b", text)) == 1
    assert 'class="skip" href="#content"' in text
    assert 'aria-current="page"' in text
