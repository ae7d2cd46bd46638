"""ClickHouse: inserts with a token, tables made on request, and what each response means."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sojourn import cli
from sojourn.backends import Batch, BatchVendorBackend, ClickHouseBackend, HttpCall, backend_from_url
from sojourn.backends.vendors.clickhouse.rows import event_row, session_row
from sojourn.backends.vendors.clickhouse.schema import EVENTS, SESSIONS, TABLES
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import deliver, many_events
from sojourn.testing.vendors import FakeClickHouse
from tests.backends.test_backend_docs import DOCS, blocks
from tests.backends.vendors.connected import (
    backend_on,
    backend_responding,
    changed,
    check_pause,
    logged_events,
    sample,
)

HEADERS = {"X-ClickHouse-Query-Id": "1"}


def parameters(call: object) -> dict[str, str]:
    assert isinstance(call, HttpCall)
    return {name: values[0] for name, values in parse_qs(urlsplit(call.url).query).items()}


def failed(code: int, status: int, message: str = "") -> httpx.Response:
    text = f"Code: {code}. DB::Exception: {message} (NAME) (version 26.9.2.1)"
    return httpx.Response(status, text=text, headers={**HEADERS, "X-ClickHouse-Exception-Code": str(code)})


# --- the address


@pytest.mark.parametrize(
    ("url", "address", "database", "pair"),
    [
        pytest.param("://anna:s3cret@h:8443/shop", "https://h:8443/", "shop", "YW5uYTpzM2NyZXQ=", id="all of it"),
        pytest.param("://h:8443", "https://h:8443/", "default", "ZGVmYXVsdDo=", id="the defaults"),
        pytest.param("://h/in/ch/shop", "https://h/in/ch/", "shop", "ZGVmYXVsdDo=", id="behind a path"),
        pytest.param("://a%40b:p%3Aw%C3%BC@h/my%20shop", "https://h/", "my shop", "YUBiOnA6d8O8", id="encoded"),
    ],
)
def test_urls(url: str, address: str, database: str, pair: str) -> None:
    backend = backend_from_url(f"clickhouse+https{url}")
    assert isinstance(backend, ClickHouseBackend)
    (call,) = backend.encode(many_events(1))
    assert isinstance(call, HttpCall)
    assert call.url.startswith(f"{address}?")
    assert parameters(call)["database"] == database
    assert call.headers["authorization"] == f"Basic {pair}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"user": "a:b"}, "user must have a character, and no colon", id="a colon"),
        pytest.param({"user": ""}, "user must have a character", id="no user"),
        pytest.param({"database": ""}, "database must be a name", id="no database"),
        pytest.param({"table_prefix": "a-"}, "table_prefix may have letters, digits and _, got 'a-'", id="prefix"),
        pytest.param({"table_prefix": "x (y) --"}, "table_prefix may have", id="SQL"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        ClickHouseBackend("https://h:8443", **arguments)


# --- what is sent


def test_batch_is_one_insert_into_each_table_with_its_token() -> None:
    backend = backend_on(FakeClickHouse(), table_prefix="web_")
    (batch,) = backend.divide(logged_events())
    sessions, events = map(parameters, backend.encode(logged_events()))
    assert sessions["query"] == SESSIONS.insert("web_")
    assert events["query"] == EVENTS.insert("web_")
    for each in (sessions, events):
        assert each["insert_deduplication_token"] == batch.id
        assert (each["async_insert"], each["wait_end_of_query"]) == ("0", "1")


def test_large_event_has_a_batch_of_its_own_and_order_stays() -> None:
    events = many_events(2_500)
    events[1_100] = changed(events[1_100], **{"event_properties.text": "x" * 100_001})
    batches = backend_on(FakeClickHouse()).divide(events)
    assert [len(batch.events) for batch in batches] == [1_000, 100, 1, 1_000, 399]
    assert [event.id for batch in batches for event in batch.events] == [event.id for event in events]


def test_lost_response_is_repeated_with_the_same_token() -> None:
    fake = FakeClickHouse()
    backend: BatchVendorBackend = backend_on(fake)
    fake.fail_next(500, times=2, after_taking=True)
    backend.send(many_events(2))
    backend.send(many_events(2))
    assert backend.send(many_events(5)).delivered == 5
    assert (fake.duplicates, len(fake.tables["events"].rows)) == (4, 5)
    assert len(fake.tables["events"].tokens) == 2


def test_batch_whose_sessions_were_not_taken_is_left_whole() -> None:
    fake = FakeClickHouse()
    backend = backend_on(fake)
    fake.fail_next(500)
    receipt = backend.send_batches(backend.divide(logged_events()))
    assert [len(batch.events) for batch in receipt.left] == [len(logged_events())]
    assert not fake.events()


def test_unsent_batches_are_left_once() -> None:
    fake = FakeClickHouse()
    backend = backend_on(fake)
    fake.fail_next(503)
    batches = [Batch("one", logged_events()[:3]), Batch("two", logged_events()[3:])]
    assert list(backend.send_batches(batches).left) == batches


# --- rows


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rows_have_the_columns_of_their_table(table: Any) -> None:
    start = sample("session.start")
    row: Any = event_row(start) if table is EVENTS else session_row(start)
    assert row.__struct_fields__ == tuple(table.columns)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_docs_show_the_statement_that_creates_the_table(table: Any) -> None:
    assert f"{table.create()}\n" in blocks(DOCS / "backends" / "clickhouse.md", "sql")


def test_start_says_where_its_session_came_from() -> None:
    start = changed(sample("session.start"), **{"url.query": "utm_source=letter&utm_medium=mail"})
    shown = [event_row(event).attributes for event in (start, sample("page_view"))]
    assert [(each.get("session.source"), each.get("session.channel")) for each in shown] == [
        ("letter", "Email"),
        (None, None),
    ]


def test_revisions_rise_through_a_session() -> None:
    events = logged_events()
    again = changed(events[-2], **{"session.end_revision": 1})
    rows = [row for event in [*events, again] if (row := session_row(event)) is not None]
    assert [row.is_open for row in rows] == [True] * 4 + [False] * 2
    revisions = [row.revision for row in rows]
    assert revisions == sorted(set(revisions))


def test_late_change_never_outranks_an_end() -> None:
    end, late = session_row(sample("session.end")), session_row(changed(sample("user.identify"), {"time": 2**60}))
    assert end is not None
    assert late is not None
    assert late.revision < end.revision


def test_revision_does_not_depend_on_a_start_that_was_corrected() -> None:
    beat = logged_events()[8]
    rows = [session_row(changed(beat, {"session_started_at": beat.session_started_at - by})) for by in (0, 5_000)]
    assert rows[0] is not None
    assert rows[1] is not None
    assert rows[0].revision == rows[1].revision


def test_figures_that_are_none_are_zero() -> None:
    odd: dict[str, Any] = {
        "session.duration_ms": -5,
        "session.requests": "many",
        "session.errors": True,
        "session.page_views": 2**80,
    }
    row = session_row(changed(sample("session.end"), **odd))
    assert row is not None
    assert (row.duration_ms, row.requests, row.errors, row.page_views) == (0, 0, 0, 2**64 - 1)


# --- tables made on request


def test_tables_are_created_once_before_the_first_insert() -> None:
    fake = FakeClickHouse(has_tables=False)
    backend = backend_on(fake, create=True)
    assert deliver(backend, many_events(2)).delivered == 2
    assert deliver(backend, many_events(3)[2:]).delivered == 1
    bodies = [request.body.decode() for request in fake.requests]
    assert bodies[:2] == [EVENTS.create(), SESSIONS.create()]
    assert len(bodies) == 4


def test_failed_creation_is_tried_again_and_no_event_is_lost() -> None:
    fake = FakeClickHouse(has_tables=False)
    backend = backend_on(fake, create=True)
    fake.fail_next(500)
    assert backend.send(many_events(2)).delivered == 0
    assert backend.send(many_events(2)).delivered == 2


def test_refused_creation_pauses() -> None:
    backend = backend_responding("clickhouse", failed(497, 403), create=True)
    check_pause(backend, "HTTP 403: ClickHouse error 497 (ACCESS_DENIED): the user may not do this; grant INSERT")


# --- responses


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        pytest.param(failed(16, 500), "error 16 (NO_SUCH_COLUMN_IN_TABLE): a table lacks a column", id="column"),
        pytest.param(failed(60, 404), "HTTP 404: ClickHouse error 60 (UNKNOWN_TABLE)", id="table"),
        pytest.param(failed(164, 500), "error 164 (READONLY): the user may only read", id="readonly"),
        pytest.param(failed(194, 401), "error 194 (REQUIRED_PASSWORD)", id="no password"),
        pytest.param(failed(516, 403), "error 516 (AUTHENTICATION_FAILED): user or password is wrong", id="password"),
        pytest.param(failed(497, 200), "HTTP 200: ClickHouse error 497", id="in a header of a 200"),
        pytest.param(failed(62, 400), "HTTP 400: ClickHouse error 62; look it up", id="unknown, 400"),
        pytest.param(
            httpx.Response(200, text="Code: 60. DB::Exception: Table is gone", headers=HEADERS),
            "HTTP 200: ClickHouse error 60",
            id="in the body of a 200",
        ),
        pytest.param(
            httpx.Response(404, text="Code: 81, e.displayText() = DB::Exception: no database"),
            "HTTP 404: ClickHouse error 81",
            id="as old versions write it",
        ),
        pytest.param(httpx.Response(200, text="Ok.\n", headers=HEADERS), "an empty body", id="a ping's"),
        pytest.param(httpx.Response(204, headers=HEADERS), "ClickHouse responds with 200", id="204"),
        pytest.param(httpx.Response(403), "HTTP 403", id="a proxy's"),
    ],
)
def test_pauses(response: httpx.Response, reason: str) -> None:
    check_pause(backend_responding("clickhouse", response), reason)


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        pytest.param(failed(252, 500, "Too many parts"), "500: ClickHouse error 252 (TOO_MANY_PARTS)", id="parts"),
        pytest.param(failed(159, 408), "HTTP 408: ClickHouse error 159 (TIMEOUT_EXCEEDED)", id="time"),
        pytest.param(failed(242, 500), "HTTP 500: ClickHouse error 242 (TABLE_IS_READ_ONLY)", id="read-only table"),
        pytest.param(failed(1002, 500), "HTTP 500: ClickHouse error 1002", id="an error without a name here"),
        pytest.param(httpx.Response(503), "HTTP 503", id="no code"),
        pytest.param(
            httpx.Response(200, text="\nCode: 241. DB::Exception: Memory limit", headers=HEADERS),
            "HTTP 200: ClickHouse error 241 (MEMORY_LIMIT_EXCEEDED)",
            id="under way",
        ),
    ],
)
def test_retries(response: httpx.Response, problem: str) -> None:
    receipt = backend_responding("clickhouse", response).send(many_events(2))
    assert (receipt.delivered, receipt.rejected, receipt.pause) == (0, (), None)
    assert (receipt.problem or "").endswith(problem)


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(failed(27, 400, "Cannot parse: peach"), id="a value"),
        pytest.param(failed(469, 500, "Constraint is violated: peach"), id="a constraint"),
        pytest.param(failed(252, 500, "Too many partitions for single INSERT block"), id="too many months"),
        pytest.param(
            httpx.Response(200, text="Code: 117. DB::Exception: peach", headers=HEADERS), id="in the body of a 200"
        ),
    ],
)
def test_rows_at_fault_become_dead_letters_and_are_not_quoted(response: httpx.Response) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        is_good = b"many-000001" not in request.content
        return httpx.Response(200, headers=HEADERS) if is_good else response

    backend = backend_responding("clickhouse", respond, gzip=False)
    receipt = backend.send(many_events(5))
    assert receipt.delivered == 4
    (rejection,) = receipt.rejected
    assert rejection.event_id == "many-000001"
    assert "ClickHouse error" in rejection.reason
    assert "peach" not in rejection.reason


# --- sojourn check


def test_inspection_of_a_server_that_does_not_respond_finds_nothing() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    responses: list[Any] = [
        fail,
        failed(497, 403),
        httpx.Response(200, text="hello"),
        httpx.Response(200, text="[", headers=HEADERS),
    ]
    for response in responses:
        inspection = backend_responding("clickhouse", response).inspect()
        assert (inspection.warnings, inspection.remedy) == ((), "")


def test_inspection_shows_what_creates_the_tables() -> None:
    fake = FakeClickHouse(has_tables=False)
    assert backend_on(fake).inspect().remedy == f"{EVENTS.create()};\n\n{SESSIONS.create()};"
    assert backend_on(FakeClickHouse()).inspect().remedy == ""


def test_check_prints_the_statements_that_are_missing(capsys: pytest.CaptureFixture[str]) -> None:
    fake = FakeClickHouse(has_tables=False)
    with fake.serve() as url:
        assert cli.main(["check", "--backend", url]) == 1
        out = capsys.readouterr().out
        assert "(UNKNOWN_TABLE): a table does not exist; `sojourn check` shows" in out
        assert f"\n\n{EVENTS.create()};\n\n{SESSIONS.create()};\n" in out
        assert cli.main(["check", "--backend", f"{url}?create=1"]) == 0
    assert "CREATE" not in capsys.readouterr().out
