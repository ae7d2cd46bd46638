"""The test session of `sojourn check`, and what it reports for each response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from sojourn.backends import Receipt, Rejection, WebhookBackend
from sojourn.backends.checking import MARK, CheckResult, Inspection, check_backend, check_events
from sojourn.backends.http import LastCall
from sojourn.core.events import Event
from sojourn.testing.backends import MemoryBackend

NOW = 1_769_860_800_000
CHANCE = bytes(range(16))
SESSION = check_events(NOW, CHANCE, service="shop")
ORIGIN = "https://vendor.example"


class Fixed:
    """A backend with a fixed receipt and a fixed last call."""

    name = "fixed"
    third_party = True

    def __init__(self, receipt: Receipt | Exception, last_call: LastCall | None = None) -> None:
        self.receipt = receipt
        self.last_call = last_call
        self.unseen_by_check = ""

    def accepts(self, event: Event) -> bool:
        return True

    def send(self, batch: Sequence[Event]) -> Receipt:
        if isinstance(self.receipt, Exception):
            raise self.receipt
        return self.receipt

    def close(self) -> None: ...


def last_call(status: int | None = 202, date: str | None = None, problem: str = "", at: float = NOW / 1000) -> LastCall:
    return LastCall(origin=ORIGIN, at=at, status=status, date=date, problem=problem)


def of(backend: Fixed | MemoryBackend | WebhookBackend) -> CheckResult:
    return check_backend(backend, SESSION, monotonic=lambda: 0.0)


def test_session_is_complete_marked_and_new_each_time() -> None:
    assert [event.name for event in SESSION] == ["session.start", "page_view", "session.end"]
    assert all(event.attributes[MARK] is True for event in SESSION)
    assert all(event.attributes["service.name"] == "shop" for event in SESSION)
    start, _, end = SESSION
    assert start.time == start.session_started_at < end.time < NOW
    assert end.attributes["session.duration_ms"] == end.time - start.time
    assert len({event.id for event in SESSION}) == 3
    other = check_events(NOW, bytes(16))
    assert {event.id for event in other}.isdisjoint(event.id for event in SESSION)
    assert other[0].session_id != start.session_id
    assert other[0].visitor_id != start.visitor_id


def test_accepted_session_has_no_problem() -> None:
    backend = MemoryBackend()
    outcome = of(backend)
    assert outcome == CheckResult(
        name="memory", kind="MemoryBackend", address=None, sent=3, taken=3, took_ms=0, problem="", warnings=()
    )
    assert outcome.is_well
    assert backend.events == SESSION


@pytest.mark.parametrize(
    ("receipt", "known", "says"),
    [
        pytest.param(Receipt(delivered=0, pause="the key is wrong"), last_call(401), "the key is wrong", id="paused"),
        pytest.param(
            Receipt(delivered=2, rejected=(Rejection(event_id="x", reason="too large"),)),
            last_call(),
            "1 of 3 events were refused: too large",
            id="rejected",
        ),
        pytest.param(
            Receipt(delivered=0),
            last_call(None, problem="nothing listens there"),
            "no response from https://vendor.example: nothing listens there",
            id="no response",
        ),
        pytest.param(Receipt(delivered=0), last_call(503), "HTTP 503 from https://vendor.example: it asks", id="down"),
        pytest.param(Receipt(delivered=1), None, "it accepted 1 of 3 events", id="third-party backend"),
        pytest.param(RuntimeError("hunter2"), None, "send() raised RuntimeError", id="raises"),
    ],
)
def test_problem_says_what_to_fix(receipt: Receipt | Exception, known: LastCall | None, says: str) -> None:
    outcome = of(Fixed(receipt, known))
    assert not outcome.is_well
    assert says in outcome.problem
    assert "hunter2" not in outcome.problem


@pytest.mark.parametrize(
    ("date", "says"),
    [
        pytest.param("Sat, 31 Jan 2026 12:00:00 GMT", None, id="the same"),
        pytest.param("Sat, 31 Jan 2026 12:00:05 GMT", None, id="as far as a slow call explains"),
        pytest.param("Sat, 31 Jan 2026 12:00:06 GMT", "6 s behind", id="behind"),
        pytest.param("Sat, 31 Jan 2026 11:00:00 GMT", "3600 s ahead of", id="ahead"),
        pytest.param("yesterday", None, id="no date"),
        pytest.param(None, None, id="none"),
    ],
)
def test_clock_skew_is_a_warning(date: str | None, says: str | None) -> None:
    outcome = of(Fixed(Receipt(delivered=3), last_call(date=date)))
    assert outcome.is_well
    assert len(outcome.warnings) == (says is not None)
    assert says is None or says in outcome.warnings[0]


def test_what_a_success_does_not_prove_is_a_warning() -> None:
    for receipt, warnings in [(Receipt(delivered=3), ("look at its debugger",)), (Receipt(delivered=0), ())]:
        backend = Fixed(receipt, last_call(401))
        backend.unseen_by_check = "look at its debugger"
        assert of(backend).warnings == warnings


def test_only_events_that_pass_the_filter_are_sent() -> None:
    outcome = of(MemoryBackend(accepts=lambda event: event.name == "session.end"))
    assert (outcome.sent, outcome.taken, outcome.warnings) == (1, 1, ())


def test_filter_that_excludes_all_is_overruled_with_a_warning() -> None:
    outcome = of(MemoryBackend(accepts=lambda event: False))
    assert (outcome.sent, outcome.taken) == (3, 3)
    assert "events= excludes every test event" in outcome.warnings[0]


def test_webhook_has_a_last_call() -> None:
    transport = httpx.MockTransport(
        lambda request: httpx.Response(404, headers={"date": "Sat, 31 Jan 2026 11:00:00 GMT"})
    )
    backend = WebhookBackend("https://hooks.example/hunter2", transport=transport, wall=lambda: NOW / 1000)
    outcome = of(backend)
    assert "HTTP 404: nothing accepts events at this address" in outcome.problem
    assert len(outcome.warnings) == 1
    assert "hunter2" not in repr(outcome)


LOG_IN = '<html><form action="/login" method="post"><input type="password"></form></html>'


@pytest.mark.parametrize(
    ("response", "says"),
    [
        pytest.param(httpx.Response(200, html=LOG_IN), "a log-in form", id="log-in form"),
        pytest.param(httpx.Response(200, html="<title>Sign in · Shop</title>"), "a log-in form", id="by its title"),
        pytest.param(
            httpx.Response(200, html='<meta http-equiv="refresh" content="0;url=/x">'), "that redirects", id="meta"
        ),
        pytest.param(
            httpx.Response(200, html="<script>window.location = '/x'</script>"), "that redirects", id="by script"
        ),
        pytest.param(httpx.Response(200, headers={"refresh": "0; url=/x"}), "that redirects", id="by header"),
        pytest.param(
            httpx.Response(302, headers={"location": "https://sso.example/login?next=hunter2"}),
            "a redirect to a log-in page",
            id="redirect to a log-in",
        ),
        pytest.param(httpx.Response(308, headers={"location": "https://hooks.example/in/"}), "a redirect", id="moved"),
        pytest.param(httpx.Response(200, html="ok"), None, id="a Flask receiver's ok"),
        pytest.param(httpx.Response(204), None, id="empty"),
        pytest.param(httpx.Response(200, json={"login": 1, "location": "="}), None, id="JSON"),
    ],
)
def test_log_in_form_or_redirect_is_a_warning(response: httpx.Response, says: str | None) -> None:
    backend = WebhookBackend("https://hooks.example/in", transport=httpx.MockTransport(lambda request: response))
    outcome = of(backend)
    assert outcome.is_well is response.is_success
    assert len(outcome.warnings) == (says is not None)
    assert says is None or says in outcome.warnings[0]
    assert "hunter2" not in repr(outcome)


class Receiver:
    """Responds with one status to compressed calls and with another to plain ones, and keeps the encodings."""

    def __init__(self, packed: int, plain: int = 202) -> None:
        self.statuses = {True: packed, False: plain}
        self.encodings: list[bool] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        is_packed = "content-encoding" in request.headers
        self.encodings.append(is_packed)
        return httpx.Response(self.statuses[is_packed])

    def backend(self, **options: Any) -> WebhookBackend:
        return WebhookBackend("https://hooks.example/in", transport=httpx.MockTransport(self), **options)


@pytest.mark.parametrize("status", [400, 415, 422, 500])
def test_both_encodings_are_tried_and_the_one_that_works_is_named(status: int) -> None:
    receiver = Receiver(status)
    outcome = of(receiver.backend())
    assert (outcome.is_well, outcome.taken, outcome.takes_gzip) == (True, 3, False)
    assert "set gzip=False (in a URL: gzip=0)" in outcome.warnings[0]
    assert set(receiver.encodings) == {True, False}


def test_receiver_of_both_encodings_gets_each_event_once() -> None:
    receiver = Receiver(202)
    outcome = of(receiver.backend())
    assert (outcome.sent, outcome.taken, outcome.takes_gzip, outcome.warnings) == (3, 3, True, ())
    assert receiver.encodings == [True, False]


def test_gzip_is_not_blamed_for_a_refusal_of_both() -> None:
    outcome = of(Receiver(401, 401).backend())
    assert (outcome.is_well, outcome.takes_gzip, outcome.warnings) == (False, None, ())


def test_plain_calls_alone_are_tried_where_gzip_is_off() -> None:
    receiver = Receiver(415)
    outcome = of(receiver.backend(gzip=False))
    assert (outcome.is_well, outcome.takes_gzip, receiver.encodings) == (True, None, [False])


class Inspecting(Fixed):
    """A backend that looks at its receiver."""

    def inspect(self) -> Inspection:
        return Inspection(warnings=("a column differs",), remedy="ALTER TABLE ...")


def test_what_a_backend_finds_in_its_receiver_is_reported_beside_the_receipt() -> None:
    for receipt in (Receipt(delivered=3), Receipt(delivered=0, pause="a table lacks a column")):
        outcome = of(Inspecting(receipt, last_call()))
        assert (outcome.warnings, outcome.remedy) == (("a column differs",), "ALTER TABLE ...")
        assert outcome.problem == (receipt.pause or "")


def test_receiver_that_does_not_respond_is_not_looked_at() -> None:
    outcome = of(Inspecting(Receipt(delivered=0), last_call(None, problem="it cannot be reached")))
    assert (outcome.warnings, outcome.remedy) == ((), "")


class Validating(Fixed):
    """A backend whose vendor accepts anything, and says elsewhere what is wrong with it."""

    def problems_of(self, batch: Sequence[Event]) -> list[str]:
        return ["a name is reserved", f"{len(batch)} events are old"]


def test_what_a_vendor_finds_in_events_that_it_accepted_is_a_problem() -> None:
    outcome = of(Validating(Receipt(delivered=3), last_call()))
    assert (outcome.taken, outcome.problem) == (3, "a name is reserved; 3 events are old")
    refused = of(Validating(Receipt(delivered=0, pause="the key is unknown"), last_call()))
    assert refused.problem == "the key is unknown", "it is not asked about what it did not accept"
