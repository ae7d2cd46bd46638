"""When a session is over, why, and what the next one takes along: the rules as tables."""

from __future__ import annotations

import msgspec
import pytest

from sojourn.core.session import (
    LINKING,
    MAX_COUNT,
    MAX_REVISION,
    RETAGGING,
    EndReason,
    Rules,
    SessionState,
    begin,
    clamped,
    end,
    is_newer,
    over,
    revised,
    seen,
    steps_since,
    succeed,
)

IDLE, LONG, SILENCE = 1_000, 3_000, 2_000
RULES = Rules(idle_timeout=IDLE, max_duration=LONG, manual_max_silence=SILENCE, max_clock_lead=500)
OPEN_ENDED = Rules(idle_timeout=IDLE, max_duration=None, manual_max_silence=None)
OWNER, PRINCIPAL = b"owner-01", b"princip1"


def session(*, started_at: int = 0, last_seen_at: int = 0, is_manual: bool = False) -> SessionState:
    state = begin(visitor_id="v", visitor_since=0, key="k", now=started_at, is_manual=is_manual)
    return seen(state, last_seen_at)


@pytest.mark.parametrize(
    ("state", "rules", "now", "reason"),
    [
        pytest.param(session(), RULES, 0, None, id="just begun"),
        pytest.param(session(), RULES, IDLE - 1, None, id="silent for less than the limit"),
        pytest.param(session(), RULES, IDLE, EndReason.IDLE_TIMEOUT, id="the idle limit is inclusive"),
        pytest.param(session(last_seen_at=LONG - 10), RULES, LONG - 1, None, id="not yet too long"),
        pytest.param(
            session(last_seen_at=LONG - 10), RULES, LONG, EndReason.MAX_DURATION, id="the long limit is inclusive"
        ),
        pytest.param(
            session(last_seen_at=LONG - 10), RULES, LONG * 9, EndReason.MAX_DURATION, id="too long came first"
        ),
        pytest.param(session(last_seen_at=500), RULES, LONG * 9, EndReason.IDLE_TIMEOUT, id="idle came first"),
        pytest.param(
            session(last_seen_at=LONG - IDLE), RULES, LONG, EndReason.IDLE_TIMEOUT, id="both at once: it was idle"
        ),
        pytest.param(session(last_seen_at=LONG * 9), OPEN_ENDED, LONG * 9 + 999, None, id="no maximum"),
        pytest.param(
            session(last_seen_at=LONG * 9), OPEN_ENDED, LONG * 10, EndReason.IDLE_TIMEOUT, id="no maximum, but idle"
        ),
        pytest.param(session(is_manual=True), RULES, SILENCE - 1, None, id="manual: neither idle"),
        pytest.param(
            session(is_manual=True, last_seen_at=LONG * 3), RULES, LONG * 3 + 1, None, id="manual: nor too long"
        ),
        pytest.param(
            session(is_manual=True), RULES, SILENCE, EndReason.IDLE_TIMEOUT, id="manual: the silence is inclusive"
        ),
        pytest.param(session(is_manual=True), OPEN_ENDED, 2**42, None, id="manual: may be silent for ever"),
        pytest.param(session(started_at=50), RULES, 0, None, id="a clock that runs back ends nothing"),
    ],
)
def test_over(state: SessionState, rules: Rules, now: int, reason: EndReason | None) -> None:
    assert over(state, rules, now) is reason


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(1_200, 1_200, id="later"),
        pytest.param(1_000, 1_000, id="the same moment"),
        pytest.param(999, 1_000, id="a clock behind is lifted to the last activity"),
        pytest.param(500, 1_000, id="as far as the allowed lead"),
        pytest.param(499, None, id="beyond it the cookie is not believed"),
    ],
)
def test_now_is_clamped_to_the_last_activity(now: int, expected: int | None) -> None:
    assert clamped(session(last_seen_at=1_000), RULES, now) == expected


@pytest.mark.parametrize(
    ("now", "steps"),
    [(0, 0), (999, 0), (1_000, 1), (1_999, 1), (2_000, 2), (-5, 0)],
    ids=["at once", "within", "at the timeout", "after it", "twice", "clock behind"],
)
def test_requests_between_two_multiples_of_the_timeout_count_the_same_steps(now: int, steps: int) -> None:
    assert steps_since(0, RULES, now) == steps


def test_a_session_begins_with_a_key_of_ours_whatever_its_id() -> None:
    own = begin(visitor_id="v", visitor_since=3, key="k", now=7)
    assert own == SessionState(visitor_id="v", visitor_since=3, key="k", session_id="k", started_at=7, last_seen_at=7)
    given = begin(visitor_id="v", visitor_since=3, key="k", now=7, session_id="1234567890", is_manual=True)
    assert (given.key, given.session_id, given.is_manual) == ("k", "1234567890", True)


