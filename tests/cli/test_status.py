"""`sojourn status` of a real store and real journals, as a page and as JSON."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sojourn import Settings, cli
from sojourn.core.clock import SystemClock
from sojourn.engine import Engine
from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch, Settled, dispatcher_lease
from tests.doors.browser import Browser, Site
from tests.stores.contract.steps import NOW, event, lease, row, save

REFUSED = "http://127.0.0.1:9: nothing listens there; check host and port, and that it is up"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "sojourn.db")
    store.outbox.register(["posthog", "jsonl"], now=NOW)
    save(store, Batch(rows=[row("s")], events=[event(f"e{n}") for n in range(3)], counts={"ignored.bot": 1_234}))
    yield store
    store.close()


def status(store: SQLiteStore, *arguments: str) -> int:
    return cli.main(["status", "--store", f"sqlite:///{store.path}", *arguments])


def run_elsewhere(store: SQLiteStore) -> None:
    """A process of another host records, and has the backends."""
    now = SystemClock.now()
    store.outbox.register(["posthog", "jsonl"], now=now)
    assert store.leases.acquire("recorder:there", "there/j1", now=now, until=now + 3_600_000)


def fail(store: SQLiteStore, name: str, *, failures: int) -> None:
    """Attempts to deliver that failed, the last one now."""
    now = SystemClock.now()
    held = store.leases.acquire(dispatcher_lease(name), "there/j1", now=now, until=now + 3_600_000)
    assert held is not None
    for failed in range(1, failures + 1):
        store.delivery.settle(
            name,
            held,
            Settled(upto=None, retried=1, retry_at=now + 900, failures=failed, problem=REFUSED),
            now=now,
        )


def refuse_all(store: SQLiteStore, name: str) -> None:
    held = lease(store, dispatcher_lease(name))
    claimed = store.delivery.claim(name, held, until=NOW, limit=9, now=NOW).events
    store.delivery.settle(
        name, held, Settled(upto=store.log.head(), dead=[(each, "no", 422) for each in claimed]), now=NOW
    )


def test_status_page(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    refuse_all(store, "jsonl")
    assert status(store) == 0
    out, err = capsys.readouterr()
    assert err == f"store: sqlite:///{store.path}\n"
    assert "\x1b" not in out
    lines = out.splitlines()
    assert re.fullmatch(r"sessions   1 \(1 open\), 3 events, [0-9]+\.[0-9] KiB", lines[0])
    assert lines[1] == "records    0 accepted = 0 recorded + 0 unapplied: ok"
    rows = {line.split()[0]: line.split() for line in lines if line.startswith("  ")}
    heads = ["recorded", "delivered", "dead", "skipped", "dropped", "waiting", "lag", "retries", "state"]
    assert rows["backend"][1:] == heads
    assert rows["posthog"][1:7] == ["3", "0", "0", "0", "0", "3"]
    assert rows["jsonl"][1:8] == ["3", "0", "3", "0", "0", "0", "-"]
    assert rows["ignored.bot"] == ["ignored.bot", "1,234"]
    assert rows["dispatcher:jsonl"][-1] == "expired"
    assert "problems (critical)" in lines
    assert any("jsonl: 3 dead letters" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param([], 0, id="without --check always 0"),
        pytest.param(["--check"], 1, id="a lag of a year"),
        pytest.param(["--check", "--max-lag", "36500d"], 0, id="lag allowed"),
        pytest.param(["--check", "--max-lag", "36500d", "--max-backlog", "3"], 0, id="backlog at the limit"),
        pytest.param(["--check", "--max-lag", "36500d", "--max-backlog", "2"], 1, id="backlog above the limit"),
    ],
)
def test_exit_code_of_check(
    arguments: list[str], code: int, store: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    run_elsewhere(store)
    assert status(store, *arguments, "--json") == code
    document = json.loads(capsys.readouterr().out)
    assert document["is_healthy"] is (code == 0 and "--check" in arguments)


@pytest.mark.parametrize(
    ("failures", "level"),
    [
        pytest.param(2, "ok", id="two failures pass"),
        pytest.param(3, "critical", id="three, and nothing was ever delivered"),
    ],
)
def test_a_backend_that_accepts_nothing_is_a_problem_from_the_third_attempt_on(
    failures: int, level: str, store: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    run_elsewhere(store)
    fail(store, "posthog", failures=failures)
    arguments = ("--max-lag", "36500d")
    assert status(store, "--check", *arguments) == (level != "ok")
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("  posthog"))
    assert f"{failures} attempts in a row failed" in row
    assert row.endswith(REFUSED)
    problem = f"posthog: nothing was ever delivered; the last {failures} attempts failed: {REFUSED}"
    assert (problem in out) is (level != "ok")
    assert status(store, "--json", *arguments) == 0
    document = json.loads(capsys.readouterr().out)
    backend = next(each for each in document["backends"] if each["name"] == "posthog")
    assert (document["level"], document["is_healthy"]) == (level, level == "ok")
    assert (backend["condition"], backend["failures"], backend["retries"], backend["problem"]) == (
        "retrying" if level == "ok" else "failing",
        failures,
        failures,
        REFUSED,
    )


def test_events_without_a_process_that_delivers_them_are_a_problem(
    store: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(store, "--check", "--max-lag", "36500d") == 1
    out = capsys.readouterr().out
    assert "problems (critical)" in out
    assert "posthog: 3 events wait, and no process has tried to deliver them for" in out


def test_dead_letters_are_problems(store: SQLiteStore) -> None:
    for name in ("posthog", "jsonl"):
        refuse_all(store, name)
    assert (status(store, "--check"), status(store, "--check", "--max-dead", "3")) == (1, 0)


def test_inconsistent_figures_are_problems(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    save(store, Batch(counts={"events.recorded": 1}))
    assert status(store, "--check", "--max-lag", "36500d") == 1
    out = capsys.readouterr().out
    assert "posthog: 4 events were recorded, but 3 are accounted for" in out
    assert "does not add up" in out


def test_unapplied_records_are_counted_in_the_journals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The process only writes its journal, as with a worker."""
    url = f"sqlite:///{tmp_path / 'sojourn.db'}"
    settings = Settings(secret_key="a key that only tests use", store=url, deliver="worker")
    with Engine(settings) as engine:
        engine.store.open()
        for number in range(3):
            assert engine.intake.append(_record(number), kind="request", is_essential=True)
        document = _document(url, capsys)
        assert document["records"] == {"accepted": 3, "recorded": 0, "unapplied": 3, "refused": 0, "holds": True}
        assert document["journals"]["here"]["living"] == 1
        assert document["journals"]["here"]["oldest_unapplied_ms"] > 0
    document = _document(url, capsys)
    assert (
        document["records"]["unapplied"],
        document["journals"]["here"]["living"],
        document["journals"]["here"]["dead"],
    ) == (
        3,
        0,
        1,
    )
    with Engine(Settings(secret_key="a key that only tests use", store=url)) as recorder:
        while recorder.flush(10).recorded:
            pass
        document = _document(url, capsys)
    assert document["records"] == {"accepted": 3, "recorded": 3, "unapplied": 0, "refused": 0, "holds": True}


