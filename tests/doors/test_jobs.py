"""S15 across processes: `inject()` in a request, `extract()` in a job. Calls name their session, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from sojourn import (
    capture_exception,
    carry,
    current_session,
    end_session,
    heartbeat,
    identify,
    opt_out,
    set_session_property,
    start_session,
    track,
)
from sojourn.data_subjects import erase
from sojourn.propagation import HEADER, extract, inject
from tests.doors.browser import Browser, Site, view_of
from tests.doors.several_sites import PUBLIC

MakeSite = Callable[..., Site]


def sent_by(browser: Browser, path: str = "/send", **headers: str) -> dict[str, Any]:
    """The headers of a job that a view enqueues."""
    job: dict[str, Any] = {}
    browser.site.views[path] = view_of(lambda: inject(job))
    browser.navigate(path, **headers)
    return job


def run(site: Site, job: Mapping[str, Any], *calls: Callable[[], object], **options: Any) -> None:
    with extract(job, site.engine, **options):
        for call in calls:
            call()


@pytest.fixture
def worker(site: Site, make_site: MakeSite) -> Site:
    """Another process with the same settings, as far as one test can have two: it shares no memory."""
    return make_site(clock=site.clock)


def test_calls_of_a_job_are_of_the_session_that_sent_it(site: Site, browser: Browser) -> None:
    job = sent_by(browser)
    assert list(job) == [HEADER]
    seen: list[Any] = []
    run(
        site,
        job,
        lambda: track("sent"),
        lambda: identify("ada"),
        lambda: set_session_property("plan", "pro"),
        lambda: capture_exception(ValueError("no")),
        lambda: seen.append(current_session()),
    )
    assert site.names() == [
        *("session.start", "page_view"),
        *("sent", "user.identify", "session.properties", "exception"),
    ]
    assert {event.session_id for event in site.events} == {seen[0].id}
    assert not any("session.late" in event.attributes for event in site.events)
    assert site.engine.store.sessions.latest(limit=1)[0].user_id == "ada"


def test_a_job_is_no_activity(site: Site, browser: Browser) -> None:
    job = sent_by(browser)
    site.clock.advance(29 * 60)
    run(site, job, lambda: track("sent"), heartbeat)
    site.clock.advance(2 * 60)
    site.engine.sweep()
    assert site.ends() == [("idle_timeout", 0.0)]
    browser.navigate("/")
    assert len(site.sessions) == 2


def test_a_job_after_the_end_is_late_and_revives_nothing(site: Site, browser: Browser) -> None:
    job = sent_by(browser)
    site.views["/out"] = view_of(end_session)
    browser.navigate("/out")
    browser.navigate("/")
    seen: list[Any] = []
    run(site, job, lambda: track("sent"), lambda: seen.append(current_session()), start_session, end_session)
    (event,) = site.named("sent")
    assert event.session_id == site.sessions[0]
    assert event.attributes["session.late"] is True
    assert seen == [None]
    assert len(site.sessions) == 2
    assert len(site.ends()) == 1


def test_a_user_of_a_job_is_never_named_for_another_session(site: Site, browser: Browser) -> None:
    site.views["/in"] = view_of(lambda: identify("ada"))
    browser.navigate("/in")
    job = sent_by(browser)
    run(site, job, lambda: identify("bob"))
    assert [event.user_id for event in site.named("user.identify")] == ["ada"]
    assert len(site.sessions) == 1


def test_an_opt_out_before_the_job_silences_it(site: Site, browser: Browser) -> None:
    job = sent_by(browser)
    site.views["/out"] = view_of(opt_out)
    browser.navigate("/out")
    run(site, job, lambda: track("sent"))
    assert "sent" not in site.names()


def test_a_job_may_opt_out(site: Site, browser: Browser) -> None:
    job = sent_by(browser)
    run(site, job, opt_out, lambda: track("sent"))
    assert site.names() == ["opt_out"]  # nothing had been forwarded, and nothing is any more
    browser.navigate("/")
    assert site.names() == ["opt_out"]


def test_an_erasure_before_the_job_holds(site: Site, browser: Browser) -> None:
    job = sent_by(browser)
    visitor = site.events[0].visitor_id
    site.clock.advance(1)
    erase(site.engine.store, visitor_id=visitor, now=site.clock.now())
    site.clock.advance(1)
    run(site, job, lambda: track("sent"))
    assert "sent" not in site.names()
    assert site.engine.store.sessions.latest(limit=5) == []


@pytest.mark.parametrize(
    ("job", "counter"),
    [
        pytest.param({}, "not_carried", id="none"),
        pytest.param({HEADER: "forged"}, "ticket_unverified", id="forged"),
        pytest.param({HEADER: "é" * 9}, "ticket_unverified", id="no ASCII"),
        pytest.param({HEADER: "a" * 5000}, "ticket_unverified", id="long"),
        pytest.param({HEADER: 7}, "not_carried", id="no text"),
    ],
)
def test_a_job_without_a_session_never_fails(site: Site, job: dict[str, Any], counter: str) -> None:
    run(site, job, lambda: track("sent"), lambda: identify("ada"), heartbeat, end_session, opt_out)
    assert site.names() == []
    assert site.ignored[counter] == 1


def test_a_cookie_is_no_ticket_and_a_ticket_no_cookie(site: Site, browser: Browser) -> None:
    job = sent_by(browser)
    run(site, {HEADER: browser.cookies["sojourn"]}, lambda: track("sent"))
    assert site.ignored["ticket_unverified"] == 1
    Browser(site, cookies={"sojourn": job[HEADER]}).navigate("/")
    assert len(site.sessions) == 2
    assert "sent" not in site.names()


def test_a_ticket_holds_for_a_day_unless_said_otherwise(site: Site, browser: Browser) -> None:
    job = sent_by(browser)
    site.clock.advance(24 * 3600)
    run(site, job, lambda: track("in time"))
    site.clock.advance(1)
    run(site, job, lambda: track("too late"))
    run(site, job, lambda: track("longer"), max_age=timedelta(days=2))
    assert [name for name in site.names() if " " in name or name == "longer"] == ["in time", "longer"]
    assert site.ignored["ticket_too_old"] == 1


def test_a_job_passes_its_session_on_at_its_age(site: Site, browser: Browser) -> None:
    job = sent_by(browser)
    next_job: dict[str, Any] = {}
    site.clock.advance(20 * 3600)
    run(site, job, lambda: inject(next_job))
    assert next_job == job


def test_nothing_is_injected_without_a_session(site: Site, browser: Browser) -> None:
    outside: dict[str, Any] = {}
    inject(outside)
    assert outside == {}
    job: dict[str, Any] = {}
    site.views["/"] = view_of(lambda: inject(job))
    browser.ask("GET", "/", {"user-agent": "Googlebot/2.1"})
    assert job == {}


def test_a_request_that_begins_its_session_can_send_a_job(site: Site, browser: Browser) -> None:
    job = sent_by(browser)
    run(site, job, lambda: track("sent"))
    assert site.names() == ["session.start", "page_view", "sent"]


def test_a_thread_of_a_job_is_in_its_session(site: Site, browser: Browser) -> None:
    job = sent_by(browser)
    works: list[Callable[[], None]] = []
    run(site, job, lambda: works.append(carry(lambda: track("in a thread"))))
    works[0]()
    assert site.names()[-1] == "in a thread"


def test_another_process_needs_nothing_but_the_key(site: Site, browser: Browser, worker: Site) -> None:
    job = sent_by(browser)
    run(worker, job, lambda: track("sent"))
    assert worker.ignored.get("ticket_unverified") is None
    other = Site("wsgi", clock=site.clock, secret_key="a key of quite another application")
    run(other, job, lambda: track("sent"))
    assert other.ignored["ticket_unverified"] == 1
    other.close()


def test_gpc_goes_with_the_session(site: Site, browser: Browser) -> None:
    browser.navigate("/", sec_gpc="1")
    job = sent_by(browser, sec_gpc="1")
    run(site, job, lambda: track("sent"))
    site.engine.flush()
    assert site.engine.store.sessions.latest(limit=1)[0].no_forward


def run_before_the_response(site: Site) -> None:
    """Run a job, and record it, while the request that begins its session still runs."""
    job: dict[str, Any] = {}
    inject(job)
    run(site, job, lambda: track("sent"), lambda: identify("ada"))
    site.engine.flush()
    assert site.engine.store.sessions.latest(limit=1) == []


def test_a_job_before_the_response_that_begins_its_session_waits_for_it(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(lambda: run_before_the_response(site))
    browser.navigate()
    assert site.names() == ["session.start", "page_view", "sent", "user.identify"]
    assert {event.session_id for event in site.events} == {site.sessions[0]}
    assert site.engine.store.sessions.latest(limit=1)[0].user_id == "ada"
    counters = site.engine.store.stats().counters
    assert (counters["records.early"], counters.get("records.without_session")) == (2, None)


def test_a_job_whose_session_never_begins_is_dropped_after_two_minutes(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(lambda: run_before_the_response(site), response=PUBLIC)  # carries no cookie
    browser.navigate()
    site.clock.advance(119)
    site.engine.sweep()
    assert site.engine.store.stats().counters.get("records.without_session") is None
    site.clock.advance(2)
    site.engine.sweep()
    assert site.names() == []
    assert site.engine.store.stats().counters["records.without_session"] == 2
