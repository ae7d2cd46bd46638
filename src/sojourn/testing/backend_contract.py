"""The tests that every backend must pass, to inherit from.

class TestMyBackend(BackendContract):
    def make_backend(self, tmp_path: Path) -> Backend:
        return MyBackend(...)               # its receiver is up and accepts everything

    def received(self) -> list[str] | None:
        return [...]                        # the ids of the events that arrived, or `None` if they are unknown
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from sojourn.backends.protocol import Backend, BatchBackend, Receipt
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar

_SESSION_KEY = "019a0c5e-8a00-7b3c-9d2e-5f60718293a4"
_VISITOR_ID = "Zm9vYmFyYmF6cXV4MDEyMw"
_STARTED_AT = 1_769_860_800_000  # 2026-01-31T12:00:00Z

_SHARED: dict[str, Scalar] = {
    "session.id": _SESSION_KEY,
    "visitor.id": _VISITOR_ID,
    "service.name": "shop",
    "service.version": "1.4.0",
    "deployment.environment.name": "test",
}

_SAMPLES: tuple[tuple[str, int, dict[str, Scalar]], ...] = (
    (
        names.SESSION_START,
        0,
        {
            "url.path": "/",
            "http.request.header.referer": "https://search.example/results",
            "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0",
            "client.address": "203.0.113.0",
        },
    ),
    (
        names.PAGE_VIEW,
        12,
        {
            "http.request.method": "GET",
            "url.path": "/products/17",
            "http.route": "/products/{id}",
            "http.response.status_code": 200,
            "page_view.duration_ms": 11.5,
        },
    ),
    (names.USER_IDENTIFY, 2_000, {"user.id": "anna", "user.name": "Anna Ünal"}),
    (names.SESSION_PROPERTIES, 3_000, {"user.id": "anna", "session_properties.plan": "team"}),
    ("cart.add", 4_000, {"user.id": "anna", "event_properties.sku": "A-17", "event_properties.gift": True}),
    (names.LOG, 4_500, {"user.id": "anna", "log.body": "stock is low", "log.severity": "WARN"}),
    (names.EXCEPTION, 5_000, {"user.id": "anna", "exception.type": "LookupError"}),
    (
        names.CONNECTION_END,
        30_000,
        {"url.path": "/letter", "http.response.status_code": 200, "connection.duration_ms": 24_990.5},
    ),
    (names.SESSION_HEARTBEAT, 60_000, {"user.id": "anna"}),
    (
        names.SESSION_END,
        95_250,
        {"user.id": "anna", "session.duration_ms": 95_250, "session.end_reason": "idle_timeout"},
    ),
    (names.OPT_OUT, 100_000, {}),
)

_HOSTILE: tuple[tuple[str, Scalar], ...] = (
    ("terminal escape", "\x1b]0;owned\x07\x1b[2J"),
    ("line breaks", 'one\r\ntwo\n{"specversion":"1.0"}\u2028three\x85'),
    ("lone surrogate", "half \ud83d of a character"),
    ("null character", "a\x00b"),
    ("right to left", "\u202egnp.exe"),
    ("quotes", "\"'`\\ user=root"),
    ("long text", "x" * 5_000),
    ("beyond 64 bits", 2**80),
    ("not a number", float("nan")),
    ("infinity", float("-inf")),
    ("empty", ""),
)


def _event(event_id: str, name: str, time: int, attributes: dict[str, Scalar]) -> Event:
    user = attributes.get("user.id")
    return Event(
        id=event_id,
        name=name,
        time=time,
        session_id=_SESSION_KEY,
        session_key=_SESSION_KEY,
        session_started_at=_STARTED_AT,
        visitor_id=_VISITOR_ID,
        user_id=None if user is None else str(user),
        attributes=_SHARED | attributes,
    )


def sample_events() -> list[Event]:
    """Return the events of one visit: one of each name, and one that an app tracked."""
    return [
        _event(f"{number:032x}", name, _STARTED_AT + offset, attributes)
        for number, (name, offset, attributes) in enumerate(_SAMPLES, 1)
    ]


def hostile_events() -> list[Event]:
    """Return events with hostile values, such as a browser, a framework or a bug may put into an attribute."""
    return [
        _event(f"hostile-{number}", "hostile.event", _STARTED_AT, {"user.id": str(value), label: value})
        for number, (label, value) in enumerate(_HOSTILE)
    ]


def many_events(count: int) -> list[Event]:
    """Return `count` events, with ids in their order."""
    return [_event(f"many-{n:06}", "cart.add", _STARTED_AT + n, {"event_properties.n": n}) for n in range(count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The result of sending until every event was settled."""

    delivered: int
    rejected: tuple[str, ...]
    sends: int