def test_a_damaged_journal_costs_the_damaged_record_and_is_shown_until_it_is_deleted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path / 'sojourn.db'}"
    with Engine(Settings(secret_key="a key that only tests use", store=url, deliver="worker")) as engine:
        engine.store.open()
        for number in range(100):
            assert engine.intake.append(_record(number), kind="request", is_essential=True)
    (segment,) = tmp_path.glob("*.d/*.seg")
    with segment.open("r+b") as file:
        file.seek(64 + 50 * 80 + 45)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    before = _document(url, capsys)
    assert (before["records"]["unapplied"], before["records"]["holds"], before["is_healthy"]) == (99, True, False)
    assert [path.name for path in tmp_path.glob("*.d/*.damaged")] == [], "looking changes nothing"
    with Engine(Settings(secret_key="a key that only tests use", store=url)) as recorder:
        while recorder.flush(10).recorded:
            pass
        recorder.sweep()
    after = _document(url, capsys)
    assert after["records"] == {"accepted": 100, "recorded": 99, "unapplied": 0, "refused": 0, "holds": True}
    assert after["journals"]["lost_records"] == after["counters"]["records.lost"] == 1
    (kept,) = tmp_path.glob("*.d/*.damaged")
    assert [path.name for path in tmp_path.glob("*.d/*.seg")] == []
    for found in (before, after):
        damaged = found["journals"]["here"]["damaged"]
        assert (damaged["files"], damaged["ranges"], damaged["bytes"]) == (1, 1, 80)
    assert len([record for record in caplog.records if "damaged" in record.getMessage()]) == 1
    assert cli.main(["status", "--store", url, "--check", "--max-lag", "36500d"]) == 1
    out = capsys.readouterr().out
    assert "100 accepted = 99 recorded + 0 unapplied + 1 lost in damaged journals: ok" in out
    assert "1 damaged segment of journals" in out
    kept.unlink()
    assert cli.main(["status", "--store", url, "--check", "--max-lag", "36500d"]) == 0
    assert "1 lost in damaged journals" in capsys.readouterr().out


