"""Alerts: sent once when they begin, once when they are over, by one process of several, whatever restarts or fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn.core.alerts import Thresholds
from sojourn.notices.targets import Message, Target
from sojourn.notices.watch import Watch
from sojourn.stores import Store, open_store
from sojourn.stores.model import Batch
from sojourn.stores.reporting.model import DAY_MS, HOUR_MS
from tests.postgres import Cluster
from tests.stores.contract.steps import NOW, row, save

MINUTE = 60_000


class Phone:
    """A target that remembers what it was sent, and may be out of reach."""

    def __init__(self, label: str = "phone") -> None:
        self.target = Target(label, self._send)
        self.messages: list[Message] = []
        self.problem: str | None = None
        self.attempts: list[int] = []

    def _send(self, message: Message, *, now: int) -> str | None:
        self.attempts.append(now)
        if self.problem is None:
            self.messages.append(message)
        return self.problem

    @property
    def subjects(self) -> list[str]:
        return [message.subject for message in self.messages]


class Fleet:
    """Processes over one database; time is a number."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.now = NOW
        self.stores: list[Store] = []
        self.phone = Phone()

    def process(self, name: str, thresholds: Thresholds, *phones: Phone) -> Watch:
        store = open_store(self.url)
        store.open()
        self.stores.append(store)
        targets = [phone.target for phone in phones or (self.phone,)]
        return Watch(
            store,
            thresholds,
            targets,
            acquire=lambda lease, now: store.leases.acquire(lease, name, now=now, until=now + 30_000),
            service="shop",
            chance=lambda: 0.0,
        )

    @property
    def store(self) -> Store:
        return self.stores[0]

    def visits(self, count: int, *, at: int, errors: int = 0) -> None:
        rows = []
        for number in range(count):
            made = row(f"{at}-{number}", at + number)
            made.errors = int(number < errors)
            rows.append(made)
        save(self.store, Batch(rows=rows))


