"""After `sojourn erase` no file beside the store has the id of the person: not the journals, nor the database's log."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sojourn import cli, identify, track
from sojourn.core.clock import SystemClock
from sojourn.core.records import ACTIVITY, OPT_OUT, STARTS, Entry, Record, Tag
from sojourn.engine import Engine
from sojourn.pipeline import payloads
from sojourn.pipeline.journal import FileJournal, JournalDirectory
from sojourn.settings import Settings
from sojourn.stores import SQLiteStore
from sojourn.wsgi import SojournMiddleware
from tests.child_process import with_tests

KEY = "a key that only tests use, ever"
ANNA = "anna.mueller"
BEN = "ben.schmidt"
FOREVER = 2**62


def page(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    identify(environ["PATH_INFO"].strip("/"))
    track("purchase", {"by": environ["PATH_INFO"].strip("/")})
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"hello"]


def visit(engine: Engine, user: str, pages: int = 3) -> None:
    """Open pages as one browser that is logged in as this user."""
    door, cookie = SojournMiddleware(page, engine=engine), ""
    for _ in range(pages):

        def start_response(_status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> object:
            nonlocal cookie
            cookie = next((value.partition(";")[0] for name, value in headers if name == "Set-Cookie"), cookie)
            return None

        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": f"/{user}", "wsgi.input": None, "HTTP_COOKIE": cookie}
        assert b"".join(door(environ, start_response)) == b"hello"  # type: ignore[arg-type]


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(secret_key=KEY, store=f"sqlite:///{folder}/sojourn.db", keep=["/*"], **more)


def hits(folder: Path, name: str = ANNA) -> dict[str, int]:
    """How often each file has the id."""
    while True:
        files = [path for path in folder.rglob("*") if path.is_file()]
        try:
            counts = {path.name: path.read_bytes().count(name.encode()) for path in files}
        except FileNotFoundError:  # a living writer has given one its name meanwhile: list them anew
            continue
        return {name: count for name, count in counts.items() if count}


def erase(folder: Path, *more: str) -> int:
    return cli.main(["erase", "--user", ANNA, "--yes", "--store", f"sqlite:///{folder}/sojourn.db", *more])


def journal_in(folder: Path) -> FileJournal:
    (folder / "sojourn.db.d").mkdir(exist_ok=True, mode=0o700)
    return FileJournal(folder / "sojourn.db.d", limit=2**24, may_map=True)


def record(user: str, key: str = "018bcfe5-6800-7000-8000-000000000001", *, at: int, flags: int = 0) -> bytes:
    entry = Entry("user.identify", at, tag=Tag(user))
    return payloads.encode(
        Record(at, key, f"visitor-of-{user}", at, ACTIVITY | STARTS | flags, entries=(entry,), origin={"url.path": "/"})
    )


def append(journal: FileJournal, payload: bytes, at: int) -> None:
    assert journal.append(payload, kind="k", essential=True, wall=at)


def test_nothing_of_a_user_is_left_while_the_app_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Engine(settings(tmp_path)) as engine:
        for _ in range(40):
            visit(engine, ANNA)
            visit(engine, BEN)
        engine.flush()
        before = hits(tmp_path)
        assert any(name.endswith(".seg") for name in before)
        assert sum(before.values()) > 100
        kept = engine.stats().store.counters["records.recorded"]
        assert erase(tmp_path) == 0
        assert hits(tmp_path) == {}
        assert "remain" not in capsys.readouterr().out
        assert sum(hits(tmp_path, BEN).values()) > 100
        visit(engine, BEN)
        engine.flush()
        counters = engine.stats().store.counters
        assert counters["records.recorded"] == counters["records.accepted"] == kept + 3
        assert "records.lost" not in counters


def test_who_is_only_in_the_journals_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a visitor of the last seconds is: nothing is recorded of them yet."""
    now, store = SystemClock.now(), SQLiteStore(tmp_path / "sojourn.db")
    store.open()
    store.close()
    journal = journal_in(tmp_path)
    append(journal, record(BEN, at=now), now)
    append(journal, record(ANNA, key="018bcfe5-6800-7000-8000-000000000002", at=now), now)
    assert erase(tmp_path, "--must-exist") == 0
    assert "overwritten in the journals of this host: 1 records\n" in capsys.readouterr().out
    assert erase(tmp_path, "--must-exist") == 1
    journal.close()


