"""Whatever is recorded, rolled up, erased and expired: figures equal those of counting one by one."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sojourn.stores import SQLiteStore
from sojourn.stores.model import USER, Batch, DataSubject, Place
from sojourn.stores.reporting.breakdowns import TOTAL
from sojourn.stores.reporting.model import DAY_MS, HOUR_MS, Bucket, Filter, Sort, Span
from sojourn.stores.rows import SessionRow
from tests.stores.contract.reporting import figures
from tests.stores.contract.session_lists import VALUES, pages
from tests.stores.contract.steps import NOW, ended, row, save

LATER = NOW + 99 * DAY_MS
HOURS = st.sampled_from([0, 1, 2, 11, 12, 13, 30, 36, 60])
MINUTES = st.integers(0, 59)
KEYS = st.integers(0, 9)
SPANS = st.tuples(HOURS, st.integers(1, 50)).map(
    lambda drawn: Span(NOW + drawn[0] * HOUR_MS, NOW + (drawn[0] + drawn[1]) * HOUR_MS)
)


class Reports(RuleBasedStateMachine):
    """One store, and the rows that it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.store = SQLiteStore(None)
        self.rows: dict[str, SessionRow] = {}

    @rule(number=KEYS, hour=HOURS, minute=MINUTES, minutes=MINUTES, pages=st.integers(0, 3), is_named=st.booleans())
    def record(self, number: int, hour: int, minute: int, minutes: int, pages: int, *, is_named: bool) -> None:
        """A session begins, or it is known better: it may have begun in another hour."""
        made = row(f"k{number}", NOW + hour * HOUR_MS + minute * 60_000)
        made.last_seen_at = made.started_at + minutes * 60_000
        made.visitor_id, made.user_id = f"v{number % 6}", f"u{number % 3}" if is_named else None
        made.page_views = pages
        made.service = (None, "shop", "blog")[number % 3]
        with self.store.records.recording() as recording:
            recording.load([made.key])
            recording.save(Batch(rows=[made]))
        self.rows[made.key] = made

    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        """Mere activity, of which the store gets less than of a new row."""
        key = data.draw(st.sampled_from([None, *sorted(self.rows)]))
        if key is None:
            return
        with self.store.records.recording() as recording:
            changed = recording.load([key]).rows[key]
            changed.last_seen_at += 1000
            changed.page_views += 1
            recording.save(Batch(rows=[changed]))
        self.rows[key] = changed

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from([None, *sorted(self.rows)]))
        if key is not None:
            save(self.store, Batch(rows=[ended(self.rows[key], f"end-{key}")]))

    @rule(hours=HOURS, limit=st.integers(1, 9))
    def roll_up(self, hours: int, limit: int) -> None:
        self.store.maintenance.roll_up(finished_before=NOW + hours * HOUR_MS, limit=limit)

    @rule(number=st.integers(0, 2))
    def erase(self, number: int) -> None:
        person = DataSubject(USER, f"u{number}")
        upto = self.store.data_subjects.add_tombstone(person, at=LATER)
        place: Place | None = Place(0)
        while place is not None:
            place = self.store.data_subjects.erase(person, at=LATER, upto=upto, after=place, limit=3).after
        self.rows = {key: each for key, each in self.rows.items() if each.user_id != person.id}

    @invariant()
    def all_of_it_adds_up(self) -> None:
        summary = self.store.report.overview(Span(NOW, NOW + 3 * DAY_MS), bucket=Bucket.DAY, online_since=0)
        assert summary.figures.sessions == len(self.rows)
        assert summary.figures.page_views == sum(each.page_views for each in self.rows.values())
        assert sum(point.sessions for point in summary.series) == len(self.rows)

    @rule(span=SPANS)
    def look_at(self, span: Span) -> None:
        summary = self.store.report.overview(span, bucket=Bucket.HOUR, online_since=0)
        expected = figures(list(self.rows.values()), span)
        assert (summary.figures.sessions, summary.figures.visitors, summary.figures.users) == (
            expected.sessions,
            expected.visitors,
            expected.users,
        )
        assert (summary.figures.median_ms, summary.figures.mean_ms) == (expected.median_ms, expected.mean_ms)
        assert (summary.figures.bounces, summary.figures.page_views) == (expected.bounces, expected.page_views)

    @rule(span=SPANS, service=st.sampled_from(["shop", "blog", "nothing"]))
    def look_at_a_service(self, span: Span, service: str) -> None:
        inside = [each for each in self.rows.values() if span.since <= each.started_at < span.until]
        expected = sum(each.service == service for each in inside)
        where = Filter.of(f"service={service}", span=span)
        assert self.store.report.overview(span, where, bucket=Bucket.HOUR, online_since=0).figures.sessions == expected
        table = self.store.report.breakdowns(span, ["services"]).tables["services"]
        assert (table[service].sums[0] if service in table else 0) == expected
        others = Filter.of(f"service!={service}")
        total = self.store.report.breakdowns(span, [TOTAL], others).tables[TOTAL]
        assert sum(counts.sums[0] for counts in total.values()) == len(inside) - expected

    @rule(sort=st.sampled_from(Sort), is_ascending=st.booleans(), limit=st.integers(1, 9), span=st.none() | SPANS)
    def list_them(self, sort: Sort, limit: int, span: Span | None, *, is_ascending: bool) -> None:
        found = [
            line.key
            for page in pages(self.store, Filter(span=span), sort=sort, is_ascending=is_ascending, limit=limit)
            for line in page.lines
        ]
        assert found == [
            each.key
            for each in sorted(
                self.rows.values(),
                key=lambda each: (VALUES[sort](each), each.started_at, each.key),
                reverse=not is_ascending,
            )
            if span is None or span.since <= each.started_at < span.until
        ]

    def teardown(self) -> None:
        self.store.close()


TestReports = Reports.TestCase
TestReports.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
