"""What an app's own tests use: a visit without a request, its events, a clock to advance."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

import sojourn
from sojourn import current_session, end_session, identify, track, track_async
from sojourn.testing import FakeVisits, ManualClock, RecordedEvents, fake_visit

pytest_plugins = ["pytester"]


def buy() -> None:
    """A view or a job of some app."""
    track("bought", {"total": 9.5})


def test_helpers_work_in_a_fake_visit() -> None:
    with fake_visit() as events:
        buy()
        (event,) = events.named("bought")
        assert event.attributes["event_properties.total"] == 9.5
        assert event.user_id is None
        assert events.names == ["session.start", "bought"]
        assert len(events) == 2
        assert events[0].name == "session.start"
        assert [event.name for event in events[1:]] == ["bought"]
        assert repr(events) == "<2 events: session.start, bought>"
    assert current_session() is None


@pytest.mark.parametrize("user_id", ["ada", 7])
def test_fake_visit_can_have_a_user(user_id: str | int) -> None:
    with fake_visit(user_id) as events:
        session = current_session()
        assert session is not None
        assert session.is_identified
        buy()
        assert events.named("bought")[0].user_id == str(user_id)


def test_session_changes_are_recorded() -> None:
    with fake_visit("ada") as events:
        identify("bob")
        end_session()
        assert current_session() is None
        assert [event.user_id for event in events.named("session.end")] == ["ada", "bob"]


def test_error_propagates_and_the_visit_ends() -> None:
    with pytest.raises(RuntimeError), fake_visit():
        raise RuntimeError
    with pytest.raises(sojourn.NoActiveRequest):
        buy()


def test_visits_of_one_test_share_the_fixtures_log(sojourn_events: RecordedEvents) -> None:
    with fake_visit("ada"):
        buy()
    with fake_visit("bob"):
        buy()
    assert [event.user_id for event in sojourn_events.named("bought")] == ["ada", "bob"]
    assert len(sojourn_events.named("session.start")) == 2


def test_the_fixture_starts_empty(sojourn_events: RecordedEvents) -> None:
    assert list(sojourn_events) == []


def test_nested_visit_restores_the_outer_one() -> None:
    with fake_visit("ada"):
        outer = current_session()
        with fake_visit("bob"):
            assert current_session() != outer
        assert current_session() == outer


def test_settings_and_time_of_fake_visits() -> None:
    visits = FakeVisits(idle_timeout=60)
    with visits.visit():
        visits.clock.advance(59)
        track("in time")
        visits.clock.advance(60)
        track("too late")
    assert visits.engine.sweep() == 1
    assert visits.events.names == ["session.start", "in time", "session.end"]
    visits.close()


def test_manual_clock_moves_only_when_advanced() -> None:
    clock = ManualClock(1_000)
    assert (clock.now(), clock.monotonic(), clock.is_manual) == (1_000, 0.0, True)
    clock.advance(1.5)
    assert (clock.now(), clock.now_ms, clock.monotonic()) == (2_500, 2_500, 1.5)


def test_plugin_provides_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from sojourn import track
        from sojourn.testing import fake_visit

        def test_it(sojourn_events):
            with fake_visit(user_id="ada"):
                track("bought")
            assert [event.user_id for event in sojourn_events.named("bought")] == ["ada"]
        """
    )
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=1)


def test_an_event_of_a_transaction_is_recorded_at_once() -> None:
    with closing(sqlite3.connect(":memory:")) as shop, fake_visit("ada") as events:
        track("purchase", {"total": 1}, connection=shop)
        asyncio.run(_tracked(events))
        with pytest.raises(TypeError, match="track_async"):
            asyncio.run(track_async("purchase", connection=shop))
        assert [event.user_id for event in events.named("purchase")] == ["ada"]


async def _tracked(events: RecordedEvents) -> None:
    aiosqlite = pytest.importorskip("aiosqlite")
    async with aiosqlite.connect(":memory:") as shop:
        await track_async("refund", connection=shop)
    assert events.names[-1] == "refund"
