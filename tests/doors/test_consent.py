"""S7 through both doors: the visitor's own switch, the browser's signals, and the app's consent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from sojourn import current_session, gpc_support, identify, opt_in, opt_out, track
from sojourn.core.records import OPT_OUT, Record
from sojourn.tracking.cookie_layout import OptedOut
from tests.doors.browser import HTML, Browser, Response, Site, during, view_of

MakeSite = Callable[..., Site]


def says_only_opt_out(site: Site, browser: Browser) -> bool:
    (value,) = browser.cookies.values()
    return isinstance(site.engine.tracker.codec.loads(value.encode()), OptedOut)


@pytest.fixture
def out(site: Site, browser: Browser) -> Browser:
    """A browser in the middle of a visit, with a page that opts it out and one that takes it in again."""
    site.views["/out"] = view_of(opt_out)
    site.views["/in"] = view_of(opt_in)
    site.views["/login"] = view_of(lambda: identify("ada"))
    browser.navigate("/login")
    assert site.names() == ["session.start", "user.identify", "page_view"]  # forwarded: the backend has the start
    site.clock.advance(5)
    return browser


def test_a_session_not_yet_forwarded_at_opt_out_is_never_forwarded(site: Site, browser: Browser) -> None:
    site.views["/out"] = view_of(opt_out)
    browser.navigate("/")
    browser.navigate("/out")
    assert site.names() == ["opt_out"]


def test_opting_out_ends_the_session_and_records_only_that(site: Site, out: Browser) -> None:
    out.navigate("/out")
    site.clock.advance(5)
    for path in ("/", "/login"):
        out.navigate(path)
    assert site.ends() == [("opted_out", 5.0)]
    assert site.names()[-2:] == ["opt_out", "session.end"]
    assert says_only_opt_out(site, out)


def test_events_in_the_request_of_the_opt_out_are_dropped(site: Site, out: Browser) -> None:
    site.views["/out"] = view_of(lambda: track("secret"), opt_out, lambda: track("later"))
    out.navigate("/out")
    assert not {"secret", "later"} & set(site.names())


def test_an_opt_out_survives_a_restart_and_another_process(site: Site, out: Browser, make_site: MakeSite) -> None:
    out.navigate("/out")
    other = make_site()
    elsewhere = Browser(other, cookies=dict(out.cookies))
    other.views["/"] = view_of(lambda: identify("ada"), lambda: track("seen"))
    reply = elsewhere.navigate("/")
    assert (reply.cookies, other.events) == ([], [])


def test_a_visitor_without_a_session_gets_nothing_but_the_cookie(site: Site, browser: Browser) -> None:
    site.views["/out"] = view_of(opt_out)
    browser.navigate("/out")
    assert site.events == []
    assert says_only_opt_out(site, browser)


def test_an_opt_out_after_the_response_start_counts_at_once(site: Site, out: Browser) -> None:
    site.views["/late"] = view_of(response=Response(late=opt_out))
    out.navigate("/late")
    assert not says_only_opt_out(site, out)
    out.navigate("/")  # its cookie still names the session; this response corrects it
    assert says_only_opt_out(site, out)
    assert site.names()[-2:] == ["opt_out", "session.end"]


def test_a_request_in_flight_during_an_opt_out_records_nothing_more(site: Site, out: Browser) -> None:
    twin = out.twin()
    during(out, "/slow", lambda: twin.navigate("/out"))
    assert site.names()[-2:] == ["opt_out", "session.end"]
    assert says_only_opt_out(site, out)


def test_a_response_that_can_carry_no_cookie_still_opts_out(site: Site, out: Browser) -> None:
    site.views["/out"] = view_of(opt_out, response=Response(headers=(HTML, ("cache-control", "public"))))
    assert out.navigate("/out").cookies == []
    out.navigate("/")
    assert says_only_opt_out(site, out)
    assert site.ends() == [("opted_out", 5.0)]


def test_the_record_of_an_opt_out_is_flagged_for_the_recorder(site: Site, out: Browser) -> None:
    records: list[Record] = []

    def append(record: Record, **_more: object) -> bool:
        records.append(record)
        return True

    site.engine.intake.append = append  # type: ignore[method-assign]
    out.navigate("/out")
    (record,) = records
    assert record.flags & OPT_OUT
    assert [entry.name for entry in record.entries] == ["opt_out", "session.end"]


def test_opting_in_starts_a_new_visitor(site: Site, out: Browser) -> None:
    before = site.named("session.start")[0]
    out.navigate("/out")
    out.navigate("/in")
    after = site.named("session.start")[1]
    assert after.visitor_id != before.visitor_id
    assert after.previous_id is None
    assert after.user_id is None
    out.navigate("/")
    assert len(site.sessions) == 2


def test_opting_in_without_automatic_sessions_takes_the_opt_out_back(make_site: MakeSite) -> None:
    site = make_site(automatic=False)
    site.views.update({"/out": view_of(opt_out), "/in": view_of(opt_in)})
    browser = Browser(site)
    browser.navigate("/out")
    browser.navigate("/in")
    assert browser.cookies == {}


def test_opting_in_too_late_changes_nothing(site: Site, out: Browser) -> None:
    out.navigate("/out")
    site.views["/late"] = view_of(response=Response(late=opt_in))
    out.navigate("/late")
    assert says_only_opt_out(site, out)


def test_opting_in_without_an_opt_out_is_a_no_op(site: Site, out: Browser) -> None:
    out.navigate("/in")
    assert len(site.sessions) == 1


def test_the_opt_out_cookie_outlives_the_browser_where_the_visitors_own_does_not(make_site: MakeSite) -> None:
    site = make_site(visitor_cookie="session")
    site.views["/out"] = view_of(opt_out)
    browser = Browser(site)
    assert "Max-Age" not in browser.navigate("/").cookies[0]
    assert "Max-Age=34128000" in browser.navigate("/out").cookies[0]


@pytest.mark.parametrize(
    ("setting", "header", "names", "no_forward"),
    [
        pytest.param({}, "sec-gpc", ["session.start", "user.identify", "page_view"], True, id="kept, not forwarded"),
        pytest.param(
            {"gpc": "ignore"}, "sec-gpc", ["session.start", "user.identify", "page_view"], False, id="ignored"
        ),
        pytest.param({"gpc": "anonymous"}, "sec-gpc", ["session.start", "page_view"], False, id="without a user"),
        pytest.param({"gpc": "off"}, "sec-gpc", [], False, id="nothing at all"),
        pytest.param({}, "dnt", ["session.start", "user.identify", "page_view"], False, id="DNT is ignored"),
        pytest.param({"dnt": "off"}, "dnt", [], False, id="DNT, where it is heeded"),
        pytest.param({"dnt": "anonymous"}, "dnt", ["session.start", "page_view"], False, id="DNT without a user"),
    ],
)
def test_signals(make_site: MakeSite, setting: dict[str, str], header: str, names: list[str], no_forward: bool) -> None:
    site = make_site(**setting)
    site.views["/"] = view_of(lambda: identify("ada"))
    browser = Browser(site)
    browser.ask("GET", "/", {header: "1"})
    rows = site.engine.store.sessions.latest(limit=9) if site.events else []
    assert [event.name for event in site.events] == names
    assert all(row.no_forward is no_forward for row in rows)
    assert bool(browser.cookies) is bool(names)


@pytest.mark.parametrize("third_party", [True, False])
def test_what_is_kept_from_third_parties_by_gpc_reaches_our_own(make_site: MakeSite, third_party: bool) -> None:
    site = make_site()
    site.backend.third_party = third_party
    Browser(site).ask("GET", "/", {"sec-gpc": "1"})
    assert (site.names() == []) is third_party
    assert site.engine.stats().store.events == 2


def test_anonymous_visitors_always_get_a_masked_address(make_site: MakeSite) -> None:
    site = make_site(gpc="anonymous", mask_addresses=False)
    Browser(site).ask("GET", "/", {"sec-gpc": "1"})
    Browser(site).navigate("/")
    addresses = [event.attributes["client.address"] for event in site.named("session.start")]
    assert addresses == ["192.0.2.0", "192.0.2.7"]


def test_the_support_page_of_gpc() -> None:
    assert gpc_support(date(2026, 1, 31)) == {"gpc": True, "lastUpdate": "2026-01-31"}


def test_without_consent_there_is_no_cookie_and_no_event_until_the_visitor_opts_in(make_site: MakeSite) -> None:
    site = make_site(consent_required=True)
    site.views["/track"] = view_of(lambda: track("seen"), lambda: identify("ada"))
    site.views["/in"] = view_of(opt_in)
    browser = Browser(site)
    for path in ("/", "/track"):
        assert browser.navigate(path).cookies == []
    assert site.events == []
    browser.navigate("/in")
    browser.navigate("/track")
    assert site.names() == ["session.start", "page_view", "seen", "user.identify", "page_view"]


@pytest.mark.parametrize(
    ("consented", "has_session"),
    [
        pytest.param(True, True, id="yes"),
        pytest.param(False, False, id="no"),
        pytest.param(None, False, id="nothing said"),
        pytest.param("yes", False, id="not the word"),
        pytest.param(ValueError(), False, id="it fails"),
    ],
)
def test_consent_is_checked_before_anything_is_recorded(
    make_site: MakeSite, consented: object, has_session: bool
) -> None:
    def consent(_request: object) -> object:
        if isinstance(consented, Exception):
            raise consented
        return consented

    site = make_site(consent=consent)
    browser = Browser(site)
    browser.navigate("/")
    assert bool(site.events) is has_session
    assert bool(browser.cookies) is has_session


def test_consent_withdrawn_takes_the_cookie_away(make_site: MakeSite) -> None:
    decisions = [True, False, False]
    site = make_site(consent=lambda _request: decisions.pop(0))
    browser = Browser(site)
    browser.navigate("/")
    assert "Max-Age=0" in browser.navigate("/").cookies[0]
    assert browser.cookies == {}
    browser.navigate("/")
    assert site.names() == ["session.start", "page_view"]


def test_no_session_is_shown_to_the_app_of_a_visitor_who_opted_out(site: Site, out: Browser) -> None:
    seen: list[object] = []
    out.navigate("/out")
    site.views["/look"] = view_of(lambda: seen.append(current_session()))
    out.navigate("/look")
    assert seen == [None]