@pytest.fixture(params=["sqlite", "postgresql"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    if request.param == "sqlite":
        fleet = Fleet(f"sqlite:///{tmp_path / 'store.db'}")
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        fleet = Fleet(cluster.fresh_database())
    yield fleet
    for store in fleet.stores:
        store.close()


NOTHING = Thresholds(nothing=HOUR_MS)


def test_an_alert_is_sent_once_and_resolved_once(fleet: Fleet) -> None:
    watch = fleet.process("one", NOTHING)
    watch.turn(fleet.now)
    assert fleet.phone.messages == [], "a store without a session is new, not silent"
    fleet.visits(1, at=NOW)
    for minutes in range(59, 70):
        watch.turn(NOW + minutes * MINUTE)
    assert fleet.phone.subjects == ["shop: Nothing is recorded"]
    assert fleet.phone.messages[0].text == "Nothing was recorded for 60 minutes.\n\n2026-01-31T13:00:00.000Z\n"
    fleet.visits(1, at=NOW + 70 * MINUTE)
    for minutes in range(71, 80):
        watch.turn(NOW + minutes * MINUTE)
    assert fleet.phone.subjects == ["shop: Nothing is recorded", "shop: Over: nothing is recorded"]
    assert [state.is_on for state in fleet.store.alerts.states()] == [False]
    assert fleet.store.alerts.unsent() == []


def test_several_processes_and_restarts_send_it_once(fleet: Fleet) -> None:
    watches = [fleet.process(name, NOTHING) for name in ("one", "two", "three")]
    fleet.visits(1, at=NOW)
    for minutes in range(55, 90):
        for watch in watches:
            watch.turn(NOW + minutes * MINUTE)
        if minutes % 3 == 0:  # a process dies, and another one takes over when the lease is over
            watches.append(fleet.process(f"after {minutes}", NOTHING))
            watches.pop(0)
    assert fleet.phone.subjects == ["shop: Nothing is recorded"]


def test_processes_without_the_lease_still_turn_an_alert_once(fleet: Fleet) -> None:
    """Two that check in the same moment, as where a lease ran out while its holder was suspended."""
    watches = [fleet.process(name, NOTHING) for name in ("one", "two")]
    fleet.visits(1, at=NOW)
    for watch in watches:
        watch.check(NOW + HOUR_MS)
    assert [notice.alert for notice in fleet.store.alerts.unsent()] == ["nothing"]


def test_a_notice_that_cannot_be_sent_is_tried_again_later(fleet: Fleet) -> None:
    deaf, phone = Phone("deaf"), Phone()
    deaf.problem = "it does not respond in time"
    watch = fleet.process("one", NOTHING, deaf, phone)
    fleet.visits(1, at=NOW)
    start = NOW + HOUR_MS
    for second in range(0, 250, 5):
        watch.turn(start + second * 1000)
    assert phone.subjects == ["shop: Nothing is recorded"]
    assert [(at - start) // 1000 for at in deaf.attempts] == [0, 30, 90, 210]
    (notice,) = fleet.store.alerts.unsent()
    assert (notice.target, notice.attempts, notice.problem) == ("deaf", 4, "it does not respond in time")

    fleet.visits(1, at=start + 300_000)
    watch.turn(start + 301_000)
    assert len(deaf.attempts) == 5, "in order: that it is over waits until it was said that it began"
    assert phone.subjects[1:] == ["shop: Over: nothing is recorded"]
    deaf.problem = None
    again = fleet.process("two", NOTHING, deaf, phone)
    again.turn(start + HOUR_MS)
    assert deaf.subjects == ["shop: Nothing is recorded", "shop: Over: nothing is recorded"]
    assert phone.subjects == deaf.subjects
    assert fleet.store.alerts.unsent() == []


def test_spike_drop_and_errors_are_compared_with_the_days_before(fleet: Fleet) -> None:
    watch = fleet.process("one", Thresholds(spike=3, drop=0.5, errors=0.2))
    fleet.visits(1, at=NOW - 9 * DAY_MS)
    for day in range(1, 8):
        fleet.visits(30 + day, at=NOW - day * DAY_MS - HOUR_MS // 2)
    fleet.visits(100, at=NOW - HOUR_MS // 2, errors=30)
    watch.turn(NOW)
    assert sorted(fleet.phone.subjects) == ["shop: Many sessions with errors"]
    fleet.visits(2, at=NOW - 2000)
    watch.turn(NOW + MINUTE)
    assert fleet.phone.messages[1].text.startswith("102 sessions in the last hour, usual at this time: 34.")
    watch.turn(NOW + HOUR_MS)
    assert fleet.phone.subjects[2:] == ["shop: Over: more sessions than usual"]
    assert {state.name: state.is_on for state in fleet.store.alerts.states()} == {"errors": True, "spike": False}


def test_of_a_target_that_was_removed_nothing_waits(fleet: Fleet) -> None:
    fleet.phone.problem = "away"
    watch = fleet.process("one", NOTHING)
    fleet.visits(1, at=NOW)
    watch.turn(NOW + HOUR_MS)
    other = Phone("other")
    fleet.process("one", NOTHING, other).turn(NOW + 2 * HOUR_MS)
    assert fleet.store.alerts.unsent() == []
    assert other.messages == []


def test_the_document_for_programs(fleet: Fleet) -> None:
    watch = fleet.process("one", NOTHING)
    fleet.visits(1, at=NOW)
    watch.turn(NOW + HOUR_MS)
    assert fleet.phone.messages[0].document == {
        "type": "alert",
        "id": f"nothing-{NOW + HOUR_MS}-on",
        "alert": "nothing",
        "state": "on",
        "at": "2026-01-31T13:00:00.000Z",
        "service": "shop",
        "title": "Nothing is recorded",
        "text": "Nothing was recorded for 60 minutes.",
    }
