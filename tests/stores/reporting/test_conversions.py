"""Goals and funnels: whatever is recorded, rolled up or erased, the figures equal those of counting one by one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median_low

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sojourn.core.events import PAGE_VIEW, Event, Scalar
from sojourn.core.goals import Step, parse_step, parse_steps
from sojourn.stores import Store, open_store
from sojourn.stores.model import VISITOR, Batch, DataSubject, Place
from sojourn.stores.reporting import conversions as conversions_module
from sojourn.stores.reporting import trails as trails_module
from sojourn.stores.reporting.levels import BLOCK
from sojourn.stores.reporting.model import DAY_MS, HOUR_MS, Filter, Span
from sojourn.stores.reporting.rollup_figures import visitor_hash
from sojourn.stores.reporting.trails import THIN
from tests.postgres import Cluster
from tests.stores.contract.steps import NOW, row, save

SPAN = Span(NOW, NOW + 3 * HOUR_MS)
HALF = 2**63
DAYS = Span(NOW // BLOCK.width * BLOCK.width, (NOW // BLOCK.width + 1) * BLOCK.width)
STEPS = [parse_step(text) for text in ("/a", "/a/*", "/b", "/*", "buy", "buy plan=pro", "b*")]
Opened = Callable[[], Store]


@pytest.fixture(params=["memory", "postgresql"], scope="module")
def opened(request: pytest.FixtureRequest) -> Opened:
    if request.param == "memory":
        return lambda: open_store("memory:")
    cluster: Cluster = request.getfixturevalue("postgres")
    url, numbers = cluster.fresh_database(), itertools.count()
    return lambda: open_store(f"{url}?schema=goals_{next(numbers)}")


@dataclass(frozen=True)
class Hit:
    """An event of a session, `at` ms after it started."""

    at: int
    what: str
    properties: dict[str, Scalar] = field(default_factory=dict)

    def is_of(self, step: Step) -> bool:
        if self.what.startswith("/") != step.is_path:
            return False
        begins = step.value[:-1]
        is_named = self.what.startswith(begins) if step.value.endswith("*") else self.what == step.value
        return is_named and (step.condition is None or str(self.properties.get(step.condition[0])) == step.condition[1])


@dataclass(frozen=True)
class Visit:
    """A session of a visitor, `at` ms after the span began."""

    at: int
    visitor: int
    hits: tuple[Hit, ...]

    def ordered(self) -> list[tuple[tuple[int, int], Hit]]:
        """The hits by their place: the moment, and the number among those of one moment (page views first)."""
        by_time = sorted(self.hits, key=lambda hit: (hit.at, not hit.what.startswith("/")))
        places: list[tuple[tuple[int, int], Hit]] = []
        for hit in by_time:
            rank = sum(each.at == hit.at for _, each in places)
            places.append(((NOW + self.at + hit.at, rank), hit))
        return places


HITS = st.builds(
    Hit,
    st.sampled_from([0, 1, 2, 60_000, HOUR_MS]),
    st.sampled_from(["/a", "/a/x", "/a/y", "/b", "/c", "buy", "bye"]),
    st.sampled_from([{}, {"event_properties.plan": "pro"}, {"event_properties.plan": "free"}]),
)
VISITS = st.lists(
    st.builds(
        Visit,
        st.integers(0, 3 * HOUR_MS - 1) | st.sampled_from([0, 1, HOUR_MS, 3 * HOUR_MS, 4 * HOUR_MS]),
        st.integers(0, 3),
        st.lists(HITS, max_size=6).map(tuple),
    ),
    max_size=8,
)


def record(store: Store, visits: Sequence[Visit]) -> None:
    rows, events = [], []
    for number, visit in enumerate(visits):
        started_at = NOW + visit.at
        made = row(f"k{number}", started_at)
        made.visitor_id = f"v{visit.visitor}"
        rows.append(made)
        for place, hit in enumerate(visit.hits):
            is_page = hit.what.startswith("/")
            events.append(
                Event(
                    id=f"{number}-{place}",
                    name=PAGE_VIEW if is_page else hit.what,
                    time=started_at + hit.at,
                    session_id=f"id-k{number}",
                    session_key=f"k{number}",
                    session_started_at=started_at,
                    visitor_id=made.visitor_id,
                    attributes={"url.path": hit.what if is_page else "/where", **({} if is_page else hit.properties)},
                )
            )
    save(store, Batch(rows=rows, events=events))


def walk(places: Sequence[tuple[tuple[int, int], Hit]], steps: Sequence[Step]) -> list[int]:
    """The moments at which one who has these hits came to each step, as far as they came."""
    moments: list[int] = []
    before = (-1, -1)
    for step in steps:
        after = [place for place, hit in places if hit.is_of(step) and place > before]
        if not after:
            break
        before = min(after)
        moments.append(before[0])
    return moments


def counted(walks: Sequence[list[int]], steps: Sequence[Step]) -> list[tuple[int, int | None]]:
    figures: list[tuple[int, int | None]] = []
    for number in range(len(steps)):
        came = [moments for moments in walks if len(moments) > number]
        spent = [moments[number] - moments[number - 1] for moments in came] if number else []
        figures.append((len(came), median_low(spent) if spent else None))
    return figures


def assert_counted(store: Store, visits: Sequence[Visit], steps: Sequence[Step], span: Span = SPAN) -> None:
    inside = [visit for visit in visits if span.since <= NOW + visit.at < span.until]
    of_visitor = [
        sorted((place for visit in visits_of for place in visit.ordered()), key=lambda place: place[0])
        for visits_of in ([each for each in inside if each.visitor == who] for who in {each.visitor for each in inside})
    ]
    for by_visitor, ways in ((False, [visit.ordered() for visit in inside]), (True, of_visitor)):
        found = store.conversions.funnel(span, steps, by_visitor=by_visitor)
        expected = counted([walk(way, steps) for way in ways], steps)
        assert [(step.count, step.median_ms) for step in found.steps] == expected
        assert (found.total, found.pending) == (len(ways), 0)
    goals = store.conversions.goals(span, steps)
    assert (goals.sessions, goals.visitors) == (len(inside), len(of_visitor))
    for step, goal in zip(steps, goals.goals, strict=True):
        reached = [
            (number, visit)
            for number, visit in enumerate(visits)
            if visit in inside and any(hit.is_of(step) for hit in visit.hits)
        ]
        assert goal.hits == sum(hit.is_of(step) for visit in inside for hit in visit.hits)
        assert (goal.sessions, goal.visitors) == (len(reached), len({visit.visitor for _, visit in reached}))
        assert sorted(store.conversions.sessions(span, step).keys) == sorted(f"k{number}" for number, _ in reached)


@given(visits=VISITS, steps=st.lists(st.sampled_from(STEPS), min_size=2, max_size=4), hours=st.integers(0, 4))
@example(
    visits=[Visit(0, 0, (Hit(0, "buy"), Hit(0, "/b"))), Visit(0, 1, (Hit(0, "/b"), Hit(0, "/a")))],
    steps=[parse_step("/b"), parse_step("buy")],
    hours=0,
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_figures_equal_those_of_counting_one_by_one(
    opened: Opened, visits: list[Visit], steps: list[Step], hours: int
) -> None:
    store = opened()
    store.open()
    patch = pytest.MonkeyPatch()
    patch.setattr(trails_module, "_THIN_BELOW", HALF)  # of four visitors one in sixteen would be none
    try:
        record(store, visits)
        assert_counted(store, visits, steps)
        store.maintenance.roll_up(finished_before=NOW + hours * HOUR_MS, limit=9)
        assert_counted(store, visits, steps)
        assert_counted(store, visits, steps, Span(NOW + 900_000, NOW + 2 * HOUR_MS + 1))
        assert_counted(store, visits, steps, Span(NOW + 1, NOW + 900_000))
        store.maintenance.roll_up(finished_before=NOW + 40 * DAY_MS, limit=99)
        assert_counted(store, visits, steps, DAYS)
        assert_counted(store, visits, steps, Span(NOW + HOUR_MS, NOW + 2 * DAY_MS))
        with_sample(store, visits, steps)
    finally:
        patch.undo()
        store.close()


def with_sample(store: Store, visits: Sequence[Visit], steps: Sequence[Step]) -> None:
    """Of a thin trail the figures are those of some visitors, times as many as each stands for."""
    key = store.database.store_key()  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversions_module, "SAMPLED_ABOVE", -1)
        for span in (DAYS, Span(NOW + HOUR_MS, NOW + 2 * DAY_MS), SPAN):
            chosen = [visit for visit in visits if visitor_hash(key, f"v{visit.visitor}") < HALF]
            inside = [visit for visit in chosen if span.since <= NOW + visit.at < span.until]
            found = store.conversions.funnel(span, steps)
            expected = counted([walk(visit.ordered(), steps) for visit in inside], steps)
            assert [(step.count, step.median_ms) for step in found.steps] == [(n * THIN, ms) for n, ms in expected]
            assert (found.total, found.is_sampled) == (len(inside) * THIN, True)
            goals = store.conversions.goals(span, steps)
            assert (goals.sessions, goals.visitors) == (
                len(inside) * THIN,
                len({visit.visitor for visit in inside}) * THIN,
            )


PRO = Hit(9, "buy", {"event_properties.plan": "pro"})


@pytest.fixture
def store(opened: Opened) -> Store:
    store = opened()
    store.open()
    return store


def test_a_step_that_came_too_early_does_not_count(store: Store) -> None:
    record(store, [Visit(0, 0, (Hit(5, "/b"), Hit(9, "/a")))])
    figures = store.conversions.funnel(SPAN, parse_steps("/a > /b"))
    assert [step.count for step in figures.steps] == [1, 0]
    store.close()


def test_one_event_is_not_two_steps(store: Store) -> None:
    record(store, [Visit(0, 0, (Hit(5, "/a"),)), Visit(0, 1, (Hit(5, "/a"), Hit(6, "/a")))])
    figures = store.conversions.funnel(SPAN, parse_steps("/a > /*"))
    assert [(step.count, step.median_ms) for step in figures.steps] == [(2, None), (1, 1)]
    store.close()


def test_a_visitor_goes_on_in_another_session(store: Store) -> None:
    record(store, [Visit(0, 0, (Hit(5, "/a"),)), Visit(2 * HOUR_MS, 0, (Hit(5, "buy"),))])
    steps = parse_steps("/a > buy")
    assert [step.count for step in store.conversions.funnel(SPAN, steps).steps] == [1, 0]
    by_visitor = store.conversions.funnel(SPAN, steps, by_visitor=True)
    assert [(step.count, step.median_ms) for step in by_visitor.steps] == [(1, None), (1, 2 * HOUR_MS)]
    store.close()


def test_goals_by_a_dimension(store: Store) -> None:
    made = [row(f"k{number}") for number in range(4)]
    for number, each in enumerate(made):
        each.utm_campaign = (None, "spring", "spring", "autumn")[number]
    save(store, Batch(rows=made, events=[_buy(each.key) for each in made[:3]]))
    buy = parse_step("buy")
    keys = store.conversions.sessions(SPAN, buy).keys
    assert store.conversions.by_value(keys, ["utm_campaign", "source"]) == {"utm_campaign": {"spring": 2}, "source": {}}
    with pytest.raises(ValueError, match="no dimension"):
        store.conversions.by_value(keys, ["key"])
    store.close()


def _buy(key: str) -> Event:
    return Event(
        id=f"buy-{key}",
        name="buy",
        time=NOW,
        session_id=key,
        session_key=key,
        session_started_at=NOW,
        visitor_id="visitor",
    )


def test_nothing_of_an_erased_visitor_stays_in_a_trail(store: Store) -> None:
    record(store, [Visit(0, 0, (PRO,)), Visit(0, 1, (Hit(9, "buy", {"event_properties.plan": "secret"}),))])
    store.maintenance.roll_up(finished_before=NOW + HOUR_MS, limit=9)
    person = DataSubject(VISITOR, "v1")
    upto = store.data_subjects.add_tombstone(person, at=NOW + HOUR_MS)
    place: Place | None = Place(0)
    while place is not None:
        place = store.data_subjects.erase(person, at=NOW + HOUR_MS, upto=upto, after=place, limit=3).after
    assert contents(store) == 0
    buy = parse_step("buy")
    assert [goal.sessions for goal in store.conversions.goals(SPAN, [buy]).goals] == [1]
    store.maintenance.roll_up(finished_before=NOW + HOUR_MS, limit=9)
    assert contents(store) > 0
    assert [goal.sessions for goal in store.conversions.goals(SPAN, [buy]).goals] == [1]
    store.close()


def contents(store: Store) -> int:
    """How many rows trails have."""
    from sojourn.stores.store import SQLStore

    assert isinstance(store, SQLStore)
    count: int = store.database.read("SELECT COUNT(*) FROM sojourn_trails")[0]
    return count


def test_only_the_sessions_of_a_filter_count(store: Store) -> None:
    visits = [Visit(0, 0, (Hit(5, "/a"), PRO)), Visit(60_000, 1, (Hit(5, "/a"), PRO)), Visit(0, 2, (Hit(5, "/a"),))]
    record(store, visits)
    with store.records.recording() as recording:
        rows = recording.load([f"k{number}" for number in range(3)]).rows
        for number, each in enumerate(rows.values()):
            each.utm_campaign = ("spring", "autumn", "spring")[number]
        recording.save(Batch(rows=list(rows.values())))
    steps = parse_steps("/a > buy plan=pro")
    spring = Filter.of("utm_campaign=spring")
    for _ in range(2):
        for by_visitor in (False, True):
            found = store.conversions.funnel(SPAN, steps, by_visitor=by_visitor, where=spring)
            assert (found.total, [step.count for step in found.steps]) == (2, [2, 1])
        goals = store.conversions.goals(SPAN, steps, where=spring)
        assert (goals.sessions, goals.visitors) == (2, 2)
        assert [(goal.sessions, goal.visitors) for goal in goals.goals] == [(2, 2), (1, 1)]
        assert store.conversions.sessions(SPAN, steps[1], where=spring).keys == ["k0"]
        assert [each.counts for each in store.conversions.retention(SPAN, where=spring).cohorts] == [(2,)]
        store.maintenance.roll_up(finished_before=NOW + 9 * HOUR_MS, limit=9)
    store.close()


@pytest.mark.parametrize(
    ("conditions", "total", "counts"),
    [
        pytest.param(["path=/a"], 3, [3, 2], id="a page"),
        pytest.param(["path=/a*", "event=buy"], 2, [2, 2], id="a beginning of pages, and an event"),
        pytest.param(["event!=buy"], 2, [1, 0], id="not an event"),
        pytest.param(["path!=/a"], 1, [0, 0], id="not a page"),
        pytest.param(["event=buy", "utm_campaign=spring"], 1, [1, 1], id="an event, and a dimension"),
        pytest.param(["event=buy", "event.plan=pro"], 1, [1, 1], id="a property of an event"),
        pytest.param(["path=/a", "path~=B"], 1, [1, 0], id="a part of a page"),
        pytest.param(["event=session.start"], 0, [0, 0], id="an event that no trail has"),
        pytest.param(["path=/nowhere"], 0, [0, 0], id="nothing"),
    ],
)
@pytest.mark.parametrize("is_rolled_up", [False, True], ids=["counted", "rolled up"])
def test_conditions_on_pages_and_events(
    store: Store,
    conditions: list[str],
    total: int,
    counts: list[int],
    *,
    is_rolled_up: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = Hit(9, "buy", {"event_properties.plan": "free"})
    hits = [(Hit(5, "/a"), PRO), (Hit(5, "/a"), free), (Hit(5, "/a"), Hit(6, "/b")), (Hit(5, "/c"),)]
    record(store, [Visit(number, number, each) for number, each in enumerate(hits)])
    with store.records.recording() as recording:
        rows = recording.load([f"k{number}" for number in range(4)]).rows
        for number, each in enumerate(rows.values()):
            each.utm_campaign, each.tracked_events = "spring" if number % 2 else "autumn", 1
        recording.save(Batch(rows=list(rows.values())))
    if is_rolled_up:
        store.maintenance.roll_up(finished_before=NOW + 2 * DAY_MS, limit=9)
    monkeypatch.setattr(conversions_module, "_FEW", -1)
    for span in (SPAN, DAYS):
        figures = store.conversions.funnel(span, parse_steps("/a > buy"), where=Filter.of(*conditions))
        assert (figures.total, [step.count for step in figures.steps], figures.is_sampled) == (total, counts, False)
    store.close()