def test_records_of_unknown_kinds_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'sojourn.db'}"
    with Engine(Settings(secret_key="a key that only tests use", store=url)) as engine:
        assert engine.runtime.journal.append(
            b"\x63of another version", kind="other", essential=True, wall=SystemClock.now()
        )
        assert engine.flush(10).done
        assert cli.main(["status", "--store", url]) == 0
    out = capsys.readouterr().out
    assert "1 accepted = 1 recorded + 0 unapplied" in out
    assert "records.unknown_kind  1" in out


def _document(url: str, capsys: pytest.CaptureFixture[str]) -> Any:
    assert cli.main(["status", "--store", url, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def _record(number: int) -> Any:
    from sojourn.core.records import Record

    return Record(NOW + number, "", "", NOW, 0)


def test_missing_store_is_an_error_and_none_is_created(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--store", f"sqlite:///{tmp_path / 'none.db'}"]) == 1
    assert "there is no store" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--max-lag", "soon"], ["--max-dead", "-1"], ["--max-backlog", "few"]])
def test_invalid_limit_is_an_error(
    arguments: list[str], store: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        status(store, *arguments)
    assert f"got '{arguments[1]}'" in capsys.readouterr().err


@pytest.mark.parametrize(("limit", "code"), [("1KiB", 1), ("1GiB", 0)])
def test_a_store_above_its_size_is_a_problem(
    store: SQLiteStore, capsys: pytest.CaptureFixture[str], limit: str, code: int
) -> None:
    run_elsewhere(store)
    store.database.read("PRAGMA wal_checkpoint(TRUNCATE)")
    assert status(store, "--check", "--json", "--max-lag", "36500d", "--max-size", limit) == code
    document = json.loads(capsys.readouterr().out)
    assert store.path is not None
    assert document["size_bytes"] == store.path.stat().st_size
    assert any("the store takes" in line for line in document["problems"]) == bool(code)
    with pytest.raises(SystemExit):
        status(store, "--max-size", "much")
    assert "10GiB" in capsys.readouterr().err


def test_a_visit_that_fetches_keep_alive_is_hinted_at_with_their_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'sojourn.db'}"
    site = Site("wsgi", store=url, presence="any")
    browser = Browser(site)
    browser.navigate()
    for number in range(61):
        site.engine.flush()
        assert number % 20 or _document(url, capsys)["hints"] == []
        site.clock.advance(60)
        browser.fetch("/stats")
        browser.fetch("/more")
    site.engine.flush()
    (hint,) = _document(url, capsys)["hints"]
    assert "1 of the latest 1 sessions" in hint
    assert "most often /stats (61 of 61 heartbeats)" in hint
    assert cli.main(["status", "--store", url, "--max-lag", "36500d", "--check"]) == 0
    assert capsys.readouterr().out.rstrip().endswith(hint)
    site.close()


def test_expired_events_have_a_column_once_there_are_any(
    store: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    held = lease(store, dispatcher_lease("posthog"))
    store.delivery.claim("posthog", held, until=NOW, limit=9, now=NOW)
    store.delivery.settle("posthog", held, Settled(upto=store.log.head(), delivered=1, expired=2), now=NOW)
    assert status(store) == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert rows["backend"][4:8] == ["skipped", "dropped", "expired", "waiting"]
    assert rows["posthog"][1:8] == ["3", "1", "0", "0", "0", "2", "0"]
