"""S10, S12 and S13 through both doors: who starts no session, what the app may record, and what is never recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn import Property, capture_exception, identify, set_session_properties, set_session_property, track
from sojourn.backends.cloudevents import encode
from sojourn.pipeline.record.row_events import MAX_EVENT_BYTES
from tests.doors.browser import Browser, Response, Site, view_of

MakeSite = Callable[..., Site]
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "refused_as"),
    [
        pytest.param(CHROME, None, id="a person"),
        pytest.param("curl/8.5.0", None, id="curl"),
        pytest.param("", None, id="nothing said"),
        pytest.param("Mozilla/5.0 HeadlessChrome/140.0.0.0 Safari/537.36", None, id="a headless browser"),
        pytest.param(
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "crawler", id="crawler"
        ),
        pytest.param("Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "monitor", id="monitor"),
        pytest.param("facebookexternalhit/1.1", "link_preview", id="link preview"),
        pytest.param("kube-probe/1.29", "probe", id="probe"),
    ],
)
@pytest.mark.parametrize("by_helper", [False, True], ids=["automatic", "by a helper"])
def test_who_starts_a_session(site: Site, user_agent: str, refused_as: str | None, by_helper: bool) -> None:
    site.views["/"] = view_of(*([lambda: track("seen")] if by_helper else []))
    Browser(site).navigate(user_agent=user_agent)
    assert len(site.sessions) == (0 if refused_as else 1)
    assert set(site.ignored) - {"no_session"} == ({refused_as} if refused_as else set())


@pytest.mark.parametrize("user_agent", ["curl/8.5.0", "Mozilla/5.0 HeadlessChrome/140.0.0.0 Safari/537.36"])
def test_http_clients_start_no_session_by_setting(make_site: MakeSite, user_agent: str) -> None:
    site = make_site(ignore_http_clients=True)
    Browser(site).navigate(user_agent=user_agent)
    Browser(site).navigate(user_agent=CHROME)
    assert len(site.sessions) == 1


def test_session_properties_are_stamped_on_later_events_and_end_with_the_session(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(
        lambda: track("before"),
        lambda: set_session_property("plan", "pro"),
        lambda: set_session_properties({"session_properties.cart": 2.5, "gift": True}),
    )
    browser.navigate()
    site.clock.advance(1800)
    site.views["/"] = view_of(lambda: track("afresh"))
    browser.navigate()
    first = [event for event in site.events if event.session_id == site.sessions[0]]
    shown = {event.name: event.attributes.get("session_properties.plan") for event in first}
    assert shown == {
        "session.start": None,
        "before": None,
        "session.properties": "pro",
        "page_view": "pro",
        "session.end": "pro",
    }
    assert "session_properties.plan" not in site.named("afresh")[0].attributes


def test_setting_a_property_starts_no_session_of_its_own(site: Site, browser: Browser) -> None:
    site.views["/api"] = view_of(lambda: set_session_property("plan", "pro"))
    browser.fetch("/api")
    assert site.events == []
    assert site.ignored["no_session"] == 1


DECLARED = {
    "cart_value": Property(float),
    "session_properties.campaign": Property(str, keep="first"),
    "Country": Property(str, case_insensitive=True),
}


@pytest.mark.parametrize(
    ("given_", "kept", "counted"),
    [
        pytest.param({"cart_value": 3}, {"cart_value": 3.0}, None, id="an int is a float"),
        pytest.param({"cart_value": "3"}, {}, "property_wrong_type", id="text is none"),
        pytest.param({"cart_value": True}, {}, "property_wrong_type", id="a flag is none"),
        pytest.param({"country": "SE"}, {"Country": "SE"}, None, id="the declared casing is kept"),
        pytest.param({"other": 1}, {}, "property_undeclared", id="not declared"),
        pytest.param({"campaign": "x\x00y"}, {"campaign": "x\ufffdy"}, "property_control_characters", id="mended"),
    ],
)
def test_declared_properties(
    make_site: MakeSite, given_: dict[str, Any], kept: dict[str, Any], counted: str | None
) -> None:
    site = make_site(session_properties=DECLARED)
    site.views["/"] = view_of(lambda: set_session_properties(given_))
    Browser(site).navigate()
    (view,) = site.named("page_view")
    prefix = "session_properties."
    properties = {
        name.removeprefix(prefix): value for name, value in view.attributes.items() if name.startswith(prefix)
    }
    assert properties == kept
    assert set(site.ignored) == ({counted} if counted else set())


def test_the_first_value_is_kept_where_declared_so(make_site: MakeSite) -> None:
    site = make_site(session_properties=DECLARED)
    browser = Browser(site)
    for campaign in ("spring", "summer"):
        site.views["/"] = view_of(partial(set_session_property, "campaign", campaign))
        browser.navigate()
        site.clock.advance(1)
    assert site.named("page_view")[-1].attributes["session_properties.campaign"] == "spring"


@pytest.mark.parametrize("name", ["a b", "a..b", "_", "a_", "x" * 90, "ключ"])
def test_a_malformed_name_raises_and_changes_nothing(site: Site, browser: Browser, name: str) -> None:
    errors: list[Exception] = []

    def wrong() -> None:
        for call in (set_session_property, lambda key, value: track("seen", {key: value})):
            try:
                call(name, 1)
            except ValueError as error:
                errors.append(error)

    site.views["/"] = view_of(wrong)
    browser.navigate()
    assert len(errors) == 2
    assert site.names() == ["session.start", "page_view"]


def test_user_ids_are_hashed_everywhere_where_the_app_wants_it(make_site: MakeSite) -> None:
    site = make_site(hash_user_ids=True, user_hash_key="a key that is never rotated")
    site.views["/"] = view_of(lambda: identify("ada@example.com"))
    browser = Browser(site)
    browser.navigate()
    site.clock.advance(1800)
    site.views.clear()
    browser.navigate()
    assert "ada@example.com" not in json.dumps([json.loads(encode(event)) for event in site.events])
    (user,) = {event.user_id for event in site.events if event.user_id}
    assert len(user) == 32


def test_a_handled_exception_is_recorded_once_and_only_in_a_session(site: Site, browser: Browser) -> None:
    def handled() -> None:
        try:
            raise LookupError("card 4111")
        except LookupError as error:
            capture_exception(error)
            capture_exception(error)

    site.views.update({"/": view_of(handled), "/api": view_of(handled)})
    browser.fetch("/api")
    assert site.events == []
    browser.navigate("/")
    (event,) = site.named("exception")
    assert (event.attributes["exception.type"], event.attributes["exception.escaped"]) == ("LookupError", False)


@pytest.mark.parametrize(("status", "mark"), [(200, None), (404, "404"), (403, None), (500, "500"), (503, "503")])
def test_page_views_of_errors_are_marked(site: Site, browser: Browser, status: int, mark: str | None) -> None:
    site.views["/"] = view_of(response=Response(status=status))
    browser.navigate()
    assert site.named("page_view")[0].attributes.get("error.type") == mark


@pytest.mark.parametrize(
    ("path", "query"),
    [
        pytest.param("/?utm_source=mail&token=4111", "utm_source=mail", id="only what is allowed"),
        pytest.param("/?token=4111", None, id="nothing"),
        pytest.param("/", None, id="no query"),
    ],
)
def test_query_parameters(site: Site, browser: Browser, path: str, query: str | None) -> None:
    browser.navigate(path)
    shown = [event.attributes.get("url.query") for event in site.events]
    assert shown == [query, query]


HOSTILE_TEXT = st.text(st.characters(), max_size=60) | st.sampled_from(
    [
        "\x00",
        "\ud800",
        "\u202e",
        "\u0445" * 300,
        "x" * 1_000_000,
        "\x1b[2J",
        '"\\',
        "\U0001d51e\U0001d521\U0001d51e",
        "session.id",
        "<script>",
    ]
)
HOSTILE_VALUE = (
    HOSTILE_TEXT | st.floats() | st.integers() | st.booleans() | st.none() | st.lists(st.integers()) | st.binary()
)
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just(identify), HOSTILE_VALUE, HOSTILE_VALUE),
        st.tuples(st.just(track), HOSTILE_VALUE, st.dictionaries(HOSTILE_TEXT, HOSTILE_VALUE, max_size=4)),
        st.tuples(st.just(set_session_property), HOSTILE_VALUE, HOSTILE_VALUE),
    ),
    min_size=60,
    max_size=60,
)


@settings(max_examples=170, deadline=None)  # times 60 calls: ten thousand
@given(calls=CALLS)
def test_ten_thousand_hostile_calls_are_harmless(calls: list[tuple[Any, Any, Any]]) -> None:
    site = Site("asgi")

    def view() -> Response | None:
        for call, first, second in calls:
            try:
                call(first, second)
            except (TypeError, ValueError):
                continue  # the programmer's error, as documented
        return None

    site.views["/"] = view
    assert Browser(site).navigate().status == 200
    for event in site.events:
        written = encode(event)
        assert json.loads(written)["data"]["session.id"] == event.session_id
        assert len(written) <= MAX_EVENT_BYTES
    assert site.names()[0] == "session.start"
    assert "fault" not in site.ignored
    site.close()
