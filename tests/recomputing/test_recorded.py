"""Recomputing what an app recorded: users, events, polls, ends by call, backends that wait, and records that still come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sojourn import end_session, identify, set_session_property, start_session, track
from sojourn.core.events import START, Event
from sojourn.engine import rules_of
from sojourn.errors import SojournError
from sojourn.recomputing.recompute import Recomputation, Recomputed
from sojourn.stores import open_store
from sojourn.stores.model import Batch
from sojourn.stores.protocol import Store
from sojourn.stores.rows import SessionRow
from tests.doors.browser import Browser, Site, view_of
from tests.stores.contract.steps import assert_adds_up

MINUTE = 60_000
FOREVER = 2**53


def explode() -> None:
    raise RuntimeError("a bug of the app")


VIEWS: dict[str, Callable[[], object]] = {
    "/": lambda: None,
    "/a": lambda: None,
    "/login": lambda: identify("anna", name="Anna", traits={"plan": "pro"}),
    "/other": lambda: identify("otto"),
    "/logout": lambda: identify(None),
    "/buy": lambda: track("purchase", {"amount": 3}),
    "/set": lambda: set_session_property("theme", "dark"),
    "/end": end_session,
    "/begin": start_session,
    "/fail": explode,
}


class Town:
    """A site and two browsers."""

    def __init__(self, path: Path, **rules: Any) -> None:
        self.store = open_store(f"sqlite:///{path}")
        self.site = Site("wsgi", store=self.store, **rules)
        self.site.views.update({name: view_of(call) for name, call in VIEWS.items()})
        self.browsers = [Browser(self.site), Browser(self.site)]

    def play(self, steps: Sequence[tuple[float, int, str]]) -> None:
        """Steps: so many minutes later, which browser, what: a page, or `fetch` and a path."""
        for minutes, who, what in steps:
            self.site.clock.advance(minutes * 60)
            browser = self.browsers[who]
            kind, _, path = what.rpartition(" ")
            with suppress(RuntimeError):
                browser.fetch(path) if kind else browser.navigate(path)
        self.site.clock.advance(3 * 24 * 3600)
        self.site.engine.sweep()
        self.site.engine.flush()

    def recompute(self, *, idle: float | None = None, applies: bool = True) -> Recomputed:
        rules = rules_of(self.site.settings)
        if idle is not None:
            rules = replace(rules, idle_timeout=round(idle * MINUTE))
        run = Recomputation(self.store, rules, since=0, until=FOREVER, applies=applies)
        for _ in run.run():
            pass
        return run.done

    def dump(self) -> tuple[list[SessionRow], list[Event]]:
        return self.store.sessions.latest(limit=999), self.store.log.after(START, limit=9_999)

    def rows(self) -> list[SessionRow]:
        return sorted(self.store.sessions.latest(limit=999), key=lambda row: (row.started_at, row.last_seen_at))

    def close(self) -> None:
        self.site.close()
        self.store.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path / "sojourn.db")
    yield made
    made.close()


STEPS = st.lists(
    st.tuples(
        st.sampled_from((0, 0.3, 1, 5, 14.9, 15, 16, 29.9, 30, 31, 45, 90, 1500)),
        st.sampled_from((0, 1)),
        st.sampled_from((*VIEWS, "/", "/a", "fetch /api/x", "fetch /api/y", "fetch /set", "fetch /buy")),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, idle=st.sampled_from((15, 30, 45)))
def test_law_the_same_rules_change_nothing(
    steps: list[tuple[float, int, str]], idle: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    town = Town(tmp_path_factory.mktemp("law") / "s.db", idle_timeout=timedelta(minutes=idle))
    town.play(steps)
    before = town.dump()
    done = town.recompute()
    after = town.dump()
    town.close()
    assert (done.changed, done.applied) == (0, 0)
    assert after == before


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, idle=st.sampled_from((15, 20, 60)))
def test_law_what_was_counted_stays_counted(
    steps: list[tuple[float, int, str]], idle: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By any rules: no page view, request or event is lost or doubled, sessions do not overlap, and again changes nothing."""
    town = Town(tmp_path_factory.mktemp("law") / "s.db")
    town.play(steps)
    before_rows, before_log = town.dump()
    first = town.recompute(idle=idle)
    rows, log = town.dump()
    second = town.recompute(idle=idle)
    again = town.dump()
    adds_up = town.store.stats().backends[0]
    town.close()
    assert (second.changed, again) == (0, (rows, log))
    for name in ("requests", "page_views", "errors", "client_errors", "events", "tracked_events"):
        assert sum(getattr(row, name) for row in rows) == sum(getattr(row, name) for row in before_rows), name
    made = {"session.start", "session.heartbeat", "session.end"}
    assert sorted(each.id for each in log if each.name not in made) == sorted(
        each.id for each in before_log if each.name not in made
    )
    assert adds_up.recorded == adds_up.settled + adds_up.backlog == len(before_log)
    keys = {row.key for row in rows}
    for row in rows:
        own = [each for each in log if each.session_key == row.key]
        assert [each.name for each in own].count("session.start") == 1
        assert own[0].name == "session.start"
        assert [each.id for each in own if each.id == row.end_event_id] == [row.end_event_id]
        assert all(each.session_started_at == row.started_at for each in own)
        assert own[0].time == row.started_at <= row.last_seen_at
    assert {each.session_key for each in log} == keys
    assert first.before.total().sessions == len(before_rows)
    assert first.after.total().sessions == len(rows)


