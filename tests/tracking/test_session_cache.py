"""The table of recent sessions: which of two cookies of one session is believed."""

from __future__ import annotations

import msgspec
import pytest

from sojourn.core.identity import tagged
from sojourn.core.session import SessionState, begin, end, revised, seen
from sojourn.pipeline.shared_table import SharedTable
from sojourn.tracking.session_cache import SessionCache

FIRST = begin(visitor_id="v", visitor_since=1, key="018bcfe5-6800-7000-8000-000000000001", now=1_000)
TAGGED = revised(tagged(FIRST, b"ada"))
ENDED = revised(end(FIRST))
LATER = seen(FIRST, 1_500)


@pytest.mark.parametrize(
    ("known", "received", "believed"),
    [
        pytest.param(FIRST, LATER, LATER, id="seen later"),
        pytest.param(LATER, FIRST, LATER, id="an older one"),
        pytest.param(FIRST, ENDED, ENDED, id="ended in the same millisecond: a host whose clock is behind"),
        pytest.param(FIRST, TAGGED, TAGGED, id="tagged in the same millisecond"),
        pytest.param(ENDED, FIRST, ENDED, id="a straggler of the same millisecond does not undo an end"),
        pytest.param(ENDED, LATER, ENDED, id="nor does one that saw later activity and knew of no end"),
        pytest.param(TAGGED, revised(end(TAGGED)), revised(end(TAGGED)), id="one change after the other"),
    ],
)
def test_the_newer_state_of_a_session_holds(
    known: SessionState, received: SessionState, believed: SessionState
) -> None:
    sessions = SessionCache(SharedTable(None).session)
    sessions.get_or_add(known, 0)
    live = sessions.get_or_add(received, 0)
    assert live.state == believed
    assert live.last_seen_at == max(known.last_seen_at, received.last_seen_at)


def test_a_change_that_no_cookie_holds_yet_is_not_undone() -> None:
    sessions = SessionCache(SharedTable(None).session)
    live = sessions.get_or_add(FIRST, 0)
    live.state, live.is_ahead = TAGGED, True
    assert sessions.get_or_add(msgspec.structs.replace(LATER, revision=9), 0).state == TAGGED
