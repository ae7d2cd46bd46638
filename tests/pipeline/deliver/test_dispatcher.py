"""The dispatcher: in order, from the cursor, at least once, and never past what a backend has settled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from sojourn.backends.protocol import Receipt, Rejection
from sojourn.core.events import START, Event
from sojourn.core.session import EndReason
from sojourn.pipeline.deliver.dispatcher import Delivery, Dispatcher
from sojourn.testing.backends import MemoryBackend
from tests.pipeline.conftest import NOW, Bench, acquiring

KEY = "018bcfe5-6800-7000-8000-000000000001"
NEXT = "018bcfe5-6800-7000-8000-000000000002"


class Desk:
    """A dispatcher for one backend, with a clock that stands."""

    def __init__(
        self, bench: Bench, backend: MemoryBackend, holder: str = "me", *, outbox_max: int | None = None
    ) -> None:
        self.now = NOW
        self.bench = bench
        self.store = bench.store
        self.store.outbox.register([backend.name], now=NOW)
        self.dispatcher = Dispatcher(
            backend,
            bench.store.delivery,
            now=lambda: self.now,
            acquire=acquiring(bench.store.leases, holder),
            chance=lambda: 0.0,
            outbox_max=outbox_max,
        )

    def adds_up(self, name: str) -> bool:
        state = self.store.delivery.state(name)
        return state.recorded == state.settled + state.backlog


def record(bench: Bench, pages: int) -> None:
    bench.request(KEY, 0, is_start=True)
    for number in range(1, pages):
        bench.request(KEY, number)
    bench.apply()


def test_events_arrive_in_the_order_of_the_log(bench: Bench) -> None:
    backend = MemoryBackend()
    desk = Desk(bench, backend)
    record(bench, 3)
    assert desk.dispatcher.step().delivered == 4
    assert desk.dispatcher.step().is_idle
    assert [event.name for event in backend.events] == bench.names
    assert [event.position for event in backend.events] == [
        event.position for event in bench.store.log.after(START, limit=99)
    ]
    assert desk.adds_up(backend.name)


class Grudging(MemoryBackend):
    """Takes one event at a time."""

    def send(self, batch: Sequence[Event]) -> Receipt:
        return super().send(batch[:1])


def test_sessions_start_after_the_end_of_the_one_before_and_before_their_events(bench: Bench) -> None:
    """Also where the backend stops within a session, and between two."""
    backend = Grudging()
    desk = Desk(bench, backend)
    record(bench, 2)
    bench.request(
        NEXT, 5, is_start=True, previous_key=KEY, previous_seen_at=NOW + 1, previous_reason=EndReason.USER_CHANGED
    )
    bench.apply()
    for _ in range(6):
        desk.dispatcher.step()
        desk.now += 60_000
    assert [(event.session_key, event.name) for event in backend.events] == [
        (KEY, "session.start"),
        (KEY, "page_view"),
        (KEY, "page_view"),
        (KEY, "session.end"),
        (NEXT, "session.start"),
        (NEXT, "page_view"),
    ]
    assert desk.adds_up(backend.name)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        pytest.param(OSError(28, "No space left on device"), "OSError in send(): No space left on device", id="disk"),
        pytest.param(OSError("secret"), "OSError in send()", id="words of its own"),
        pytest.param(ValueError("secret"), "ValueError in send()", id="fault"),
    ],
)
def test_the_reason_of_the_last_attempt_is_kept_and_attempts_are_counted(
    bench: Bench, error: Exception, problem: str
) -> None:
    backend = MemoryBackend()
    desk = Desk(bench, backend)
    record(bench, 2)
    backend.fail(2, error=error)
    for _ in range(2):
        desk.dispatcher.step()
        desk.now += 60_000
    state = bench.store.delivery.state(backend.name)
    assert (state.failures, state.retried, state.problem) == (2, 2, problem)


class Named(MemoryBackend):
    def send(self, batch: Sequence[Event]) -> Receipt:
        return Receipt(delivered=1, problem="http://vendor.example: HTTP 503")


def test_the_reason_that_a_backend_gives_is_kept(bench: Bench) -> None:
    desk = Desk(bench, Named())
    record(bench, 2)
    desk.dispatcher.step()
    state = bench.store.delivery.state("memory")
    assert (state.failures, state.retried, state.problem) == (1, 1, "http://vendor.example: HTTP 503")


class Unhurried(MemoryBackend):
    """Accepts one event within its time, and asks for the others at once."""

    def send(self, batch: Sequence[Event]) -> Receipt:
        return replace(super().send(batch[:1]), retry_after=0.0 if len(batch) > 1 else None)


def test_a_slow_backend_that_goes_on_has_not_failed(bench: Bench) -> None:
    desk = Desk(bench, Unhurried())
    record(bench, 2)
    assert desk.dispatcher.step() == Delivery(delivered=1, is_idle=False)
    state = bench.store.delivery.state("memory")
    assert (state.failures, state.retried, state.problem, state.retry_at) == (0, 0, None, None)


def test_a_failed_batch_is_sent_again_at_its_retry_time(bench: Bench) -> None:
    backend = MemoryBackend()
    desk = Desk(bench, backend)
    record(bench, 2)
    backend.fail(2, error=OSError("down"))
    first = desk.dispatcher.step()
    assert (first.delivered, first.retry_at) == (0, NOW + 1_000)
    assert desk.dispatcher.step().retry_at == NOW + 1_000
    desk.now += 1_000
    assert desk.dispatcher.step().retry_at == desk.now + 2_000  # twice as long
    desk.now += 2_000
    assert desk.dispatcher.step().delivered == 3
    state = bench.store.delivery.state(backend.name)
    assert (state.failures, state.backlog, state.retry_at) == (0, 0, None)
    assert desk.adds_up(backend.name)


@pytest.mark.parametrize(
    ("receipt", "delivered", "dead", "backlog"),
    [
        pytest.param(lambda batch: Receipt(delivered=2), 2, 0, 2, id="a part was taken"),
        pytest.param(
            lambda batch: Receipt(delivered=1, rejected=(Rejection(event_id=batch[0].id, reason="bad", status=400),)),
            1,
            1,
            2,
            id="one refused for good, one taken",
        ),
        pytest.param(
            lambda batch: Receipt(delivered=3, rejected=(Rejection(event_id=batch[2].id, reason="bad", status=400),)),
            3,
            1,
            0,
            id="one dead letter in the middle",
        ),
        pytest.param(lambda batch: Receipt(delivered=99), 4, 0, 0, id="a backend that counts too high"),
    ],
)
def test_the_cursor_moves_past_what_is_settled(
    bench: Bench, receipt: Callable[[list[Event]], Receipt], delivered: int, dead: int, backlog: int
) -> None:
    class Odd(MemoryBackend):
        def send(self, batch: object) -> Receipt:
            return receipt(list(batch))  # type: ignore[call-overload]

    backend = Odd()
    desk = Desk(bench, backend)
    record(bench, 3)
    desk.dispatcher.step()
    state = bench.store.delivery.state(backend.name)
    assert (state.delivered, state.dead, state.backlog) == (delivered, dead, backlog)
    assert desk.adds_up(backend.name)


def test_events_that_a_backend_does_not_accept_are_skipped_and_counted(bench: Bench) -> None:
    backend = MemoryBackend(accepts=lambda event: event.name == "session.start")
    desk = Desk(bench, backend)
    record(bench, 3)
    desk.dispatcher.step()
    assert [event.name for event in backend.events] == ["session.start"]
    assert bench.store.delivery.state(backend.name).skipped == 3
    assert desk.adds_up(backend.name)


def test_a_pause_lasts_minutes_and_keeps_the_backends_reason(bench: Bench) -> None:
    backend = MemoryBackend()
    desk = Desk(bench, backend)
    record(bench, 1)
    backend.pause("401: the key is wrong")
    assert desk.dispatcher.step().retry_at == NOW + 5 * 60_000
    assert bench.store.delivery.state(backend.name).problem == "401: the key is wrong"


def test_another_process_delivers_once_the_lease_has_run_out(bench: Bench) -> None:
    backend = MemoryBackend()
    first, second = Desk(bench, backend), Desk(bench, backend, holder="other")
    record(bench, 1)
    assert first.dispatcher.step().delivered == 2
    bench.request(KEY, 9)
    bench.apply()
    assert second.dispatcher.step().delivered == 0
    second.now = NOW + 30_000
    assert second.dispatcher.step().delivered == 1
    assert first.dispatcher.step().is_idle


def test_a_dispatcher_whose_lease_ran_out_counts_nothing_twice(bench: Bench) -> None:
    """While it sends, its lease runs out and another dispatcher delivers: its own settlement is refused."""
    backend = MemoryBackend()
    other = Desk(bench, MemoryBackend(), holder="other")
    desks: list[Desk] = []

    class Slow(MemoryBackend):
        def send(self, batch: object) -> Receipt:
            other.now = NOW + 30_000
            other.dispatcher.step()
            return super().send(batch)  # type: ignore[arg-type]

    slow = Slow()
    desks.append(Desk(bench, slow))
    record(bench, 2)
    assert desks[0].dispatcher.step().delivered == 0
    state = bench.store.delivery.state(backend.name)
    assert (state.delivered, state.backlog) == (3, 0)
    assert desks[0].adds_up(backend.name)


def test_a_backend_added_later_starts_at_the_head(bench: Bench) -> None:
    record(bench, 2)
    backend = MemoryBackend()
    desk = Desk(bench, backend)
    assert desk.dispatcher.step().is_idle
    bench.request(KEY, 9)
    bench.apply()
    assert desk.dispatcher.step().delivered == 1
    assert desk.adds_up(backend.name)


def test_a_queue_over_its_bound_sheds_page_views_and_counts_them(bench: Bench) -> None:
    backend = MemoryBackend()
    desk = Desk(bench, backend, outbox_max=3)
    record(bench, 4)
    desk.dispatcher.step()
    assert [event.name for event in backend.events] == ["session.start"]
    state = bench.store.delivery.state(backend.name)
    assert (state.delivered, state.dropped, state.skipped) == (1, 4, 0)
    assert desk.adds_up(backend.name)
    assert len(bench.store.log.after(START, limit=10)) == 5, "the log keeps what one backend does without"


def test_an_event_shed_behind_a_failure_is_ranked_again_later(bench: Bench) -> None:
    backend = MemoryBackend()
    desk = Desk(bench, backend, outbox_max=3)
    record(bench, 4)
    backend.fail(1, error=OSError("down"))
    desk.dispatcher.step()
    assert (bench.store.delivery.state(backend.name).dropped, bench.store.delivery.state(backend.name).backlog) == (
        0,
        5,
    )
    desk.now += 60_000
    desk.dispatcher.step()
    assert (bench.store.delivery.state(backend.name).dropped, bench.store.delivery.state(backend.name).delivered) == (
        4,
        1,
    )
    assert desk.adds_up(backend.name)


def test_a_backend_that_is_down_for_long_is_probed_with_few_events(bench: Bench) -> None:
    sizes: list[int] = []

    class Counting(MemoryBackend):
        def send(self, batch: Sequence[Event]) -> Receipt:
            sizes.append(len(batch))
            return super().send(batch)

    backend = Counting()
    desk = Desk(bench, backend)
    record(bench, 40)
    backend.fail(7, error=OSError("down"))
    for _ in range(9):
        desk.dispatcher.step()
        desk.now += 60_000
    assert sizes == [41, 41, 41, 41, 41, 10, 10, 10, 31]
    assert desk.adds_up(backend.name)


# --- dead letters that were put back in the queue --------------------------------------------------------------------


def refusing(names: set[str]) -> Callable[[Sequence[Event]], Receipt]:
    """Respond as a backend that finds events of these names invalid."""

    def respond(batch: Sequence[Event]) -> Receipt:
        rejected = tuple(Rejection(event_id=e.id, reason="bad", status=400) for e in batch if e.name in names)
        return Receipt(delivered=len(batch) - len(rejected), rejected=rejected)

    return respond


class Choosy(MemoryBackend):
    """Refuses page views for good until the test lifts it."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = {"page_view"}

    def send(self, batch: Sequence[Event]) -> Receipt:
        receipt = refusing(self.refused)(batch)
        if receipt.rejected:
            return receipt
        return super().send(batch)


