"""Matomo: what becomes of events, settings, responses, and a whole visit."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import pytest

from sojourn.backends import MatomoBackend, backend_from_url
from sojourn.backends.http import HttpCall
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.testing.backend_contract import many_events, sample_events
from sojourn.testing.vendors import FakeMatomo
from tests.backends.vendors.connected import (
    backend_on,
    backend_responding,
    changed,
    check_pause,
    check_wrong_url,
    sample,
)
from tests.backends.vendors.played_visit import TRUTH, Twice, check_visit, check_visit_with_repeats, play
from tests.backends.vendors.recorded_visit import deliver_in_parts, visit_events

ADDRESS = "https://stats.example"
TOKEN = "FAKETOKEN"
PREVIOUS: dict[str, Scalar] = {"session.previous_id": "019a0c5e-0000-7b3c-9d2e-5f60718293a4"}


def backend(**options: Any) -> MatomoBackend:
    return MatomoBackend(ADDRESS, TOKEN, **{"site": 1, "base_url": "https://shop.example", "user_ids": True, **options})


def requests(*events: Event, **options: Any) -> list[dict[str, Any]]:
    calls = backend(**options).encode(events)
    return [request for call in calls if isinstance(call, HttpCall) for request in json.loads(call.body)["requests"]]


def event(name: str, attributes: dict[str, Scalar] | None = None, **fields: Any) -> Event:
    return msgspec.structs.replace(many_events(1)[0], name=name, attributes=attributes or {}, **fields)


# --- a visit


def test_start_and_its_page_view_are_one_request_so_that_a_visit_of_one_page_is_a_bounce() -> None:
    (request,) = requests(sample("session.start"), sample("page_view"))
    assert (request["url"], request["action_name"]) == ("https://shop.example/products/17", "/products/{id}")
    assert (request["urlref"], request["cdt"]) == ("https://search.example/results", 1_769_860_800)
    fake = FakeMatomo()
    backend_on(fake).send(sample_events()[:2])
    assert [(visit.actions, visit.is_bounce) for visit in fake.visits] == [(1, True)]


def test_page_view_before_its_start_is_a_request_of_its_own() -> None:
    """No log has that order, but the backend must not lose or double an event for it."""
    fake = FakeMatomo()
    assert backend_on(fake).send([sample("page_view"), sample("session.start")]).delivered == 2
    assert [event.name for event in fake.events()] == ["page", "session: start"]


def test_start_without_a_page_view_is_an_event() -> None:
    first, second = requests(sample("session.start"), changed(sample("page_view"), {"time": 1_769_860_801_000}))
    assert (first["e_c"], first["e_a"]) == ("session", "start")
    assert "e_c" not in second


@pytest.mark.parametrize(("attributes", "forced"), [({}, False), (PREVIOUS, True)], ids=["first session", "later one"])
def test_only_a_start_after_another_session_forces_a_new_visit(attributes: dict[str, Scalar], forced: bool) -> None:
    """The first session of a visitor opens a visit anyway, and a repeated request must not open another."""
    start, page = requests(
        changed(sample("session.start"), {"user_id": "anna"}, **attributes),
        changed(sample("page_view"), {"time": 1_769_860_805_000, "user_id": "anna"}, **attributes),
    )
    assert ("new_visit" in start, "new_visit" in page) == (forced, False)


def test_user_is_on_every_request_but_the_first() -> None:
    """While Matomo may not know the visitor, it would look for a stranger's visit with the same browser and address."""
    assert ["uid" in request for request in requests(*sample_events())] == [False, *[True] * 7]
    assert not any("uid" in request for request in requests(*sample_events(), user_ids=False))


