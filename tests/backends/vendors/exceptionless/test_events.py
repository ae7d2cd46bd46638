"""Exceptionless: the encoding of events, and the user on a session's row."""

from __future__ import annotations

import logging

import httpx
import pytest

from sojourn.backends import ExceptionlessBackend
from sojourn.core.events import Scalar
from sojourn.testing.backend_contract import deliver, sample_events
from sojourn.testing.vendors import FakeExceptionless
from tests.backends.vendors.connected import backend_on, changed, sample
from tests.backends.vendors.exceptionless.samples import ADDRESS, KEY, SERVER, sent
from tests.backends.vendors.recorded_visit import deliver_in_parts, visit_events


@pytest.mark.parametrize(
    ("name", "attributes", "kind", "source"),
    [
        pytest.param("session.start", {}, "session", None, id="start"),
        pytest.param("session.heartbeat", {}, "heartbeat", None, id="heartbeat"),
        pytest.param("session.end", {}, "sessionend", None, id="end"),
        pytest.param("exception", {"url.path": "/buy"}, "error", "/buy", id="exception"),
        pytest.param("log", {"log.logger": "shop.stock"}, "log", "shop.stock", id="log"),
        pytest.param("cart.add", {}, "usage", "cart.add", id="tracked"),
        pytest.param("page_view", {}, "usage", "/products/{id}", id="page, by its route"),
        pytest.param("page_view", {"http.route": ""}, "usage", "/products/17", id="page without a route"),
        pytest.param("page_view", {"http.response.status_code": 404}, "404", "GET /products/17", id="not found"),
        pytest.param("user.identify", {}, "user.identify", None, id="login"),
        pytest.param("session.properties", {}, "session.properties", None, id="properties"),
    ],
)
def test_types_of_events(name: str, attributes: dict[str, Scalar], kind: str, source: str | None) -> None:
    (event,) = sent(changed(sample(name), **attributes))
    assert (event["type"], event.get("source")) == (kind, source)


def test_session_row_has_request_server_and_environment() -> None:
    (event,) = sent(sample("session.start"))
    assert event["reference_id"] == sample("session.start").session_key
    assert event["data"]["@request"] == {
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0",
        "path": "/",
        "referrer": "https://search.example/results",
    }
    assert event["data"]["@environment"] == {
        **SERVER,
        "data": {"service.name": "shop", "deployment.environment.name": "test"},
    }
    assert (event["data"]["@version"], event["tags"]) == ("1.4.0", ["test"])


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("203.0.113.0", id="masked"),
        pytest.param("2001:db8:1::", id="masked IPv6"),
        pytest.param("203.0.113.7", id="whole"),
        pytest.param("2001:db8:1::7", id="whole IPv6"),
    ],
)
def test_an_address_is_sent_as_a_place_only(address: str) -> None:
    (event,) = sent(changed(sample("session.start"), **{"client.address": address}))
    assert event["geo"] == address
    assert "client_ip_address" not in event["data"]["@request"]


def test_visitors_behind_one_address_are_not_a_bot() -> None:
    """The server deletes what 25 events in five minutes from one address brought."""
    start = sample("session.start")
    starts = [
        changed(
            start,
            {"id": f"start-{n:04}", "session_key": f"019a0c5e-8a00-7b3c-9d2e-{n:012}", "session_id": f"{n}"},
            **{"client.address": "203.0.113.7"},
        )
        for n in range(30)
    ]
    fake = FakeExceptionless()
    deliver(backend_on(fake), starts)
    assert (len(fake.sessions()), fake.discarded) == (30, [])


def test_manual_session_id_merges_no_sessions() -> None:
    given_id = {"session_id": "order-4711", "is_manual": True}
    first = changed(sample("session.start"), given_id)
    second = changed(first, {"id": "another-start", "session_key": "019a0c5e-8a00-7b3c-9d2e-000000000002"})
    fake = FakeExceptionless()
    deliver(backend_on(fake), [first, second])
    assert len(fake.sessions()) == 2
    assert [event.attributes["session.id"] for event in fake.events()] == ["order-4711", "order-4711"]


def test_properties_of_an_event_have_their_own_names() -> None:
    (event,) = sent(sample("cart.add"))
    assert {name: event["data"][name] for name in ("sku", "gift")} == {"sku": "A-17", "gift": True}


def test_error_has_type_message_and_frames() -> None:
    exception = changed(
        sample("exception"),
        **{"exception.message": "no such seed", "exception.stacktrace": "shop/views.py:12 in buy"},
    )
    (event,) = sent(exception)
    assert event["data"]["@simple_error"] == {
        "type": "LookupError",
        "message": "no such seed",
        "stack_trace": "shop/views.py:12 in buy",
    }
    assert event["message"] == "no such seed"
    (event,) = sent(sample("exception"))
    assert event["data"]["@simple_error"] == {"type": "LookupError", "message": "LookupError"}