def test_requeued_dead_letters_are_delivered_before_waiting_events(bench: Bench) -> None:
    backend = Choosy()
    desk = Desk(bench, backend)
    record(bench, 2)
    desk.dispatcher.step()
    assert bench.store.delivery.state(backend.name).dead == 2
    bench.request(KEY, 7)
    bench.apply()

    backend.refused = set()
    bench.store.outbox.requeue(backend.name, event_ids=None, limit=10, now=NOW)
    assert [desk.dispatcher.step().delivered, desk.dispatcher.step().delivered] == [2, 1]
    assert [event.time - NOW for event in backend.events] == [0, 1, 7]
    state = bench.store.delivery.state(backend.name)
    assert (state.delivered, state.dead, state.backlog) == (4, 0, 0)
    assert bench.store.outbox.letters(backend.name, after=0, limit=9) == []
    assert desk.adds_up(backend.name)


def test_a_requeued_letter_that_is_rejected_again_is_dead_again(bench: Bench) -> None:
    backend = Choosy()
    desk = Desk(bench, backend)
    record(bench, 1)
    desk.dispatcher.step()
    bench.store.outbox.requeue(backend.name, event_ids=None, limit=10, now=NOW)
    assert desk.dispatcher.step() == Delivery(delivered=0, is_idle=False)
    assert desk.dispatcher.step().is_idle
    assert bench.store.delivery.state(backend.name).dead == 1
    assert desk.adds_up(backend.name)