def test_session_that_follows_another_within_a_second_is_continued_in_its_own_visit() -> None:
    """Of two visits whose last actions are in the same second, Matomo continues the earlier one."""
    fake = FakeMatomo()
    at, own = 1_769_860_800_000, {"session_key": "019a0c5e-9999-7b3c-9d2e-5f60718293a4"}
    attributes: dict[str, Scalar] = {**PREVIOUS, "session.id": "2"}
    backend_on(fake).send(
        [
            event("session.start", {"session.id": "1"}, id="1", time=at),
            event("page_view", {"session.id": "1"}, id="2", time=at + 200),
            event("session.start", attributes, id="3", time=at + 900, session_started_at=at + 900, **own),
            event("user.identify", attributes, id="4", time=at + 900, user_id="ben", **own),
            event("page_view", attributes, id="5", time=at + 7_000, user_id="ben", **own),
        ]
    )
    assert [(visit.first_at - at // 1000, visit.user_id) for visit in fake.visits] == [(0, None), (1, "ben")]


def test_visitor_is_16_hexadecimal_digits_and_the_same_in_each_session() -> None:
    ids = {request["cid"] for request in requests(*sample_events())}
    (own,) = ids
    assert len(own) == 16
    assert int(own, 16)
    (other,) = requests(event("cart.add", visitor_id="another"))
    assert other["cid"] != own


@pytest.mark.parametrize("name", ["session.heartbeat", "session.properties", "session.end", "user.identify"])
def test_what_is_no_action_is_a_ping(name: str) -> None:
    (request,) = requests(sample(name), heartbeats=True)
    assert request["ping"] == 1
    assert {"url", "action_name", "e_c", "e_a"}.isdisjoint(request)


@pytest.mark.parametrize(
    ("tracked", "shown"),
    [
        pytest.param(event("bought"), {"e_c": "event", "e_a": "bought"}, id="tracked"),
        pytest.param(
            event("bought", {"event_properties.name": "basil", "event_properties.value": 3.5}),
            {"e_c": "event", "e_a": "bought", "e_n": "basil", "e_v": 3.5},
            id="tracked with name and value",
        ),
        pytest.param(
            event("bought", {"event_properties.value": True}), {"e_c": "event", "e_a": "bought"}, id="no number"
        ),
        pytest.param(
            event("bought", {"event_properties.value": float("nan")}), {"e_c": "event", "e_a": "bought"}, id="NaN"
        ),
        pytest.param(
            event(names.EXCEPTION, {"exception.type": "LookupError", "exception.place": "shop.py in buy"}),
            {"e_c": "exception", "e_a": "LookupError", "e_n": "shop.py in buy"},
            id="exception",
        ),
        pytest.param(
            event(names.LOG, {"log.severity": "WARN", "log.body": "low"}),
            {"e_c": "log", "e_a": "WARN", "e_n": "low"},
            id="log",
        ),
        pytest.param(event(names.EXCEPTION), {"e_c": "exception", "e_a": "unknown"}, id="without a type"),
    ],
)
def test_events(tracked: Event, shown: dict[str, Scalar]) -> None:
    (request,) = requests(tracked)
    assert {name: value for name, value in request.items() if name.startswith("e_")} == shown


def test_long_text_of_an_event_is_cut() -> None:
    """Matomo would respond with 500 to it, each time again."""
    fake = FakeMatomo()
    long = "x" * 5_000
    tracked = [event(long, id="1"), event(names.LOG, {"log.severity": long, "log.body": long}, id="2")]
    assert backend_on(fake).send(tracked).delivered == 2


@pytest.mark.parametrize("name", [names.OPT_OUT, names.CONNECTION_END, names.USER_IDENTIFY])
def test_nothing_is_sent_of_what_matomo_has_no_place_for(name: str) -> None:
    nothing = event(name, user_id=None)
    assert not backend().accepts(nothing)
    assert requests(nothing) == []


def test_page_has_its_query_and_the_time_it_took() -> None:
    page = event(names.PAGE_VIEW, {"url.path": "/a", "url.query": "utm_source=mail", "page_view.duration_ms": 11.5})
    (request,) = requests(page)
    assert request["url"] == "https://shop.example/a?utm_source=mail"
    assert (request["action_name"], request["pf_srv"]) == ("/a", 12)


def test_custom_dimensions_get_attributes() -> None:
    properties: dict[str, Scalar] = {"session_properties.is_new": True, "session_properties.note": "x" * 300}
    end = changed(sample("session.end"), **properties)
    numbers = {
        "session.end_reason": 1,
        "session.duration_ms": 2,
        "session_properties.is_new": 3,
        "session_properties.note": 4,
        "session_properties.none": 5,
    }
    (request,) = requests(end, dimensions=numbers)
    assert {name: value for name, value in request.items() if name.startswith("dimension")} == {
        "dimension1": "idle_timeout",
        "dimension2": "95250",
        "dimension3": "true",
        "dimension4": "x" * 250,
    }


def test_visitor_without_an_address_is_not_at_the_server() -> None:
    assert requests(event("bought"))[0]["cip"] == "0.0.0.0"


# --- address, site and options


@pytest.mark.parametrize(
    ("address", "called"),
    [
        pytest.param("https://stats.example", "https://stats.example/matomo.php", id="host"),
        pytest.param("https://shop.example/matomo/", "https://shop.example/matomo/matomo.php", id="folder"),
        pytest.param("https://stats.example/piwik.php", "https://stats.example/piwik.php", id="the file"),
    ],
)
def test_addresses(address: str, called: str) -> None:
    (call,) = MatomoBackend(address, TOKEN, site=1, base_url="https://shop.example").encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert (call.url, call.has_gzip) == (called, False)
    assert TOKEN not in call.url


def test_backend_from_url() -> None:
    built = backend_from_url(
        "matomo+https://TOKEN@stats.example/matomo.php?site=7&base_url=https://shop.example/&user_ids=1"
        "&dimensions=session.end_reason:1&dimensions=session.id:12"
    )
    (call,) = built.encode([sample("session.end")])  # type: ignore[attr-defined]
    (request,) = json.loads(call.body)["requests"]
    assert (request["idsite"], request["uid"], request["dimension1"]) == (7, "anna", "idle_timeout")
    assert request["dimension12"] == sample("session.end").session_id


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("matomo+https://hunter2@h.example?base_url=https://s.example", "site must be", id="no site"),
        pytest.param("matomo+https://hunter2@h.example?site=x&base_url=https://s.example", "site must be", id="text"),
        pytest.param("matomo+https://hunter2@h.example?site=0&base_url=https://s.example", "site must be", id="zero"),
        pytest.param("matomo+https://hunter2@h.example?site=1", "base_url is missing", id="no address"),
        pytest.param("matomo+https://hunter2@h.example?site=1&base_url=shop", "begin with http://", id="no URL"),
        pytest.param("matomo+https://h.example?site=1&base_url=https://s.example", "token is missing", id="no token"),
        pytest.param(
            "matomo+https://hunter2@h.example?site=1&base_url=https://s.example&dimensions=session.id",
            "write, for example, session.end_reason:1",
            id="dimension without a number",
        ),
    ],
)
def test_wrong_url_names_the_fix_without_the_token(url: str, says: str) -> None:
    check_wrong_url(url, says)


