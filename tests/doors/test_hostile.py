"""Whatever a browser, a framework or an error says, the response is the app's, and what leaves is JSON within the limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sojourn import UNKNOWN, User, capture_exception, identify, set_session_properties, start_session, track
from sojourn.backends.cloudevents import encode
from sojourn.core.user_ids import is_user_id
from sojourn.pipeline.record.row_events import MAX_EVENT_BYTES
from tests.doors.browser import Browser, Protocol, Site, view_of

LATIN = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\r\n"), max_size=80)
HEADER = LATIN | st.sampled_from(["x" * 100_000, "\x00", "http://[", "javascript:1", "1, 1", "text/html" * 99])
PATH = (LATIN | st.sampled_from(["/" * 9_000, "/%ff%00", "/eyJhbGciOi.eyJzdWIiOi.c2ln", "/a@b.example"])).map(
    lambda text: "/" + "".join(letter for letter in text if letter not in "?#")
)
TEXT = st.text(st.characters(), max_size=60) | st.sampled_from(
    ["\x00", "\ud800", "\u202e", "\u0445" * 300, "x" * 1_000_000, "\x1b[2J", '"\\', "session.id", "\u0131d", "\x7f" * 9]
)
PRINCIPAL = st.one_of(
    TEXT,
    st.integers(),
    st.just(10**5000),
    st.uuids(),
    st.none(),
    st.just(UNKNOWN),
    st.binary(max_size=9),
    st.lists(st.integers(), max_size=2),
    st.floats(),
    st.booleans(),
)
SESSION_ID = TEXT | st.integers() | st.none() | st.floats() | st.booleans() | st.from_regex(r"[A-Za-z0-9-]{8,100}")


class Unkind(Exception):
    """An error that is no help to who reads it."""

    def __init__(self, text: Any) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return self.text  # type: ignore[no-any-return]  # which is the point


REQUESTS = st.lists(
    st.tuples(PATH, HEADER, HEADER, HEADER, PRINCIPAL, SESSION_ID, TEXT | st.none() | st.integers(), LATIN),
    min_size=25,
    max_size=25,
)


def _tell(number: int, chosen: Any, text: Any) -> None:
    calls: list[Callable[[], None]] = [
        lambda: start_session(chosen if number % 3 else None),
        lambda: identify("ada", text, traits={"plan": text}),
        lambda: track("seen", {f"n{n}": text for n in range(20)}),
        lambda: set_session_properties({f"n{number}.n{n}": text for n in range(20)}),
        lambda: capture_exception(Unkind(text)),
    ]
    for call in calls:
        try:
            call()
        except (TypeError, ValueError):
            continue  # the programmer's, as documented


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests=REQUESTS)
def test_hostile_requests_principals_and_errors_are_harmless(protocol: Protocol, requests: list[Any]) -> None:
    says: dict[str, Any] = {}
    site = Site(protocol, principal=lambda _request: says["user"], query_parameters=["*"])
    browser = Browser(site)
    for number, (path, agent, referer, other, principal, chosen, text, query) in enumerate(requests):
        says["user"] = principal
        site.views[path] = view_of(lambda n=number, c=chosen, t=text: _tell(n, c, t))  # type: ignore[misc]
        headers = {"user-agent": agent, "referer": referer, "sec-gpc": other, "accept": other}
        sent = [*headers.items(), ("cookie", f"{other}; " + "; ".join(f"{k}={v}" for k, v in browser.cookies.items()))]
        asked = f"{path}?{query}" if protocol == "asgi" and query.isascii() else path
        reply = site.request("GET", asked, sent)
        assert (reply.status, reply.body) == (200, b"<p>hello</p>")
        for line in reply.cookies:
            name, _, value = line.split(";")[0].partition("=")
            browser.cookies[name] = value
        site.clock.advance(1)
    assert "fault" not in site.ignored
    for event in site.events:
        written = encode(event)
        assert len(written) <= MAX_EVENT_BYTES
        json.loads(written, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert written.decode("utf-8").isprintable() or "\\u" not in event.name
        assert event.user_id is None or is_user_id(event.user_id)
    site.close()


BAD_TRAITS: Any = {"a": float("nan"), "b c": 1, "c": object(), "d": "fine"}


@pytest.mark.parametrize(
    "given_user",
    [User("7", "x" * 9_000), User(UUID(int=7), "\x00\ud800"), User("7", None, BAD_TRAITS)],
    ids=["a long name", "control characters", "traits that no JSON can hold"],
)
def test_a_user_object_of_a_callable_is_made_fit_to_write(given_user: User) -> None:
    site = Site("asgi", principal=lambda _request: given_user)
    assert Browser(site).navigate().status == 200
    assert "fault" not in site.ignored
    for event in site.events:
        json.loads(encode(event), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert site.named("page_view")[0].user_id == given_user.id
    site.close()
