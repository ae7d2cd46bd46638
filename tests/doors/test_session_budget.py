"""The budget of new sessions, through both doors: floods of clients without a cookie cost no more than it allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sojourn import end_session, identify, start_session, track
from sojourn.testing import ManualClock
from tests.doors.browser import HTML, Browser, Protocol, Response, Site, view_of

MakeSite = Callable[..., Site]
PUBLIC = "8.8.4.4"
NEIGHBOUR = "8.8.4.200"
ELSEWHERE = "1.1.1.1"
V6 = "2606:4700:1:1::1"
V6_NEIGHBOUR = "2606:4700:1:ffff::9"


def visit(site: Site, times: int, client: str | None = PUBLIC, path: str = "/", **headers: str) -> None:
    """Ask that many times, each time without a cookie."""
    for _ in range(times):
        Browser(site, client=client).navigate(path, **headers)


@pytest.fixture
def small(make_site: MakeSite) -> Site:
    return make_site(session_budget="3/m", session_budget_total="none")


@pytest.mark.parametrize(("client", "neighbour"), [(PUBLIC, NEIGHBOUR), (V6, V6_NEIGHBOUR), (PUBLIC, "::ffff:8.8.4.9")])
def test_a_network_starts_no_more_sessions_than_its_budget(small: Site, client: str, neighbour: str) -> None:
    visit(small, 2, client)
    visit(small, 3, neighbour)
    assert len(small.sessions) == 3
    assert small.ignored == {"flood": 2}
    visit(small, 1, ELSEWHERE)
    assert len(small.sessions) == 4


def test_a_refused_request_gets_no_cookie_and_leaves_no_event(small: Site) -> None:
    visit(small, 3)
    events = len(small.events)
    assert Browser(small, client=PUBLIC).navigate().cookies == []
    assert len(small.events) == events


def test_the_next_window_has_a_new_budget(small: Site) -> None:
    visit(small, 4)
    small.clock.advance(60)
    visit(small, 4)
    assert len(small.sessions) == 6


def test_a_session_that_exists_goes_on_and_may_be_succeeded(small: Site) -> None:
    browser = Browser(small, client=PUBLIC)
    browser.navigate()
    visit(small, 5)
    browser.navigate()
    assert len(small.named("page_view")) == 4
    small.clock.advance(1800)
    visit(small, 5)
    browser.navigate()
    assert len(small.sessions) == 3 + 3 + 1


def test_requests_of_a_session_use_up_nothing(small: Site) -> None:
    browser = Browser(small, client=PUBLIC)
    for _ in range(9):
        browser.navigate()
    visit(small, 2)
    assert small.ignored == {}


@pytest.mark.parametrize(
    "call",
    [pytest.param(lambda: identify("ada"), id="identify"), pytest.param(start_session, id="start_session")],
)
def test_a_call_that_names_a_user_or_starts_a_session_is_never_refused(small: Site, call: Callable[[], object]) -> None:
    visit(small, 4)
    small.views["/"] = view_of(call)
    visit(small, 4)
    assert len(small.sessions) == 3 + 4
    assert small.ignored == {"flood": 1}


def test_a_user_of_the_framework_is_never_refused(small: Site) -> None:
    visit(small, 4)
    small.user = "ada"
    visit(small, 2)
    assert len(small.sessions) == 3 + 2


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([lambda: track("x")], id="an event"),
        pytest.param([lambda: track("x"), end_session], id="an event and the end"),
        pytest.param([lambda: identify(None), lambda: track("x")], id="no user"),
    ],
)
def test_other_calls_are_dropped_and_counted(small: Site, calls: list[Callable[[], object]]) -> None:
    small.views["/"] = view_of(*calls)
    visit(small, 5)
    assert len(small.sessions) == len(small.named("x")) == 3
    assert (small.ignored["flood"], small.ignored["no_session"]) == (2, 2)


def test_a_response_that_can_carry_no_cookie_uses_up_nothing(small: Site) -> None:
    small.views["/cached"] = view_of(response=Response(headers=(HTML, ("cache-control", "public"))))
    visit(small, 9, path="/cached")
    visit(small, 3)
    assert len(small.sessions) == 3
    assert "flood" not in small.ignored


@pytest.mark.parametrize("client", ["10.0.0.7", "127.0.0.1", "::1", "fd00::1", "100.64.0.1", "64:ff9b::808:404", None])
def test_private_addresses_share_no_budget(small: Site, client: str | None) -> None:
    visit(small, 5, client)
    assert len(small.sessions) == 5


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"x_forwarded_for": ELSEWHERE}, id="X-Forwarded-For"),
        pytest.param({"x_forwarded_for": f"{ELSEWHERE}, {PUBLIC}"}, id="a proxy before the server's own"),
        pytest.param({"forwarded": f"for={ELSEWHERE}"}, id="Forwarded"),
        pytest.param({"x_forwarded_proto": "https"}, id="X-Forwarded-Proto"),
        pytest.param({"x_real_ip": ELSEWHERE}, id="X-Real-IP"),
    ],
)
def test_behind_a_proxy_that_is_not_declared_networks_have_no_budget(small: Site, headers: dict[str, str]) -> None:
    visit(small, 5, **headers)
    assert len(small.sessions) == 5


def test_an_address_that_the_server_corrected_is_the_clients(small: Site) -> None:
    visit(small, 5, x_forwarded_for=PUBLIC)
    assert small.ignored == {"flood": 2}


def test_behind_a_declared_proxy_the_client_is_counted(make_site: MakeSite) -> None:
    site = make_site(session_budget="3/m", trusted_proxies="10.0.0.0/8")
    visit(site, 5, "10.0.0.1", x_forwarded_for=PUBLIC)
    visit(site, 2, "10.0.0.1", x_forwarded_for=ELSEWHERE)
    assert len(site.sessions) == 5


@pytest.mark.parametrize("client", [PUBLIC, "127.0.0.1", None])
def test_the_total_bounds_what_all_networks_start(make_site: MakeSite, client: str | None) -> None:
    site = make_site(session_budget_total="4/m")
    visit(site, 3, client)
    visit(site, 3, ELSEWHERE)
    assert len(site.sessions) == 4
    assert site.ignored == {"flood": 2}


def test_what_a_network_may_not_uses_up_no_total(make_site: MakeSite) -> None:
    site = make_site(session_budget="3/m", session_budget_total="5/m")
    visit(site, 50)
    visit(site, 3, ELSEWHERE)
    assert len(site.sessions) == 5


def test_none_switches_both_off(make_site: MakeSite) -> None:
    site = make_site(session_budget="none", session_budget_total="none")
    visit(site, 700)
    assert len(site.sessions) == 700


def test_the_default_lets_an_office_in_and_stops_a_flood(site: Site) -> None:
    visit(site, 600)
    assert site.ignored == {}
    visit(site, 400)
    assert len(site.sessions) == 600


def test_the_workers_of_a_host_share_the_budget(protocol: Protocol, make_site: MakeSite, tmp_path: Path) -> None:
    shared: dict[str, Any] = {"clock": ManualClock(), "journal_dir": tmp_path, "session_budget": "3/m"}
    first, second = make_site(**shared), make_site(**shared)
    visit(first, 2)
    visit(second, 2)
    assert (len(first.sessions) + len(second.sessions), second.ignored) == (3, {"flood": 1})
