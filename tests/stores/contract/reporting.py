"""What every store must return to the report about many sessions. A store may go without a report."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta, timezone, tzinfo
from statistics import median

import msgspec
import pytest

from sojourn.core.events import Event, Scalar
from sojourn.stores.model import VISITOR, Batch, DataSubject, Place
from sojourn.stores.protocol import Store
from sojourn.stores.reporting import rollups
from sojourn.stores.reporting.breakdowns import ordered
from sojourn.stores.reporting.model import DAY_MS, HOUR_MS, Bucket, Figures, Filter, LongVisits, Overview, Span
from sojourn.stores.rows import SessionRow
from sojourn.stores.store import SQLStore
from sojourn.user_agents.families import client_of

from .steps import NOW, ended, event, row, save

DAY = Span(NOW, NOW + DAY_MS)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1"
    " Mobile/15E148 Safari/604.1"
)


def many(count: int = 60) -> list[SessionRow]:
    """Sessions of two days, many of them alike in something; every third is open."""
    rows = []
    for number in range(count):
        at = NOW + number * (2 * DAY_MS // count) // 1000 * 1000
        made = row(f"k{number:04}", at, seen=at + number % 7 * 60_000)
        made.visitor_id = f"v{number % 11}"
        made.user_id = f"u{number % 4}" if number % 3 else None
        made.page_views, made.events, made.errors = number % 5, number % 6, (number % 10 == 0) * number
        made.tracked_events = number % 2
        made.client_errors = int(number % 9 == 0)
        made.visitor_kind = "cookieless" if number % 5 == 0 else None
        made.entry_path = f"/p{number % 3}"
        made.referrer = "https://search.example/find" if number % 2 else None
        made.browser, made.system, made.device = client_of((FIREFOX, IPHONE, None)[number % 3])
        rows.append(ended(made, f"end-{number}") if number % 3 else made)
    return rows


def figures(rows: list[SessionRow], span: Span, known: list[SessionRow] | None = None) -> Figures:
    """Count one by one what a store counts for the sessions that started in this span."""
    inside = [each for each in rows if span.since <= each.started_at < span.until]
    first: dict[str, int] = {}
    for each in known or rows:
        first[each.visitor_id] = min(first.get(each.visitor_id, each.started_at), each.started_at)
    visits = [each for each in inside if each.page_views and not each.is_open]
    durations = [each.last_seen_at - each.started_at for each in inside]
    return Figures(
        sessions=len(inside),
        visitors=len({each.visitor_id for each in inside}),
        new_visitors=sum(span.since <= at < span.until for at in first.values()),
        users=len({each.user_id for each in inside if each.user_id is not None}),
        visits=len(visits),
        bounces=sum((each.page_views, each.tracked_events) == (1, 0) for each in visits),
        error_sessions=sum(each.errors > 0 for each in inside),
        client_error_sessions=sum(each.client_errors > 0 for each in inside),
        page_views=sum(each.page_views for each in inside),
        median_ms=int(median(durations)) if durations else None,
        mean_ms=sum(durations) // len(durations) if durations else None,
        cookieless=sum(each.visitor_kind is not None for each in inside),
    )


def roll_up(reports: Store, *, until: int = NOW + 9 * DAY_MS, limit: int = 7) -> int:
    """Roll up all hours and days, and return how many."""
    done = 0
    while made := reports.maintenance.roll_up(finished_before=until, limit=limit):
        assert made <= limit
        done += made
    return done


def overview(reports: Store, span: Span = DAY, bucket: Bucket = Bucket.HOUR, zone: tzinfo = UTC) -> Overview:
    return reports.report.overview(span, bucket=bucket, zone=zone, online_since=NOW)


def _is_earlier(other: SessionRow, each: SessionRow) -> bool:
    return other.visitor_id == each.visitor_id and other.started_at < each.started_at


class ReportingContract:
    """Part of `StoreContract`, which has the fixture."""

    @pytest.fixture
    def reports(self, store: Store) -> Store:
        return store

    # --- figures

    def test_an_empty_store_has_an_overview(self, reports: Store) -> None:
        assert roll_up(reports) == 0
        summary = overview(reports)
        assert (summary.figures, summary.before, summary.online, summary.pending) == (Figures(), Figures(), 0, 0)
        assert [point.sessions for point in summary.series] == [0] * 24
        assert summary.figures.bounce_rate is None

    def test_a_span_has_visitors_without_a_cookie_or_not(self, reports: Store) -> None:
        made, first = row("by day", NOW + 5 * HOUR_MS), Span(NOW, NOW + 6 * HOUR_MS)
        made.visitor_kind = "cookieless"
        save(reports, Batch(rows=[made, row("by cookie", NOW + 30 * HOUR_MS)]))
        lately = Span(NOW, NOW + 7 * HOUR_MS), Span(NOW + DAY_MS, NOW + 31 * HOUR_MS)
        assert [reports.report.has_cookieless(span) for span in lately] == [True, False]
        roll_up(reports)
        spans = first, Span(NOW, NOW + 9 * DAY_MS), Span(NOW + 6 * HOUR_MS, NOW + 9 * DAY_MS)
        assert [reports.report.has_cookieless(span) for span in spans] == [True, True, False]

    @pytest.mark.parametrize("is_rolled_up", [False, True], ids=["counted", "rolled up"])
    @pytest.mark.parametrize(
        "span",
        [
            pytest.param(DAY, id="a day"),
            pytest.param(Span(NOW, NOW + 2 * DAY_MS), id="all"),
            pytest.param(Span(NOW + DAY_MS // 2, NOW + DAY_MS), id="half a day after the same"),
            pytest.param(Span(NOW + 3 * DAY_MS, NOW + 4 * DAY_MS), id="nothing"),
            pytest.param(Span(NOW - NOW % DAY_MS, NOW - NOW % DAY_MS + 3 * DAY_MS), id="whole days"),
            pytest.param(Span(NOW - 5 * HOUR_MS, NOW - NOW % DAY_MS + 2 * DAY_MS), id="from within a day"),
        ],
    )
    def test_figures_of_a_span_and_of_the_one_before(self, reports: Store, span: Span, *, is_rolled_up: bool) -> None:
        rows = many()
        save(reports, Batch(rows=rows))
        if is_rolled_up:
            hours = {each.started_at // HOUR_MS for each in rows}
            assert roll_up(reports) == len(hours) + len({hour // 24 for hour in hours})
            assert roll_up(reports) == 0, "nothing has changed since"
        summary = overview(reports, span)
        assert span.before is not None
        assert summary.figures == figures(rows, span)
        assert summary.before == figures(rows, span.before)
        assert (summary.is_sampled, summary.pending) == (False, 0)
        assert summary.online == sum(each.is_open for each in rows)

    @pytest.mark.parametrize(
        ("texts", "matches"),
        [
            pytest.param(["browser=Firefox"], lambda each: each.browser == "Firefox", id="browser"),
            pytest.param(["browser!=Firefox"], lambda each: each.browser != "Firefox", id="not the browser"),
            pytest.param(
                ["entry~=P1", "identified=yes"],
                lambda each: each.entry_path == "/p1" and each.user_id is not None,
                id="two conditions",
            ),
            pytest.param(["errors=1..", "pages=0"], lambda each: each.errors and not each.page_views, id="numbers"),
            pytest.param(["path=/seen"], lambda each: each.key == "k0007", id="viewed page"),
            pytest.param(["visitor=none"], lambda _: False, id="no session"),
        ],
    )
    def test_a_filter_counts_the_sessions_that_match_and_no_other(
        self, reports: Store, texts: list[str], matches: Callable[[SessionRow], bool]
    ) -> None:
        rows = many()
        save(reports, Batch(rows=rows, events=[event("1", "k0007", attributes={"url.path": "/seen"})]))
        found = [each for each in rows if matches(each)]
        span = Span(NOW + DAY_MS, NOW + 2 * DAY_MS)
        assert span.before is not None
        summary = reports.report.overview(span, Filter.of(*texts), bucket=Bucket.DAY, online_since=NOW)
        firsts = [each for each in found if not any(_is_earlier(other, each) for other in rows)]
        for within, counted in ((span, summary.figures), (span.before, summary.before)):
            news = figures(firsts, within).visitors
            assert counted == msgspec.structs.replace(figures(found, within), new_visitors=news)
        assert (summary.is_sampled, summary.pending) == (False, 0)

    @pytest.mark.parametrize("is_rolled_up", [False, True], ids=["counted", "rolled up"])
    @pytest.mark.parametrize("offset", [0, 5.5], ids=["UTC", "India"])
    def test_a_filter_that_all_sessions_match_changes_nothing(
        self, reports: Store, offset: float, *, is_rolled_up: bool
    ) -> None:
        save(reports, Batch(rows=many(200)))
        if is_rolled_up:
            roll_up(reports)
        zone = timezone(timedelta(hours=offset))
        for span in (Span(NOW + DAY_MS, NOW + 2 * DAY_MS), Span(NOW + DAY_MS // 2, NOW + DAY_MS + DAY_MS // 3)):
            for bucket in (Bucket.HOUR, Bucket.DAY):
                plain = reports.report.overview(span, bucket=bucket, zone=zone, online_since=NOW)
                every = reports.report.overview(
                    span, Filter.of("pages=0.."), bucket=bucket, zone=zone, online_since=NOW
                )
                assert (every.figures, every.before) == (plain.figures, plain.before)
                assert (every.series, every.series_before) == (plain.series, plain.series_before)

    def test_series_have_each_measure_and_the_period_before(self, reports: Store) -> None:
        rows = many()
        save(reports, Batch(rows=rows))
        span = Span(NOW + DAY_MS, NOW + 2 * DAY_MS)
        summary = overview(reports, span)
        assert [point.at + DAY_MS for point in summary.series_before] == [point.at for point in summary.series]
        for point in (*summary.series, *summary.series_before):
            expected = figures(rows, Span(point.at, point.until))
            assert (point.sessions, point.visits, point.bounces) == (
                expected.sessions,
                expected.visits,
                expected.bounces,
            )
            assert (point.error_sessions, point.median_ms) == (expected.error_sessions, expected.median_ms)

    def test_a_release_is_a_version_that_appears_after_others(self, reports: Store) -> None:
        rows = many(48)
        for number, each in enumerate(rows):
            each.version = "1.0" if number < 30 else "1.1" if number < 40 else None
        save(reports, Batch(rows=rows))
        for until in (NOW + 9 * DAY_MS, NOW + 40 * DAY_MS, 0):
            (release,) = reports.report.releases(Span(NOW, NOW + 2 * DAY_MS))
            assert (release.version, release.at) == ("1.1", rows[30].started_at // HOUR_MS * HOUR_MS)
            assert reports.report.releases(Span(NOW, NOW + DAY_MS)) == ()
            roll_up(reports, until=until)

    @pytest.mark.parametrize("is_rolled_up", [False, True], ids=["counted", "rolled up"])
    def test_a_span_counts_to_the_millisecond(self, reports: Store, *, is_rolled_up: bool) -> None:
        rows = many(300)
        save(reports, Batch(rows=rows))
        if is_rolled_up:
            roll_up(reports)
        half = HOUR_MS // 2
        for span in (
            Span(NOW + half, NOW + DAY_MS + half),
            Span(NOW + half + 1, NOW + half + 2),
            Span(NOW + half, NOW + half + HOUR_MS // 4),
            Span(NOW - NOW % DAY_MS + half, NOW - NOW % DAY_MS + half + 2 * DAY_MS),
        ):
            summary = overview(reports, span)
            assert span.before is not None
            assert (summary.span, summary.figures) == (span, figures(rows, span))
            assert summary.before == figures(rows, span.before)
            inside = [each for each in rows if span.since <= each.started_at < span.until]
            entries = reports.report.breakdowns(span, ["entries"]).tables["entries"]
            assert sum(counts.sums[0] for counts in entries.values()) == len(inside)
            assert sum(point.sessions for point in summary.series) == len(inside)

    def test_online_is_open_and_seen_lately(self, reports: Store) -> None:
        manual = row("m", NOW, seen=NOW + 5)
        manual.is_manual = True
        save(reports, Batch(rows=[row("a", NOW, seen=NOW + 5), manual, row("b", NOW), ended(row("c", NOW + 9), "e")]))
        assert [reports.report.online(since=NOW + after) for after in (0, 5, 6)] == [3, 2, 0]

    def test_most_frequent_values_come_first(self, reports: Store) -> None:
        rows = many(20)
        views = [event(f"e{n}", "k0001", at=NOW + n) for n in range(3)]
        for number, each in enumerate(views):
            each.attributes["http.route"] = f"/r{number % 2}"  # type: ignore[index]
        save(reports, Batch(rows=rows, events=[*views, event("t", "k0001", name="track")]))
        for _ in range(2):
            names = ("entries", "routes", "referrers", "browsers", "devices")
            tables = reports.report.breakdowns(Span(NOW, NOW + 2 * DAY_MS), names).tables
            tops = {name: [(value, counts.sums[0]) for value, counts in ordered(tables[name])] for name in names}
            assert tops["entries"] == [("/p0", 7), ("/p1", 7), ("/p2", 6)]
            assert tops["routes"] == [("/r0", 2), ("/r1", 1)]
            assert tops["referrers"] == [("https://search.example/find", 10)]
            assert tops["browsers"] == [("Firefox", 7), ("Safari", 7)]
            assert tops["devices"] == [("desktop", 7), ("phone", 7)]
            roll_up(reports)

    @pytest.mark.parametrize(
        ("bucket", "offset", "starts"),
        [
            pytest.param(Bucket.DAY, 0, [-12, 12], id="days of UTC"),
            pytest.param(Bucket.DAY, 2, [-14, 10], id="days east of it"),
            pytest.param(Bucket.DAY, -8, [-4, 20], id="days west of it"),
            pytest.param(Bucket.DAY, 5.5, [-17.5, 6.5], id="days of India"),
            pytest.param(Bucket.DAY, 5.75, [-17.75, 6.25], id="days of Nepal"),
            pytest.param(Bucket.WEEK, 0, [-132], id="the 31st of January 2026 lies in a week from the 26th on"),
        ],
    )
    def test_a_series_has_the_buckets_of_the_readers_clocks(
        self, reports: Store, bucket: Bucket, offset: float, starts: list[float]
    ) -> None:
        rows = many(300)
        save(reports, Batch(rows=rows))
        series = overview(reports, bucket=bucket, zone=timezone(timedelta(hours=offset))).series
        assert [(point.at - NOW) / HOUR_MS for point in series] == starts
        for point in series:
            span = Span(max(point.at, DAY.since), min(point.until, DAY.until))
            here = figures(rows, span)
            assert (point.sessions, point.visitors, point.users) == (here.sessions, here.visitors, here.users)

    def test_many_hours_are_counted_as_few_are(self, reports: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        save(reports, Batch(rows=many()))
        assert isinstance(reports, SQLStore)
        hours = [NOW // HOUR_MS * HOUR_MS + number * HOUR_MS for number in range(24)]
        one_by_one = reports.rollups.started_by_hour(hours)
        monkeypatch.setattr(rollups, "_ONE_BY_ONE", 0)
        assert reports.rollups.started_by_hour(hours) == one_by_one
        assert 0 < sum(one_by_one.values()) < len(many())

    def test_a_change_after_a_rollup_is_in_the_next_overview(self, reports: Store) -> None:
        rows = {each.key: each for each in many()}
        save(reports, Batch(rows=list(rows.values())))
        roll_up(reports)
        with reports.records.recording() as recording:
            changed = recording.load(["k0003", "k0050"]).rows
            changed["k0003"].page_views, changed["k0003"].last_seen_at = 9, NOW + DAY_MS
            changed["k0050"].started_at = NOW + 3 * HOUR_MS  # another host knew of an earlier start
            late = row("late", NOW + 5 * HOUR_MS)
            late.visitor_id = "another visitor"
            recording.save(Batch(rows=[*changed.values(), late]))
        rows |= {**changed, "late": late}
        both = Span(NOW, NOW + 2 * DAY_MS)
        for _ in range(2):
            assert overview(reports).figures == figures(list(rows.values()), DAY)
            assert overview(reports, both).figures == figures(list(rows.values()), both), "it left its old hour"
            assert roll_up(reports) < len(rows) // 4, "only what changed"

    def test_long_visits_are_those_with_one_page_and_the_path_behind_most_of_their_heartbeats(
        self, reports: Store
    ) -> None:
        def lasting(key: str, ms: int, *, pages: int = 1, is_manual: bool = False) -> SessionRow:
            made = row(key, NOW, seen=NOW + ms)
            made.page_views, made.is_manual = pages, is_manual
            return made

        def of(event_id: str, key: str, path: str | None, name: str = "session.heartbeat") -> Event:
            own: dict[str, Scalar] = {} if path is None else {"url.path": path}
            return msgspec.structs.replace(event(event_id, key, name=name), attributes=own)

        beats = [("long", "/stats")] * 3 + [("long", "/news")] * 2 + [("long", None)] * 4 + [("short", "/other")] * 9
        save(
            reports,
            Batch(
                rows=[
                    lasting("long", HOUR_MS + 1),
                    lasting("also", 9 * HOUR_MS),
                    lasting("short", HOUR_MS),
                    lasting("read", 2 * HOUR_MS, pages=2),
                    lasting("none", 2 * HOUR_MS, pages=0),
                    lasting("by hand", 2 * HOUR_MS, is_manual=True),
                ],
                events=[
                    *(of(f"b{number}", key, path) for number, (key, path) in enumerate(beats)),
                    *(of(f"p{number}", "long", "/page", name="page_view") for number in range(9)),
                ],
            ),
        )
        visits = reports.report.long_visits()
        assert visits == LongVisits(latest=6, count=2, heartbeats=9, path="/stats", by_path=3)

    def test_an_empty_store_has_no_long_visits(self, reports: Store) -> None:
        assert reports.report.long_visits() == LongVisits(latest=0, count=0, heartbeats=0, path=None, by_path=0)

    def test_erased_and_expired_sessions_are_in_no_figure(self, reports: Store) -> None:
        rows = many()
        save(reports, Batch(rows=rows))
        roll_up(reports)
        person = DataSubject(VISITOR, "v3")
        upto = reports.data_subjects.add_tombstone(person, at=NOW + 9 * DAY_MS)
        place: Place | None = Place(0)
        while place is not None:
            place = reports.data_subjects.erase(person, at=NOW + 9 * DAY_MS, upto=upto, after=place, limit=100).after
        rows = [each for each in rows if each.visitor_id != "v3"]
        assert overview(reports).figures == figures(rows, DAY)
        before = NOW + DAY_MS // 2
        assert reports.maintenance.expire(older_than=before, limit=100, now=NOW) > 0
        left = [each for each in rows if each.is_open or each.last_seen_at >= before]
        assert (remaining := overview(reports).figures).sessions == figures(left, DAY).sessions
        assert remaining.visitors == figures(left, DAY).visitors
