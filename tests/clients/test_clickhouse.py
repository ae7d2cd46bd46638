"""ClickHouse's own engine takes what our backend sends, over real HTTP, and shows exactly what happened.

`scripts/clients` installs the engine and runs this; so does CI.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from sojourn import cli
from sojourn.backends import Backend, ClickHouseBackend, backend_from_url
from sojourn.backends.vendors.clickhouse.schema import EVENTS, SESSIONS
from sojourn.core.events import Scalar
from sojourn.testing.backend_contract import BackendContract, deliver, hostile_events, many_events
from sojourn.testing.vendors import VendorSession
from sojourn.testing.vendors.instants import ms_of
from tests.backends.test_backend_docs import DOCS, blocks
from tests.backends.vendors.connected import changed, logged_events, sample
from tests.backends.vendors.played_visit import TRUTH, Twice, check_visit, play

PLACE = Path(os.environ.get("SOJOURN_CLIENTS", "not installed")) / "clickhouse"
LOG_IN = ("sojourn", "peach")
PAGE = DOCS / "backends" / "clickhouse.md"

pytestmark = pytest.mark.skipif(not PLACE.is_dir(), reason="scripts/clients installs ClickHouse's engine (180 MB)")


class Database:
    """A database of its own in the engine."""

    def __init__(self, port: int, name: str) -> None:
        self.name = name
        self.origin = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=self.origin, auth=LOG_IN)
        self.run(f"CREATE DATABASE {name}", database="default")

    def run(self, statement: str, **parameters: str) -> str:
        response = self._client.post("/", params={"database": self.name, **parameters}, content=statement)
        assert response.status_code == 200, response.text
        return response.text

    def rows(self, query: str) -> list[list[Any]]:
        text = self.run(f"{query}\nFORMAT JSONCompactEachRow", output_format_json_quote_64bit_integers="0")
        return [json.loads(line) for line in text.split("\n") if line]

    def url(self, **options: object) -> str:
        query = urlencode({"create": 1, **options})
        return f"clickhouse+{self.origin.replace('://', '://sojourn:peach@')}/{self.name}?{query}"

    def trouble(self, **how: float) -> None:
        """Make calls fail from now on; nothing: no more."""
        self._client.post("/-/trouble", params=how)

    def sessions(self) -> list[VendorSession]:
        """What a query shows, for the checks that fakes are held to."""
        columns = "session_id, user_id, visitor_id, previous_id, started_at, last_seen_at, duration_ms, end_reason, properties"
        rows = self.rows(f"SELECT {columns} FROM sessions FINAL WHERE NOT is_open ORDER BY started_at")
        return [
            VendorSession(
                session_id=row[0],
                user_id=row[1],
                visitor_id=row[2],
                previous_id=row[3],
                started_at=ms_of(row[4].replace(" ", "T") + "Z"),
                ended_at=ms_of(row[5].replace(" ", "T") + "Z"),
                duration_ms=row[6],
                reason=row[7],
                properties=row[8],
            )
            for row in rows
        ]

    def close(self) -> None:
        self.trouble()
        self._client.close()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    script = Path(__file__).parent / "python" / "clickhouse_server.py"
    command = [str(PLACE / "bin" / "python"), str(script), str(tmp_path_factory.mktemp("engine"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


_numbers = count(1)


@pytest.fixture
def database(port: int) -> Iterator[Database]:
    database = Database(port, f"shop_{next(_numbers)}")
    yield database
    database.close()


Connect = Callable[..., ClickHouseBackend]


@pytest.fixture
def connect(database: Database) -> Iterator[Connect]:
    """Connects to the database, by a URL that makes the tables, unless its options differ."""
    with ExitStack() as stack:

        def connect(*, password: str = "peach", **options: object) -> ClickHouseBackend:
            backend = backend_from_url(database.url(**options).replace(":peach@", f":{password}@"))
            assert isinstance(backend, ClickHouseBackend)
            stack.callback(backend.close)
            return backend

        yield connect


@pytest.fixture
def backend(connect: Connect) -> ClickHouseBackend:
    return connect()


class TestContract(BackendContract):
    @pytest.fixture(autouse=True)
    def engine(self, database: Database) -> None:
        self.database = database

    def make_backend(self, tmp_path: Path) -> Backend:
        return backend_from_url(self.database.url())

    def received(self) -> list[str]:
        if self.database.run("EXISTS TABLE events").strip() == "0":
            return []
        return [row[0] for row in self.database.rows("SELECT event_id FROM events ORDER BY time, event_id")]


# --- one visit through a real app


@pytest.mark.parametrize(
    "trouble", ["all is well", "a fifth fails", "a fifth of the responses is lost", "all comes twice"]
)
def test_visit_shows_the_sessions_that_happened(database: Database, backend: ClickHouseBackend, trouble: str) -> None:
    if "fifth" in trouble:
        database.trouble(rate=0.2, seed=3, after=int("lost" in trouble))
    states = play([Twice(backend) if "twice" in trouble else backend])
    database.trouble()
    assert (states["clickhouse"]["dead"], states["clickhouse"]["backlog"]) == (0, 0)
    check_visit(database)
    # Tokens dropped what came again: no row waits to be replaced.
    stored = states["clickhouse"]["delivered"]
    assert database.rows("SELECT count(), uniqExact(event_id) FROM events") == [[stored, stored]]
    assert database.rows("SELECT uniqExact(user_id), count() FROM sessions FINAL") == [[2, len(TRUTH)]]


def test_queries_of_the_docs_show_the_visit(database: Database, backend: ClickHouseBackend) -> None:
    states = play([backend])
    statements = [part for block in blocks(PAGE, "sql") for part in re.split(r";\n", block) if part.strip()]
    assert len(statements) == 11
    queries = [database.rows(each) for each in statements if each.startswith("SELECT")]
    days, reasons, users, pages, entries = queries
    assert days == [["2026-01-31", 3, 1, 2, (100 + 10 + 1480) / 3]]
    assert reasons == [["idle_timeout", 1, 100, 100], ["opted_out", 1, 1480, 1480], ["user_changed", 1, 10, 10]]
    assert [row[:3] for row in users] == [["anna", 2, 110], ["ben", 1, 1480]]
    views = database.rows("SELECT count() FROM events WHERE name = 'page_view'")[0][0]
    assert sum(row[1] for row in pages) == views > 0
    assert sum(row[2] for row in entries) == len(TRUTH)
    assert entries[0][:2] == ["Direct", "/"]
    for statement in statements:
        if not statement.startswith("SELECT"):
            database.run(statement)
    assert database.rows("SELECT count() FROM events") == [[states["clickhouse"]["delivered"]]], "none is two years old"


def test_statements_of_the_docs_erase_a_person(database: Database, backend: ClickHouseBackend) -> None:
    backend.send(logged_events())
    backend.send([changed(event, {"visitor_id": "another"}) for event in many_events(3)])
    deletions = [part for part in re.split(r";\n", blocks(PAGE, "sql")[-1]) if part]
    for statement in deletions:
        database.run(statement)
    assert database.rows("SELECT DISTINCT visitor_id FROM events FINAL") == [["another"]]
    assert database.rows("SELECT count() FROM sessions FINAL") == [[0]]


# --- once, whatever comes again


def test_any_order_of_rows_shows_the_last_end(database: Database, backend: ClickHouseBackend) -> None:
    end = logged_events()[-2]
    revised: dict[str, Scalar] = {
        "session.end_revision": 1,
        "session.duration_ms": 120_000,
        "session.end_reason": "max_duration",
        "session.requests": 7,
    }
    events = [*logged_events(), changed(end, {"id": "revised", "time": end.time + 24_750}, **revised)]
    for seed in range(6):
        chance = random.Random(seed)
        chance.shuffle(events)
        cuts = sorted({0, len(events), *chance.sample(range(len(events)), 3)})
        for start, stop in pairwise(cuts):
            backend.send(events[start:stop])  # other batches each time: no token drops them
    query = "SELECT duration_ms, end_reason, requests, user_id, is_open FROM sessions FINAL"
    assert database.rows(query) == [[120_000, "max_duration", 7, "anna", False]]
    assert database.rows("SELECT count(), uniqExact(event_id) FROM events FINAL") == [[len(events), len(events)]]


def test_materialized_view_counts_a_repeated_batch_once(database: Database, backend: ClickHouseBackend) -> None:
    backend.send([sample("session.start")])
    database.run(
        "CREATE MATERIALIZED VIEW counts ENGINE = SummingMergeTree ORDER BY name "
        "SETTINGS non_replicated_deduplication_window = 1000 "
        "AS SELECT name, count() AS n FROM events GROUP BY name"
    )
    for _ in range(2):
        backend.send(many_events(5))
    assert database.rows("SELECT sum(n) FROM counts") == [[5]]


def test_open_session_knows_its_user_and_properties(database: Database, backend: ClickHouseBackend) -> None:
    backend.send(logged_events()[:4])
    columns = "user_id, is_open, duration_ms, properties, browser, system, device, service, version, environment"
    assert database.rows(f"SELECT {columns} FROM sessions FINAL") == [
        ["anna", True, 3_000, {"plan": "team"}, "Firefox", "Linux", "desktop", "shop", "1.4.0", "test"]
    ]


def test_batch_that_lost_a_member_is_still_dropped(database: Database, backend: ClickHouseBackend) -> None:
    (batch,) = backend.divide(many_events(3))
    backend.send_batches([batch])
    backend.send_batches([type(batch)(batch.id, batch.events[1:])])
    assert database.rows("SELECT count() FROM events") == [[3]]


def test_values_arrive_as_they_are(database: Database, backend: ClickHouseBackend) -> None:
    assert deliver(backend, hostile_events()).rejected == ()
    arrived = {row[0]: row[1] for row in database.rows("SELECT event_id, attributes FROM events")}
    replaced = {"lone surrogate": "half \ufffd of a character", "beyond 64 bits": hex(2**80)}
    for event in hostile_events():
        (label,) = {name for name in event.attributes if "." not in name}
        assert arrived[event.id][label] == replaced.get(label, str(event.attributes[label])), label


# --- exceptions of the engine


def paused(backend: Backend) -> str:
    receipt = backend.send(many_events(2))
    assert (receipt.delivered, receipt.rejected) == (0, ())
    return receipt.pause or ""


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        pytest.param("SELECT 1", "HTTP 404: ClickHouse error 60 (UNKNOWN_TABLE): a table does not exist", id="table"),
        pytest.param(
            EVENTS.create().replace("    visitor_id String,\n", ""), "ClickHouse error 16 (NO_SUCH_COLUMN", id="column"
        ),
        pytest.param("DROP DATABASE {database}", "ClickHouse error 81 (UNKNOWN_DATABASE)", id="database"),
    ],
)
def test_what_is_missing_pauses(database: Database, connect: Connect, statement: str, reason: str) -> None:
    database.run(statement.replace("{database}", database.name))
    assert reason in paused(connect(create=0))


def test_wrong_password_pauses(connect: Connect) -> None:
    assert "(AUTHENTICATION_FAILED): user or password is wrong" in paused(connect(password="plum"))


def test_rows_at_fault_alone_become_dead_letters(database: Database, backend: ClickHouseBackend) -> None:
    assert backend.send([sample("session.start")]).delivered == 1
    database.run("ALTER TABLE events ADD CONSTRAINT few CHECK attributes['event_properties.n'] != '5'")
    assert deliver(backend, many_events(9)).rejected == ("many-000005",)
    assert database.rows("SELECT count() FROM events FINAL WHERE name = 'cart.add'") == [[8]]


def test_session_at_fault_makes_a_dead_letter(database: Database, backend: ClickHouseBackend) -> None:
    assert backend.send(many_events(1)).delivered == 1
    database.run("ALTER TABLE sessions ADD CONSTRAINT short CHECK duration_ms < 90000")
    events = logged_events()
    assert deliver(backend, events).rejected == (events[-2].id,)
    assert database.rows("SELECT duration_ms, is_open FROM sessions FINAL") == [[60_000, True]]


def test_column_of_another_type_makes_dead_letters(database: Database, backend: ClickHouseBackend) -> None:
    database.run(EVENTS.create().replace("session_key String", "session_key UInt64"))
    assert deliver(backend, many_events(2)).rejected == ("many-000000", "many-000001")


def test_events_of_more_months_than_one_insert_takes_are_delivered(
    database: Database, backend: ClickHouseBackend
) -> None:
    month = 31 * 86_400_000
    events = [changed(event, {"time": number * month}) for number, event in enumerate(many_events(240))]
    assert deliver(backend, events).delivered == 240
    assert database.rows("SELECT count() FROM events FINAL") == [[240]]


# --- sojourn check


def test_check_prints_statements_that_make_it_succeed(
    database: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = database.url(create=0)
    assert cli.main(["check", "--backend", url]) == 1
    printed = capsys.readouterr().out.partition("\n\n")[2]
    statements = [part.strip() for part in printed.split(";\n") if part.strip()]
    assert statements == [EVENTS.create(), SESSIONS.create()]
    for statement in statements:
        database.run(statement)
    assert cli.main(["check", "--backend", url]) == 0
    assert "ok       3 of 3 events accepted" in capsys.readouterr().out
    assert database.rows("SELECT duration_ms, is_open FROM sessions FINAL") == [[1_000, False]]


def test_check_finds_columns_types_and_engines_that_differ(
    database: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database.run(
        EVENTS.create().replace("Replacing", "").replace("visitor_id String", "visitor_id LowCardinality(String)")
    )
    database.run(SESSIONS.create().replace("    browser LowCardinality(String),\n", ""))
    assert cli.main(["check", "--backend", database.url(create=0)]) == 1
    out = capsys.readouterr().out
    assert "a table lacks a column" in out
    assert "the engine of events is MergeTree" in out
    assert "events.visitor_id is LowCardinality(String)" in out
    addition = "ALTER TABLE sessions ADD COLUMN IF NOT EXISTS browser LowCardinality(String)"
    assert f"{addition};" in out
    database.run(addition)
    assert cli.main(["check", "--backend", database.url(create=0)]) == 0