def test_calls_are_small() -> None:
    assert [len(call.events) for call in backend().encode(many_events(120))] == [50, 50, 20]


# --- responses


def said(**fields: object) -> httpx.Response:
    return httpx.Response(200, json={"status": "success", **fields})


@pytest.mark.parametrize(
    ("response", "says"),
    [
        pytest.param(said(tracked=0, invalid=2), "the token is wrong or has no write access", id="wrong token"),
        pytest.param(said(tracked=0, invalid=0), "its tracking is switched off", id="switched off"),
        pytest.param(httpx.Response(400, html="This resource is part of Matomo"), "BulkTracking", id="no bulk"),
        pytest.param(httpx.Response(204), "Matomo responds with 200", id="another server"),
        pytest.param(httpx.Response(200, json={"status": "success"}), "Matomo responds with 200", id="no figures"),
    ],
)
def test_errors_of_the_setup_pause_delivery(response: httpx.Response, says: str) -> None:
    check_pause(backend_responding("matomo", response), says)


def test_wrong_token_is_one_of_them() -> None:
    built = MatomoBackend(ADDRESS, "x", site=1, base_url="https://s.example", transport=FakeMatomo().transport())
    check_pause(built, "the token is wrong")


def test_error_of_matomo_itself_has_undone_the_call() -> None:
    fake = FakeMatomo()
    fake.fail_next(500)
    assert backend_on(fake).send(many_events(2)).delivered == 0
    assert fake.visits == []
    assert backend_on(fake).send(many_events(2)).delivered == 2


def rejected(response: httpx.Response, batch: list[Event]) -> list[str]:
    receipt = backend_responding("matomo", response).send(batch)
    assert receipt.delivered + len(receipt.rejected) == len(batch)
    return [rejection.event_id for rejection in receipt.rejected]


