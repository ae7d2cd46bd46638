"""The pure parts: formatting, ranges, filters, charts, rates and the rate limit of log-ins. Tables and laws."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta, timezone
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import escape

from sojourn.core.events import Event
from sojourn.core.rates import TokenBucket
from sojourn.core.session import EndReason
from sojourn.health import formatting
from sojourn.report import _charts, _filters, _formatting, _ranges, _saved_views, _timeline
from sojourn.report._attempts import OWN, Attempts
from sojourn.report._links import Params
from sojourn.report._measures import MEASURES, Measure
from sojourn.report._moments import Moments
from sojourn.report._parameters import Parameters
from sojourn.report._rates import Rates
from sojourn.report._web import base_of
from sojourn.stores.reporting.filters import FIELDS
from sojourn.stores.reporting.model import DAY_MS, HOUR_MS, Bucket, Cursor, Point, Release, Sort, Span

NOW = 1_763_700_123_456  # 21 Nov 2025, 04:42:03 UTC
UTC = Moments(NOW)
DELHI = Moments(NOW, ZoneInfo("Asia/Kolkata"))

# --- text


@given(st.text())
def test_visible_text_has_no_hidden_characters(text: str) -> None:
    shown = _formatting.visible(text)
    hidden = {char for char in shown if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert hidden <= {"\u200c", "\u200d"}


@given(st.text(), st.integers(2, 80))
def test_short_text_is_isolated_cut_and_escaped(text: str, longest: int) -> None:
    markup = str(_formatting.short(text, longest))
    assert re.fullmatch(r'(<bdi( title="[^"<>]*")?>[^<>]*</bdi>)|<span class="none">—</span>', markup, re.DOTALL)
    if text:
        inner = html.unescape(re.sub(r"^<[^>]*>|</bdi>$", "", markup))
        assert inner == _formatting.visible(text) or inner.endswith("…")


@given(st.text())
def test_full_text_is_complete_and_escaped(text: str) -> None:
    markup = str(_formatting.full(text))
    assert not re.findall(r"<(?!/?(details|summary|bdi|small|pre)\b)", markup)
    assert any(str(escape(_formatting.visible(text, keeps_lines=kept))) in markup for kept in (False, True))


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (None, "—"), (0, "0 s"), (340, "340 ms"), (1000, "1 s"), (1500, "1.5 s"), (59_999, "59 s"), (60_000, "1 m"),
        (61_000, "1 m 1 s"), (3_600_000, "1 h"), (3_660_500, "1 h 1 m"), (90_061_000, "1 d 1 h"), (-5, "0 s"),
    ],
)  # fmt: skip
def test_span(milliseconds: int | None, shown: str) -> None:
    assert _formatting.span(milliseconds) == shown


@pytest.mark.parametrize(
    ("milliseconds", "shown"), [(0, "0:00"), (65_000, "1:05"), (3_725_000, "1:02:05"), (-1, "0:00")]
)
def test_clock(milliseconds: int, shown: str) -> None:
    assert _formatting.clock(milliseconds) == shown


@pytest.mark.parametrize(
    ("milliseconds", "shown"), [(0, "now"), (4_999, "now"), (5_000, "5 s ago"), (3_600_000, "1 h ago"), (-9, "now")]
)
def test_ago(milliseconds: int, shown: str) -> None:
    assert formatting.ago(milliseconds) == shown


@pytest.mark.parametrize(
    ("moments", "at", "shown"),
    [
        pytest.param(UTC, NOW, "04:42:03", id="today"),
        pytest.param(UTC, NOW - DAY_MS, "20 Nov 04:42", id="yesterday"),
        pytest.param(DELHI, NOW, "10:12:03", id="elsewhere"),
        pytest.param(DELHI, NOW - 11 * HOUR_MS, "20 Nov 23:12", id="yesterday elsewhere"),
        pytest.param(UTC, NOW - 400 * DAY_MS, "17 Oct 2024 04:42", id="another year"),
    ],
)
def test_short_moment(moments: Moments, at: int, shown: str) -> None:
    assert moments.short(at) == shown


# --- ranges


@pytest.mark.parametrize("name", _ranges.PRESETS)
@given(now=st.integers(DAY_MS * 800, 4_000_000_000_000), quarters=st.integers(-56, 56))
def test_preset_ends_now_in_whole_hours(name: str, now: int, quarters: int) -> None:
    chosen = _ranges.preset(name, Moments(now, timezone(timedelta(minutes=15 * quarters))))
    assert chosen.span.until % HOUR_MS == 0
    assert chosen.span.since % (HOUR_MS if name != "today" else HOUR_MS // 4) == 0
    assert chosen.span.since <= now < chosen.span.until
    points = (chosen.span.until - chosen.span.since) / chosen.bucket
    assert points <= 122


@pytest.mark.parametrize(
    ("query", "span"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"since": "x", "until": "y"}, None, id="garbage"),
        pytest.param(
            {"since": "2025-11-20T00:00Z", "until": "2025-11-21T00:00Z"}, (1763596800000, 1763683200000), id="a day"
        ),
        pytest.param({"since": "2025-11-21T00:00Z", "until": "2025-11-20T00:00Z"}, None, id="ends before it begins"),
        pytest.param({"since": "0001-01-01T00:00", "until": "9999-12-31T23:59"}, None, id="all of time"),
        pytest.param({"since": "2025-11-20T00:20Z"}, (1763597700000, 1763701200000), id="until now, from a quarter on"),
    ],
)
def test_custom_range(query: dict[str, str], span: tuple[int, int] | None) -> None:
    chosen = _ranges.from_query(Parameters.of(query), UTC)
    assert (None if chosen is None else (chosen.span.since, chosen.span.until)) == span


@given(st.integers(0, 1_000_000), st.integers(1, 5_000))
def test_range_survives_its_url(since: int, hours: int) -> None:
    span = Span(since * HOUR_MS, (since + hours) * HOUR_MS)
    there = _ranges.custom(span, DELHI)
    back = _ranges.from_query(Parameters.of(there.query), DELHI)
    assert back is not None
    assert back.span == span


# --- filters


def parsed(query: Params) -> _filters.SessionQuery:
    return _filters.parse_query(Parameters.of(query), UTC)


VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40).map(str.strip)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "q": VALUES, "user": VALUES, "visitor": VALUES, "entry": VALUES, "path": VALUES, "prop": VALUES,
            "value": VALUES, "browser!": VALUES, "event": VALUES, "event.x~": VALUES, "prop.y": VALUES,
            "reason": st.sampled_from([*EndReason]), "errors": st.sampled_from(["1..", "0", "-1"]),
            "state": st.sampled_from(["open", "x"]), "sort": st.sampled_from([*Sort, "x"]), "dir": st.sampled_from(["up", "x"]),
            "range": st.sampled_from([*_ranges.PRESETS, "x"]), "at": st.text(max_size=20),
            "measure": st.sampled_from(["errors", "x"]), "interval": st.sampled_from(["week", "x"]),
        },
    )
)  # fmt: skip
@example({"prop": "plan"})
def test_params_of_a_query_parse_to_the_same_query(query: dict[str, str]) -> None:
    first = parsed(query)
    params = {**first.which.params, **first.own}
    again = parsed(params)
    assert (again.which, again.sort, again.is_ascending) == (first.which, first.sort, first.is_ascending)
    for chip in first.which.chips + first.which.range_chip:
        fewer = parsed(chip.without).which
        assert len(fewer.chips + fewer.range_chip) < len(first.which.chips + first.which.range_chip)
    urlencode(params, doseq=True)


PARAMS = st.one_of(
    st.fixed_dictionaries({}, optional={"range": st.sampled_from(["7d", "30d"])}),
    st.fixed_dictionaries({}, optional={"since": st.sampled_from(["a", "b"]), "until": st.sampled_from(["a", "b"])}),
).flatmap(
    lambda range_: st.fixed_dictionaries(
        {},
        optional={
            "q": st.sampled_from(["x", "y"]), "browser": st.sampled_from(["x", "y"]), "browser!": st.just("x"),
            "event": st.sampled_from(["x", ("x", "y"), ("y", "x")]), "measure": st.sampled_from(["errors", "users"]),
            "interval": st.sampled_from(["hour", "week"]),
        },
    ).map(lambda other: {**range_, **other})
)  # fmt: skip


@given(PARAMS, PARAMS)
def test_what_an_address_has_beside_a_view_means_what_was_wanted(saved: dict[str, str], wanted: dict[str, str]) -> None:
    more = _saved_views.beside(saved, wanted)
    parameters = Parameters.of_query(urlencode(more, doseq=True))
    kept = _saved_views.remaining(saved, parameters.given)
    filled = {name: value for name, value in more.items() if value != ("",)}
    assert {**kept, **filled} == wanted
    assert not set(kept) & set(filled)
    assert _saved_views.beside(saved, saved) == {}


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *FIELDS,
                *(f"{name}{sign}" for name in FIELDS for sign in "!~x"),
                "q",
                "at",
                "since",
                "until",
                "range",
                "value",
            ]
        ),
        st.text(),
    )
)
def test_any_url_parses(query: dict[str, str]) -> None:
    parsed(query)


def test_cursor_survives_its_url() -> None:
    cursor = Cursor(7, 8, "key")
    assert parsed({"at": cursor.text()}).cursor == cursor


# --- charts


def day_points(day: int, counts: list[int]) -> list[Point]:
    return [
        Point(day + number * DAY_MS, day + (number + 1) * DAY_MS, count, count, 1, count, count // 2, 0, count * 1000)
        for number, count in enumerate(counts)
    ]


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@given(values=st.lists(st.tuples(*[st.integers(0, 10**9)] * 7), max_size=130))
def test_bars_lie_within_the_chart(measure: Measure, values: list[tuple[int, int, int, int, int, int, int]]) -> None:
    span = Span(NOW // DAY_MS * DAY_MS - len(values) * DAY_MS, NOW // DAY_MS * DAY_MS + HOUR_MS)
    points = [
        Point(at, at + DAY_MS, sessions, visitors, users, visits, min(bounces, visits), errors, median)
        for at, (sessions, visitors, users, visits, bounces, errors, median) in zip(
            range(span.since, span.until, DAY_MS), values, strict=False
        )
    ]
    chart = _charts.chart(points, span, Bucket.DAY, UTC, measure=measure, before=points[::-1])
    for bar in chart.bars:
        assert 0 <= bar.x < bar.x + bar.width <= 100.01
        assert 0 <= bar.y <= _charts.HEIGHT
        assert bar.y + bar.height == pytest.approx(_charts.HEIGHT, abs=0.11)
        assert span.since <= bar.since < bar.until
    for pair in chart.before.split():
        assert all(-0.01 <= float(number) <= 100.01 for number in pair.split(","))


@pytest.mark.parametrize(
    ("counts", "places"),
    [
        pytest.param([0, 0, 3, 0, 2], [2, 3, 4], id="before anything was recorded"),
        pytest.param([4, 0, 3, 0, 2], [0, 1, 2, 3, 4], id="from the first bucket on"),
        pytest.param([0, 0, 0, 0, 0], [], id="nothing"),
    ],
)
def test_the_line_of_the_period_before_begins_with_the_first_data(counts: list[int], places: list[int]) -> None:
    day = NOW // DAY_MS * DAY_MS
    points = day_points(day, [1, 1, 1, 1, 1])
    later = Moments(day + 9 * DAY_MS)
    before = day_points(day - 5 * DAY_MS, counts)
    chart = _charts.chart(points, Span(day, day + 5 * DAY_MS), Bucket.DAY, later, before=before)
    assert [int(float(pair.partition(",")[0]) // 20) for pair in chart.before.split()] == places
    assert [bar.before is not None for bar in chart.bars] == [place in places for place in range(5)]


def test_incomplete_buckets_are_marked() -> None:
    day = NOW // DAY_MS * DAY_MS
    span = Span(day - 2 * DAY_MS + 5 * HOUR_MS, day + 5 * HOUR_MS)
    chart = _charts.chart(day_points(day - 2 * DAY_MS, [4, 4, 4]), span, Bucket.DAY, UTC)
    assert [bar.is_partial for bar in chart.bars] == [True, False, True]


def test_releases_are_marked_where_they_began() -> None:
    day = NOW // DAY_MS * DAY_MS
    releases = [Release("1", day - 1), Release("2", day + DAY_MS // 2), Release("3", day + DAY_MS // 2 + HOUR_MS)]
    releases.append(Release("4", day + 4 * DAY_MS - 1))
    span = Span(day, day + 4 * DAY_MS)
    chart = _charts.chart(day_points(day, [1, 1, 1, 1]), span, Bucket.DAY, UTC, releases=releases)
    assert [(mark.version, mark.at) for mark in chart.marks] == [("2", 12.5), ("3", 13.54), ("4", 100.0)]
    assert [(mark.has_label, mark.is_late) for mark in chart.marks] == [(True, False), (False, False), (True, True)]


@pytest.mark.parametrize(
    ("name", "greatest", "labels"),
    [
        pytest.param("sessions", 0, ["1"], id="nothing"),
        pytest.param("sessions", 7, ["4", "8"], id="few"),
        pytest.param("duration", 90_000, ["1 m", "2 m"], id="minutes"),
        pytest.param("duration", 20_000, ["10 s", "20 s"], id="seconds"),
        pytest.param("bounce", 0.93, ["50 %", "100 %"], id="a share is at most all"),
    ],
)
def test_the_scale_is_a_round_number(name: str, greatest: float, labels: list[str]) -> None:
    measure = MEASURES[name]
    top = measure.ceiling(greatest)
    day = NOW // DAY_MS * DAY_MS
    point = Point(day, day + DAY_MS, round(greatest), 0, 0, 100, round(greatest * 100), 0, round(greatest))
    chart = _charts.chart([point], Span(day, day + DAY_MS), Bucket.DAY, UTC, measure=measure)
    assert [tick.label for tick in chart.across] == labels
    assert top >= greatest


# --- rates and attempts


def test_rate_is_a_counters_growth_per_minute() -> None:
    rates = Rates()
    assert rates.sample("a", 0, 100, 100) is None
    assert rates.sample("a", 30_000, 160, 220) == (120.0, 240.0)
    assert rates.sample("b", 30_000, 1, 1) is None
    for at in range(60_000, 700_000, 5_000):
        last = rates.sample("a", at, 160, 220)
    assert last == (0.0, 0.0)  # samples older than five minutes are dropped


class Notes(dict[str, int]):
    """Moments in memory: what the shared table is to the report."""

    def entry(self, name: str) -> Note:
        return Note(self, name)


@dataclass
class Note:
    notes: Notes
    name: str

    @property
    def moment(self) -> int:
        return self.notes.get(self.name, 0)

    def put_moment(self, at: int) -> None:
        self.notes[self.name] = at


def new_attempts(own: TokenBucket = OWN) -> Attempts:
    return Attempts(moments=Notes().entry, own=own)


def test_attempts_refill_one_by_one() -> None:
    attempts = new_attempts()
    assert [attempts.take("192.0.2.1", NOW) for _ in range(5)] == [0] * 5
    assert attempts.take("192.0.2.1", NOW) == 30_000
    assert attempts.take("192.0.2.2", NOW) == 0
    assert attempts.take("192.0.2.1", NOW + 31_000) == 0
    assert attempts.take("192.0.2.1", NOW + 32_000) == 28_000


def test_attempts_are_not_lost_when_the_clock_is_set_back() -> None:
    attempts = new_attempts()
    assert [attempts.take("192.0.2.1", NOW + DAY_MS) for _ in range(5)] == [0] * 5
    assert attempts.take("192.0.2.1", NOW) == 30_000  # empty for as long as a bucket can be, not for a day


def test_successful_attempt_is_given_back() -> None:
    attempts = new_attempts()
    for _ in range(4):
        attempts.take("192.0.2.1", NOW)
    for _ in range(100):
        assert attempts.take("192.0.2.1", NOW) == 0
        attempts.succeeded("192.0.2.1")
    assert [attempts.take("192.0.2.1", NOW) for _ in range(2)] == [0, 30_000]
    assert [attempts.take(f"198.51.100.{n}", NOW) for n in range(56)] == [0] * 55 + [2_000]


def test_browser_that_logged_in_before_has_attempts_of_its_own() -> None:
    attempts = new_attempts()
    for number in range(100):
        attempts.take(f"198.51.100.{number}", NOW)
    assert attempts.take("192.0.2.1", NOW) == 2_000
    assert [attempts.take("192.0.2.1", NOW, browser="b") for _ in range(6)] == [0] * 5 + [2_000]
    attempts.succeeded("192.0.2.1", browser="b")
    assert [attempts.take("192.0.2.1", NOW, browser="b") for _ in range(2)] == [0, 2_000]


@pytest.mark.parametrize(
    ("first", "second", "is_shared"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        (None, "no address", True),
    ],
)
def test_addresses_of_one_network_share_attempts(first: str | None, second: str | None, is_shared: bool) -> None:
    attempts = new_attempts(TokenBucket(size=1, every=30_000))
    attempts.take(first, NOW)
    assert (attempts.take(second, NOW) != 0) is is_shared


def test_refused_attempts_take_no_memory() -> None:
    notes = Notes()
    attempts = Attempts(moments=notes.entry)
    waits = [attempts.take(f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", NOW) for n in range(20_000)]
    assert waits.count(0) == attempts.overall.size
    assert len(notes) == attempts.overall.size + 1


# --- the rest


@pytest.mark.parametrize(
    ("mounted", "base"),
    [("", ""), ("/", ""), ("/a", "/a"), ("/a/", "/a"), ("//evil.example", "/evil.example"), ('/a"b;c', "/a%22b%3Bc")],
)
def test_mount_path_is_never_another_host(mounted: str, base: str) -> None:
    assert base_of(mounted) == base


@given(
    st.sampled_from(["page_view", "session.start", "session.end", "exception", "log", "user.identify", "bought"]),
    st.dictionaries(
        st.sampled_from([
            "url.path", "http.response.status_code", "page_view.duration_ms", "session.duration_ms", "session.end_reason",
            "exception.message", "log.severity", "log.body", "event_properties.x", "user.name", "http.request.method",
        ]),
        st.one_of(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()),
    ),
)  # fmt: skip
def test_every_event_makes_a_step(name: str, attributes: dict[str, str | int | float | bool]) -> None:
    event = Event(
        id="e",
        name=name,
        time=1,
        session_id="s",
        session_key="k",
        session_started_at=0,
        visitor_id="v",
        attributes=attributes,
    )
    (step,) = _timeline.steps([event])
    assert step.label
    assert step.subject is None or isinstance(step.subject, str)
