"""A fake of ClickHouse's HTTP interface, after its documentation: log-in, inserts of JSONEachRow, CREATE TABLE, exceptions.

It runs no queries, but for the one of `sojourn check`. Tests against the real engine are in tests/clients/test_clickhouse.py.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs
from uuid import uuid4

from sojourn.backends.vendors.clickhouse.schema import TABLES
from sojourn.testing.vendors.fake import FakeVendor
from sojourn.testing.vendors.instants import ms_of
from sojourn.testing.vendors.model import Received, Reply, VendorEvent, VendorSession

from .tables import ClickHouseError, FakeTable, Row, created, rows_of

_INSERT: Final = re.compile(r"\s*INSERT INTO (\w+) \(([\w, ]+)\) FORMAT JSONEachRow\s*", re.IGNORECASE)
_COLUMNS: Final = re.compile(
    r"\s*SELECT .+\sFROM system\.columns .+ IN \((.*)\) FORMAT JSONCompactEachRow\s*", re.DOTALL
)
_STATUSES: Final = {
    16: 500,
    27: 400,
    41: 400,
    48: 501,
    60: 404,
    62: 400,
    81: 404,
    117: 400,
    164: 500,
    516: 403,
}
_FAILURES: Final = {
    408: (159, "TIMEOUT_EXCEEDED"),
    500: (241, "MEMORY_LIMIT_EXCEEDED"),
    503: (439, "CANNOT_SCHEDULE_TASK"),
}


class FakeClickHouse(FakeVendor):
    """Takes rows for the tables that exist: those of the backend, or none with `has_tables=False`, until it creates them.

    `sessions()` is what `SELECT ... FROM sessions FINAL` shows, `events()` the same of the events.
    """

    vendor = "clickhouse"
    transient = (408, 500, 503)

    def __init__(
        self,
        user: str = "FAKEUSER",
        password: str = "FAKEPASSWORD",  # noqa: S107
        *,
        database: str = "default",
        has_tables: bool = True,
    ) -> None:
        super().__init__(user, password)
        self._log_in = f"{user}:{password}"
        self._database = database
        statements = [table.create() for table in TABLES] if has_tables else []
        made = [table for statement in statements if (table := created(statement))]
        self.tables = {table.name: table for table in made}
        """The tables by name."""

    def respond(self, request: Received) -> Reply:
        if request.method == "GET" and request.path in ("/", "/ping") and not request.query:
            return _reply(200, b"Ok.\n")
        try:
            return _reply(200, self._run(request))
        except ClickHouseError as error:
            return _failed(_STATUSES.get(error.code, 500), error.code, error.name, str(error))

    def sessions(self) -> list[VendorSession]:
        with self._lock:
            rows = [row for table in self.tables.values() if table.version for row in table.final()]
        return sorted(map(self._session, rows), key=lambda session: session.started_at or 0)

    def failure(self, status: int) -> Reply:
        code, name = _FAILURES.get(status, (1002, "UNKNOWN_EXCEPTION"))
        return _failed(status, code, name, "failed as arranged")

    def bad_encoding(self) -> Reply:
        return _failed(500, 354, "ZLIB_INFLATE_FAILED", "inflate failed")

    def clear(self) -> None:
        with self._lock:
            super().clear()
            for table in self.tables.values():
                table.rows.clear()
                table.tokens.clear()

    def _run(self, request: Received) -> bytes:
        parameters = {name: values[-1] for name, values in parse_qs(request.query).items()}
        self._check_log_in(request.headers, parameters)
        if (database := parameters.get("database", self._database)) != self._database:
            raise ClickHouseError(81, "UNKNOWN_DATABASE", f"Database {database} does not exist")
        query = parameters.get("query", "")
        if (insert := _INSERT.fullmatch(query)) is not None:
            if request.method != "POST":
                raise ClickHouseError(164, "READONLY", "Cannot execute query in readonly mode")
            columns = [column.strip() for column in insert[2].split(",")]
            self._insert(insert[1], columns, request.body, parameters.get("insert_deduplication_token", ""))
            return b""
        statement = f"{query}\n{request.body.decode('utf-8', 'replace')}".strip()
        if (table := created(statement)) is not None:
            self.tables.setdefault(table.name, table)
            return b""
        if (columns_of := _COLUMNS.fullmatch(statement)) is not None:
            return self._columns(re.findall(r"'(\w+)'", columns_of[1]))
        raise ClickHouseError(48, "NOT_IMPLEMENTED", "the fake runs no such query")

    def _check_log_in(self, headers: Mapping[str, str], parameters: Mapping[str, str]) -> None:
        kind, _, text = headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            pair = b64decode(text).decode("utf-8", "replace")
        else:
            user = headers.get("x-clickhouse-user") or parameters.get("user", "default")
            pair = f"{user}:{headers.get('x-clickhouse-key') or parameters.get('password', '')}"
        if not hmac.compare_digest(pair.encode(), self._log_in.encode()):
            user = pair.partition(":")[0]
            message = f"{user}: Authentication failed: password is incorrect, or there is no user with such name."
            raise ClickHouseError(516, "AUTHENTICATION_FAILED", message)

    def _insert(self, name: str, columns: list[str], body: bytes, token: str) -> None:
        table = self.tables.get(name)
        if table is None:
            raise ClickHouseError(60, "UNKNOWN_TABLE", f"Table {self._database}.{name} does not exist.")
        rows = rows_of(body)
        inserted = table.insert(columns, rows, token)
        if "event_id" not in columns:
            return
        if inserted is None:
            self.duplicates += len(rows)
            return
        for row in inserted:
            self.take(_event(row))

    def _columns(self, names: list[str]) -> bytes:
        tables: list[FakeTable] = [self.tables[name] for name in names if name in self.tables]
        rows = [[table.name, *column, table.engine] for table in tables for column in table.columns.items()]
        return "".join(json.dumps(row) + "\n" for row in rows).encode()

    def _session(self, row: Row) -> VendorSession:
        return VendorSession(
            session_id=row["session_id"],
            user_id=row["user_id"],
            visitor_id=row["visitor_id"],
            previous_id=row["previous_id"],
            started_at=_ms(row["started_at"]),
            ended_at=None if row["is_open"] else _ms(row["last_seen_at"]),
            duration_ms=None if row["is_open"] else row["duration_ms"],
            reason=row["end_reason"] or None,
            properties=row["properties"],
            events=tuple(event for event in self.events() if event.session_id == row["session_id"]),
        )


def _event(row: Row) -> VendorEvent:
    return VendorEvent(
        id=row["event_id"],
        name=row["name"],
        at=_ms(row["time"]),
        session_id=row["session_id"],
        visitor_id=row["visitor_id"],
        user_id=row["user_id"],
        attributes=row["attributes"],
    )


def _ms(text: str) -> int:
    return ms_of(text.replace(" ", "T") + "Z") or 0


def _reply(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
    about: dict[str, Any] = {
        "content-type": "text/plain; charset=UTF-8",
        "x-clickhouse-server-display-name": "fake",
        "x-clickhouse-query-id": str(uuid4()),
        "x-clickhouse-summary": '{"read_rows":"0","read_bytes":"0","written_rows":"0","written_bytes":"0"}',
    }
    return Reply(status=status, body=body, headers={**about, **(headers or {})})


def _failed(status: int, code: int, name: str, message: str) -> Reply:
    body = f"Code: {code}. DB::Exception: {message} ({name}) (version 26.9.2.1)\n".encode()
    return _reply(status, body, {"x-clickhouse-exception-code": str(code)})