WRITER = """
import sys
from pathlib import Path
from sojourn.engine import Engine
from tests.data_subjects.test_copies import settings, visit
with Engine(settings(Path(sys.argv[1]), deliver="worker")) as engine:
    for line in sys.stdin:
        for _ in range(20):
            visit(engine, line.strip())
        print("done", flush=True)
"""


@contextmanager
def writer(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "error", "-c", WRITER, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=with_tests()
    ) as process:
        yield process
        process.communicate(timeout=30)
    assert process.returncode == 0


def go(process: subprocess.Popen[str], user: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{user}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


@pytest.mark.parametrize("is_recorded", [True, False], ids=["recorded", "not recorded yet"])
def test_nothing_of_a_user_is_left_in_the_journals_of_two_living_writers(tmp_path: Path, *, is_recorded: bool) -> None:
    with ExitStack() as stack:
        writers = [stack.enter_context(writer(tmp_path)) for _ in range(2)]
        worker = stack.enter_context(Engine(settings(tmp_path)))
        if not is_recorded:
            worker.store.open()
            worker.close()
        for process in writers:
            go(process, ANNA)
            go(process, BEN)
        if is_recorded:
            worker.flush()
        assert len([name for name in hits(tmp_path) if name.endswith(".seg")]) == 2
        assert erase(tmp_path) == 0
        assert hits(tmp_path) == {}
        for process in writers:
            go(process, BEN)
        worker.flush()
        counters = worker.stats().store.counters
        assert counters["records.recorded"] == counters["records.accepted"] == 2 * 3 * 60
        assert "records.lost" not in counters
        rows = worker.store.sessions.latest(limit=1_000)
        assert {row.user_id for row in rows} == {BEN}
        assert len(rows) == 2 * 2 * 20
        assert hits(tmp_path) == {}


def test_nothing_is_left_in_damaged_segments_and_behind_a_killed_process(tmp_path: Path) -> None:
    now = SystemClock.now()
    journal = journal_in(tmp_path)
    for number in range(20):
        append(journal, record(ANNA if number % 2 else BEN, f"018bcfe5-6800-7000-8000-{number:012}", at=now), now)
    journal.close()
    (segment,) = (tmp_path / "sojourn.db.d").glob("*.seg")
    content = bytearray(segment.read_bytes())
    places = [at for at in range(len(content)) if content.startswith(ANNA.encode(), at)]
    content[places[4] + len(ANNA)] ^= 1  # right behind the id, which stays readable
    end = len(content.rstrip(b"\0")) + 64
    content[end : end + 100] = (b"half a frame of " + ANNA.encode()).ljust(100, b"?")
    segment.write_bytes(content)
    with Engine(settings(tmp_path)) as engine:
        engine.flush()
        engine.sweep()  # the segment is removed, and kept as a damaged one
        assert engine.stats().store.counters["records.lost"] == 1
        (kept,) = (tmp_path / "sojourn.db.d").glob("*.damaged")
        assert hits(tmp_path)[kept.name] > 2
        assert erase(tmp_path) == 0
        assert hits(tmp_path) == {}
        assert sum(hits(tmp_path, BEN).values()) > 2
    assert cli.main(["status", "--check", "--store", f"sqlite:///{tmp_path}/sojourn.db"]) == 1, (
        "the file is still there"
    )


def test_nothing_is_left_behind_a_wide_gap_in_a_living_journal(tmp_path: Path) -> None:
    with Engine(settings(tmp_path, deliver="worker")) as engine:
        engine.store.open()
    now = SystemClock.now()
    with closing(journal_in(tmp_path)) as journal:
        for user in (*[BEN] * 1_000, ANNA):
            append(journal, record(user, at=now), now)
        (segment,) = (tmp_path / "sojourn.db.d").glob(f"{journal.id}*.seg")
        with segment.open("r+b") as file:
            file.seek(64)
            file.write(bytes(100_000))
        assert erase(tmp_path) == 0
        assert hits(tmp_path) == {}


def test_a_record_that_comes_after_the_erasure_is_erased_when_it_is_dropped(tmp_path: Path) -> None:
    with Engine(settings(tmp_path)) as engine:
        visit(engine, ANNA)
        engine.flush()
        at = SystemClock.now()
        assert erase(tmp_path) == 0
        with closing(journal_in(tmp_path)) as journal:
            append(journal, record(ANNA, at=at), at)
            assert sum(hits(tmp_path).values()) == 2  # the user and the visitor
            engine.flush()
            assert engine.stats().store.counters["records.erased"] == 1
            assert hits(tmp_path) == {}


def test_an_opt_out_that_is_not_recorded_yet_takes_effect_all_the_same(tmp_path: Path) -> None:
    """The recorder erases it when it has recorded it."""
    with Engine(settings(tmp_path, deliver="worker")) as engine:
        engine.store.open()
    now = SystemClock.now()
    with closing(journal_in(tmp_path)) as journal:
        append(journal, record(ANNA, at=now, flags=OPT_OUT), now)
        assert erase(tmp_path) == 0
        assert sum(hits(tmp_path).values()) == 2
        with Engine(settings(tmp_path)) as engine:
            engine.flush()
            append(journal, record(ANNA, "018bcfe5-6800-7000-8000-000000000002", at=now + 9), now)
            engine.flush()
            assert engine.stats().store.counters["records.opted_out"] == 1
            assert hits(tmp_path) == {}


def test_a_reader_of_the_store_that_keeps_its_log_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sojourn.data_subjects.copies._PATIENCE_S", 0.1)
    with Engine(settings(tmp_path)) as engine:
        visit(engine, ANNA)
        engine.flush()
        store = SQLiteStore(tmp_path / "sojourn.db")
        with store._connections.reading() as db:
            db.execute("BEGIN")
            db.execute("SELECT * FROM sojourn_sessions").fetchall()
            assert erase(tmp_path) == 0
            assert "copies remain" in (out := capsys.readouterr().out)
            assert "write-ahead log" in out
            assert hits(tmp_path).keys() <= {"sojourn.db", "sojourn.db-wal"}
            db.execute("ROLLBACK")
        store.close()
        engine.store.maintenance.checkpoint()  # as the recorder does
        assert hits(tmp_path) == {}


def test_a_replica_that_litestream_keeps_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Engine(settings(tmp_path)) as engine:
        visit(engine, ANNA)
        engine.flush()
        assert erase(tmp_path) == 0
        assert "remain" not in capsys.readouterr().out
        (tmp_path / ".sojourn.db-litestream").mkdir()
        assert erase(tmp_path) == 0
        assert f"in {tmp_path}/.sojourn.db-litestream, and in the replicas" in capsys.readouterr().out


def test_journals_that_the_command_does_not_see_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Engine(settings(tmp_path, journal_dir=tmp_path / "elsewhere")) as engine:
        visit(engine, ANNA)
        engine.flush()
        assert erase(tmp_path) == 0
        assert "journals that this command does not see" in capsys.readouterr().out
        assert hits(tmp_path).keys() == hits(tmp_path / "elsewhere").keys()
        assert len(hits(tmp_path)) == 1


def test_journals_that_may_not_be_changed_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine(settings(tmp_path)) as engine:
        visit(engine, ANNA)
        engine.flush()

        def refuse(_: Path) -> None:
            raise PermissionError(13, os.strerror(13))

        monkeypatch.setattr("sojourn.pipeline.journal.files.SystemFiles.open_to_change", staticmethod(refuse))
        assert erase(tmp_path) == 1
        assert "still have copies: Permission denied" in capsys.readouterr().err


def test_an_erasure_never_looks_like_damage_to_a_reader(tmp_path: Path) -> None:
    """Whatever the reader sees between two writes of it: the same frames, each as it was or erased."""
    from sojourn.pipeline.journal import SYSTEM_FILES, JournalEraser
    from sojourn.pipeline.journal.files import SystemFile

    now = SystemClock.now()
    with closing(journal_in(tmp_path)) as journal:
        for user in (BEN, ANNA, BEN, ANNA):
            append(journal, record(user, at=now), now)
        directory = JournalDirectory(tmp_path / "sojourn.db.d")
        ends = [frame.end for frame in directory.read({}, before=FOREVER, limit=10).frames]
        real, looks = SystemFile.write, 0

        def write(self: SystemFile, data: bytes, offset: int) -> int:
            nonlocal looks
            done = real(self, data, offset)
            looks += 1
            reading = JournalDirectory(tmp_path / "sojourn.db.d")
            seen = reading.read({}, before=FOREVER, limit=10)
            assert ([frame.end for frame in seen.frames], seen.damaged) == (ends, ())
            assert [frame.accepted for frame in seen.frames] == [1, 2, 3, 4]
            reading.close()
            return done

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SystemFile, "write", write)
            eraser = JournalEraser(SYSTEM_FILES, tmp_path / "sojourn.db.d", lambda frames: [frames[1], frames[3]])
            assert eraser.erase() == 2
        assert looks == 4
        assert hits(tmp_path) == {}
        directory.close()
