"""The session page: its title and facts, the gaps between its steps, campaigns in plain text, and the visits beside it."""

from __future__ import annotations

import html
import json
import re

import pytest

from sojourn import identify, track
from sojourn.core.events import PAGE_VIEW, SESSION_HEARTBEAT, Event
from sojourn.core.sources import WITHIN_SITE
from sojourn.report import _formatting, _heading, _timeline
from sojourn.stores.dimensions import NAMES
from sojourn.stores.reporting.model import SessionLine
from tests.report.harness import App, Reader
from tests.report.test_report_pages import latest, newest, visit

MINUTE = 60_000
PIXEL = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile "
    "Safari/537.36"
)


def event(name: str, at: int) -> Event:
    return Event(
        id=f"{name}{at}",
        name=name,
        time=at,
        session_id="s",
        session_key="k",
        session_started_at=0,
        visitor_id="v",
        attributes={},
    )


def line(**dimensions: str | None) -> SessionLine:
    return SessionLine(
        key="k",
        session_id="k",
        visitor_id="0123456789abcdef",
        user_id=None,
        user_name=None,
        is_manual=False,
        started_at=0,
        last_seen_at=0,
        end_reason=None,
        requests=1,
        page_views=1,
        events=1,
        tracked_events=0,
        errors=0,
        client_errors=0,
        dimensions={**dict.fromkeys(NAMES), **dimensions},
    )


def title(text: str) -> str:
    found = re.search(r"<h1>(.*?)</h1>", text, re.DOTALL)
    assert found
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", found[1])).split())


def test_title_says_who_with_what_and_from_where(app: App, reader: Reader) -> None:
    key = visit(
        app, "/", lambda: identify("anna", "Anna B."), user_agent=PIXEL, referer="https://www.google.com/search"
    )
    page = reader.get(f"/sessions/{key}").text
    assert title(page) == "Anna B., Chrome on Android, from www.google.com"
    assert "<title>Anna B., Chrome on Android · Sojourn</title>" in page


@pytest.mark.parametrize(
    ("dimensions", "client", "source"),
    [
        pytest.param({"browser": "Chrome", "system": "Android"}, "Chrome on Android", None, id="browser and system"),
        pytest.param({"browser": "Firefox", "system": "Other"}, "Firefox", None, id="unknown system"),
        pytest.param({"browser": "Other", "system": "Other", "device": "bot"}, "bot", None, id="only a kind"),
        pytest.param({}, None, None, id="nothing"),
        pytest.param({"referrer": "https://a.example/x"}, None, "a.example", id="a referrer"),
        pytest.param({"referrer": WITHIN_SITE}, None, None, id="a click within the site is no source"),
        pytest.param({"referrer": "https://[x", "utm_source": "mail"}, None, "mail", id="unreadable referrer"),
        pytest.param({"utm_source": "newsletter"}, None, "newsletter", id="a campaign's source"),
    ],
)
def test_parts_of_the_title(dimensions: dict[str, str], client: str | None, source: str | None) -> None:
    made = _heading.heading(line(**dimensions))
    assert (made.who, made.visitor, made.client, made.source) == (None, "01234567", client, source)


def test_four_facts_stand_above_the_timeline_and_update(app: App, reader: Reader) -> None:
    key = visit(app, "/one", lambda: track("purchase"))
    for reply in (reader.get(f"/sessions/{key}"), reader.get(f"/live/sessions/{key}", after="0")):
        facts = reply.text if reply.text.startswith("<") else json.loads(reply.text)["facts"]
        words = " ".join(re.sub(r"<[^>]*>", " ", facts).split())
        for phrase in ("Pages 1 in 1 request", "Events 2 1 tracked by the app", "Errors 0 no 4xx pages"):
            assert phrase in words, words


def test_campaign_and_address_are_shown_decoded(app: App, reader: Reader) -> None:
    key = visit(app, "/?utm_source=news+letter&utm_campaign=%27%3B+DROP")
    page = reader.get(f"/sessions/{key}")
    assert "Campaign Source news letter Campaign '; DROP" in page.words
    assert "Page view / utm_source news letter utm_campaign '; DROP" in page.words
    # What was received stays available as it is.
    assert "url.query utm_source=news+letter&utm_campaign=%27%3B+DROP" in page.words


