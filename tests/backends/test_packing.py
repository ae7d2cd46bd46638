"""Packing: in order, within the limits, nothing lost, as few calls as possible."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends.http import Unsendable
from sojourn.backends.packing import CallLimits, Pack, Piece, packed
from sojourn.core.events import Event
from sojourn.testing.backend_contract import many_events

EVENTS = many_events(200)


def pieces(sizes: Sequence[int], events: Sequence[int] | None = None) -> list[Piece]:
    """Pieces of as many bytes, each with its own events."""
    counts = events or [1] * len(sizes)
    made: list[Piece] = []
    start = 0
    for size, count in zip(sizes, counts, strict=True):
        made.append(Piece(json.dumps("x" * (size - 2)).encode(), tuple(EVENTS[start : start + count])))
        start += count
    return made


def ids(events: Sequence[Event]) -> list[str]:
    return [event.id for event in events]


@pytest.mark.parametrize(
    ("sizes", "limits", "packs"),
    [
        pytest.param([10, 10, 10], CallLimits(bytes=100), [3], id="one call"),
        pytest.param([10, 10, 10], CallLimits(bytes=23), [2, 1], id="bytes, brackets and comma counted"),
        pytest.param([10, 10, 10], CallLimits(bytes=22), [1, 1, 1], id="one byte less"),
        pytest.param([10, 10, 10], CallLimits(bytes=41, frame=20), [2, 1], id="a wide frame"),
        pytest.param([10] * 5, CallLimits(bytes=1000, events=2), [2, 2, 1], id="events"),
        pytest.param([10] * 5, CallLimits(bytes=1000, pieces=3), [3, 2], id="pieces"),
        pytest.param([], CallLimits(bytes=100), [], id="nothing"),
    ],
)
def test_a_call_is_as_full_as_the_limits_allow(sizes: list[int], limits: CallLimits, packs: list[int]) -> None:
    assert [len(pack.events) for pack in packed(pieces(sizes), limits)] == packs


def test_events_in_groups_count_one_by_one() -> None:
    (first, second) = packed(pieces([10, 10, 10], [3, 2, 4]), CallLimits(bytes=1000, events=5))
    assert (ids(first.events), ids(second.events)) == (ids(EVENTS[:5]), ids(EVENTS[5:9]))


@pytest.mark.parametrize(
    ("sizes", "counts", "limits"),
    [
        pytest.param([10, 50, 10], [1, 1, 1], CallLimits(bytes=40), id="bytes"),
        pytest.param([10, 10, 10], [1, 9, 1], CallLimits(bytes=100, events=8), id="events of a group"),
    ],
)
def test_oversized_piece_is_unsendable_and_others_are_packed(
    sizes: list[int], counts: list[int], limits: CallLimits
) -> None:
    made = pieces(sizes, counts)
    out = list(packed(made, limits))
    refused = [item for item in out if isinstance(item, Unsendable)]
    assert [(ids(item.events), "takes" in item.reason) for item in refused] == [(ids(made[1].events), True)]
    sent = [event for item in out if isinstance(item, Pack) for event in item.events]
    assert ids(sent) == ids([*made[0].events, *made[2].events])


@given(
    sizes=st.lists(st.integers(3, 60), max_size=40),
    most=st.integers(20, 200),
    most_pieces=st.integers(1, 10),
)
def test_packs_keep_order_and_limits_for_any_pieces(sizes: list[int], most: int, most_pieces: int) -> None:
    """Whatever the sizes: order kept, each event in one place, no call above a limit, and none that the next could join."""
    limits = CallLimits(bytes=most, pieces=most_pieces)
    out = list(packed(pieces(sizes), limits))
    bodies = [pack.joined() for pack in out if isinstance(pack, Pack)]
    assert all(len(body) <= most and 1 <= len(json.loads(body)) <= most_pieces for body in bodies)
    sent = [event for item in out for event in item.events]
    assert sorted(ids(sent)) == sorted(ids(EVENTS[: len(sizes)]))
    packs = [pack for pack in out if isinstance(pack, Pack)]
    assert ids([event for pack in packs for event in pack.events]) == ids(
        [event for event, size in zip(EVENTS, sizes, strict=False) if size <= most - 2]
    )
    for one, after in pairwise(packs):
        assert len(one.bodies) == most_pieces or len(one.joined()) + 1 + len(after.bodies[0]) > most