def test_users_and_properties_stay_with_their_pages(town: Town) -> None:
    town.play([(0, 0, "/"), (20, 0, "/login"), (1, 0, "/set"), (20, 0, "/buy")])
    (whole,) = town.rows()
    town.recompute(idle=15)
    first, second, third = town.rows()
    assert [each.user_id for each in (first, second, third)] == [None, "anna", "anna"]
    assert [each.user_name for each in (first, second, third)] == [None, "Anna", "Anna"]
    assert [bool(each.properties) for each in (first, second)] == [False, True]
    assert [each.entry_path for each in (first, second, third)] == ["/", "/login", "/buy"]
    assert [each.tracked_events for each in (first, second, third)] == [0, 0, 1]
    assert (second.referrer, second.browser) == ("(within the site)", first.browser)
    assert third.key == whole.key
    start = town.store.log.of_session(second.key)[0]
    assert start.attributes["session.previous_id"] == first.session_id


def test_a_fetch_before_the_pause_leaves_the_session_as_it_is(town: Town) -> None:
    town.play([(0, 0, "/"), (0.5, 0, "fetch /api/x"), (15.2, 0, "/a")])
    before = town.dump()
    done = town.recompute(idle=15)
    assert dict(done.kept) == {"finer": 1}
    assert town.dump() == before


def test_a_heartbeat_alone_begins_no_session(town: Town) -> None:
    town.play([(0, 0, "/"), (20, 0, "fetch /api/x")])
    done = town.recompute(idle=15)
    assert dict(done.kept) == {"finer": 1}


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        pytest.param([(0, 0, "/begin"), (20, 0, "/")], {"manual": 1}, id="started by the app"),
        pytest.param([(0, 0, "/"), (5, 0, "/end"), (20, 0, "/")], {}, id="ended by the app"),
    ],
)
def test_what_an_app_did_stays(town: Town, steps: list[tuple[float, int, str]], kept: dict[str, int]) -> None:
    town.play(steps)
    before = town.dump()
    assert dict(town.recompute(idle=60 if not kept else 15).kept) == kept
    assert town.dump() == before


def test_nothing_is_changed_before_each_backend_has_it(town: Town) -> None:
    town.play([(0, 0, "/"), (20, 0, "/a")])
    town.store.outbox.register(["later"], now=0)
    assert town.recompute(idle=15, applies=False).changed == 1
    town.browsers[1].navigate("/")
    town.play([(20, 1, "/a")])
    done = town.recompute(idle=15)
    assert (done.applied, dict(done.kept)) == (1, {"waiting": 1})


def test_no_backend_hears_of_it(town: Town) -> None:
    town.play([(0, 0, "/"), (20, 0, "/a"), (50, 0, "/")])
    before = len(town.site.events)
    town.recompute(idle=15)
    town.recompute(idle=120)
    assert len(town.rows()) == 1
    assert len(town.site.events) == before
    assert_adds_up(town.store)


