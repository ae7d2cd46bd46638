"""What every store must return to the report of what sessions are counted by."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from sojourn.core.events import EXCEPTION, SESSION_HEARTBEAT, Event, Scalar
from sojourn.stores.model import VISITOR, Batch, DataSubject, Place
from sojourn.stores.protocol import Store
from sojourn.stores.reporting.breakdowns import BREAKDOWNS, Counts, ordered, percentile, users, versions
from sojourn.stores.reporting.levels import BLOCK
from sojourn.stores.reporting.model import DAY_MS, HOUR_MS, Filter, Span
from sojourn.stores.rows import SessionRow

from .reporting import many, roll_up
from .steps import NOW, ended, event, row, save

BOTH_DAYS = Span(NOW, NOW + 2 * DAY_MS)
BLOCKS = Span(NOW // BLOCK.width * BLOCK.width, (NOW // BLOCK.width + 2) * BLOCK.width)
BLOCKS_ARE_OVER = NOW + 40 * DAY_MS


def of(event_id: str, session: SessionRow, name: str = "page_view", after: int = 0, /, **own: Scalar) -> Event:
    made = event(event_id, session.key, session.started_at + after, name)
    attributes = {key.replace("__", "."): value for key, value in own.items()}
    return msgspec.structs.replace(made, attributes=attributes)


def shop() -> tuple[list[SessionRow], list[Event]]:
    """Two releases; one visitor meets two errors, one buys."""
    old, failing, buyer = (row(f"s{number}", NOW + number * HOUR_MS) for number in range(3))
    old.version, failing.version, buyer.version = "2.9", "2.10", "2.10"
    old.service, failing.service, buyer.service = "blog", "shop", "shop"
    failing.user_id, failing.errors, failing.page_views = "anna", 2, 2
    old.page_views, buyer.page_views, buyer.tracked_events = 1, 2, 2
    failing.exit_ms, old.exit_ms = 1500, 20
    for each in (old, failing):
        ended(each, f"end-{each.key}")
    group: dict[str, Scalar] = {"exception__group": "KeyError at cart.py in pay", "exception__type": "KeyError"}
    status: dict[str, Scalar] = {"http__response__status_code": 500}
    return [old, failing, buyer], [
        of("p1", old, url__path="/", http__route="/", page_view__duration_ms=20.0),
        of("p2", failing, url__path="/", http__route="/", page_view__duration_ms=100.0),
        of(
            "p3",
            failing,
            "page_view",
            5,
            url__path="/cart",
            http__route="/cart",
            page_view__duration_ms=1500.0,
            **status,
        ),
        of("x1", failing, EXCEPTION, 5, **group),
        of("x2", failing, EXCEPTION, 9, **group),
        of("p4", failing, "page_view", 7, url__path="/pay", http__route="/pay", **status),
        of("p5", buyer, url__path="/seeds/1", http__route="/seeds/{n}", page_view__duration_ms="soon"),
        of("p6", buyer, "page_view", 2, url__path="/seeds/2", http__route="/seeds/{n}", page_view__duration_ms=30),
        of("t1", buyer, "purchase", 3),
        of("t2", buyer, "purchase", 4),
        of("h", buyer, SESSION_HEARTBEAT, 4, url__path="/nowhere"),
    ]


class BreakdownsContract:
    """Part of `StoreContract`, which has the fixture."""

    @pytest.fixture(params=["counted", "rolled up", "partly"])
    def shop_store(self, store: Store, request: pytest.FixtureRequest) -> Store:
        rows, events = shop()
        save(store, Batch(rows=rows, events=events))
        if request.param != "counted":
            roll_up(store, until=BLOCKS_ARE_OVER)
        if request.param == "partly":
            save(store, Batch(rows=[rows[1]]))  # its hour and its day have no rollup any more
        return store

    def test_empty_store_has_empty_tables(self, store: Store) -> None:
        found = store.report.breakdowns(BOTH_DAYS, list(BREAKDOWNS))
        assert found.tables == {name: {} for name in BREAKDOWNS}
        assert (found.pending, found.is_sampled) == (0, False)

    def test_events_and_how_many_sessions_had_them(self, shop_store: Store) -> None:
        table = shop_store.report.breakdowns(BOTH_DAYS, ["events"]).tables["events"]
        at = NOW + 2 * HOUR_MS
        assert table == {"purchase": Counts([2, 1], at + 3, at + 4)}

    def test_errors_with_sessions_users_versions_and_when(self, shop_store: Store) -> None:
        table = shop_store.report.breakdowns(BOTH_DAYS, ["errors"]).tables["errors"]
        assert [(name, counts.sums) for name, counts in ordered(table)] == [
            ("KeyError at cart.py in pay", [2, 1]),
            ("Status 500 at /pay", [1, 1]),
        ], "the exception explains the failed page of the same request"
        error = table["KeyError at cart.py in pay"]
        assert (error.first_at, error.last_at) == (NOW + HOUR_MS + 5, NOW + HOUR_MS + 9)
        assert (users(error), versions(error)) == (1, [("2.10", 2)])

    def test_routes_with_times_failures_and_exits(self, shop_store: Store) -> None:
        table = shop_store.report.breakdowns(BOTH_DAYS, ["routes"]).tables["routes"]
        assert {name: counts.sums for name, counts in table.items()} == {
            "/": [2, 2, 0, 1],
            "/cart": [1, 1, 1, 0],
            "/pay": [1, 1, 1, 1],
            "/seeds/{n}": [2, 1, 0, 0],
        }
        assert percentile(table["/cart"], 0.5) == pytest.approx(1500, rel=0.05)
        assert percentile(table["/"], 0.5) == pytest.approx(20, rel=0.06)
        assert percentile(table["/"], 0.95) == pytest.approx(100, rel=0.05)
        assert percentile(table["/pay"], 0.5) is None

    def test_releases_by_visits(self, shop_store: Store) -> None:
        breakdown = BREAKDOWNS["releases"]
        table = shop_store.report.breakdowns(BOTH_DAYS, ["releases"]).tables["releases"]
        figures = {
            version: tuple(
                breakdown.measure(counts, name) for name in ("sessions", "visits", "error_sessions", "slow_exits")
            )
            for version, counts in table.items()
        }
        assert figures == {"2.9": (1, 1, 0, 0), "2.10": (2, 1, 1, 1)}

    def test_services_by_sessions(self, shop_store: Store) -> None:
        table = shop_store.report.breakdowns(BOTH_DAYS, ["services"]).tables["services"]
        assert {service: counts.sums[0] for service, counts in table.items()} == {"blog": 1, "shop": 2}

    @pytest.mark.parametrize(
        "rolled_up_until", [0, NOW + 9 * DAY_MS, BLOCKS_ARE_OVER], ids=["counted", "hours and days", "blocks"]
    )
    @pytest.mark.parametrize(
        "span",
        [
            pytest.param(BOTH_DAYS, id="all"),
            pytest.param(BLOCKS, id="whole blocks"),
            pytest.param(Span(NOW + HOUR_MS, BLOCKS.until + HOUR_MS), id="from within a block"),
            pytest.param(Span(NOW + HOUR_MS // 2, NOW + DAY_MS + HOUR_MS // 4), id="from within an hour to within one"),
            pytest.param(Span(NOW + HOUR_MS // 2, NOW + HOUR_MS // 2 + 1000), id="within an hour"),
            pytest.param(Span(NOW - NOW % DAY_MS, NOW - NOW % DAY_MS + 3 * DAY_MS), id="whole days"),
            pytest.param(Span(NOW + 5 * DAY_MS, NOW + 6 * DAY_MS), id="nothing"),
        ],
    )
    def test_a_dimension_counts_to_the_millisecond(self, store: Store, span: Span, rolled_up_until: int) -> None:
        rows = many(300)
        save(store, Batch(rows=rows))
        roll_up(store, until=rolled_up_until)
        found = store.report.breakdowns(span, ["entries", "browsers", "users"])
        inside = [each for each in rows if span.since <= each.started_at < span.until]
        for name, field in (("entries", "entry_path"), ("browsers", "browser"), ("users", "user_id")):
            counted = Counter(value for each in inside if (value := getattr(each, field)) is not None)
            assert {value: counts.sums[0] for value, counts in found.tables[name].items()} == counted
            errors = Counter(value for each in inside if each.errors and (value := getattr(each, field)) is not None)
            assert {value: counts.sums[3] for value, counts in found.tables[name].items() if counts.sums[3]} == errors
        assert found.pending == 0

    @pytest.mark.parametrize(
        ("condition", "keys"),
        [
            pytest.param("event=purchase", ["s2"], id="event"),
            pytest.param("error=KeyError at cart.py in pay", ["s1"], id="error"),
            pytest.param("error~=keyerror", ["s1"], id="part of an error"),
            pytest.param("version=2.10", ["s1", "s2"], id="version"),
            pytest.param("version!=2.10", ["s0"], id="other versions"),
            pytest.param("service=shop", ["s1", "s2"], id="service"),
            pytest.param("service~=LO", ["s0"], id="part of a service"),
            pytest.param("route=/pay", ["s1"], id="route"),
            pytest.param("user=nobody", [], id="nothing"),
        ],
    )
    def test_filter_leaves_its_sessions_in_every_table(self, store: Store, condition: str, keys: list[str]) -> None:
        rows, events = shop()
        save(store, Batch(rows=rows, events=events))
        found = store.report.breakdowns(BOTH_DAYS, list(BREAKDOWNS), Filter.of(condition))
        assert not found.is_sampled
        inside = [each for each in rows if each.key in keys]
        visits = Counter(each.version for each in inside)
        assert {value: counts.sums[0] for value, counts in found.tables["releases"].items()} == visits
        views = Counter(
            each.attributes["url.path"] for each in events if each.name == "page_view" and each.session_key in keys
        )
        assert {value: counts.sums[0] for value, counts in found.tables["pages"].items()} == views
        assert ("purchase" in found.tables["events"]) == ("s2" in keys)

    def test_nothing_of_an_erased_session_stays(self, store: Store) -> None:
        rows, events = shop()
        rows[1].visitor_id = "gone"
        save(store, Batch(rows=rows, events=events))
        roll_up(store, until=BLOCKS_ARE_OVER)
        assert self.rolled_up_text(store).count("anna") > 0
        person = DataSubject(VISITOR, "gone")
        upto = store.data_subjects.add_tombstone(person, at=NOW + 9 * DAY_MS)
        place: Place | None = Place(0)
        while place is not None:
            place = store.data_subjects.erase(person, at=NOW + 9 * DAY_MS, upto=upto, after=place, limit=100).after
        assert self.rolled_up_text(store).count("anna") == 0
        assert store.report.breakdowns(BOTH_DAYS, ["errors", "users"]).tables == {"errors": {}, "users": {}}

    def rolled_up_text(self, store: Store) -> str:
        """All that is stored of breakdowns."""
        database = store.database  # type: ignore[attr-defined]
        text: object = database.read(f"SELECT {database.dialect.rows.format('content')} FROM sojourn_breakdowns")
        return str(text)
