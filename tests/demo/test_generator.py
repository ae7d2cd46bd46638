"""`sojourn demo --generate`: the store equals one that the recorder made of the same visits."""

from __future__ import annotations

import stat
from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from sojourn import cli
from sojourn.core.events import PAGE_VIEW, SESSION_END, SESSION_START, START, Event
from sojourn.core.records import Record
from sojourn.core.session import Rules
from sojourn.demo import generator
from sojourn.demo.generator import DAY_MS, generate
from sojourn.demo.synthetic import SyntheticVisits
from sojourn.errors import SojournError
from sojourn.pipeline import payloads
from sojourn.pipeline.journal import MemoryJournal
from sojourn.pipeline.record.recorder import Recorder
from sojourn.stores import SQLiteStore
from sojourn.stores.reporting.model import Bucket, Span
from sojourn.stores.rows import SessionRow

NOW = 1_790_000_000_000
DAYS = 3
SPAN = Span(NOW - DAYS * DAY_MS, NOW + DAY_MS)


def silent(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""


def contents(store: SQLiteStore) -> tuple[dict[str, SessionRow], dict[str, Event]]:
    """All rows by key, and all events by id, wherever in the log."""
    rows = {each.key: each for each in store.sessions.latest(limit=10_000)}
    events = {each.id: msgspec.structs.replace(each, position=START) for each in store.log.after(START, limit=100_000)}
    return rows, events


def record_visits(store: SQLiteStore, sessions: int) -> None:
    """Record the same visits through a journal, with other batches and other sweep times."""
    journal = MemoryJournal(journal=generator._JOURNAL)
    recorder = Recorder(
        store.records,
        journal,
        rules=Rules(),
        service={},
        sweep_interval=15_000,
        sweep_grace=0,
        max_age=9 * DAY_MS,
    )
    swept = 0
    for record in SyntheticVisits(sessions, since=NOW - DAYS * DAY_MS, until=NOW).records():
        if record.at - swept >= 47_000:
            recorder.sweep(record.at)
            swept = record.at
        assert journal.append(payloads.encode(record), kind="test", essential=True, wall=record.at)
    recorder.sweep(NOW)


@pytest.mark.parametrize("sessions", [1, 400])
def test_generated_store_equals_a_recorded_one(sessions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "_WRITTEN_AT_ONCE", 100)
    made = generate(tmp_path / "made.db", sessions, now=NOW, days=DAYS, on_progress=silent)
    generated, real = SQLiteStore(tmp_path / "made.db"), SQLiteStore(tmp_path / "real.db")
    record_visits(real, sessions)
    rows, events = contents(generated)
    assert (rows, events) == contents(real)
    assert (len(rows), made.sessions, made.events) == (sessions, sessions, len(events))
    assert generated.stats().counters == real.stats().counters
    generated.close()
    real.close()


def test_generated_store_has_the_schema_and_the_aggregates(tmp_path: Path) -> None:
    generate(tmp_path / "made.db", 300, now=NOW, days=DAYS, on_progress=silent)
    assert stat.S_IMODE((tmp_path / "made.db").stat().st_mode) == 0o600
    generated, empty = SQLiteStore(tmp_path / "made.db"), SQLiteStore(tmp_path / "empty.db")
    look = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
    structures = []
    for store in (generated, empty):
        with store._connections.reading() as db:
            structures.append(db.execute(look).fetchall())
    assert structures[0] == structures[1]
    overview = generated.report.overview(SPAN, bucket=Bucket.DAY, online_since=NOW - 60_000)
    assert (overview.figures.sessions, overview.pending) == (300, 0)
    assert generated.maintenance.roll_up(finished_before=NOW, limit=9) == 0, "all finished hours are aggregated"
    generated.close()
    empty.close()


def test_generated_sessions_are_plausible(tmp_path: Path) -> None:
    generate(tmp_path / "made.db", 2_000, now=NOW, days=DAYS, on_progress=silent)
    store = SQLiteStore(tmp_path / "made.db")
    rows, events = contents(store)
    names = Counter(event.name for event in events.values())
    assert 9 <= len(events) / len(rows) <= 11, "ten events per session"
    assert names[SESSION_START] == len(rows)
    assert names[SESSION_END] == sum(not row.is_open for row in rows.values())
    assert {"session.heartbeat", "user.identify", "session.properties", "exception", "add_to_cart"} <= set(names)
    assert names[PAGE_VIEW] > 3 * len(rows)
    figures = store.report.overview(SPAN, bucket=Bucket.DAY, online_since=NOW).figures
    assert 0.5 < figures.visitors / figures.sessions < 0.85, "many return"
    assert 0.1 < figures.users / figures.visitors < 0.4
    assert figures.bounce_rate is not None
    assert 0.25 < figures.bounce_rate < 0.5
    assert figures.error_sessions > 0
    assert any(row.is_open for row in rows.values()), "some sessions are open"
    store.close()


@pytest.mark.parametrize("sessions", [1, 7, 1000])
def test_records_are_ordered_and_make_the_requested_sessions(sessions: int) -> None:
    since, until = NOW - 2 * DAY_MS - 1_234_567, NOW - 89_000
    records = list(SyntheticVisits(sessions, since=since, until=until).records())
    assert [record.at for record in records] == sorted(record.at for record in records)
    assert len({record.key for record in records}) == sessions
    assert sum(record.origin is not None for record in records) == sessions
    assert all(since <= record.at < until for record in records)


def test_returning_visitors_were_away_for_the_idle_timeout() -> None:
    by_visitor: dict[str, list[Record]] = {}
    for record in SyntheticVisits(2000, since=NOW - DAYS * DAY_MS, until=NOW).records():
        by_visitor.setdefault(record.visitor_id, []).append(record)
    returns = 0
    for records in by_visitor.values():
        for before, after in pairwise(records):
            if after.key == before.key:
                assert 0 <= after.at - before.at < Rules().idle_timeout
            else:
                returns += 1
                assert after.at - before.at >= Rules().idle_timeout
                assert (after.previous_key, after.previous_seen_at) == (before.key, before.at)
    assert returns > 200


def test_same_seed_makes_the_same_records() -> None:
    stories = [list(SyntheticVisits(50, since=0, until=DAY_MS, seed=seed).records()) for seed in (1, 1, 2)]
    assert stories[0] == stories[1] != stories[2]


def test_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    there = tmp_path / "there.db"
    there.write_text("precious")
    with pytest.raises(SojournError, match="already exists"):
        generate(there, 1, now=NOW, days=1, on_progress=silent)
    assert there.read_text() == "precious"


def test_command_generates_and_prints_how_to_open_the_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    assert cli.main(["demo", "--generate", "40", "--days", "2", "--store", url]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("40 sessions and ")
    assert out.endswith(f"open the report: sojourn report --store {url}\n")
    assert "40 of 40 sessions" in err, "without a terminal, lines"
    assert "\x1b" not in err
    store = SQLiteStore(tmp_path / "new.db")
    assert store.stats().sessions == 40
    store.close()
    assert cli.main(["demo", "--generate", "40", "--store", url]) == 1
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--generate", "0"], "from 1 to 10,000,000; got '0'"),
        (["--generate", "many"], "got 'many'"),
        (["--generate", "1", "--days", "396"], "from 1 to 395; got '396'"),
    ],
)
def test_argument_errors_name_the_fix(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["demo", *arguments])
    assert left.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--generate", "1", "--store", "postgresql://host/db"], "only SQLite stores"),
        (["--generate", "1", "--store", "sqlite:///"], "only SQLite stores"),
        (["--store", "sqlite:///x.db"], "--store needs --generate"),
    ],
)
def test_store_is_generated_in_a_new_sqlite_file_only(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_regulars_use_two_devices() -> None:
    visitors: dict[str, set[str]] = {}
    for record in SyntheticVisits(2000, since=NOW - DAYS * DAY_MS, until=NOW).records():
        for entry in record.entries:
            if entry.tag is not None:
                visitors.setdefault(str(entry.tag.user_id), set()).add(record.visitor_id)
    assert sorted(len(each) for each in visitors.values())[-2:] == [2, 2]