def test_the_visitor_comes_back_after_it(town: Town) -> None:
    """The cookie names the session that was divided, and the next one follows the last part."""
    town.play([(0, 0, "/login"), (20, 0, "/a")])
    town.recompute(idle=15)

    def ends(rows: list[SessionRow]) -> list[tuple[object, ...]]:
        return [(row.key, row.started_at, row.last_seen_at, row.end_reason, row.end_revision) for row in rows]

    parts = ends(town.rows())
    town.play([(0, 0, "/")])
    latest = town.rows()[-1]
    assert (latest.previous_key, latest.user_id) == (town.rows()[1].key, "anna")
    assert ends(town.rows()[:-1]) == parts


def test_sessions_that_change_meanwhile_are_left(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.play([(0, 0, "/"), (20, 0, "/a")])
    (row,) = town.rows()
    read = town.store.log.of_session

    def meanwhile(key: str, **options: Any) -> list[Event]:
        with town.store.records.recording() as recording:
            changed = recording.load([key]).rows[key]
            changed.late += 1
            recording.save(Batch(rows=[changed]))
        return read(key, **options)

    monkeypatch.setattr(town.store.log, "of_session", meanwhile)
    done = town.recompute(idle=15)
    assert (done.applied, dict(done.kept)) == (0, {"changed_meanwhile": 1})
    assert [each.key for each in town.rows()] == [row.key]


def test_an_interruption_leaves_whole_sessions_and_the_rest_can_follow(town: Town) -> None:
    town.play([(0, 0, "/"), (0, 1, "/"), (20, 0, "/a"), (0, 1, "/a")])
    rules = replace(rules_of(town.site.settings), idle_timeout=15 * MINUTE)
    run = Recomputation(town.store, rules, since=0, until=FOREVER, applies=True)
    visitor = min(row.visitor_id for row in town.rows())
    run._recompute(visitor)  # and killed then
    assert len(town.rows()) == 3
    assert town.recompute(idle=15).applied == 1
    assert [row.page_views for row in town.rows()] == [1, 1, 1, 1]


def test_one_at_a_time(town: Town) -> None:
    town.play([(0, 0, "/"), (20, 0, "/a")])
    town.store.leases.acquire("recompute", "another", now=0, until=2**50)
    with pytest.raises(SojournError, match="another recomputation of"):
        town.recompute(idle=15)
    assert town.recompute(idle=15, applies=False).changed == 1


def test_a_session_without_its_start_stays(town: Town) -> None:
    town.play([(0, 0, "/"), (20, 0, "/a")])
    start = town.store.log.after(START, limit=1)[0]
    with town.store.records.recording() as recording:
        recording.save(Batch(withdrawn=[start.id]))
    assert dict(town.recompute(idle=15).kept) == {"expired": 1}


def test_the_store_of_a_town_is_a_store(town: Town) -> None:
    store: Store = town.store
    assert store.recomputing.visitors(after="", since=0, until=FOREVER, limit=9) == []
    town.play([(0, 0, "/"), (0, 1, "/")])
    visitors = store.recomputing.visitors(after="", since=0, until=FOREVER, limit=9)
    assert len(visitors) == 2
    assert store.recomputing.visitors(after=visitors[0], since=0, until=FOREVER, limit=9) == visitors[1:]
    assert store.recomputing.visitors(after="", since=FOREVER, until=FOREVER, limit=9) == []
    settled = store.recomputing.settled()
    assert settled is not None
    assert store.log.has_passed(settled, store.log.head())


def test_visitors_without_a_cookie_are_so_in_every_part_of_a_session_and_by_the_day(tmp_path: Path) -> None:
    town = Town(tmp_path / "s.db", cookieless="always")
    town.play([(0, 0, "/"), (20, 0, "/a"), (20, 0, "/"), (1500, 0, "/a")])
    before = town.dump()
    assert (town.recompute().changed, town.dump()) == (0, before)
    town.recompute(idle=15)
    rows = town.rows()
    town.close()
    assert [row.visitor_kind for row in rows] == ["cookieless"] * 4
    assert [row.visitor_id == rows[0].visitor_id for row in rows] == [True, True, True, False]
