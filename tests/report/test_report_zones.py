"""The reader's time zone: moments by the rules of their day, days of 23 and 25 hours, addresses that mean one moment."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest

from sojourn.report import _ranges
from sojourn.report._moments import Moments, zone_named
from sojourn.report._parameters import Parameters
from tests.report.harness import NAVIGATE, App, Reader, Reply

NEW_YORK, INDIA = "America/New_York", "Asia/Calcutta"


def at(text: str) -> int:
    """A moment of a text with an offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def visit_at(app: App, when: str, path: str = "/") -> str:
    app.clock.now_ms = at(when)
    app.visit(path)
    return app.engine.store.sessions.latest(limit=1)[0].key


def ask(reader: Reader, address: str, zone: str) -> Reply:
    reader.cookies["sojourn_report_zone"] = zone
    return reader.request("GET", address, headers=NAVIGATE)


def test_a_session_before_the_clocks_went_back_shows_the_time_of_its_day(app: App, reader: Reader) -> None:
    key = visit_at(app, "2026-10-15T18:58:42Z")
    app.clock.now_ms = at("2026-11-26T12:00Z")
    words = ask(logged_in(app), f"/sessions/{key}", NEW_YORK).words
    assert "Started Thu 15 Oct 2026, 14:58:42 UTC-4:00" in words
    assert "Times in America/New York" in words
    listed = ask(logged_in(app), "/sessions", NEW_YORK)
    assert "15 Oct 14:58" in listed.words
    assert 'title="Thu 15 Oct 2026, 14:58:42 UTC-4:00"' in listed.text
    assert 'data-zone="America/New_York"' in listed.text


def logged_in(app: App) -> Reader:
    reader = Reader(app)
    assert reader.log_in().status == 303
    return reader


@pytest.mark.parametrize(
    ("zone", "when", "shown"),
    [
        pytest.param(
            NEW_YORK, "2026-10-15T18:58:42Z", "Thu 15 Oct 2026, 14:58:42 UTC-4:00", id="summer, seen in winter"
        ),
        pytest.param(NEW_YORK, "2026-11-26T18:58:42Z", "Thu 26 Nov 2026, 13:58:42 UTC-5:00", id="winter"),
        pytest.param(
            NEW_YORK, "2026-11-01T05:30:00Z", "Sun 1 Nov 2026, 01:30:00 UTC-4:00", id="an hour that comes twice"
        ),
        pytest.param(NEW_YORK, "2026-11-01T06:30:00Z", "Sun 1 Nov 2026, 01:30:00 UTC-5:00", id="the second time"),
        pytest.param(INDIA, "2026-11-26T18:30:00Z", "Fri 27 Nov 2026, 00:00:00 UTC+5:30", id="half an hour"),
        pytest.param(
            "Asia/Kathmandu", "2026-11-26T18:15:00Z", "Fri 27 Nov 2026, 00:00:00 UTC+5:45", id="three quarters"
        ),
        pytest.param("UTC", "2026-11-26T18:30:00Z", "Thu 26 Nov 2026, 18:30:00 UTC", id="UTC"),
    ],
)
def test_a_moment_by_the_rules_of_its_day(zone: str, when: str, shown: str) -> None:
    moments = Moments(at("2026-11-26T12:00Z"), ZoneInfo(zone))
    assert moments.full(at(when)) == shown
    assert moments.parsed(moments.address(at(when))) == at(when)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Nowhere/Atlantis",
        "America",
        "../../etc/passwd",
        "/etc/passwd",
        "America/New_York/..",
        "x" * 200,
        "a\\b",
        "-300",
    ],
)
def test_an_unknown_zone_is_utc(app: App, reader: Reader, name: str) -> None:
    assert zone_named(name) is None
    assert "Times in UTC" in ask(reader, "/", name).words


@pytest.mark.parametrize(
    ("zone", "now", "since"),
    [
        pytest.param(INDIA, "2026-11-26T12:00Z", "2026-11-26T00:00+05:30", id="India"),
        pytest.param("Asia/Kathmandu", "2026-11-26T18:14Z", "2026-11-26T00:00+05:45", id="Nepal, before midnight"),
        pytest.param("Asia/Kathmandu", "2026-11-26T18:16Z", "2026-11-27T00:00+05:45", id="Nepal, after it"),
        pytest.param(NEW_YORK, "2026-11-01T12:00Z", "2026-11-01T00:00-04:00", id="the day of 25 hours"),
        pytest.param(NEW_YORK, "2026-03-08T12:00Z", "2026-03-08T00:00-05:00", id="the day of 23 hours"),
    ],
)
def test_today_begins_at_the_readers_midnight(zone: str, now: str, since: str) -> None:
    assert _ranges.preset("today", Moments(at(now), ZoneInfo(zone))).span.since == at(since)