def test_invalid_requests_are_dead_letters_and_the_others_are_delivered() -> None:
    batch = many_events(4)
    assert rejected(said(tracked=3, invalid=1, invalid_indices=[2]), batch) == [batch[2].id]


def test_invalid_requests_are_the_oldest_where_the_token_is_not_told_which() -> None:
    batch = [*many_events(3), event("old", id="old", time=1_000_000_000_000)]
    assert rejected(said(tracked=3, invalid=1), batch) == [batch[3].id]


def test_requests_that_matomo_lost_are_counted() -> None:
    """After a lock wait timeout it continues without the request, and counts it nowhere."""
    batch = many_events(4)
    assert rejected(said(tracked=2, invalid=1, invalid_indices=[3]), batch) == [batch[2].id, batch[3].id]


def test_both_events_of_a_request_are_dead_letters() -> None:
    start, page, _, properties, *_ = sample_events()
    batch = [start, properties, page]
    assert rejected(said(tracked=1, invalid=1, invalid_indices=[0]), batch) == [start.id, page.id]


# --- all of it together


@pytest.mark.parametrize("cuts", [[], [1], list(range(30))], ids=["at once", "start alone", "one by one"])
def test_recorded_visit_arrives_however_it_is_cut(cuts: list[int]) -> None:
    fake = FakeMatomo()
    fake.is_strict = True
    deliver_in_parts(backend_on(fake), cuts)
    shown = [(session.user_id, session.duration_ms, session.reason) for session in fake.sessions()]
    assert shown == [("anna", 105_000, "idle_timeout"), ("anna", 10_000, "user_changed"), ("ben", 30_000, "opted_out")]
    assert [visit.total_time for visit in fake.visits] == [106, 11, 31], "Matomo adds a second"


def test_revised_end_corrects_the_visit() -> None:
    fake = FakeMatomo()
    later = changed(
        sample("session.end"),
        {"time": 1_769_860_900_000},
        **{"session.duration_ms": 100_000, "session.end_revision": 1},
    )
    backend_on(fake).send([*sample_events()[:-1], later])
    (session,) = fake.sessions()
    assert (session.duration_ms, fake.visits[0].total_time) == (100_000, 101)


def test_visit_through_an_app_in_which_calls_fail() -> None:
    fake = FakeMatomo()
    fake.is_strict = True
    fake.fail(0.2, [500, 502, 503], seed=11)
    play([backend_on(fake, heartbeats=True)])
    check_visit(fake)
    assert [session.properties for session in fake.sessions()] == [truth.properties for truth in TRUTH]
    assert [visit.actions for visit in fake.visits] == [8, 2, 1]


@pytest.mark.parametrize("is_twice", [False, True], ids=["responses lost", "all twice"])
def test_what_arrives_twice_counts_twice_and_no_session_is_lost(is_twice: bool) -> None:
    fake = FakeMatomo()
    fake.is_strict = True
    if not is_twice:
        fake.fail(0.4, seed=5, after_taking=True)
    play([Twice(backend_on(fake)) if is_twice else backend_on(fake)])
    assert fake.duplicates > 0
    check_visit_with_repeats(fake)
    assert sum(visit.actions for visit in fake.visits) > 12
    assert len([visit for visit in fake.visits if visit.first_at == TRUTH[0].started_at // 1000]) == 1


def test_users_are_right_without_user_ids_where_they_are_a_dimension() -> None:
    """Also in a Matomo as it is installed, which would otherwise divide a visit at the log-in."""
    fake = FakeMatomo(config={}, dimensions={1: "user.id", 2: "session.end_reason"})
    fake.url_options = fake.url_options.replace("&user_ids=1", "")
    deliver_in_parts(backend_on(fake), [])
    assert [visit.dimensions[1] for visit in fake.visits] == ["anna", "anna", "ben"]
    assert {visit.user_id for visit in fake.visits} == {None}


def test_visits_are_divided_at_the_log_in_by_a_matomo_as_it_is_installed() -> None:
    """So the docs say what to set for `user_ids`."""
    fake = FakeMatomo(config={})
    deliver_in_parts(backend_on(fake), [])
    assert len(fake.visits) > 3
    assert len(visit_events()) > 20