TAGS: dict[str, dict[str, object]] = {
    "anonymous": {},
    "explicit": {"owner": OWNER, "is_tagged": True, "is_explicit": True},
    "explicit, principal bound": {"owner": OWNER, "principal": PRINCIPAL, "is_tagged": True, "is_explicit": True},
    "principal": {"principal": PRINCIPAL, "is_tagged": True},
    "untagged by the app": {"owner": OWNER, "principal": PRINCIPAL, "is_explicit": True},
    "principal gone": {"owner": OWNER, "principal": PRINCIPAL},
}
OVERRULED: dict[str, object] = {"principal": PRINCIPAL, "is_explicit": True}
CARRIED: dict[str, dict[str, object]] = {
    "anonymous": {},
    "explicit": TAGS["explicit"],
    "explicit, principal bound": TAGS["explicit, principal bound"],
    "principal": TAGS["principal"],
    "untagged by the app": OVERRULED,
    "principal gone": {},
}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("reason", EndReason)
def test_the_successor_takes_the_user_along_only_where_the_rules_say_so(reason: EndReason, tag: str) -> None:
    old = msgspec.structs.replace(session(last_seen_at=900), **TAGS[tag])
    retags = reason in {EndReason.IDLE_TIMEOUT, EndReason.MAX_DURATION, EndReason.RESTARTED}
    plain = succeed(session(last_seen_at=900), reason, key="next", now=5_000)

    after = succeed(old, reason, key="next", now=5_000)

    logouts = 0 if retags else int(old.is_tagged)
    assert after == msgspec.structs.replace(plain, logouts=logouts, **(CARRIED[tag] if retags else {}))


@pytest.mark.parametrize("reason", EndReason)
def test_the_successor_carries_what_seals_the_session_before(reason: EndReason) -> None:
    old = end(msgspec.structs.replace(session(last_seen_at=900), session_id="1234567890", is_manual=True))

    after = succeed(old, reason, key="next", now=5_000)

    assert (after.previous_key, after.previous_seen_at, after.previous_reason) == ("k", 900, reason)
    assert (after.started_at, after.last_seen_at) == (5_000, 5_000)
    assert (after.session_id, after.is_manual, after.is_ended) == ("next", False, False)


@pytest.mark.parametrize("is_tagged", [True, False], ids=["with a user", "without"])
@pytest.mark.parametrize("reason", EndReason)
def test_successors_count_visits_and_the_users_who_left(reason: EndReason, is_tagged: bool) -> None:
    """A user who was removed before has been counted then."""
    old = msgspec.structs.replace(session(), visit_number=7, logouts=2, is_tagged=is_tagged)
    after = succeed(old, reason, key="next", now=5_000)
    assert after.visit_number == 8
    assert after.logouts == (3 if is_tagged and reason not in RETAGGING else 2)


def test_counts_are_never_more_than_the_cookie_can_carry() -> None:
    old = msgspec.structs.replace(session(), visit_number=MAX_COUNT, logouts=MAX_COUNT, is_tagged=True)
    after = succeed(old, EndReason.USER_CHANGED, key="next", now=5_000)
    assert (after.visit_number, after.logouts) == (MAX_COUNT, MAX_COUNT)


def test_a_successor_may_be_manual_with_an_id_of_its_own() -> None:
    after = succeed(session(), EndReason.RESTARTED, key="next", now=1, session_id="abcd-1234", is_manual=True)
    assert (after.key, after.session_id, after.is_manual) == ("next", "abcd-1234", True)


def test_ends_that_link() -> None:
    assert set(EndReason) - LINKING == {EndReason.ENDED, EndReason.OPTED_OUT}


def test_activity_never_runs_back() -> None:
    state = session(last_seen_at=100)
    assert seen(state, 99) is state
    assert seen(state, 101).last_seen_at == 101


@pytest.mark.parametrize(
    ("idle_timeout", "refresh", "message_interval"),
    [
        pytest.param(30 * 60_000, 60_000, 10_000, id="at most a minute, and ten seconds"),
        pytest.param(20_000, 2_000, 2_000, id="a tenth of a short timeout"),
    ],
)
def test_how_rarely_the_cookie_and_busy_sockets_write(idle_timeout: int, refresh: int, message_interval: int) -> None:
    rules = Rules(idle_timeout=idle_timeout)
    assert (rules.refresh, rules.message_interval) == (refresh, message_interval)


# --- which of two states of a session is the newer -------------------------------------------------------------------


def test_a_change_makes_a_state_newer_than_any_later_activity_of_the_one_before() -> None:
    first = begin(visitor_id="v", visitor_since=0, key="k", now=1_000)
    ended = revised(end(first))
    assert is_newer(ended, first)
    assert is_newer(ended, seen(first, 2_000))
    assert not is_newer(first, ended)
    assert is_newer(seen(first, 2_000), first)
    assert not is_newer(first, first)


def test_a_revision_is_never_more_than_the_cookie_can_carry() -> None:
    first = begin(visitor_id="v", visitor_since=0, key="k", now=1_000)
    most = msgspec.structs.replace(first, revision=MAX_REVISION)
    assert revised(most).revision == MAX_REVISION
