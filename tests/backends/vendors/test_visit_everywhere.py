"""One visit into all vendors at once: each shows the true sessions, whatever fails on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from sojourn.backends import Backend, backend_from_url
from sojourn.testing.vendors import FAKES, FakeVendor, make_fake
from tests.backends.vendors.played_visit import TRUTH, Twice, check_visit, check_visit_with_repeats, play

NAMES = sorted(FAKES)
SEED = 8
"""The third call fails and the fourth: each vendor meets a failure, however few calls it needs."""


@dataclass
class Played:
    trouble: str
    fakes: dict[str, FakeVendor]
    states: dict[str, dict[str, int]]


@pytest.fixture(
    scope="module",
    params=["all is well", "a fifth fails", "a fifth of the responses is lost", "every batch comes twice"],
)
def played(request: pytest.FixtureRequest) -> Iterator[Played]:
    with ExitStack() as stack:
        fakes: dict[str, FakeVendor] = {name: make_fake(name, is_strict=True) for name in NAMES}
        backends: list[Backend] = []
        for fake in fakes.values():
            url = stack.enter_context(fake.serve())
            backend: Backend = backend_from_url(url)
            backends.append(Twice(backend) if request.param == "every batch comes twice" else backend)
            if "fifth" in request.param:
                fake.fail(0.2, seed=SEED, after_taking="lost" in request.param)
        states = play(backends)
        yield Played(request.param, fakes, {name: dict(state) for name, state in states.items()})


@pytest.mark.parametrize("vendor", NAMES)
def test_vendor_shows_the_sessions_that_happened(played: Played, vendor: str) -> None:
    fake = played.fakes[vendor]
    if fake.keeps_repeats and ("lost" in played.trouble or "twice" in played.trouble):
        check_visit_with_repeats(fake)
    else:
        check_visit(fake)


@pytest.mark.parametrize("vendor", NAMES)
def test_no_event_is_left_or_dead(played: Played, vendor: str) -> None:
    state = played.states[vendor]
    assert (state["dead"], state["backlog"]) == (0, 0)
    assert state["delivered"] > 0


def test_failures_took_place_as_arranged(played: Played) -> None:
    fakes = played.fakes.values()
    for fake in fakes:
        assert any(request.status >= 400 for request in fake.requests) is ("fifth" in played.trouble)
    assert any(fake.duplicates for fake in fakes) is ("lost" in played.trouble or "twice" in played.trouble)


def test_opentelemetry_session_starts_after_the_end_of_its_predecessor(played: Played) -> None:
    bounds = [event for event in played.fakes["otel"].events() if event.name in ("session.start", "session.end")]
    assert [event.name for event in bounds] == ["session.start", "session.end"] * len(TRUTH)
    for end, start in zip(bounds[1::2], bounds[2::2], strict=False):
        assert start.attributes.get("session.previous_id") == end.session_id
