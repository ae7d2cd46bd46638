"""The fake ClickHouse: log-in, inserts, tokens, replaced rows, exceptions with their codes."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

import pytest

from sojourn.testing.vendors import FakeClickHouse, Received, Reply

GOOD: dict[str, Any] = {
    "event_id": "e-1",
    "time": "2026-01-31 12:00:00.000",
    "name": "session.start",
    "session_key": "s-1",
    "session_id": "s-1",
    "visitor_id": "v-1",
    "user_id": None,
    "attributes": {"url.path": "/"},
}
INSERT = f"INSERT INTO events ({', '.join(GOOD)}) FORMAT JSONEachRow"
BASIC = {"authorization": "Basic " + b64encode(b"FAKEUSER:FAKEPASSWORD").decode()}


def post(fake: FakeClickHouse, body: object, query: str = INSERT, **changes: Any) -> Reply:
    headers = changes.pop("headers", BASIC)
    method = changes.pop("method", "POST")
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    address = urlencode({"query": query, **changes})
    return fake.handle(Received(method=method, path="/", query=address, headers=headers, body=raw))


def code_of(reply: Reply) -> tuple[int, int]:
    code = int(reply.headers.get("x-clickhouse-exception-code", 0))
    assert (f"Code: {code}. DB::Exception: ".encode() in reply.body) is bool(code)
    return reply.status, code


def test_rows_are_taken_as_array_or_one_after_the_other() -> None:
    fake = FakeClickHouse()
    for body in (
        [GOOD],
        json.dumps({**GOOD, "event_id": "e-2"}).encode() + b"\n" + json.dumps({**GOOD, "event_id": "e-3"}).encode(),
    ):
        reply = post(fake, body)
        assert (reply.status, reply.body) == (200, b"")
        assert "x-clickhouse-query-id" in reply.headers
    assert fake.event_ids() == ["e-1", "e-2", "e-3"]
    assert fake.events()[0].at == 1_769_860_800_000


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"headers": {}}, (403, 516), id="no log-in"),
        pytest.param(
            {"headers": {"x-clickhouse-user": "FAKEUSER", "x-clickhouse-key": "FAKEPASSWORD"}}, (200, 0), id="headers"
        ),
        pytest.param({"headers": {}, "user": "FAKEUSER", "password": "FAKEPASSWORD"}, (200, 0), id="parameters"),
        pytest.param({"headers": {"x-clickhouse-user": "FAKEUSER"}}, (403, 516), id="no password"),
        pytest.param({"database": "default"}, (200, 0), id="its database"),
        pytest.param({"database": "other"}, (404, 81), id="another database"),
        pytest.param({"method": "GET"}, (500, 164), id="GET"),
        pytest.param({"query": INSERT.replace("events", "other")}, (404, 60), id="another table"),
        pytest.param({"query": INSERT.replace("event_id", "id")}, (500, 16), id="another column"),
        pytest.param({"query": "SELECT count() FROM events"}, (501, 48), id="a query"),
    ],
)
def test_calls(changes: dict[str, Any], expected: tuple[int, int]) -> None:
    assert code_of(post(FakeClickHouse(), [GOOD], **changes)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"[{", (400, 27), id="no JSON"),
        pytest.param([7], (400, 27), id="no object"),
        pytest.param([{**GOOD, "more": 1}], (400, 117), id="an unknown field"),
        pytest.param([{**GOOD, "time": 1_769_860_800_000}], (400, 41), id="a number as time"),
        pytest.param([{**GOOD, "name": None}], (400, 27), id="NULL in a column without"),
        pytest.param([{**GOOD, "attributes": {"a": 1}}], (400, 27), id="a number in a map of texts"),
        pytest.param([GOOD, {**GOOD, "event_id": 7}], (400, 27), id="the second of two"),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_their_call(body: object, expected: tuple[int, int]) -> None:
    fake = FakeClickHouse()
    assert code_of(post(fake, body)) == expected
    assert not fake.events()


def test_token_is_taken_once_and_other_rows_are_replaced() -> None:
    fake = FakeClickHouse()
    post(fake, [GOOD], insert_deduplication_token="t-1")
    post(fake, [{**GOOD, "event_id": "e-2"}], insert_deduplication_token="t-1")
    assert (fake.event_ids(), fake.duplicates) == (["e-1"], 1)
    post(fake, [GOOD], insert_deduplication_token="t-2")
    assert (fake.duplicates, len(fake.tables["events"].rows), len(fake.tables["events"].final())) == (2, 2, 1)


def test_ping_needs_no_log_in() -> None:
    reply = FakeClickHouse().handle(Received(method="GET", path="/ping"))
    assert (reply.status, reply.body) == (200, b"Ok.\n")


def test_clear_forgets_rows_and_tokens() -> None:
    fake = FakeClickHouse()
    post(fake, [GOOD], insert_deduplication_token="t-1")
    fake.clear()
    assert not fake.tables["events"].rows
    post(fake, [GOOD], insert_deduplication_token="t-1")
    assert fake.event_ids() == ["e-1"]