def test_today_counts_from_the_readers_midnight(app: App, reader: Reader) -> None:
    visit_at(app, "2026-11-25T18:29:59Z", "/yesterday")
    visit_at(app, "2026-11-25T18:30:00Z", "/today")
    app.clock.now_ms = at("2026-11-26T12:00Z")
    reader = logged_in(app)
    words = ask(reader, "/?range=today", INDIA).words
    assert "Sessions no change , was 1 in the previous period 1 " in words
    assert "/today 1" in words
    assert "/yesterday" not in words
    assert "/yesterday" not in ask(reader, "/sessions?range=today", INDIA).words


def test_the_first_hour_of_today_begins_at_midnight(app: App) -> None:
    visit_at(app, "2026-11-25T18:31:00Z")
    app.clock.now_ms = at("2026-11-26T12:00Z")
    labels = re.findall(r'data-label="([^"]*): \d+ sessions', ask(logged_in(app), "/?range=today", INDIA).text)
    assert labels[:2] == ["Thu 26 Nov, 00:00 to 00:30", "Thu 26 Nov, 00:30 to 01:30"]


def test_a_chart_has_days_of_23_and_25_hours(app: App, reader: Reader) -> None:
    for when in ("2026-11-01T03:59Z", "2026-11-01T04:00Z", "2026-11-02T04:59Z", "2026-11-02T05:00Z"):
        visit_at(app, when)
    app.clock.now_ms = at("2026-11-04T12:00Z")
    reply = ask(logged_in(app), "/?range=7d", NEW_YORK)
    labels = dict(re.findall(r'data-label="(\w+ \d+ \w+): (\d+) sessions', reply.text))
    assert (labels["Sat 31 Oct"], labels["Sun 1 Nov"], labels["Mon 2 Nov"]) == ("1", "2", "1")
    bars = [
        parse_qs(urlsplit(link.replace("&amp;", "&")).query)
        for link in re.findall(r'<a href="([^"]*since=[^"]*)" tab', reply.text)
    ]
    assert {"since": ["2026-11-01T00:00-04:00"], "until": ["2026-11-02T00:00-05:00"]} in bars


@pytest.mark.parametrize("path", ["/", "/sessions"])
def test_a_time_without_an_offset_becomes_an_address_for_everybody(app: App, reader: Reader, path: str) -> None:
    reply = ask(reader, f"{path}?since=2026-10-15T14:00&until=2026-10-16&utm_id=1", NEW_YORK)
    assert reply.status == 303
    there = dict(reply.headers)["location"]
    assert urlsplit(there).path == f"/_sojourn{path}"
    query = parse_qs(urlsplit(there).query)
    assert (query["since"], query["until"]) == (["2026-10-15T14:00-04:00"], ["2026-10-16T00:00-04:00"])
    assert ask(reader, there.removeprefix("/_sojourn"), INDIA).status == 200


def test_a_shared_address_is_the_same_span_for_every_reader() -> None:
    now = at("2026-11-26T12:00Z")
    spans = set()
    for zone in (NEW_YORK, INDIA, "UTC", "Asia/Kathmandu"):
        moments = Moments(now, ZoneInfo(zone))
        for query in ({"since": "2026-10-15T14:15-04:00", "until": "2026-10-16T00:00 05:30"},):
            range_ = _ranges.from_query(Parameters.of(query), moments)
            assert range_ is not None
            assert _ranges.from_query(Parameters.of(range_.query), Moments(now)) is not None
            spans.add((range_.span.since, range_.span.until))
    assert spans == {(at("2026-10-15T18:15Z"), at("2026-10-15T18:30Z"))}


def test_a_program_without_a_zone_reads_utc() -> None:
    assert Moments(0).parsed("2026-10-15T14:00") == at("2026-10-15T14:00Z")
    assert Moments(0, UTC).address(at("2026-10-15T14:00Z")) == "2026-10-15T14:00Z"
