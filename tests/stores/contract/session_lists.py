"""What every store must return to the report about single sessions: lists, one session, one person."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sojourn.core.events import PAGE_VIEW, START, Scalar
from sojourn.stores import Store
from sojourn.stores.model import SESSION, USER, VISITOR, Batch, DataSubject
from sojourn.stores.reporting.filters import Condition, InvalidFilterError, Operator
from sojourn.stores.reporting.model import DAY_MS, Cursor, Filter, SessionPage, Sort, Span
from sojourn.stores.rows import PropertyValue, SessionRow
from sojourn.user_agents.families import client_of

from .reporting import DAY, IPHONE, many, overview, roll_up
from .steps import NOW, ended, event, load, row, save

HOSTILE = "<b>%_\\'\"';--\u202e\x1b[2J" + "x" * 5000

VALUES: dict[Sort, Callable[[SessionRow], int]] = {
    Sort.STARTED: lambda each: each.started_at,
    Sort.SEEN: lambda each: each.last_seen_at,
    Sort.DURATION: lambda each: each.last_seen_at - each.started_at,
    Sort.PAGES: lambda each: each.page_views,
    Sort.EVENTS: lambda each: each.events,
    Sort.ERRORS: lambda each: each.errors,
}


def pages(
    reports: Store, wanted: Filter, *, sort: Sort = Sort.STARTED, is_ascending: bool = False, limit: int = 7
) -> Iterator[SessionPage]:
    """All pages of a list, one after the other."""
    cursor: Cursor | None = None
    while True:
        page = reports.sessions.page(wanted, sort=sort, is_ascending=is_ascending, cursor=cursor, limit=limit)
        yield page
        if page.following is None:
            return
        cursor = Cursor.from_text(page.following.text())
        assert cursor == page.following


def keys(reports: Store, wanted: Filter, *, limit: int = 7) -> set[str]:
    return {line.key for page in pages(reports, wanted, limit=limit) for line in page.lines}


class SessionListsContract:
    """Part of `StoreContract`, which has the fixture; `reports` comes from `ReportingContract`."""

    # --- lists

    @pytest.mark.parametrize("is_ascending", [False, True], ids=["descending", "ascending"])
    @pytest.mark.parametrize("sort", list(Sort))
    def test_pages_go_through_all_sessions_in_order_and_back(
        self, reports: Store, sort: Sort, *, is_ascending: bool
    ) -> None:
        rows = many()
        save(reports, Batch(rows=rows))
        value = VALUES[sort]
        ordered = sorted(rows, key=lambda each: (value(each), each.started_at, each.key), reverse=not is_ascending)
        for wanted in (
            Filter(),
            Filter(span=DAY),
            Filter.of("state=open"),
            Filter.of("state=closed"),
            Filter.of("errors=1.."),
        ):
            expected = [
                each.key
                for each in ordered
                if (wanted.span is None or DAY.since <= each.started_at < DAY.until)
                and (wanted.is_open is None or wanted.is_open is each.is_open)
                and (wanted.condition("errors") is None or each.errors)
            ]
            there = list(pages(reports, wanted, sort=sort, is_ascending=is_ascending))
            assert [line.key for page in there for line in page.lines] == expected
            assert there[0].preceding is None
            back, cursor = [there[-1]], there[-1].preceding
            while cursor is not None:
                back.insert(
                    0, reports.sessions.page(wanted, sort=sort, is_ascending=is_ascending, cursor=cursor, limit=7)
                )
                cursor = back[0].preceding
            assert [[line.key for line in page.lines] for page in back] == [
                [line.key for line in page.lines] for page in there
            ]

    def test_a_cursor_stays_right_when_sessions_come_and_go(self, reports: Store) -> None:
        rows = many(20)
        save(reports, Batch(rows=rows))
        first = reports.sessions.page(Filter(), limit=5)
        save(reports, Batch(rows=[row("new", NOW + 9 * DAY_MS)]))
        second = reports.sessions.page(Filter(), cursor=first.following, limit=5)
        assert [line.key for line in first.lines + second.lines] == [f"k{n:04}" for n in range(19, 9, -1)]

    @pytest.mark.parametrize("text", ["", "f", "f.1.2", "f.x.2.k", "x.1.2.k", "f.1.99999999999999999999.k", "f.1.2."])
    def test_invalid_cursor_text_is_none(self, text: str) -> None:
        assert Cursor.from_text(text) is None

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            pytest.param(Filter(), {"a", "b", "c"}, id="all"),
            pytest.param(Filter(span=Span(NOW, NOW + 1)), {"a"}, id="span"),
            pytest.param(Filter.of("state=open"), {"b", "c"}, id="open"),
            pytest.param(Filter.of("state=closed"), {"a"}, id="closed"),
            pytest.param(Filter.of("user=anna"), {"a", "b"}, id="user"),
            pytest.param(Filter.of("visitor=v-c"), {"c"}, id="visitor"),
            pytest.param(Filter.of("user=anna", "state=open"), {"b"}, id="open sessions of a user"),
            pytest.param(Filter.of("entry=/in"), {"a", "b"}, id="entry path"),
            pytest.param(Filter.of("entry=/i"), set(), id="a part of an entry path"),
            pytest.param(Filter.of("entry=/i*"), {"a", "b"}, id="beginning of an entry path"),
            pytest.param(Filter.of("entry=/I*"), set(), id="paths have upper and lower case"),
            pytest.param(Filter.of("browser=Firefox"), {"a", "b"}, id="browser"),
            pytest.param(Filter.of("browser=Firefox", "utm_source=ma*"), {"b"}, id="two dimensions"),
            pytest.param(
                Filter(conditions=(Condition("system", Operator.IS, ""),)), set(), id="a dimension without a value"
            ),
            pytest.param(Filter.of("path=/Straße/日本"), {"b"}, id="a path that was seen"),
            pytest.param(Filter.of("path=/Str*"), {"b"}, id="beginning of a path that was seen"),
            pytest.param(Filter.of("path=/tracked"), set(), id="only page views see"),
            pytest.param(Filter.of("prop.plan=pro"), {"a"}, id="text property"),
            pytest.param(Filter.of("prop.paid=true"), {"a"}, id="bool property"),
            pytest.param(Filter.of("prop.seats=3"), {"a", "b"}, id="number, whole or not"),
            pytest.param(Filter.of("prop.rate=0.5"), {"a"}, id="fraction"),
            pytest.param(Filter.of("prop.none=1"), set(), id="no such property"),
            pytest.param(
                Filter(conditions=(Condition("prop.", Operator.IS, "1", "x\"]') --"),)),
                set(),
                id="no name of a property",
            ),
            pytest.param(Filter.of("errors=1.."), {"c"}, id="errors"),
            pytest.param(Filter.of("reason=idle_timeout"), {"a"}, id="reason"),
            pytest.param(Filter.of("reason=ended"), set(), id="another reason"),
            pytest.param(Filter(text="ANN"), {"a", "b"}, id="text in a user id"),
            pytest.param(Filter(text="id-b"), {"b"}, id="text in a session id"),
            pytest.param(Filter(text="search.ex"), {"c"}, id="text in a referrer"),
            pytest.param(Filter(text="%"), {"c"}, id="a percent sign is one"),
            pytest.param(Filter(text="_\\"), {"c"}, id="so are underscore and backslash"),
            pytest.param(Filter(text="'; DROP TABLE sojourn_sessions; --"), set(), id="text that would be a statement"),
            pytest.param(Filter(text=HOSTILE), {"c"}, id="hostile text is found as it is"),
            pytest.param(
                Filter(conditions=(Condition("entry", Operator.IS, "\x00\ud800"),)), set(), id="what no database keeps"
            ),
            pytest.param(
                Filter.of("user=anna", "entry=/in", "state=closed", span=DAY, text="anna"),
                {"a"},
                id="all of it has to hold",
            ),
        ],
    )
    @pytest.mark.parametrize("sort", [Sort.STARTED, Sort.PAGES])
    def test_a_filter_finds(self, reports: Store, wanted: Filter, found: set[str], sort: Sort) -> None:
        a, b, c = ended(row("a", NOW), "e"), row("b", NOW + 1), row("c", NOW + 2)
        a.visitor_id, b.visitor_id, c.visitor_id = "v-a", "v-b", "v-c"
        a.user_id = b.user_id = "anna"
        a.entry_path = b.entry_path = "/in"
        a.browser = b.browser = "Firefox"
        b.utm_source = "mail"
        a.properties = {
            f"session_properties.{name}": PropertyValue(value, NOW, "r")
            for name, value in (("plan", "pro"), ("paid", True), ("seats", 3), ("rate", 0.5))
        }
        b.properties = {"session_properties.seats": PropertyValue(3.0, NOW, "r")}
        c.errors, c.referrer, c.user_name = 1, "https://search.example/", HOSTILE
        tracked = event("t", "c", name="added")
        tracked.attributes["url.path"] = "/tracked"  # type: ignore[index]
        save(reports, Batch(rows=[a, b, c], events=[event("seen", "b", name=PAGE_VIEW), tracked]))
        assert {line.key for line in reports.sessions.page(wanted, sort=sort).lines} == found
        assert keys(reports, wanted, limit=1) == found
        assert {line.key for part in reports.sessions.export(wanted) for line in part} == found

    @pytest.mark.parametrize(
        ("texts", "found"),
        [
            pytest.param(["browser!=Firefox"], "bc", id="another value or none"),
            pytest.param(["browser=(none)"], "c", id="no value"),
            pytest.param(["browser!=(none)"], "ab", id="any value"),
            pytest.param(["browser~=FIRE"], "a", id="part of a value, of either case"),
            pytest.param(["browser~=ﬁre"], "", id="letters beyond ASCII are compared as they are"),
            pytest.param(["browser~=%"], "", id="a percent sign is one"),
            pytest.param(["browser!=Fire*"], "bc", id="not the beginning of a value"),
            pytest.param(["browser~=f", "browser~=o"], "ab", id="two parts"),
            pytest.param(["user~=MARIA"], "a", id="part of a user's name"),
            pytest.param(["user~=u-"], "a", id="part of a user's id"),
            pytest.param(["user!=u-1"], "bc", id="other users"),
            pytest.param(["visitor!=v-a"], "bc", id="other visitors"),
            pytest.param(["identified=yes"], "a", id="identified"),
            pytest.param(["identified!=yes"], "bc", id="not identified"),
            pytest.param(["state!=open"], "a", id="not open"),
            pytest.param(["state=closed", "state=closed"], None, id="the same twice"),
            pytest.param(["reason!=idle_timeout"], "bc", id="not that reason"),
            pytest.param(["pages=2.."], "ab", id="at least"),
            pytest.param(["pages=..2"], "bc", id="at most"),
            pytest.param(["pages=2"], "b", id="exactly"),
            pytest.param(["pages!=2..3"], "c", id="not within"),
            pytest.param(["duration=1m..5m"], "a", id="duration"),
            pytest.param(["duration=0s"], "bc", id="no duration"),
            pytest.param(["errors!=0"], "b", id="errors"),
            pytest.param(["events=2.."], "c", id="tracked events"),
            pytest.param(["path=/one"], "ab", id="viewed page"),
            pytest.param(["path!=/one"], "c", id="page that was not viewed"),
            pytest.param(["path=/one", "path=/two"], "a", id="two viewed pages"),
            pytest.param(["path~=TW"], "a", id="part of a viewed page"),
            pytest.param(["path!=/t*"], "bc", id="no page below"),
            pytest.param(["route=/{n}"], "b", id="route"),
            pytest.param(["event=order"], "bc", id="event"),
            pytest.param(["event!=order"], "a", id="no such event"),
            pytest.param(["event~=ORD"], "bc", id="part of an event's name"),
            pytest.param(["event=order", "event.currency=EUR"], "b", id="event and its property"),
            pytest.param(["event=order", "event.currency!=EUR"], "c", id="event with another property"),
            pytest.param(["event=order", "event.total=10"], "bc", id="number, whole or not"),
            pytest.param(["event=order", "event.gift=true"], "b", id="truth value"),
            pytest.param(["event=order", "event.gift=(none)"], "c", id="event without the property"),
            pytest.param(["event=order", "event.total=10", "event.currency=EUR"], "b", id="both of one event"),
            pytest.param(["event=page_view", "event.currency=EUR"], "", id="property of another event"),
            pytest.param(["event=x' OR '1'='1"], "", id="text that would be a condition"),
            pytest.param(["prop.plan!=pro"], "bc", id="another property or none"),
            pytest.param(["prop.plan~=PR"], "a", id="part of a property"),
            pytest.param(["prop.plan=(none)"], "bc", id="without the property"),
        ],
    )
    def test_each_operator_of_each_kind_of_field(self, reports: Store, texts: list[str], found: str | None) -> None:
        if found is None:
            with pytest.raises(InvalidFilterError):
                Filter.of(*texts)
            return
        a, b, c = ended(row("a", NOW, seen=NOW + 90_000), "e"), row("b", NOW + 1), row("c", NOW + 2)
        for each in (a, b, c):
            each.visitor_id = f"v-{each.key}"
        a.user_id, a.user_name = "u-1", "Maria"
        a.browser, b.browser = "Firefox", "Opera of"
        a.page_views, b.page_views, c.page_views = 3, 2, 1
        b.errors, b.tracked_events, c.tracked_events = 2, 1, 2
        a.properties = {"session_properties.plan": PropertyValue("pro", NOW, "r")}
        events = [
            event("1", "a", name=PAGE_VIEW, attributes={"url.path": "/one"}),
            event("2", "a", name=PAGE_VIEW, attributes={"url.path": "/two"}),
            event("3", "b", name=PAGE_VIEW, attributes={"url.path": "/one", "http.route": "/{n}"}),
            event(
                "4",
                "b",
                name="order",
                attributes={
                    "event_properties.currency": "EUR", "event_properties.total": 10, "event_properties.gift": True,
                },
            ),
            event("5", "c", name="order", attributes={"event_properties.currency": "USD", "event_properties.total": 10.0}),
            event("6", "c", name="other", attributes={"event_properties.currency": "EUR"}),
        ]  # fmt: skip
        save(reports, Batch(rows=[a, b, c], events=events))
        assert keys(reports, Filter.of(*texts)) == set(found)

    def test_line_has_every_field_of_the_table(self, reports: Store) -> None:
        made = row("k", NOW, seen=NOW + 65_000)
        made.user_id, made.user_name = HOSTILE, "Anna"
        made.browser, made.system, made.device = client_of(IPHONE)
        made.page_views, made.events, made.errors, made.requests = 2, 3, 1, 4
        made.client_errors, made.tracked_events = 5, 6
        made.entry_path, made.exit_path, made.referrer = "/in", "/out", "https://search.example/"
        first, last = event("1", "k"), event("2", "k", at=NOW + 60_000)
        last.attributes["url.path"] = "/out"  # type: ignore[index]
        save(reports, Batch(rows=[made], events=[first, last, event("3", "k", name="session.heartbeat")]))
        (line,) = reports.sessions.page(Filter()).lines
        assert (line.key, line.session_id, line.visitor_id, line.user_id) == ("k", "id-k", "visitor", HOSTILE)
        assert (line.user_name, line.is_open, line.duration_ms) == ("Anna", True, 65_000)
        assert (line.page_views, line.events, line.errors, line.requests) == (2, 3, 1, 4)
        assert (line.client_errors, line.tracked_events) == (5, 6)
        assert (line.entry_path, line.exit_path, line.referrer) == ("/in", "/out", "https://search.example/")
        assert (line.browser, line.system, line.device) == ("Safari", "iOS", "phone")

    def test_changes_of_what_is_shown(self, reports: Store) -> None:
        rows = many(20)
        save(reports, Batch(rows=rows))
        changes = reports.sessions.changes(
            Filter(), shown=["k0001", "gone", "k0002"], started_after=rows[15].started_at
        )
        assert {line.key for line in changes.lines} == {"k0001", "k0002"}
        assert changes.newer == 4
        only = Filter.of("state=open", span=Span(NOW, NOW + 2 * DAY_MS))
        assert reports.sessions.changes(only, shown=[], started_after=rows[15].started_at).newer == 1

    def test_an_export_has_all_sessions_once_latest_first(self, reports: Store) -> None:
        rows = many(1203)
        save(reports, Batch(rows=rows))
        parts = list(reports.sessions.export(Filter(), limit=None))
        assert max(map(len, parts)) <= 500, "a part is a transaction: short"
        assert [line.key for part in parts for line in part] == [each.key for each in reversed(rows)]
        assert sum(map(len, reports.sessions.export(Filter(), limit=703))) == 703

    # --- one session

    def test_a_session_by_its_key_or_public_id(self, reports: Store) -> None:
        rows = [row("k1", NOW), row("k2", NOW + 1), row("k3", NOW + 2), row("k4", NOW + 3)]
        rows[1].session_id = rows[3].session_id = "1234567890"
        rows[2].visitor_id = "another"
        save(reports, Batch(rows=rows))
        found = reports.sessions.detail("k2")
        assert found is not None
        assert (found.row, found.line.key, found.same_id) == (rows[1], "k2", 2)
        assert (found.previous_key, found.next_key) == ("k1", "k4")
        latest = reports.sessions.detail("1234567890")
        assert latest is not None
        assert (latest.row.key, latest.previous_key, latest.next_key) == ("k4", "k2", None)
        for unknown in ("", "k9", HOSTILE, "\x00"):
            assert reports.sessions.detail(unknown) is None

    def test_a_timeline_goes_page_by_page(self, reports: Store) -> None:
        events = [event(f"e{number}", "k", at=NOW + number) for number in range(5)]
        save(reports, Batch(rows=[row("k")], events=[*events, event("other", "k2")]))
        first = reports.log.timeline("k", limit=3)
        assert ([each.id for each in first.events], first.total) == (["e0", "e1", "e2"], 5)
        assert first.following is not None
        rest = reports.log.timeline("k", limit=3, after=first.following)
        assert ([each.id for each in rest.events], rest.following) == (["e3", "e4"], None)
        assert reports.log.timeline("nothing").total == 0

    def test_the_latest_events_come_in_the_order_of_the_log(self, reports: Store) -> None:
        save(reports, Batch(events=[event(f"e{n}") for n in range(5)]))
        last = reports.log.latest(limit=2)
        assert [each.id for each in last] == ["e3", "e4"]
        assert [each.id for each in reports.log.latest(before=last[0].position, limit=9)] == ["e0", "e1", "e2"]
        assert reports.log.latest(before=START, limit=9) == []

    def test_an_event_leads_to_its_session(self, reports: Store) -> None:
        save(reports, Batch(rows=[row("k")], events=[event("e0", "k"), event("e1", "k")]))
        found = reports.log.place_of("e1")
        assert found is not None
        assert found.session_key == "k"
        assert [each.id for each in reports.log.timeline("k", after=found.before).events] == ["e1"]
        assert reports.log.place_of(HOSTILE) is None

    # --- one person

    def test_a_person_over_all_sessions(self, reports: Store) -> None:
        rows = many()
        for each in rows:
            if each.user_id == "u1" and each.started_at < NOW + DAY_MS:
                each.user_name, each.user_traits = f"Anna {each.key}", {"plan": each.key}
        save(reports, Batch(rows=rows))
        mine = [each for each in rows if each.user_id == "u1"]
        named = [each for each in mine if each.user_name]
        found = reports.report.person(DataSubject(USER, "u1"))
        assert found is not None
        assert (found.name, found.traits) == (named[-1].user_name, named[-1].user_traits)
        assert (found.first_seen_at, found.last_seen_at) == (
            mine[0].started_at,
            max(each.last_seen_at for each in mine),
        )
        assert (found.sessions, found.open_sessions) == (len(mine), sum(each.is_open for each in mine))
        assert found.page_views == sum(each.page_views for each in mine)
        assert found.events == sum(each.events for each in mine)
        assert found.errors == sum(each.errors for each in mine)
        assert found.client_errors == sum(each.client_errors for each in mine)
        assert found.duration_ms == sum(each.last_seen_at - each.started_at for each in mine)
        assert [other.id for other in found.others] == list(dict.fromkeys(each.visitor_id for each in reversed(mine)))
        assert found.other_count == len(found.others)
        for other in found.others:
            shared = [each for each in mine if each.visitor_id == other.id]
            assert (other.sessions, other.page_views, other.first_seen_at, other.last_seen_at) == (
                len(shared),
                sum(each.page_views for each in shared),
                shared[0].started_at,
                max(each.last_seen_at for each in shared),
            )
            assert (other.browser, other.system, other.device) == (
                shared[-1].browser,
                shared[-1].system,
                shared[-1].device,
            )
        visitor = reports.report.person(DataSubject(VISITOR, "v5"))
        assert visitor is not None
        assert {other.id for other in visitor.others} == {
            each.user_id for each in rows if each.visitor_id == "v5" and each.user_id
        }
        for unknown in (DataSubject(USER, HOSTILE), DataSubject(VISITOR, ""), DataSubject(SESSION, mine[0].key)):
            assert reports.report.person(unknown) is None

    def test_a_person_with_many_browsers_shows_the_latest_and_counts_all(self, reports: Store) -> None:
        rows = many(25)
        for number, each in enumerate(rows):
            each.user_id, each.visitor_id = "u-many", f"browser-{number:02}"
        save(reports, Batch(rows=rows))
        found = reports.report.person(DataSubject(USER, "u-many"))
        assert found is not None
        assert [other.id for other in found.others] == [f"browser-{number:02}" for number in range(24, 4, -1)]
        assert found.other_count == 25

    def test_what_the_report_reads_changes_nothing(self, reports: Store) -> None:
        rows = many(10)
        save(reports, Batch(rows=rows))
        before = load(reports, *(each.key for each in rows)).rows
        roll_up(reports)
        overview(reports)
        assert keys(reports, Filter(text="u")) == {each.key for each in rows if each.user_id}
        assert load(reports, *before).rows == before

    # --- the history of a visitor

    def test_the_history_of_a_visitor_has_their_sessions_and_the_apps_own_events(self, store: Store) -> None:
        other = row("other")
        other.visitor_id = "another"
        late = ended(row("late", NOW + 5), "e")
        late.logouts, late.page_views, late.source, late.utm_campaign, late.user_id = 1, 2, "Direct", "sale", "anna"
        bought: dict[str, Scalar] = {
            "event_properties.sku": "it's \\ 1",
            "event_properties.n": 2,
            "session_properties.plan": "pro",
        }
        save(
            store,
            Batch(
                rows=[row("early"), late, other],
                events=[
                    event("1", "late", NOW + 6, "purchase", attributes=bought),
                    event("2", "late", NOW + 7),
                    event("3", "late", NOW + 8, "review", attributes={}),
                    event("4", "other", NOW + 9, "purchase", attributes=bought, visitor_id="another"),
                ],
            ),
        )
        latest, first = store.history.of_visitor("visitor", limit=5)
        assert (latest.logouts, latest.session.id, latest.session.is_open) == (1, "id-late", False)
        assert (latest.session.source, latest.session.campaign, latest.session.user_id) == ("Direct", "sale", "anna")
        assert [(each.name, each.at, each.properties) for each in latest.session.events] == [
            ("review", NOW + 8, {}),
            ("purchase", NOW + 6, {"sku": "it's \\ 1", "n": 2}),
        ]
        assert (first.session.id, first.session.is_open, first.session.events) == ("id-early", True, ())
        assert store.history.of_visitor("visitor", limit=1) == [latest]
        assert store.history.of_visitor("x' OR 1=1 --\x00\ud800", limit=5) == []
        save(store, Batch(opted_out={"visitor": NOW}))
        assert store.history.of_visitor("visitor", limit=5) == []
