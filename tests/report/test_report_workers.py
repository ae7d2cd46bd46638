"""The report in several workers, on several hosts and after a restart: one log-in, one log-out, one limit of guesses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sojourn.errors import StoreError
from sojourn.report import report, report_wsgi
from tests.postgres import Cluster
from tests.report.harness import PASSWORD, TOKEN, App, Protocol, Reader

Worker = Callable[..., App]


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'sojourn.db'}"
    cluster: Cluster = request.getfixturevalue("postgres")
    return cluster.fresh_database()


@pytest.fixture
def worker(protocol: Protocol, tmp_path: Path) -> Iterator[Worker]:
    """Start a worker of a host: `worker(host="b", store=...)`."""
    apps: list[App] = []

    def start(*, host: str = "a", store: str | None = None, **access: Any) -> App:
        settings = {
            "store": store or f"sqlite:///{tmp_path / 'sojourn.db'}",
            "journal_dir": str(tmp_path / f"host-{host}"),
        }
        apps.append(App(protocol, settings, **(access or {"password": PASSWORD})))
        return apps[-1]

    yield start
    for app in apps:
        app.close()


def statuses(reader: Reader, *apps: App) -> list[int]:
    """What each worker answers to a copy of the reader's cookies."""
    return [Reader(app, dict(reader.cookies)).get("/").status for app in apps]


# --- log-out


def test_log_out_at_one_worker_is_refused_by_every_other_and_after_a_restart(worker: Worker, store_url: str) -> None:
    first, second, elsewhere = worker(store=store_url), worker(store=store_url), worker(host="b", store=store_url)
    reader = Reader(first)
    reader.log_in()
    copy = Reader(second, dict(reader.cookies))
    assert statuses(copy, first, second, elsewhere) == [200] * 3
    assert copy.post("/logout").status == 303
    assert statuses(reader, first, second, elsewhere) == [303] * 3
    first.close()
    assert statuses(reader, worker(store=store_url)) == [303]
    assert Reader(elsewhere).log_in().status == 303


def test_log_out_at_one_of_two_reports_of_one_engine_is_refused_by_the_other(protocol: Protocol) -> None:
    app = App(protocol, password=PASSWORD)
    reader = Reader(app)
    reader.log_in()
    own, make = app._page, report if protocol == "asgi" else report_wsgi
    app._page = make(app.engine, password=PASSWORD)
    assert reader.get("/").status == 200
    copy = Reader(app, dict(reader.cookies))
    reader.post("/logout")
    app._page = own
    assert copy.get("/").status == 303
    app.close()


def test_log_out_that_cannot_be_stored_says_that_the_reader_is_still_logged_in(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = worker()
    reader = Reader(app)
    reader.log_in()
    token = reader.get("/").form_token

    def fail(*_: object, **__: object) -> None:
        raise StoreError("the disk of host db-7 is full")

    with monkeypatch.context() as patch:
        patch.setattr(app.engine.store.revocations, "add", fail)
        reply = reader.post("/logout", token=token)
        assert (reply.status, "Still logged in" in reply.words, "db-7" in reply.text) == (503, True, False)
        assert reply.header("set-cookie") == ""
        patch.setattr(app.engine.store.revocations, "has", fail)
        reply = reader.get("/")
        assert (reply.status, "Store unavailable" in reply.words, "db-7" in reply.text) == (503, True, False)
        assert Reader(app).get("/login").status == 200
    assert reader.post("/logout", token=token).status == 303
    assert reader.get("/").status == 303


# --- guesses


def test_guesses_of_one_address_count_at_all_workers_of_a_host(worker: Worker) -> None:
    apps = [worker(), worker()]
    guesses = [Reader(apps[n % 2]).log_in("a wrong guess").status for n in range(7)]
    assert guesses == [403] * 5 + [429] * 2
    for app in apps:
        app.close()
    assert Reader(worker()).log_in().status == 429


def test_guesses_of_all_addresses_count_at_all_workers_of_a_host(worker: Worker) -> None:
    apps = [worker(token=TOKEN), worker(token=TOKEN)]
    guesses = [
        Reader(apps[n % 2], client=f"198.51.100.{n}").log_in("a wrong guess of a token").status for n in range(62)
    ]
    assert guesses == [403] * 60 + [429] * 2


def test_guesses_at_another_report_do_not_count(worker: Worker) -> None:
    first, second = worker(token=TOKEN), worker(token=f"{TOKEN}-2")
    assert [Reader(first).log_in("a wrong guess of a token").status for _ in range(6)] == [403] * 5 + [429]
    assert Reader(second).log_in(f"{TOKEN}-2").status == 303


def test_guesses_of_strangers_do_not_lock_out_a_browser_that_logged_in_before(worker: Worker) -> None:
    first, second = worker(token=TOKEN), worker(token=TOKEN)
    reader = Reader(first)
    reader.log_in(TOKEN)
    reader.post("/logout")
    for number in range(62):
        Reader(first, client=f"198.51.100.{number}").log_in("a wrong guess of a token")
    for _ in range(6):
        Reader(first, client=reader.client).log_in("a wrong guess of a token")  # even behind one address
    assert Reader(first, client="203.0.113.9").log_in(TOKEN).status == 429
    reader.app = second
    assert reader.log_in(TOKEN).status == 303
    assert reader.get("/").status == 200


def test_mark_of_a_browser_grants_no_access_and_few_guesses(worker: Worker) -> None:
    app = worker(token=TOKEN)
    reader = Reader(app)
    reader.log_in(TOKEN)
    mark = {name: value for name, value in reader.cookies.items() if name.endswith("_browser")}
    ((name, value),) = mark.items()
    assert Reader(app, dict(mark)).get("/").status == 303
    assert Reader(app, {reader.ticket[0]: value}).get("/").status == 303
    for number in range(62):
        Reader(app, client=f"198.51.100.{number}").log_in("a wrong guess of a token")
    thief = Reader(app, dict(mark), client="203.0.113.9")
    assert [thief.log_in("a wrong guess of a token").status for _ in range(6)] == [403] * 5 + [429]
    for forged in (reader.ticket[1], value[:-1], value.replace("browser.", "out.", 1), "x" * 5000, "\u00e4"):
        assert Reader(app, {name: forged}, client="203.0.113.10").log_in(TOKEN).status == 429


def test_mark_of_a_browser_is_kept_after_the_log_out_and_hidden_from_scripts(worker: Worker) -> None:
    app = worker(token=TOKEN)
    reader = Reader(app)
    reply = reader.log_in(TOKEN)
    line = next(line for key, line in reply.headers if key == "set-cookie" and "_browser=" in line)
    assert {"HttpOnly", "SameSite=Strict", "Path=/_sojourn", f"Max-Age={180 * 86_400}"} <= set(line.split("; "))
    reader.post("/logout")
    assert [name for name in reader.cookies if name.endswith("_browser")]
    app.clock.advance(181 * 86_400)
    for number in range(62):
        Reader(app, client=f"198.51.100.{number}").log_in("a wrong guess of a token")
    assert reader.log_in(TOKEN).status == 429
