"""Laws of leaving, under any order of records, recorders, dispatchers, failures and restarts."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sojourn import data_subjects as people
from sojourn.core.events import OPT_OUT as OPT_OUT_EVENT
from sojourn.core.events import PAGE_VIEW, SESSION_END, SESSION_START, START, USER_IDENTIFY, Event
from sojourn.core.records import ACTIVITY, OPT_OUT, REQUEST, STARTS, Entry, Record, Seal, Tag
from sojourn.core.session import EndReason, Rules
from sojourn.pipeline import payloads
from sojourn.pipeline.deliver.dispatcher import Dispatcher
from sojourn.pipeline.journal import MemoryJournal
from sojourn.pipeline.record.recorder import Recorder
from sojourn.stores import open_store
from sojourn.stores.rows import SessionRow
from sojourn.testing.backends import MemoryBackend
from tests.pipeline.conftest import acquiring
from tests.stores.contract.steps import NOW, assert_adds_up

VISITORS = ("v", "w")
USERS = ("anna", "berta")
IDLE = 1_000
RULES = Rules(idle_timeout=IDLE, heartbeat_interval=100)

visitors = st.sampled_from(VISITORS)
users = st.sampled_from(USERS)
sessions = st.integers(0, 2)
ages = st.integers(0, 400)


def view(at: int) -> Entry:
    return Entry(PAGE_VIEW, at, {"http.response.status_code": 200})


class Leaving(RuleBasedStateMachine):
    """Two visitors with three sessions each, two users, two backends: one that fails at times, one that is choosy."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.store = open_store("memory:")
        self.store.open()
        self.backends = (
            MemoryBackend(name="flaky"),
            MemoryBackend(
                name="choosy", accepts=lambda event: event.name != SESSION_START or event.session_key[-1] != "1"
            ),
        )
        self.store.outbox.register([backend.name for backend in self.backends], now=NOW)
        self.journal = MemoryJournal()
        self.recorder = self.new_recorder()
        self.dispatchers = {backend.name: self.new_dispatcher(backend) for backend in self.backends}
        self.leaving: set[str] = set()
        self.gone: dict[str, dict[str, int]] = {}
        """Visitors whose opt-out is recorded, and how many events each backend had then."""
        self.erased: dict[tuple[str, str], int] = {}

    def teardown(self) -> None:
        self.record()
        for backend in self.backends:
            backend.fail(0)
        self.now += 10**9
        for name in self.dispatchers:
            self.deliver(name, restart=True, fails=False, after=0)
        self.nothing_of_them_arrives()
        assert all(state.backlog == 0 for state in self.store.stats().backends)
        self.store.close()

    def new_recorder(self) -> Recorder:
        return Recorder(
            self.store.records,
            self.journal,
            rules=RULES,
            service={},
            sweep_interval=15_000,
            sweep_grace=0,
            max_age=10**12,
        )

    def new_dispatcher(self, backend: MemoryBackend) -> Dispatcher:
        now: Callable[[], int] = lambda: self.now  # noqa: E731 - the clock of this machine
        return Dispatcher(
            backend,
            self.store.delivery,
            now=now,
            acquire=acquiring(self.store.leases, "me"),
            chance=lambda: 0.0,
        )

    def put(self, visitor: str, session: int, age: int, *entries: Entry, flags: int = 0) -> None:
        at = self.now - age
        origin = {"url.path": "/"} if flags & STARTS else None
        previous = session - 1 if session else None
        record = Record(
            at,
            f"{visitor}{session}",
            visitor,
            at if flags & STARTS else at - 50,
            flags | ACTIVITY | REQUEST,
            previous_key=None if previous is None else f"{visitor}{previous}",
            previous_seen_at=0 if previous is None else at - 60,
            previous_reason=None if previous is None else EndReason.IDLE_TIMEOUT,
            entries=entries,
            origin=origin,
        )
        assert self.journal.append(payloads.encode(record), kind="test", essential=True, wall=self.now)

    # --- what visitors do

    @rule(visitor=visitors, session=sessions, age=ages, starts=st.booleans())
    def visit(self, visitor: str, session: int, age: int, starts: bool) -> None:
        self.put(visitor, session, age, view(self.now - age), flags=STARTS if starts else 0)

    @rule(visitor=visitors, session=sessions, age=ages, user=st.none() | users)
    def identify(self, visitor: str, session: int, age: int, user: str | None) -> None:
        self.put(visitor, session, age, Entry(USER_IDENTIFY, self.now - age, tag=Tag(user)))

    @rule(visitor=visitors, session=sessions, age=ages)
    def end(self, visitor: str, session: int, age: int) -> None:
        at = self.now - age
        self.put(visitor, session, age, Entry(SESSION_END, at, seal=Seal(EndReason.ENDED, at)))

    @rule(visitor=visitors, session=sessions, age=ages, starts=st.booleans())
    def opt_out(self, visitor: str, session: int, age: int, starts: bool) -> None:
        at = self.now - age
        left = Entry(OPT_OUT_EVENT, at)
        seal = Entry(SESSION_END, at, seal=Seal(EndReason.OPTED_OUT, at))
        self.put(visitor, session, age, view(at), left, seal, flags=OPT_OUT | (STARTS if starts else 0))
        self.leaving.add(visitor)

    @rule(ms=st.integers(1, 2 * IDLE))
    def wait(self, ms: int) -> None:
        self.now += ms

    # --- what Sojourn does

    @rule(restart=st.booleans())
    def record(self, restart: bool = False) -> None:  # noqa: FBT002 - drawn by Hypothesis
        if restart:
            self.recorder = self.new_recorder()
        while self.recorder.step(self.now)[1]:
            pass
        for visitor in self.leaving - self.gone.keys():
            self.gone[visitor] = {backend.name: len(backend.events) for backend in self.backends}

    @rule()
    def sweep(self) -> None:
        self.record()
        self.recorder.sweep(self.now)

    @rule(
        name=st.sampled_from(("flaky", "choosy")), restart=st.booleans(), fails=st.booleans(), after=st.integers(0, 3)
    )
    def deliver(self, name: str, restart: bool, fails: bool, after: int) -> None:
        (backend,) = (backend for backend in self.backends if backend.name == name)
        if fails and name == "flaky":
            backend.fail(1, after=after, error=None if after else OSError("down"))
        if restart:
            self.dispatchers[name] = self.new_dispatcher(backend)
        while not self.dispatchers[name].step().is_idle:
            pass
        backend.fail(0)

    @rule(visitor=visitors)
    def erase_visitor(self, visitor: str) -> None:
        people.erase(self.store, visitor_id=visitor, now=self.now)
        self.erased["visitor", visitor] = self.now

    @rule(user=users)
    def erase_user(self, user: str) -> None:
        people.erase(self.store, user_id=user, now=self.now)
        self.erased["user", user] = self.now

    # --- what always holds

    @invariant()
    def nothing_of_them_arrives(self) -> None:
        for visitor, before in self.gone.items():
            for backend in self.backends:
                arrived = [event for event in backend.events[before[backend.name] :] if event.visitor_id == visitor]
                started = {each.session_key for each in backend.named(SESSION_START)}
                for event in arrived:
                    assert event.name == OPT_OUT_EVENT or (
                        event.name == SESSION_END and event.session_key in started
                    ), event

    @invariant()
    def an_opt_out_is_delivered_once(self) -> None:
        for backend in self.backends:
            visitors = [event.visitor_id for event in backend.named(OPT_OUT_EVENT)]
            assert len(visitors) == len(set(visitors))

    @invariant()
    def nothing_of_before_is_left(self) -> None:
        rows: list[SessionRow] = self.store.sessions.latest(limit=1_000, started_before=self.now + 1)
        log: list[Event] = self.store.log.after(START, limit=10_000)
        for (kind, who), at in self.erased.items():
            if kind == "visitor":
                assert [row for row in rows if row.visitor_id == who and row.started_at <= at] == []
                assert [event for event in log if event.visitor_id == who and event.time <= at] == []
            else:
                named = [row for row in rows if row.user_id == who and not row.is_user_inherited]
                assert [row for row in named if row.user_at <= at] == []
                identified = [event for event in log if event.name == USER_IDENTIFY and event.user_id == who]
                assert [event for event in identified if event.time <= at] == []

    @invariant()
    def every_event_is_somewhere(self) -> None:
        assert_adds_up(self.store)

    @invariant()
    def every_record_is_counted(self) -> None:
        counters = self.store.stats().counters
        assert counters.get("records.accepted", 0) == counters.get("records.recorded", 0)
        ended = counters.get("sessions.ended", 0)
        stats = self.store.stats()
        assert counters.get("sessions.started", 0) == (
            ended + stats.open_sessions + counters.get("sessions.erased_open", 0)
        )


TestLeaving = Leaving.TestCase
TestLeaving.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