def test_a_requeued_letter_waits_while_the_backend_is_down(bench: Bench) -> None:
    backend = Choosy()
    desk = Desk(bench, backend)
    record(bench, 1)
    desk.dispatcher.step()
    backend.refused = set()
    bench.store.outbox.requeue(backend.name, event_ids=None, limit=10, now=NOW)
    backend.fail(1, error=OSError("down"))
    assert desk.dispatcher.step() == Delivery(delivered=0, is_idle=True, retry_at=NOW + 1_000)
    assert bench.store.delivery.state(backend.name).dead == 1
    desk.now += 1_000
    assert desk.dispatcher.step().delivered == 1
    assert desk.adds_up(backend.name)


def test_a_requeued_letter_that_is_no_longer_accepted_is_skipped(bench: Bench) -> None:
    backend = Choosy()
    desk = Desk(bench, backend)
    record(bench, 1)
    desk.dispatcher.step()
    bench.store.outbox.requeue(backend.name, event_ids=None, limit=10, now=NOW)
    backend.accepts = lambda event: event.name != "page_view"  # type: ignore[method-assign]
    desk.dispatcher.step()
    state = bench.store.delivery.state(backend.name)
    assert (state.dead, state.skipped, backend.events) == (0, 1, [])
    assert desk.adds_up(backend.name)