@pytest.mark.parametrize(
    ("severity", "level"), [("WARNING", "Warn"), ("error", "Error"), ("CRITICAL", "Fatal"), ("INFO", "Info")]
)
def test_levels_of_a_log(severity: str, level: str) -> None:
    (event,) = sent(changed(sample("log"), **{"log.severity": severity}))
    assert (event["data"]["@level"], event["message"]) == (level, "stock is low")


@pytest.mark.parametrize("name", ["connection.end", "opt_out"])
def test_events_without_activity_have_no_session_and_identity(name: str) -> None:
    (event,) = sent(changed(sample(name), {"user_id": "anna"}))
    assert event["data"].keys().isdisjoint({"@ref:session", "@user"})
    assert event["data"]["@ref:ended-session"] == sample(name).session_key


def test_events_after_the_end_neither_reopen_nor_create_a_session() -> None:
    fake = FakeExceptionless()
    backend = backend_on(fake)
    deliver_in_parts(backend, [])
    before = fake.sessions()
    late = [event for event in visit_events() if event.name == "cart_add"]
    deliver(
        backend,
        [changed(event, {"id": "late-event", "time": event.time + 90_000}, **{"session.late": True}) for event in late],
    )
    assert fake.sessions() == before
    assert fake.events()[-1].id == "late-event"


def test_invalid_ids_are_replaced_by_stable_ones() -> None:
    odd = changed(sample("cart.add"), {"id": "a/b c"})
    first, second = sent(odd, odd)
    assert first["reference_id"] == second["reference_id"]
    assert len(first["reference_id"]) == 36


# --- users on rows


def rows(fake: FakeExceptionless) -> list[tuple[str | None, object]]:
    return [(session.user_id, session.ended_at) for session in fake.sessions()]


def test_login_in_mid_session_updates_the_row_by_another_call() -> None:
    fake = FakeExceptionless()
    deliver(backend_on(fake), sample_events()[:3])
    assert rows(fake) == [("anna", None)]
    assert [request.path for request in fake.requests] == [
        "/api/v2/events",
        f"/api/v2/events/by-ref/{sample('session.start').session_key}/user-description",
    ]


def test_a_login_in_the_first_request_is_on_the_row_from_the_start() -> None:
    start = sample("session.start")
    login = changed(sample("user.identify"), {"time": start.time}, **{"user.traits.plan": "team"})
    assert sent(start, login)[0]["data"]["@user"] == {
        "identity": "anna",
        "name": "Anna Ünal",
        "data": {"plan": "team"},
    }
    fake = FakeExceptionless()
    deliver(backend_on(fake), [start, login])
    assert (rows(fake), len(fake.requests)) == ([("anna", None)], 1)


def test_login_after_a_sent_start_updates_the_row() -> None:
    start = sample("session.start")
    login = changed(sample("user.identify"), {"time": start.time})
    fake = FakeExceptionless()
    backend = backend_on(fake)
    deliver(backend, [start])
    deliver(backend, [login])
    assert (rows(fake), len(fake.requests)) == ([("anna", None)], 3)


def test_rows_false_saves_the_call() -> None:
    fake = FakeExceptionless()
    deliver(backend_on(fake, rows=False), sample_events()[:3])
    assert (rows(fake), len(fake.requests)) == ([(None, None)], 1)


@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_server_without_the_row_call_loses_only_the_user_of_the_row(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeExceptionless()

    def response(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("user-description"):
            return httpx.Response(status)
        return fake.transport().handle_request(request)

    backend = ExceptionlessBackend(ADDRESS, KEY, transport=httpx.MockTransport(response))
    with caplog.at_level(logging.WARNING, "sojourn"):
        for _ in range(2):
            assert deliver(backend, sample_events()).delivered == len(sample_events())
    assert len(fake.events()) == len(sample_events())
    assert caplog.text.count("rows=False") == 1
    assert KEY not in caplog.text


@pytest.mark.parametrize("status", [429, 503])
def test_row_call_is_retried(status: int) -> None:
    fake = FakeExceptionless()
    backend = backend_on(fake)
    fake.fail_next(200)
    fake.heal()
    batch = sample_events()[:3]
    seen = 0

    def response(request: httpx.Request) -> httpx.Response:
        nonlocal seen
        if request.url.path.endswith("user-description"):
            seen += 1
            if seen == 1:
                return httpx.Response(status)
        return fake.transport().handle_request(request)

    backend = ExceptionlessBackend(ADDRESS, KEY, transport=httpx.MockTransport(response))
    assert backend.send(batch).delivered == 2
    assert backend.send(batch[2:]).delivered == 1
    assert rows(fake) == [("anna", None)]
