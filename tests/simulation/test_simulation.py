"""A few seeds each time; `scripts/simulate` plays many, and lets each call fail once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sojourn.core.events import START, Event
from sojourn.pipeline import payloads
from sojourn.pipeline.deliver.sender import Sender

from .calls import Call, every_call, failing
from .inhabitants import SimulatedBackend
from .play import actions_of, fleet_of, played, shrunk
from .world import FAILURES, Action, Fleet, World

OLD_FAULTS: dict[str, tuple[Fleet, list[Action]]] = {
    "a listing of the journals that failed was not made again": (
        Fleet(hosts=2, processes=2, browsers=1),
        [
            ("visit", 25356, 767195, 343937),
            ("step", 706713, 746939, 40),
            ("store", 0, 0, 0),
            ("fail_at", 305763, 1, 0),
            ("stop", 585430, 65241, 859988),
            ("visit", 896887, 901971, 762552),
            ("step", 596802, 389354, 40),
            ("store", 1, 0, 0),
            ("pass", 120000, 676660, 695565),
            ("step", 874999, 889282, 40),
        ],
    ),
    "a record in memory was lost while it waited for another host's": (
        Fleet(hosts=3, processes=2, browsers=8),
        [
            ("fail_at", 783972, 5, 0),
            ("visit", 242033, 265255, 225076),
            ("visit", 329273, 308880, 544864),
        ],
    ),
}


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


@pytest.mark.parametrize("seed", range(8))
def test_every_promise_is_kept(seed: int) -> None:
    outcome = played(seed, fleet_of(seed), actions_of(seed))
    assert outcome.complaints == []
    assert outcome.requests > 50


@pytest.mark.parametrize("name", OLD_FAULTS)
def test_an_old_fault_stays_mended(name: str) -> None:
    fleet, actions = OLD_FAULTS[name]
    assert played(0, fleet, actions).complaints == []


@pytest.mark.parametrize("failure", FAILURES)
def test_a_call_that_fails_loses_nothing(failure: str) -> None:
    for number in (1, 7, 19, 40):
        assert failing(Call(number, failure)).complaints == [], number


def test_every_call_is_counted() -> None:
    calls = list(every_call())
    assert {call.failure for call in calls} == set(FAILURES)
    assert len(calls) > 500


def test_a_seed_is_played_again_exactly() -> None:
    def events() -> list[Event]:
        world = World(fleet_of(1), 1)
        try:
            world.play(actions_of(1, 150))
            return world.store.log.after(START, limit=10_000)
        finally:
            world.close()

    assert events() == events()


def test_a_backend_that_forgets_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = SimulatedBackend._keep
    monkeypatch.setattr(SimulatedBackend, "_keep", lambda self, events: keep(self, events[1:]))
    assert any("is not at the backend" in text for text in played(2, fleet_of(2), actions_of(2, 80)).complaints)


def test_a_record_that_is_skipped_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = payloads.decode
    monkeypatch.setattr(payloads, "decode", lambda payload: None if len(payload) % 7 == 0 else decode(payload))
    assert any("is not in the store" in text for text in played(3, fleet_of(3), actions_of(3, 100)).complaints)


def test_the_shortest_run_that_fails_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    send = Sender._plainly

    def deaf(self: Sender, events: Sequence[Event], shown: Sequence[Event], failures: int) -> object:
        """Takes a call that failed for one that was taken."""
        outcome = send(self, events, shown, failures)
        if outcome.left:
            outcome.taken, outcome.left = [*outcome.taken, *outcome.left], []
        return outcome

    monkeypatch.setattr(Sender, "_plainly", deaf)
    seed = next(seed for seed in range(20) if played(seed, fleet_of(seed), actions_of(seed, 120)).complaints)
    actions = shrunk(seed, fleet_of(seed), actions_of(seed, 120))
    assert len(actions) < 8
    assert {name for name, *_ in actions} >= {"visit", "mood"}