def deliver(backend: Backend, batch: Sequence[Event], *, sends: int = 50) -> Delivery:
    """Send as a dispatcher does, without its pauses, and check every receipt."""
    delivered = 0
    rejected: list[str] = []
    rest = list(batch)
    for number in range(1, sends + 1):
        receipt = backend.send(rest)
        check_receipt(receipt, rest)
        delivered += receipt.delivered
        rejected += [rejection.event_id for rejection in receipt.rejected]
        rest = rest[receipt.delivered + len(receipt.rejected) :]
        if not rest:
            return Delivery(delivered=delivered, rejected=tuple(rejected), sends=number)
    raise AssertionError(f"{len(rest)} of {len(batch)} events were not settled in {sends} sends")


def check_receipt(receipt: Receipt, batch: Sequence[Event]) -> None:
    """Check that a receipt is about the front of the batch."""
    settled = receipt.delivered + len(receipt.rejected)
    assert receipt.delivered >= 0
    assert settled <= len(batch)
    front = [event.id for event in batch[:settled]]
    assert [rejection.event_id for rejection in receipt.rejected if rejection.event_id not in front] == []
    assert all(rejection.reason for rejection in receipt.rejected)
    assert receipt.retry_after is None or receipt.retry_after >= 0


class BackendContract:
    """The contract of a backend. Inherit from it in a class whose name begins with `Test`, and override `make_backend`."""

    def make_backend(self, tmp_path: Path) -> Backend:
        """Return a new backend, whose receiver is up and accepts everything."""
        raise NotImplementedError("override make_backend(self, tmp_path)")

    def received(self) -> list[str] | None:
        """Return the ids of the events that arrived, in order, or `None` if they are unknown."""
        return None

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[Backend]:
        backend = self.make_backend(tmp_path)
        yield backend
        backend.close()

    def test_is_a_backend_with_a_name(self, backend: Backend) -> None:
        assert isinstance(backend, Backend)
        assert isinstance(backend.name, str)
        assert backend.name
        assert isinstance(backend.third_party, bool)

    def test_construction_and_close_start_no_thread(self, tmp_path: Path) -> None:
        before = set(threading.enumerate())
        backend = self.make_backend(tmp_path)
        assert set(threading.enumerate()) <= before
        backend.close()
        backend.close()

    @pytest.mark.parametrize("event", sample_events(), ids=lambda event: event.name)
    def test_accepts_is_consistent(self, backend: Backend, event: Event) -> None:
        assert backend.accepts(event) is backend.accepts(event)
        assert isinstance(backend.accepts(event), bool)

    def test_an_empty_batch_is_settled(self, backend: Backend) -> None:
        assert backend.send([]) == Receipt(delivered=0)
        assert self.received() in (None, [])

    @pytest.mark.parametrize("event", sample_events(), ids=lambda event: event.name)
    def test_delivers_one_event(self, backend: Backend, event: Event) -> None:
        if backend.accepts(event):
            assert backend.send([event]) == Receipt(delivered=1)
            assert self.received() in (None, [event.id])

    def test_delivers_a_visit_in_order(self, backend: Backend) -> None:
        batch = [event for event in sample_events() if backend.accepts(event)]
        receipt = backend.send(tuple(batch))
        assert receipt == Receipt(delivered=len(batch))
        assert self.received() in (None, [event.id for event in batch])

    def test_leaves_the_batch_unchanged(self, backend: Backend) -> None:
        batch = sample_events()
        backend.send(batch)
        assert batch == sample_events()

    def test_hostile_text_neither_raises_nor_blocks(self, backend: Backend) -> None:
        batch = hostile_events()
        delivery = deliver(backend, batch)
        assert delivery.delivered + len(delivery.rejected) == len(batch)

    def test_settles_many_events(self, backend: Backend) -> None:
        batch = many_events(500)
        assert deliver(backend, batch).delivered == 500
        received = self.received()
        assert received is None or received == [event.id for event in batch]

    def test_divides_the_same_events_into_the_same_batches(self, backend: Backend) -> None:
        """Where the receiver drops repeated batches (`BatchBackend`): else a batch that is sent again would be another."""
        if isinstance(backend, BatchBackend):
            events = [event for event in [*sample_events(), *many_events(9)] if backend.accepts(event)]
            batches = list(backend.divide(events))
            assert batches == list(backend.divide(events))
            assert len({batch.id for batch in batches}) == len(batches)
            in_batches = [event.id for batch in batches for event in batch.events]
            assert sorted(in_batches) == sorted(event.id for event in events)
            assert not backend.send_batches(batches).left

    def test_accepts_an_event_again(self, backend: Backend) -> None:
        batch = many_events(3)
        assert deliver(backend, batch).delivered == 3
        assert deliver(backend, batch).delivered == 3

    def test_works_in_another_thread(self, backend: Backend) -> None:
        with ThreadPoolExecutor(max_workers=1) as pool:
            assert pool.submit(backend.send, many_events(2)).result() == Receipt(delivered=2)

    def test_close_can_be_called_twice(self, backend: Backend) -> None:
        backend.send(many_events(1))
        backend.close()
        backend.close()
