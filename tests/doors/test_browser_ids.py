"""The session ids of vendors' browser SDKs: read off a request, kept for that vendor's backend, and nothing else."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from sojourn import Settings, opt_out, track
from sojourn.backends import Backend
from sojourn.core.events import START
from sojourn.core.ids import uuid7
from sojourn.data_subjects import erase
from sojourn.engine import Engine
from sojourn.errors import SettingsError
from sojourn.testing import MemoryBackend
from sojourn.testing.vendors import FakePostHog, FakeRudderStack
from tests.backends.vendors.connected import backend_on
from tests.doors.browser import Browser, Site, view_of

MakeSite = Callable[..., Site]
POSTHOG, RUDDERSTACK = "posthog.session_id", "rudderstack.session_id"
COOKIE = "ph_phc_abc_posthog"


def posthog_id(at: int, number: int = 1) -> str:
    return uuid7(at, number.to_bytes(10, "big"))


def posthog_cookie(own_id: str, seen_at: int) -> str:
    """As posthog-js writes it: `encodeURIComponent(JSON.stringify(...))`."""
    stored = {"distinct_id": 'an "id"', "$sesid": [seen_at, own_id, seen_at], "$epp": True}
    return quote(json.dumps(stored, separators=(",", ":")), safe="!'()*~")


def rudder_cookie(own_id: object, *, expires_at: int, **more: Any) -> str:
    """As its script, version 3, writes it."""
    stored = {
        "autoTrack": True,
        "timeout": 1_800_000,
        "expiresAt": expires_at,
        "id": own_id,
        "sessionStart": False,
        **more,
    }
    return quote("RS_ENC_v3_" + b64encode(json.dumps(stored).encode()).decode(), safe="")


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(browser_ids=["posthog", "rudderstack"])


def ids(site: Site, name: str = "page_view", attribute: str = POSTHOG) -> list[Any]:
    """What the events in the store have: the backend of the site gets none of it."""
    site.engine.flush()
    events = site.engine.store.log.after(START, limit=1000)
    return [event.attributes.get(attribute) for event in events if event.name == name]


def test_the_cookie_and_the_header_name_the_session(site: Site, browser: Browser) -> None:
    now = site.clock.now()
    first, second = posthog_id(now), posthog_id(now, 2)
    browser.cookies[COOKIE] = posthog_cookie(first, now)
    browser.navigate("/")
    browser.navigate("/", x_posthog_session_id=second)  # it goes before the cookie
    assert ids(site) == [first, second]
    assert ids(site, "session.start") == [first]


def test_each_event_has_the_id_that_its_request_brought(site: Site, browser: Browser) -> None:
    """The SDK rotates by its own timeout, in the middle of a session of ours."""
    seen: list[str] = []
    site.views["/buy"] = view_of(lambda: track("bought"))
    for number in (1, 2):
        now = site.clock.now()
        seen.append(posthog_id(now, number))
        browser.cookies[COOKIE] = posthog_cookie(seen[-1], now)
        browser.navigate("/buy")
        site.clock.advance(60)
    assert ids(site, "bought") == seen
    site.clock.advance(3600)
    site.engine.sweep()
    assert ids(site, "session.end") == [seen[1]]
    assert len(site.sessions) == 1


def test_two_tabs_with_ids_of_their_own_are_one_session_of_ours(site: Site, browser: Browser) -> None:
    one, two = (posthog_id(site.clock.now(), number) for number in (1, 2))
    for own_id in (one, two, one, two):
        browser.navigate("/", x_posthog_session_id=own_id)
    assert ids(site) == [one, two, one, two]
    assert len(site.sessions) == 1


def test_an_id_never_selects_makes_or_merges_a_session(site: Site) -> None:
    own_id = posthog_id(site.clock.now())
    Browser(site).navigate("/", x_posthog_session_id=own_id)
    Browser(site).navigate("/", x_posthog_session_id=own_id)
    assert len(site.sessions) == 2
    assert own_id not in site.sessions
    Browser(site).fetch("/api", x_posthog_session_id=own_id)  # a fetch starts none, whatever it brings
    assert len(site.sessions) == 2


def test_an_id_that_the_browser_stops_to_send_is_not_used_any_more(site: Site, browser: Browser) -> None:
    now = site.clock.now()
    browser.cookies[COOKIE] = posthog_cookie(posthog_id(now), now)
    browser.navigate("/")
    del browser.cookies[COOKIE]  # the visitor has refused the SDK
    browser.navigate("/")
    assert ids(site) == [posthog_id(now), ""]


def test_a_session_that_the_script_will_leave_is_not_joined(site: Site, browser: Browser) -> None:
    now = site.clock.now()
    browser.cookies[COOKIE] = posthog_cookie(posthog_id(now), now)
    site.clock.advance(30 * 60)
    browser.navigate("/")
    assert ids(site) == [None]


def test_rudderstack_is_read_from_its_cookie(site: Site, browser: Browser) -> None:
    now = site.clock.now()
    browser.cookies["rl_session"] = rudder_cookie(now - 5, expires_at=now + 1)
    browser.navigate("/")
    assert ids(site, attribute=RUDDERSTACK) == [str(now - 5)]
    site.clock.advance(1)
    browser.navigate("/")
    browser.cookies["rl_session"] = rudder_cookie(12345678901, expires_at=0, autoTrack=False, manualTrack=True)
    browser.navigate("/")
    assert ids(site, attribute=RUDDERSTACK)[1:] == ["", "12345678901"]


NOW_ID = posthog_id(1_700_000_000_000)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("x" * 100_000, id="long"),
        pytest.param("018bcfe5-6800-4000-8000-000000000001", id="not version 7"),
        pytest.param(posthog_id(0), id="of 1970"),
        pytest.param(posthog_id(2**48 - 1), id="of the year 10889"),
        pytest.param("' OR 1=1 --", id="SQL"),
        pytest.param(NOW_ID.upper(), id="upper case"),
        pytest.param(NOW_ID + "\u00e9", id="more behind it"),
    ],
)
def test_what_is_no_id_of_now_is_not_kept(site: Site, browser: Browser, header: str) -> None:
    browser.navigate("/", x_posthog_session_id=header)
    assert ids(site) == [None]
    assert len(site.sessions) == 1


@pytest.mark.parametrize(
    "cookie",
    [
        pytest.param("%22%24sesid%22%3A" * 500, id="nothing but names"),
        pytest.param("%7B" * 3000, id="deep"),
        pytest.param("\u00ff\u00fe", id="not ASCII"),
        pytest.param(posthog_cookie("../../etc/passwd", 1_700_000_000_000), id="no id"),
        pytest.param(quote(json.dumps({"x": f'"$sesid":[1700000000000,"{NOW_ID}"'})), id="within a text"),
        pytest.param("", id="empty"),
    ],
)
def test_a_broken_cookie_is_none(site: Site, browser: Browser, cookie: str) -> None:
    browser.cookies[COOKIE] = cookie
    browser.cookies["rl_session"] = cookie
    browser.navigate("/")
    assert ids(site) == [None]
    assert site.ignored.get("fault") is None


@pytest.mark.parametrize(
    "value",
    [
        rudder_cookie("a text", expires_at=2**60),
        rudder_cookie(2**53, expires_at=2**60),
        rudder_cookie(-1, expires_at=2**60),
        rudder_cookie(2**80, expires_at=2**60),
        "RS_ENC_v3_" + "A" * 5000,
        "RS_ENC_v3_%%%",
        "RudderEncrypt%3AU2FsdGVkX1",
    ],
)
def test_a_broken_session_of_rudderstack_is_none(site: Site, browser: Browser, value: str) -> None:
    browser.cookies["rl_session"] = value
    browser.navigate("/")
    assert ids(site, attribute=RUDDERSTACK) == [None]


def test_cookies_of_two_projects_that_differ_name_no_session(site: Site, browser: Browser) -> None:
    now = site.clock.now()
    browser.cookies["ph_phc_one_posthog"] = posthog_cookie(posthog_id(now, 1), now)
    browser.cookies["ph_phc_two_posthog"] = posthog_cookie(posthog_id(now, 2), now)
    browser.navigate("/")
    assert ids(site) == [None]
    browser.cookies["ph_phc_two_posthog"] = browser.cookies["ph_phc_one_posthog"]
    browser.navigate("/")
    assert ids(site)[1:] == [posthog_id(now, 1)]


def test_off_by_default(make_site: MakeSite) -> None:
    site = make_site()
    Browser(site).navigate("/", x_posthog_session_id=posthog_id(site.clock.now()))
    assert ids(site) == [None]


def test_nothing_is_read_without_consent_after_an_opt_out_or_for_a_browser_that_asks_for_anonymity(
    make_site: MakeSite,
) -> None:
    site = make_site(browser_ids="posthog", gpc="anonymous")
    own_id = posthog_id(site.clock.now())
    browser = Browser(site)
    browser.navigate("/", x_posthog_session_id=own_id, sec_gpc="1")
    assert ids(site) == [None]
    browser.navigate("/", x_posthog_session_id=own_id)
    browser.navigate("/", x_posthog_session_id=own_id, sec_gpc="1")
    assert ids(site)[1:] == [own_id, ""]
    site.views["/out"] = view_of(opt_out)
    browser.navigate("/out", x_posthog_session_id=own_id)
    browser.navigate("/", x_posthog_session_id=own_id)
    assert ids(site)[3:] == []
    assert ids(site, "opt_out") == [""]
    strict = make_site(browser_ids="posthog", consent_required=True)
    Browser(strict).navigate("/", x_posthog_session_id=own_id)
    assert strict.names() == []


def test_an_erasure_takes_the_id_along(site: Site, browser: Browser) -> None:
    browser.navigate("/", x_posthog_session_id=posthog_id(site.clock.now()))
    visitor = site.events[0].visitor_id
    erase(site.engine.store, visitor_id=visitor, now=site.clock.now())
    assert site.engine.store.sessions.latest(limit=5) == []


def test_each_vendor_gets_its_own_and_nobody_else_any(make_site: MakeSite) -> None:
    posthog, rudderstack, other = FakePostHog(), FakeRudderStack(), MemoryBackend()
    backends: list[Backend] = [backend_on(posthog), backend_on(rudderstack), other]
    site = make_site(browser_ids=["posthog", "rudderstack"], backends=backends)
    now = site.clock.now()
    browser = Browser(site)
    browser.cookies[COOKIE] = posthog_cookie(posthog_id(now), now)
    browser.cookies["rl_session"] = rudder_cookie(now - 7, expires_at=now + 1)
    browser.navigate("/")
    site.engine.flush()
    (own_session,) = {event.session_id for event in other.events}
    assert {event.attributes["$session_id"] for event in posthog.events()} == {posthog_id(now)}
    assert {event.attributes["session.id"] for event in posthog.events()} == {own_session}
    assert {event.session_id for event in rudderstack.events()} == {str(now - 7)}
    assert posthog_id(now) not in f"{other.events}{rudderstack.events()}"
    assert str(now - 7) not in f"{other.events}{posthog.events()}"


def test_an_unknown_vendor_is_refused_with_those_that_there_are() -> None:
    settings = Settings(secret_key="k" * 40, store="memory:", browser_ids=["posthgo"])
    with pytest.raises(SettingsError, match=r"posthgo.*posthog, rudderstack"):
        Engine(settings)
