"""Presence means a person: what a page does by itself neither extends a session nor begins the next one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sojourn import capture_exception, end_session, heartbeat, identify, set_session_property, track
from sojourn.testing import ManualClock
from tests.doors.browser import JSON, Browser, Protocol, Response, Site, view_of
from tests.doors.conftest import MakeSite

HOURS = 3600
DATA = Response(headers=(JSON,), pieces=(b"{}",))


@pytest.fixture(params=[1, 4], ids=["one worker", "four workers"])
def workers(request: pytest.FixtureRequest, protocol: Protocol, tmp_path: Path) -> Iterator[list[Site]]:
    """Workers of one host that respond in turn: each sees what the others do not."""
    clock = ManualClock()
    store = f"sqlite:///{tmp_path}/sojourn.db"
    sites = [Site(protocol, clock=clock, store=store) for _ in range(request.param)]
    yield sites
    for site in sites:
        site.close()


class Page:
    """A browser on a page, whose requests reach the workers in turn. `at` is in seconds since the page."""

    def __init__(self, workers: list[Site]) -> None:
        self.workers = workers
        self.clock = workers[0].clock
        self.browser = Browser(workers[0])
        self.number = 0
        self.opened_at = self.clock.now()
        self.open("/")

    def _site(self, path: str) -> Site:
        self.number += 1
        site = self.workers[self.number % len(self.workers)]
        site.views.setdefault(path.partition("?")[0], view_of(response=DATA))
        return site

    def open(self, path: str) -> None:
        self.browser.site = self.workers[0]
        self.browser.navigate(path)

    def ask(self, at: float, path: str, method: str = "GET", **headers: str) -> None:
        self.clock.advance(at - (self.clock.now() - self.opened_at) / 1000)
        self.browser.site = self._site(path)
        self.browser.fetch(path, method=method, **headers)

    def durations(self) -> list[float]:
        """How long each session lasted, in seconds, once all is over."""
        for site in self.workers:
            site.engine.flush()
        self.clock.advance(2 * HOURS)
        for site in self.workers:
            site.engine.sweep()
        ends = [event for site in self.workers for event in site.named("session.end")]
        assert len(ends) == len({event.session_id for site in self.workers for event in site.named("session.start")})
        return [float(str(event.attributes["session.duration_ms"])) / 1000 for event in ends]


def throttled() -> list[float]:
    """A timer of 5 s that the browser slows to one minute when the tab is hidden for five."""
    return [*range(5, 300, 5), *range(300, 10 * HOURS, 60)]


POLLS: dict[str, list[tuple[float, str]]] = {
    "every 60 s": [(at, "/stats") for at in range(60, 10 * HOURS, 60)],
    "every 5 s": [(at, "/stats") for at in range(5, 2 * HOURS, 5)],
    "every 31 min": [(at, "/stats") for at in range(31 * 60, 10 * HOURS, 31 * 60)],
    "throttled": [(at, "/stats") for at in throttled()],
    "two in turn": [(at, "/stats" if at % 60 else "/news") for at in range(30, 10 * HOURS, 30)],
    "with a clock": [(at, f"/stats?_={1_700_000_000_000 + at * 1000}&tz=1") for at in range(60, 10 * HOURS, 60)],
    "with jitter": [(at + random.Random(at).uniform(-3, 3), "/stats") for at in range(60, 5 * HOURS, 60)],
}


@pytest.mark.parametrize("poll", POLLS.values(), ids=POLLS)
def test_a_poll_ends_with_its_page_and_starts_nothing(workers: list[Site], poll: list[tuple[float, str]]) -> None:
    page = Page(workers)
    for at, path in poll:
        page.ask(at, path)
    (lasted,) = page.durations()
    assert lasted <= 10 * 60


def test_passive_requests_are_counted_as_requests_of_a_running_session(workers: list[Site]) -> None:
    page = Page(workers)
    for at in range(60, 600, 60):
        page.ask(at, "/stats")
    page.durations()
    (end,) = (event for site in workers for event in site.named("session.end"))
    assert end.attributes["session.requests"] == 10


def test_polls_after_a_restart_of_all_workers_start_nothing(workers: list[Site]) -> None:
    page = Page(workers)
    for at in range(60, 2 * HOURS, 60):
        page.ask(at, "/stats")
    for site in workers:
        site.engine.close()
    for at in range(2 * HOURS, 4 * HOURS, 60):
        page.ask(at, "/stats")
    assert len(page.durations()) == 1


def test_a_single_page_app_in_use_is_alive_and_starts_the_next_session(workers: list[Site]) -> None:
    page, chance, at = Page(workers), random.Random(2), 0.0
    for number in range(60):
        at += chance.uniform(5, 90)
        page.ask(at, f"/api/items/{number}")
    page.ask(at + 40 * 60, "/api/items/new")
    page.ask(at + 41 * 60, "/api/items/newer")
    assert sorted(page.durations()) == [pytest.approx(60, abs=1), pytest.approx(at, abs=1)]


def test_a_person_who_turns_pages_of_a_list_is_alive(workers: list[Site]) -> None:
    page, chance, at = Page(workers), random.Random(4), 0.0
    for number in range(2, 41):
        at += chance.uniform(20, 100)
        page.ask(at, f"/items?page={number}")
    assert page.durations() == [pytest.approx(at, abs=1)]


def test_a_person_to_and_fro_among_five_endpoints_is_alive(workers: list[Site]) -> None:
    page, chance, at = Page(workers), random.Random(6), 0.0
    while at < 40 * 60:
        at += chance.uniform(4, 90)
        page.ask(at, f"/tab/{chance.randrange(5)}")
    (lasted,) = page.durations()
    assert lasted > 30 * 60


SIGNS: dict[str, Callable[[Page, float, int], object]] = {
    "POST of ever new targets": lambda page, at, n: page.ask(at, f"/cart/{n}", "POST"),
    "DELETE of ever new targets": lambda page, at, n: page.ask(at, f"/cart/{n}", "DELETE"),
    "a video that is watched": lambda page, at, n: page.ask(
        at, "/film.mp4", range=f"bytes={n}000-", sec_fetch_dest="video"
    ),
}


@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
def test_signs_of_a_person_keep_the_session_alive(
    workers: list[Site], sign: Callable[[Page, float, int], object]
) -> None:
    page = Page(workers)
    for number in range(1, 9):
        sign(page, number * 10 * 60, number)
    assert page.durations() == [80 * 60]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"hx_boosted": "true"}, id="htmx"),
        pytest.param({"x_turbo_request_id": "1"}, id="Turbo"),
        pytest.param({"x_pjax": "true"}, id="pjax"),
        pytest.param({"x_up_target": "body"}, id="Unpoly"),
    ],
)
def test_a_script_that_swaps_the_page_is_a_navigation(make_site: MakeSite, headers: dict[str, str]) -> None:
    site = make_site()
    browser = Browser(site)
    for _ in range(4):
        browser.fetch("/", **headers)
        site.clock.advance(20 * 60)
    assert (len(site.sessions), len(site.named("page_view"))) == (1, 4)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_purpose": "prefetch"},
        {"sec_purpose": "prefetch;prerender"},
        {"purpose": "prefetch"},
        {"x_moz": "prefetch"},
        {"x_sec_purpose": "prefetch"},
    ],
    ids=str,
)
def test_a_prefetch_is_no_page_view_no_activity_and_starts_nothing(
    make_site: MakeSite, headers: dict[str, str]
) -> None:
    site = make_site()
    browser = Browser(site)
    browser.navigate("/")
    site.clock.advance(60)
    browser.navigate("/next", **headers)
    site.clock.advance(2 * HOURS)
    browser.navigate("/next", **headers)
    assert site.engine.sweep() == 1
    assert site.ends() == [("idle_timeout", 0)]
    assert [event.attributes["url.path"] for event in site.named("page_view")] == ["/"]
    assert site.ignored["prefetched"] == 2


def test_a_heartbeat_names_the_path_that_caused_it(make_site: MakeSite) -> None:
    """Masked, as every path: `sojourn status` shows what keeps a session alive."""
    site = make_site(presence="any")
    browser = Browser(site)
    browser.navigate()
    for path in ("/stats", "/other", "/reset/0a3cbc7f2a4b4d0d8f0e6b1c2d3e4f50"):
        site.clock.advance(70)
        browser.fetch(path)
        browser.fetch("/second")
    site.clock.advance(70)
    browser.navigate("/page")
    site.views["/track"] = view_of(heartbeat)
    site.clock.advance(70)
    browser.fetch("/track")
    beats = [event.attributes.get("url.path") for event in site.named("session.heartbeat")]
    assert beats == ["/stats", "/other", "/reset/*", None, "/track"]


@pytest.mark.parametrize("dest", ["script", "style", "image", "font"])
def test_a_subresource_is_no_request_of_the_visit(make_site: MakeSite, dest: str) -> None:
    site = make_site()
    browser = Browser(site)
    browser.navigate()
    site.clock.advance(60)
    browser.fetch("/logo", sec_fetch_dest=dest, sec_fetch_mode="no-cors")
    site.clock.advance(2 * HOURS)
    browser.fetch("/logo", sec_fetch_dest=dest, sec_fetch_mode="no-cors")
    site.engine.sweep()
    (end,) = site.named("session.end")
    assert (end.attributes["session.requests"], end.attributes["session.duration_ms"]) == (1, 0)


CALLS = {
    "track": (lambda: track("x"), True),
    "heartbeat": (heartbeat, True),
    "another user": (lambda: identify("ben"), True),
    "the same user": (lambda: identify("anna"), False),
    "a property": (lambda: set_session_property("a", 1), False),
    "an exception": (lambda: capture_exception(ValueError("x")), False),
}


@pytest.mark.parametrize(("call", "is_sign"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("gap", [20, 40], ids=["running", "over"])
def test_which_calls_in_a_passive_request_are_signs_of_a_person(
    make_site: MakeSite, call: Callable[[], object], is_sign: bool, gap: int
) -> None:
    site = make_site(passive=["/poll"])
    site.views["/in"] = view_of(lambda: identify("anna"))
    site.views["/poll"] = view_of(call, response=DATA)
    browser = Browser(site)
    browser.navigate("/in")
    site.clock.advance(gap * 60)
    browser.fetch("/poll")
    site.clock.advance(24 * HOURS)
    site.engine.sweep()
    is_change = call is CALLS["another user"][0]
    if gap == 40 or is_change:
        assert len(site.sessions) == 1 + (gap == 40 and is_sign) + is_change
    else:
        assert site.ends() == [("idle_timeout", gap * 60 if is_sign else 0)]


def test_after_an_end_a_poll_starts_nothing_and_a_new_fetch_does(make_site: MakeSite) -> None:
    site = make_site(passive=["/poll"])
    site.views["/out"] = view_of(end_session)
    browser = Browser(site)
    browser.navigate()
    browser.navigate("/out")
    browser.fetch("/poll")
    assert len(site.sessions) == 1
    browser.fetch("/api")
    assert len(site.sessions) == 2


@pytest.mark.parametrize("presence", ["any", "open"])
def test_other_settings_take_every_request_for_a_sign(make_site: MakeSite, presence: str) -> None:
    site = make_site(presence=presence)
    browser = Browser(site)
    browser.navigate()
    for _ in range(60):
        site.clock.advance(60)
        browser.fetch("/stats")
    site.clock.advance(2 * HOURS)
    site.engine.sweep()
    assert site.ends() == [("idle_timeout", 3600)]


def test_a_page_names_its_own_background_requests(make_site: MakeSite) -> None:
    site = make_site()
    browser = Browser(site)
    browser.navigate()
    for number in range(10):
        site.clock.advance(5 * 60)
        browser.fetch(f"/graphql/{number}", method="POST", sojourn_passive="1")
    site.engine.sweep()
    assert site.ends() == [("idle_timeout", 0)]