def test_parameters_are_decoded_once() -> None:
    assert _heading.parameters("a=%2541&b=&c=x+y") == (("a", "%41"), ("b", ""), ("c", "x y"))
    assert _heading.parameters("&".join(f"n{n}=1" for n in range(31))) == ()
    assert _heading.parameters(None) == ()


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(MINUTE, "1 min"), (4 * MINUTE + 59_999, "4 min"), (60 * MINUTE, "1 h"), (125 * MINUTE, "2 h 5 min"),
     (1440 * MINUTE, "1 d"), (1500 * MINUTE, "1 d 1 h"), (3000 * MINUTE + 59 * MINUTE, "2 d 2 h")],
)  # fmt: skip
def test_pauses_in_words(milliseconds: int, text: str) -> None:
    assert _formatting.pause(milliseconds) == text


def test_gaps_between_steps() -> None:
    made = _timeline.steps(
        [
            event(PAGE_VIEW, 0),
            event(PAGE_VIEW, MINUTE - 1),
            event(SESSION_HEARTBEAT, 5 * MINUTE),
            event(PAGE_VIEW, 7 * MINUTE),
            event("late", 2 * MINUTE),
            event(PAGE_VIEW, 7 * MINUTE + 1),
        ]
    )
    assert [each.gap for each in made] == [None, None, None, "6 min", None, None]
    assert [each.gap_after_beat for each in made] == [None, None, None, "2 min", None, None]


def test_gap_is_drawn_on_the_page_and_in_what_follows_live(app: App, reader: Reader) -> None:
    cookie = app.visit("/one").header("set-cookie").partition(";")[0]
    key = latest(app)
    before = json.loads(reader.get(f"/live/sessions/{key}", after="0").text)
    app.clock.advance(4 * 60 + 1)
    app.visit("/two", cookie=cookie)
    assert "4 min later" in reader.get(f"/sessions/{key}").words
    news = json.loads(reader.get(f"/live/sessions/{key}", after=before["last"], shown=str(before["shown"])).text)
    assert ["4 min later" in step for step in news["steps"]] == [False, True]  # a heartbeat first
    assert news["shown"] == app.clock.now()


def test_other_visits_of_the_user_span_browsers(app: App, reader: Reader) -> None:
    first = visit(app, "/one", lambda: identify("anna"))
    second = visit(app, "/two", lambda: identify("anna"), user_agent=PIXEL)
    stranger = visit(app, "/three")
    page = reader.get(f"/sessions/{first}")
    beside = page.text.partition('id="visits-title"')[2].partition("</section>")[0]
    assert re.findall(r'href="/_sojourn/sessions/([^"]+)"', beside) == [second]
    assert "Chrome" in beside
    assert "/_sojourn/users?id=anna" in beside
    alone = reader.get(f"/sessions/{stranger}").words
    assert "Other visits of this browser None is stored." in alone
    assert newest(app).key == stranger


def test_user_page_lists_devices_with_their_sessions(app: App, reader: Reader) -> None:
    visit(app, "/one", lambda: identify("anna"))
    visit(app, "/two", lambda: identify("anna"), user_agent=PIXEL)
    phone = newest(app).visitor_id
    words = reader.get("/users", id="anna").words
    assert f"Chrome on Android phone {phone[:8]} 1 1" in words
    assert "Browsers of this user 2" in words
    assert "Firefox on Linux desktop" in words
    assert "Users of this browser 1" in reader.get("/visitors", id=phone).words


def test_ids_can_be_copied_unless_they_hide_something(app: App, reader: Reader) -> None:
    key = visit(app, "/", lambda: identify("anna"))
    assert 'data-copy="anna"' in reader.get(f"/sessions/{key}").text
    assert f'data-copy="{newest(app).visitor_id}"' in reader.get(f"/sessions/{key}").text
    assert not str(_formatting.copyable("an\u200bna"))
    assert str(_formatting.copyable('a"b')) == ' data-copy="a&#34;b"'
