"""What holds for every registered vendor with a fake. A new vendor is tested here without being named."""

from __future__ import annotations

import logging
import os
import platform
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn import cli
from sojourn.backends import Backend, Unsendable
from sojourn.core.events import Event
from sojourn.testing.backend_contract import BackendContract, deliver, hostile_events, many_events, sample_events
from sojourn.testing.vendors import FAKES, FakeVendor, make_fake
from tests.backends.any_events import batches
from tests.backends.golden_files import check_golden
from tests.backends.vendors.connected import (
    accepted,
    backend_class,
    backend_on,
    backend_responding,
    changed,
    check_sample_session,
    logged_events,
    sample,
)

VENDORS = sorted(FAKES)
NOW = 1_769_860_900.5

every_vendor = pytest.mark.parametrize("vendor", VENDORS)


def event_ids(fake: FakeVendor, start: Event) -> list[str] | None:
    """The ids of the events that the fake took. Some vendors keep a session's start under the session's id."""
    ids = fake.event_ids()
    return ids and [start.id if event_id == start.session_key else event_id for event_id in ids]


class TestContract(BackendContract):
    @pytest.fixture(autouse=True, params=VENDORS)
    def vendor(self, request: pytest.FixtureRequest) -> None:
        self.scheme: str = request.param

    def make_backend(self, tmp_path: Path) -> Backend:
        self.fake = make_fake(self.scheme, is_strict=True)
        backend: Backend = backend_on(self.fake)
        return backend

    def received(self) -> list[str] | None:
        return event_ids(self.fake, sample_events()[0])


@pytest.fixture
def fixed_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for name in ("machine", "python_version", "python_implementation", "release", "system"):
        monkeypatch.setattr(platform, name, lambda name=name: f"({name})")


@every_vendor
@pytest.mark.usefixtures("fixed_machine")
def test_calls_of_a_visit_match_the_golden_file(vendor: str) -> None:
    backend = backend_on(make_fake(vendor, is_strict=True), heartbeats=True, wall=lambda: NOW)
    check_golden(Path(__file__).parent / vendor / "golden.json", backend, logged_events())


# The server uses only the date of it.
_BARE = {("exceptionless", "session.heartbeat")}


@every_vendor
@pytest.mark.parametrize("client", ["Firefox/140.0", "203.0.113.0"])
def test_each_event_carries_the_client_of_its_session(vendor: str, client: str) -> None:
    """Also one that a call carries alone, long after the start."""
    backend = backend_on(make_fake(vendor, is_strict=True), heartbeats=True)
    assert backend.wants_context
    for event in accepted(backend, logged_events()):
        if bodies := [call.body.decode() for call in backend.encode([event])]:
            is_bare = (vendor, event.name) in _BARE
            assert any(client in body for body in bodies) is not is_bare, event.name


@every_vendor
def test_each_event_says_nothing_of_a_client_without_a_context(vendor: str) -> None:
    backend = backend_on(make_fake(vendor, is_strict=True), heartbeats=True)
    for event in accepted(backend, logged_events())[1:]:
        for call in backend.encode([changed(event, {"context": {}})]):
            assert b"Firefox/140.0" not in call.body
            assert b"203.0.113.0" not in call.body


@every_vendor
def test_no_vendor_takes_the_referrer_of_the_session_for_that_of_an_event(vendor: str) -> None:
    """The names by which a vendor's own script says what began the session are right on each event."""
    of_the_session = {"posthog": ("$referrer",), "rudderstack": ("initial_referrer",), "segment": ("initial_referrer",)}
    backend = backend_on(make_fake(vendor, is_strict=True))
    view = next(event for event in logged_events() if event.name == "page_view")
    for call in backend.encode([view]):
        allowed = "".join(of_the_session.get(vendor, ()))
        places = [line for line in call.body.decode().split(",") if "https://search.example/results" in line]
        assert all(allowed and allowed in place for place in places)


@every_vendor
def test_heartbeats_and_revised_ends_follow_the_defaults_of_the_vendor(vendor: str) -> None:
    optional = [sample("session.heartbeat"), changed(sample("session.end"), **{"session.end_revision": 1})]
    backend = backend_class(vendor)
    defaults = [backend.heartbeats_by_default, backend.takes_revised_ends]
    assert [backend_on(make_fake(vendor, is_strict=True)).accepts(event) for event in optional] == defaults
    for flag in (True, False):
        built = backend_on(make_fake(vendor, is_strict=True), heartbeats=flag, resend_ends=flag)
        assert [built.accepts(event) for event in optional] == [flag, flag]


@every_vendor
def test_no_credential_is_shown(vendor: str, caplog: pytest.LogCaptureFixture) -> None:
    credentials = make_fake(vendor, is_strict=True).credentials
    backend = backend_responding(vendor, httpx.Response(401))
    with caplog.at_level(logging.DEBUG):
        receipt = backend.send(many_events(2))
    assert receipt.pause is not None
    calls = list(backend.encode(many_events(2)))
    shown = f"{backend!r}{receipt}{backend.last_call}{calls}{caplog.text}"
    assert not [credential for credential in credentials if credential in shown]


# Of an event it gets category, action, name and value, so none is too large.
_WITHOUT_PROPERTIES = ("matomo",)


@every_vendor
def test_event_beyond_the_limits_becomes_a_dead_letter_and_others_are_delivered(vendor: str) -> None:
    if vendor in _WITHOUT_PROPERTIES:
        pytest.skip("it gets no properties")
    batch = many_events(3)
    batch[1] = changed(batch[1], **{f"event_properties.t{number}": "x" * 4_000 for number in range(1_500)})
    backend = backend_on(make_fake(vendor, is_strict=True))
    receipt = backend.send(batch)
    if vendor == "ga4":  # of any event, no more is sent than it takes
        assert receipt.delivered == 3
        return
    assert (receipt.delivered, [rejection.event_id for rejection in receipt.rejected]) == (2, [batch[1].id])
    assert isinstance(next(iter(backend.encode([batch[1]]))), Unsendable)


@every_vendor
def test_hostile_values_are_delivered(vendor: str) -> None:
    assert deliver(backend_on(make_fake(vendor, is_strict=True)), hostile_events()).delivered == len(hostile_events())


@every_vendor
@given(batch=batches())
def test_every_event_that_is_sent_is_accepted(vendor: str, batch: list[Event]) -> None:
    fake = make_fake(vendor, is_strict=True)
    backend = backend_on(fake, heartbeats=True)
    assert deliver(backend, accepted(backend, batch)).rejected == ()


@every_vendor
@given(seed=st.integers(0, 99), after_taking=st.booleans())
def test_session_is_whole_when_calls_fail_and_all_is_sent_twice(vendor: str, seed: int, after_taking: bool) -> None:
    fake = make_fake(vendor, is_strict=True)
    fake.fail(0.2, seed=seed, after_taking=after_taking)
    backend = backend_on(fake, heartbeats=True)
    batch = accepted(backend, logged_events())
    for _ in range(2):
        assert deliver(backend, batch).delivered == len(batch)
    check_sample_session(fake)
    assert event_ids(fake, batch[0]) in (None, [event.id for event in batch])


@every_vendor
def test_sojourn_check_delivers_its_session(
    vendor: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fake = make_fake(vendor, is_strict=True)
    with fake.serve() as url:
        assert cli.main(["check", "--backend", url]) == 0
    out = capsys.readouterr().out
    assert f"{vendor:<14} ok " in out
    assert [session.duration_ms for session in fake.sessions()] == [1_000]
    assert not [credential for credential in fake.credentials if credential in out]
