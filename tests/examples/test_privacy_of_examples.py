"""Two people on one browser, and one who wants no part in it: over real HTTP, down to what a backend gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sojourn.core.session import EndReason
from sojourn.tracking.cookie import CookieCodec
from sojourn.tracking.cookie_layout import OPTED_OUT
from tests.examples.servers import COMMANDS, SECRET_KEY, Example, served, visit_on


@pytest.fixture(scope="module", params=list(COMMANDS))
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Each of them: Starlette under uvicorn, Flask and Django under gunicorn with two workers."""
    with served(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running


def test_two_people_on_one_browser_have_a_session_each(example: Example) -> None:
    browser = example.browser()
    browser.get("/")
    annas = visit_on(browser.post("/login", data={"name": "Anna"}))
    browser.post("/seeds/basil")
    browser.get("/seeds/tomato")
    assert visit_on(browser.post("/logout")) == annas
    bens = visit_on(browser.post("/login", data={"name": "Ben"}))
    browser.post("/seeds/marigold")

    second = example.recorded(bens, requests=3)  # its start ends Anna's session, in the same transaction
    first = example.recorded(annas, requests=7)
    assert (first.end_reason, first.user_id, second.user_id) == (EndReason.USER_CHANGED, "anna", "ben")
    assert (second.previous_id, second.visitor_id) == (annas, first.visitor_id)
    assert example.store.stats().counters.get("sessions.started", 0) == 2

    of_anna = example.got(annas, "session.start", "purchase", "session.end")
    of_ben = example.got(bens, "session.start", "user.identify", "purchase")
    assert all(event["data"]["session.previous_id"] == annas for event in of_ben)
    assert {event["data"].get("user.id") for event in of_anna} == {"anna", None}
    # Events of the second login before it names the user belong to the new session, still without a user.
    assert {event["data"].get("user.id") for event in of_ben} <= {"ben", None}
    assert "ben" not in json.dumps(of_anna).lower()
    assert "anna" not in json.dumps(of_ben).lower()
    assert "marigold" not in json.dumps(of_anna)
    assert {event["data"]["event_properties.seed"] for event in of_ben if event["type"] == "purchase"} == {"marigold"}
    ends = [event["data"]["session.end_reason"] for event in of_anna if event["type"] == "session.end"]
    assert ends == ["user_changed"]


@pytest.mark.parametrize("kind", list(COMMANDS))
def test_who_opts_out_is_heard_of_no_more(kind: str, tmp_path: Path) -> None:
    with served(kind, tmp_path) as example:
        browser = example.browser()
        visit = visit_on(browser.get("/"))
        browser.get("/seeds/basil")
        visitor = example.got(visit, "session.start", "page_view")[0]["data"]["visitor.id"]

        left = browser.post("/privacy", data={"choice": "out"})
        assert "not counted" in left.text
        browses_unseen(browser)
        parting = example.got(visit, "opt_out", "session.end")
        assert [event["data"]["session.end_reason"] for event in parting if event["type"] == "session.end"] == [
            "opted_out"
        ]
        assert_only_the_opt_out(browser, visitor)
        count = len(of_visitor(example, visitor))

    with served(kind, tmp_path) as again:  # the same app, after a restart
        back = again.browser(browser.cookies)
        browses_unseen(back)
        assert_only_the_opt_out(back, visitor)
        # Events of a new visitor arrive after all events of the one who left.
        other = visit_on(again.browser().get("/"))
        again.got(other, "session.start", "page_view")
        assert len(of_visitor(again, visitor)) == count
        assert {event["subject"] for event in again.forwarded()} == {visit, other}

        joined = back.post("/privacy", data={"choice": "in"})
        new = visit_on(joined)
        start = again.got(new, "session.start", "page_view")[0]
        assert start["data"]["visitor.id"] != visitor
        assert "session.previous_id" not in start["data"]


def browses_unseen(browser: httpx.Client) -> None:
    for page in (browser.get("/"), browser.get("/seeds/basil"), browser.get("/privacy"), browser.get("/fail")):
        assert "You have no visit" in page.text
    browser.get("/api/stock", headers={"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"})


def assert_only_the_opt_out(browser: httpx.Client, visitor: str) -> None:
    assert set(browser.cookies) - {"csrftoken"} == {"sojourn"}
    value = browser.cookies["sojourn"]
    assert value == CookieCodec((SECRET_KEY.encode(),)).dumps(OPTED_OUT)  # the same for everyone: it names no visitor
    assert visitor not in value


def of_visitor(example: Example, visitor: str) -> list[str]:
    return [event["type"] for event in example.forwarded() if event["data"]["visitor.id"] == visitor]
