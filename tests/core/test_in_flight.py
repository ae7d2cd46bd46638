"""What is noted of batches that were sent and not confirmed."""

from __future__ import annotations

from sojourn.core.in_flight import InFlight, SentBatch


def test_nothing_to_repeat_is_false() -> None:
    assert not InFlight()
    assert not InFlight(confirmed=("c",))
    assert InFlight((SentBatch("1", ("a",)),))


def test_events_are_those_of_the_batches_and_the_confirmed_ones() -> None:
    assert InFlight((SentBatch("1", ("a", "b")), SentBatch("2", ("c",))), ("d",)).event_ids == {"a", "b", "c", "d"}
    assert InFlight().event_ids == frozenset()
