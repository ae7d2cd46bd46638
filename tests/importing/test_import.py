"""`sojourn import`: which sessions a log makes, that a line counts once, and that no backend hears of it."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sojourn import cli
from sojourn.core.session import EndReason
from sojourn.engine import Engine
from sojourn.importing.formats import LogFormat
from sojourn.importing.requests import LoggedRequest, LoggedResponse, Target
from sojourn.settings import Settings
from sojourn.stores import open_store
from sojourn.stores.model import Batch
from sojourn.stores.protocol import Store
from sojourn.testing import ManualClock, MemoryBackend
from tests.importing.logs import (
    CHROME,
    DAY,
    FIREFOX,
    GOOGLEBOT,
    HOUR,
    MINUTE,
    THEN,
    contents,
    contents_of,
    line,
    minutes_of,
    run,
    sessions,
    write,
)
from tests.importing.stores import store
from tests.report.harness import PASSWORD, App, Reader
from tests.stores.contract.steps import assert_adds_up, row, save

__all__ = ["store"]


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path / 'sojourn.db'}")
    store.open()
    yield store
    store.close()


VISITS = [
    line(0, "/?utm_source=letter&utm_medium=email", referer="https://www.google.com/search?q=secret"),
    line(0, "/static/app.css"),
    line(1, "/logo.png"),
    line(2, "/seeds/tomato", referer="https://shop.example/"),
    line(3, "/", agent=CHROME),
    line(4, "/robots.txt", agent=GOOGLEBOT),
    line(5, "/seeds/basil", agent=GOOGLEBOT),
    line(6, "/buy", method="POST", status=303),
    line(7, "/thanks"),
    line(50, "/seeds/basil", referer="https://shop.example/thanks"),
]


def test_a_log_makes_sessions_by_the_rules(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, write(tmp_path / "access.log", VISITS)) == 0
    first, other, second = sessions(store)
    assert [minutes_of(each) for each in (first, other, second)] == [(0, 7), (3, 3), (50, 50)]
    assert (first.requests, first.page_views, first.entry_path, first.exit_path) == (4, 3, "/", "/thanks")
    assert (first.source, first.channel, first.browser, first.system) == ("letter", "Email", "Firefox", "Linux")
    assert first.visitor_id == second.visitor_id != other.visitor_id
    assert (second.previous_key, second.source, second.referrer) == (
        first.key,
        "(within the site)",
        "(within the site)",
    )
    assert {each.imported for each in (first, other, second)} == {"access log"}
    assert {each.end_reason for each in (first, other, second)} == {EndReason.IDLE_TIMEOUT}
    start, *_, end = events = store.log.of_session(first.key)
    assert [event.name for event in events if event.name != "session.heartbeat"] == [
        *("session.start", "page_view", "page_view", "page_view", "session.end"),
    ]
    assert start.attributes["session.imported"] == "access log"
    assert start.attributes["http.request.header.referer"] == "https://www.google.com/search"
    assert start.attributes["client.address"] == "192.0.2.0"
    assert "page_view.duration_ms" not in events[1].attributes
    assert end.attributes["session.duration_ms"] == 7 * MINUTE
    out = capsys.readouterr().out
    assert "10 lines read" in out
    assert "  2 left out: of excluded paths\n" in out
    assert "  1 left out: scripts, styles, pictures and fonts\n  1 left out: of crawlers\n" in out
    assert "imported: 3 sessions, 5 page views, 6 requests, from " in out


def test_the_report_says_what_is_imported(
    file_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(file_store, Batch(rows=[row("recorded", THEN + DAY)]))
    run(file_store, write(tmp_path / "access.log", VISITS))
    key = sessions(file_store)[0].key
    capsys.readouterr()
    note = "sessions of this range were imported from access logs: --where 'imported=(none)' leaves them out"
    days = [datetime.fromtimestamp((THEN + each * DAY) / 1000, UTC).date().isoformat() for each in (-1, 1)]
    cli.main(["stats", "--store", file_store.name, "--since", days[0]])
    assert note in capsys.readouterr().out
    cli.main(["stats", "--store", file_store.name, "--since", days[1]])
    assert note not in capsys.readouterr().out
    cli.main(["sessions", "show", key, "--store", file_store.name])
    assert "\nimported    access log\n" in capsys.readouterr().out
    app = App("wsgi", {"store": file_store}, password=PASSWORD)
    app.clock.now_ms = THEN + 2 * DAY
    reader = Reader(app)
    reader.log_in()
    assert "from access logs, which know less." in reader.get("/", range="7d").words
    assert "imported=%28none%29" in reader.get("/", range="7d").text
    assert "from access logs" not in reader.get("/", range="24h").words
    assert "Imported from access log" in reader.get(f"/sessions/{key}").words
    app.close()


def test_a_log_counts_once(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write(tmp_path / "access.log", VISITS)
    run(store, log)
    before = contents(store)
    capsys.readouterr()
    assert run(store, log) == 0
    assert contents(store) == before
    out = capsys.readouterr().out
    assert "  6 left out: imported before\n" in out
    assert "imported: 0 sessions, 0 page views, 0 requests\n" in out


@pytest.mark.parametrize("cut", [1, 3, 4, 8, 9])
def test_a_log_that_has_grown_adds_what_is_new(store: Store, tmp_path: Path, cut: int) -> None:
    log = tmp_path / "access.log"
    run(store, write(log, VISITS[:cut]))
    log.rename(tmp_path / "access.log.1")
    run(store, write(log, VISITS))
    whole = contents_of(log, tmp_path / "whole.db")
    assert [each[1:] for each in contents(store)] == [each[1:] for each in whole]


def test_logs_of_several_servers_are_merged_by_time(file_store: Store, tmp_path: Path) -> None:
    one, two = write(tmp_path / "1.log", VISITS[::2]), write(tmp_path / "2.log", VISITS[1::2])
    run(file_store, one, two)
    whole = contents_of(write(tmp_path / "access.log", VISITS), tmp_path / "whole.db")
    assert [each[1:] for each in contents(file_store)] == [each[1:] for each in whole]


def test_the_same_lines_in_two_files_count_once(file_store: Store, tmp_path: Path) -> None:
    run(file_store, write(tmp_path / "a.log", VISITS), write(tmp_path / "b.log", VISITS))
    assert [each.requests for each in sessions(file_store)] == [4, 1, 1]


def test_equal_lines_of_one_file_are_as_many_requests(file_store: Store, tmp_path: Path) -> None:
    log = write(tmp_path / "access.log", [line(0), line(0), line(0)])
    run(file_store, log)
    run(file_store, log)
    assert [(each.requests, each.page_views) for each in sessions(file_store)] == [(3, 3)]


def test_a_late_line_of_an_earlier_time(store: Store, tmp_path: Path) -> None:
    run(store, write(tmp_path / "2.log", [line(20, "/b"), line(100, "/d")]))
    run(store, write(tmp_path / "1.log", [line(5, "/a"), line(60, "/c")]))
    assert [(minutes_of(each), each.entry_path) for each in sessions(store)] == [
        ((5, 20), "/a"),
        ((60, 60), "/c"),
        ((100, 100), "/d"),
    ]


def test_gzip_and_standard_input(file_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = tmp_path / "access.log.2.gz"
    packed.write_bytes(gzip.compress("".join(f"{each}\n" for each in VISITS[:5]).encode()))
    run(file_store, packed)
    with write(tmp_path / "access.log", VISITS).open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert cli.main(["import", "-", "--store", file_store.name]) == 0
    assert [each.requests for each in sessions(file_store)] == [4, 1, 1]


def test_a_gzip_file_that_is_cut_off(file_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = tmp_path / "access.log.gz"
    packed.write_bytes(gzip.compress("".join(f"{line(n / 10)}\n" for n in range(999)).encode())[:-20])
    assert run(file_store, packed) == 1
    assert f"{packed} cannot be read to its end (" in capsys.readouterr().err


def test_lines_that_are_no_log_are_shown(file_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write(tmp_path / "access.log", ["starting\x1b[31m", *VISITS, "", "x" * 70_000])
    assert run(file_store, log) == 0
    out = capsys.readouterr().out
    assert "3 not read: not of this format; the first:" in out  # the long one is read in two parts
    assert f"{log}, line 1: starting" in out
    assert "\x1b" not in out
    assert run(file_store, write(tmp_path / "other.log", ["INFO: no log"])) == 1
    assert "name the format with --format" in capsys.readouterr().out


def test_a_format_of_nginx(file_store: Store, tmp_path: Path) -> None:
    at = datetime.fromtimestamp(THEN / 1000, UTC)
    log = write(tmp_path / "access.log", [f"{at.isoformat()} 192.0.2.7 GET /a 200 0.25 {FIREFOX}"])
    log_format = "$time_iso8601 $remote_addr $request_method $request_uri $status $request_time $http_user_agent"
    assert run(file_store, log, options=["--format", log_format]) == 0
    (session,) = sessions(file_store)
    assert file_store.log.of_session(session.key)[1].attributes["page_view.duration_ms"] == 250


def test_a_dry_run_writes_nothing(file_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write(tmp_path / "access.log", VISITS)
    assert run(file_store, log, options=["--dry-run"]) == 0
    assert "would be imported: 3 sessions, 5 page views, 6 requests, from " in capsys.readouterr().out
    assert sessions(file_store) == []
    run(file_store, log)
    assert "\nimported: 3 sessions" in capsys.readouterr().out


def test_a_store_is_made_where_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, path = write(tmp_path / "access.log", VISITS), tmp_path / "new.db"
    arguments = ["import", str(log), "--store", f"sqlite:///{path}"]
    assert cli.main(arguments) == 1
    assert "there is no store" in capsys.readouterr().err
    assert cli.main([*arguments, "--create", "--dry-run"]) == 0
    assert "would be imported: 3 sessions" in capsys.readouterr().out
    assert not path.exists()
    for count in (3, 0):
        assert cli.main([*arguments, "--create"]) == 0
        assert f"imported: {count} sessions" in capsys.readouterr().out
    with closing(open_store(f"sqlite:///{path}")) as made:
        assert made.stats().sessions == 3


def test_since_and_until(file_store: Store, tmp_path: Path) -> None:
    moments = [datetime.fromtimestamp((THEN + minutes * MINUTE) / 1000, UTC).isoformat() for minutes in (2, 50)]
    run(file_store, write(tmp_path / "a.log", VISITS), options=["--since", moments[0], "--until", moments[1]])
    assert [minutes_of(each) for each in sessions(file_store)] == [(2, 7), (3, 3)]


def test_it_stops_where_sojourn_began_to_record(
    file_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(file_store, Batch(rows=[row("recorded", THEN + 10 * MINUTE)]))
    log = write(tmp_path / "access.log", VISITS)
    run(file_store, log)
    assert [each.imported for each in sessions(file_store)] == ["access log", "access log", None]
    out, err = capsys.readouterr()
    assert "  1 left out: from the time since Sojourn itself records; name another border with --until (" in out
    assert "twice" not in err
    run(file_store, log, options=["--until", "1d"])
    assert len(sessions(file_store)) == 4
    assert "visits of both are there twice then" in capsys.readouterr().err


def test_what_is_too_old_or_from_the_future_is_left_out(
    file_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line(-400 * DAY / MINUTE), line(0), line(60 * DAY / MINUTE)]
    run(file_store, write(tmp_path / "access.log", lines))
    out = capsys.readouterr().out
    assert len(sessions(file_store)) == 1
    assert "  1 left out: older than `retention` keeps sessions (" in out
    assert "  1 left out: from the future\n" in out


def test_who_has_not_consented_is_not_imported(
    file_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOJOURN_CONSENT_REQUIRED", "true")
    assert run(file_store, write(tmp_path / "access.log", VISITS)) == 1
    assert "no log shows who has consented" in capsys.readouterr().err


def test_settings_of_the_environment_hold(file_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOJOURN_IDLE_TIMEOUT", "5s")
    monkeypatch.setenv("SOJOURN_MASK_ADDRESSES", "false")
    monkeypatch.setenv("SOJOURN_EXCLUDE", "/seeds/*")
    monkeypatch.setenv("SOJOURN_EXCLUDE_ADDRESSES", "198.51.100.0/24")
    lines = [*VISITS, line(1, address="192.0.2.8"), line(2, address="198.51.100.1")]
    run(file_store, write(tmp_path / "access.log", lines))
    found = [(minutes_of(each)[0], each.entry_path) for each in sessions(file_store)]
    assert found == [(0, "/"), (1, "/"), (3, "/"), (6, "/buy"), (7, "/thanks")]


def test_who_is_erased_stays_erased(file_store: Store, tmp_path: Path) -> None:
    log = write(tmp_path / "access.log", VISITS)
    run(file_store, log)
    visitor = sessions(file_store)[0].visitor_id
    assert cli.main(["erase", "--visitor", visitor, "--yes", "--store", file_store.name]) == 0
    run(file_store, write(tmp_path / "other.log", [f"{each} -" for each in VISITS]))
    assert [minutes_of(each) for each in sessions(file_store)] == [(3, 3)]


def test_two_imports_at_once_are_refused(file_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = THEN + 60 * DAY
    file_store.leases.acquire("import", "another", now=now, until=now + HOUR)
    assert run(file_store, write(tmp_path / "access.log", VISITS)) == 1
    assert "another import into" in capsys.readouterr().err
    assert sessions(file_store) == []


PATHS = ("/", "/a", "/b?x=1", "/api/poll", "/data.json", "/x.png", "/missing", "/doc.pdf")


@st.composite
def any_log(draw: st.DrawFn) -> list[str]:
    """Lines of three visitors, in order, with pauses around the idle timeout."""
    minutes, lines = 0.0, []
    for _ in range(draw(st.integers(1, 25))):
        minutes += draw(st.sampled_from((0, 0.5, 1, 5, 29, 30, 31, 700)))
        path = draw(st.sampled_from(PATHS))
        status = 404 if path == "/missing" else draw(st.sampled_from((200, 200, 304, 302, 500)))
        address = draw(st.sampled_from(("192.0.2.7", "192.0.2.200", "198.51.100.9")))
        lines.append(line(minutes, path, status=status, address=address))
    return lines


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=any_log(), data=st.data())
def test_law_any_way_to_import_a_log_makes_the_same_sessions(
    lines: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """At once; twice; in growing parts."""
    folder = tmp_path_factory.mktemp("law")
    cuts = [*sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=3))), len(lines), len(lines)]
    results = []
    for name, parts in (("whole", [len(lines)]), ("parts", cuts)):
        store = open_store(f"sqlite:///{folder / name}.db")
        store.open()
        for number, part in enumerate(parts):
            run(store, write(folder / f"{name}{number}.log", lines[:part]))
        results.append([each[1:] for each in contents(store)])
        assert store.stats().counters.get("events.recorded", 0) == 0
        store.close()
    assert results[0] == results[1]


def test_no_backend_hears_of_it(store: Store, tmp_path: Path) -> None:
    """Neither one that is there nor one that comes later, whatever is recorded and delivered around it."""
    run(store, write(tmp_path / "1.log", VISITS[:6]))
    for name in ("first", "second"):
        backend = MemoryBackend(name=name)
        settings_ = Settings(secret_key="a key that only tests use", store=store, backends=[backend])
        engine = Engine(settings_, clock=ManualClock())
        engine.flush()
        run(store, write(tmp_path / "2.log", VISITS))
        page = LogFormat().parse(line(0))
        assert page is not None
        visit = engine.tracker.begin(LoggedRequest(page, address="192.0.2.7", host="shop.example"))
        engine.tracker.finish(visit, LoggedResponse(200, Target.PAGE))
        engine.flush()
        assert [event.name for event in backend.events] == ["session.start", "page_view"]
        assert "session.imported" not in backend.events[0].attributes
        assert store.delivery.state(name).backlog == 0
        assert_adds_up(store)
        engine.close()
