"""A record says of a session what a fold needs, and its encoding is a format."""

from __future__ import annotations

import msgspec

from sojourn.core.records import (
    ACTIVITY,
    CARRIED,
    FAILED,
    FORMAT,
    LATE,
    MANUAL,
    NO_FORWARD,
    OPT_OUT,
    REQUEST,
    STARTS,
    Entry,
    Record,
    Seal,
    Tag,
    about,
)
from sojourn.core.session import EndReason, begin, succeed

STATE = begin(visitor_id="v", visitor_since=0, key="k", now=5)


def test_a_record_repeats_the_previous_session_of_the_cookie() -> None:
    after = succeed(STATE, EndReason.RESTARTED, key="next", now=9, session_id="1234567890", is_manual=True)
    assert about(after, 10, ACTIVITY) == Record(
        at=10,
        key="next",
        visitor_id="v",
        started_at=9,
        flags=ACTIVITY | MANUAL,
        session_id="1234567890",
        previous_key="k",
        previous_seen_at=5,
        previous_reason=EndReason.RESTARTED,
    )


def test_an_id_of_our_own_is_not_repeated() -> None:
    assert about(STATE, 5, 0).session_id is None
    assert about(STATE, 5, REQUEST).flags == REQUEST


def test_flags_are_bits_of_their_own() -> None:
    flags = (MANUAL, STARTS, ACTIVITY, REQUEST, NO_FORWARD, OPT_OUT, FAILED, CARRIED, LATE)
    assert [flag.bit_count() for flag in flags] == [1] * len(flags)
    assert sum(flags) == 0b111111111


def test_the_format_is_what_journals_on_disk_hold() -> None:
    """Fails when a field is moved or taken away: then `FORMAT` must be raised."""
    entries = (
        Entry("bought", 6, {"n": 1}),
        Entry("user.identify", 6, tag=Tag("u", "U", {"plan": "pro"}, is_emitted=False, before="b")),
        Entry("session.end", 6, seal=Seal(EndReason.ENDED, 6)),
    )
    origin = {"url.path": "/in", "url.query": "utm_source=mail", "user_agent.original": "UA"}
    state = msgspec.structs.replace(STATE, revision=3, logouts=1)
    record = about(state, 6, ACTIVITY | STARTS, entries, origin, {"refused": 2}, "/stats", {"posthog.session_id": "p"})

    raw = msgspec.msgpack.decode(msgspec.msgpack.encode(record))

    assert FORMAT == 1
    assert raw == [
        6,
        "k",
        "v",
        5,
        6,
        None,
        None,
        0,
        None,
        [
            ["bought", 6, {"n": 1}, None, None],
            ["user.identify", 6, None, ["u", "U", {"plan": "pro"}, True, False, "b"], None],
            ["session.end", 6, None, None, ["ended", 6]],
        ],
        {"url.path": "/in", "url.query": "utm_source=mail", "user_agent.original": "UA"},
        {"refused": 2},
        3,
        1,
        "/stats",
        {"posthog.session_id": "p"},
    ]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=Record) == record
