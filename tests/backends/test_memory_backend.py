"""The in-memory backend keeps events and fails on demand."""

from __future__ import annotations

import pytest

from sojourn.backends import Receipt, Rejection
from sojourn.testing.backend_contract import many_events, sample_events
from sojourn.testing.backends import MemoryBackend


def test_keeps_events_and_returns_them_by_name() -> None:
    backend = MemoryBackend()
    backend.send(sample_events())
    assert backend.events == sample_events()
    assert [event.name for event in backend.named("session.end")] == ["session.end"]
    backend.clear()
    assert backend.events == []


def test_raises_the_given_number_of_times() -> None:
    backend = MemoryBackend()
    backend.fail(2, error=ConnectionError("down"))
    for _ in range(2):
        with pytest.raises(ConnectionError, match="down"):
            backend.send(many_events(3))
    assert backend.events == []
    assert backend.send(many_events(3)) == Receipt(delivered=3)
    assert backend.sizes == [3, 3, 3]


def test_accepts_the_front_and_retries_the_rest() -> None:
    backend = MemoryBackend()
    backend.fail(after=2, retry_after=30)
    assert backend.send(many_events(5)) == Receipt(delivered=2, retry_after=30)
    assert backend.events == many_events(5)[:2]


def test_rejects_chosen_events() -> None:
    backend = MemoryBackend(reject=lambda event: event.id == "many-000001")
    rejection = Rejection(event_id="many-000001", reason="the test rejects it")
    assert backend.send(many_events(3)) == Receipt(delivered=2, rejected=(rejection,))
    assert [event.id for event in backend.events] == ["many-000000", "many-000002"]


def test_pauses_until_resumed() -> None:
    backend = MemoryBackend()
    backend.pause("no key")
    assert backend.send(many_events(1)) == Receipt(delivered=0, pause="no key")
    backend.resume()
    assert backend.send(many_events(1)) == Receipt(delivered=1)


def test_accepts_chosen_events() -> None:
    backend = MemoryBackend(accepts=lambda event: event.name != "session.heartbeat")
    assert [event.name for event in sample_events() if not backend.accepts(event)] == ["session.heartbeat"]


def test_close_is_recorded() -> None:
    backend = MemoryBackend()
    assert not backend.is_closed
    backend.close()
    assert backend.is_closed
