"""Laws of one visitor's sessions, whatever the requests, the clock and the app do."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.session import MAX_REVISION, EndReason, Rules, SessionState, clamped, end, over, seen, succeed
from sojourn.tracking.cookie import CookieCodec, Verified
from tests.core.player import EPOCH, RULES, Step, Visitor, steps

KEEP = replace(RULES, split_on_user_change=False)
ENDLESS = replace(RULES, max_duration=None, manual_max_silence=None, heartbeat_interval=None)

hashes = st.none() | st.binary(min_size=8, max_size=8)
moments = st.integers(0, 2**42)
uuids = st.uuids().map(str)
given_ids = st.text("ABCxyz0189-", min_size=8, max_size=100)


@st.composite
def states(draw: st.DrawFn) -> SessionState:
    """Any state that a cookie may have to carry."""
    key = draw(uuids)
    previous = draw(st.none() | uuids)
    return SessionState(
        visitor_id=draw(uuids),
        visitor_since=draw(moments),
        key=key,
        session_id=draw(st.just(key) | given_ids),
        started_at=draw(moments),
        last_seen_at=draw(moments),
        previous_key=previous,
        previous_seen_at=draw(moments) if previous else 0,
        previous_reason=draw(st.sampled_from(EndReason)) if previous else None,
        owner=draw(hashes),
        principal=draw(hashes),
        is_manual=draw(st.booleans()),
        is_tagged=draw(st.booleans()),
        is_explicit=draw(st.booleans()),
        is_ended=draw(st.booleans()),
        revision=draw(st.integers(0, MAX_REVISION)),
    )


@pytest.mark.parametrize("rules", [RULES, KEEP, ENDLESS], ids=["split", "keep", "endless"])
@given(played=steps(max_size=25))
def test_sessions_of_a_visitor_never_overlap(rules: Rules, played: list[Step]) -> None:
    spans = list(Visitor(rules).play(played).spans.values())

    for before, after in pairwise(spans):
        assert before.ended_at is not None, "a session was left open behind a newer one"
        assert before.ended_at <= after.started_at
    for span in spans:
        assert span.started_at <= span.last_seen_at


@given(played=steps(max_size=25))
def test_a_session_has_one_start_at_most_one_end_and_a_life_between(played: list[Step]) -> None:
    visitor = Visitor()
    ended: set[str] = set()
    started: set[str] = set()
    for step in played:
        before = visitor.states[-1] if visitor.states else None
        state = visitor.request(step)
        now = max(visitor.now, before.last_seen_at if before else 0)
        for key, span in visitor.spans.items():
            if span.ended_at is not None and key not in ended:
                ended.add(key)
                assert span.started_at <= span.ended_at <= now
        assert state.key not in ended or state.is_ended
        if before is None or state.key != before.key:
            assert state.key not in started, "a session started twice"
            started.add(state.key)


@given(played=steps(max_size=25))
def test_time_never_runs_back_and_a_duration_never_shrinks(played: list[Step]) -> None:
    visitor = Visitor().play(played)

    for before, after in pairwise(visitor.states):
        assert after.last_seen_at >= before.last_seen_at
        assert after.started_at >= before.started_at
        if after.key == before.key:
            assert after.started_at == before.started_at


@given(played=steps(max_size=25))
def test_a_linked_session_names_the_one_before_it(played: list[Step]) -> None:
    states = Visitor().play(played).states

    for before, after in pairwise(states):
        if after.key != before.key and after.previous_key == before.key:
            assert after.previous_seen_at >= before.last_seen_at
            assert after.started_at >= after.previous_seen_at


@given(state=states(), seconds=st.integers(0, 100))
def test_a_state_that_went_through_the_cookie_is_the_same_state(state: SessionState, seconds: int) -> None:
    codec = CookieCodec([b"k" * 16])
    for sent in (state, seen(state, state.last_seen_at + seconds * 1000), end(state)):
        read = codec.loads(codec.dumps(sent).encode())
        assert isinstance(read, Verified)
        assert read.state == sent


@given(state=states(), now=moments, later=st.integers(0, 2**42))
def test_what_is_over_stays_over(state: SessionState, now: int, later: int) -> None:
    reason = over(state, RULES, now)
    if reason is not None:
        assert over(state, RULES, now + later) is reason


@given(state=states(), now=moments)
def test_now_as_a_session_sees_it_is_never_before_its_last_activity(state: SessionState, now: int) -> None:
    at = clamped(state, RULES, now)
    if at is None:
        assert state.last_seen_at - now > RULES.max_clock_lead
    else:
        assert at == max(now, state.last_seen_at)


@given(state=states(), at=moments)
def test_seeing_is_a_join(state: SessionState, at: int) -> None:
    once = seen(state, at)
    assert once.last_seen_at == max(state.last_seen_at, at)
    assert seen(once, at) == once


@given(state=states(), reason=st.sampled_from(EndReason), now=moments)
def test_a_successor_keeps_the_visitor_and_only_a_tagged_user(state: SessionState, reason: EndReason, now: int) -> None:
    after = succeed(state, reason, key="k", now=now)

    assert (after.visitor_id, after.visitor_since) == (state.visitor_id, state.visitor_since)
    assert (after.previous_key, after.previous_seen_at, after.previous_reason) == (
        state.key,
        state.last_seen_at,
        reason,
    )
    assert after.started_at == after.last_seen_at == now
    assert not after.is_ended
    if after.is_tagged or after.owner is not None:
        assert state.is_tagged
        assert reason in {EndReason.IDLE_TIMEOUT, EndReason.MAX_DURATION, EndReason.RESTARTED}


def test_the_player_meets_every_reason() -> None:
    """The laws above would hold of a player that never does anything."""
    played = [
        Step(0),
        Step(1_000),
        *[Step(900)] * 5,
        Step(10, "restart"),
        Step(10, "end"),
        Step(10, "identify", "ada"),
        Step(10, "identify", "bo"),
    ]
    visitor = Visitor().play(played)
    reasons = [span.reason for span in visitor.spans.values()]
    assert reasons == ["idle_timeout", "max_duration", "restarted", "ended", "user_changed", None]
    assert visitor.now == EPOCH + 5_540
