"""ClickHouse: insert events, and the sessions that they make, over the HTTP interface.

https://clickhouse.com/docs/interfaces/http
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self, Unpack
from urllib.parse import quote, unquote, urlencode

import httpx

from sojourn.backends._exchange import Exchange, OutOfTimeError
from sojourn.backends._json import to_json
from sojourn.backends.checking import Inspection
from sojourn.backends.http import DEADLINE_S, HttpCall, Unsendable
from sojourn.backends.outcomes import Delivered, Outcome, Response
from sojourn.backends.protocol import Batch
from sojourn.backends.vendor import BatchVendorBackend, VendorOptions
from sojourn.backends.vendor_url import VendorURL, checked_address
from sojourn.core.events import Event
from sojourn.core.ids import hashed_uuid
from sojourn.errors import SettingsError

from .exceptions import outcome_of
from .inspection import question, read
from .rows import event_row, session_row
from .schema import EVENTS, SESSIONS, TABLES, Table, checked_prefix

BATCH_EVENTS: Final = 1_000
ROW_BYTES: Final = 1_000_000
"""Versions of ClickHouse refuse a row from 1 MiB on: `min_chunk_bytes_for_parallel_parsing`."""

_BATCH_CHARACTERS: Final = 2_000_000
_LARGE: Final = 100_000
"""Characters from which an event has a batch of its own: JSON may write a character as six, and a row must fit."""


class ClickHouseBackend(BatchVendorBackend):
    """Inserts into the tables `events` and `sessions` of a database, over HTTP: `https://host:8443`, `http://host:8123`.

    `create` makes the tables at the first send, unless they are there. `table_prefix` stands before their names.
    """

    scheme = "clickhouse"
    url_form = "{scheme}+https://<user>:<password>@<host>:8443/<database>"
    fake = "sojourn.backends.vendors.clickhouse.fake:FakeClickHouse"
    wants_context = True
    heartbeats_by_default = True
    takes_revised_ends = True
    own_options: ClassVar[Mapping[str, type]] = {"create": bool, "table_prefix": str}

    def __init__(
        self,
        address: str,
        user: str = "default",
        password: str = "",
        *,
        database: str = "default",
        create: bool = False,
        table_prefix: str = "",
        **options: Unpack[VendorOptions],
    ) -> None:
        self._server = _Server(
            checked_address(address, self.scheme), _checked(database), f"Basic {_pair(user, password)}"
        )
        self._prefix = checked_prefix(table_prefix)
        self._transport = options.get("transport")
        super().__init__(_Encoder(self._server, self._prefix, has_tables=not create), **options)

    @classmethod
    def build(cls, url: VendorURL, **options: Unpack[VendorOptions]) -> Self:
        """Build the backend from a URL with user and password before the host, and the database as the end of its path."""
        head, slash, path = url.address.partition("://")
        host, _, database = path.rpartition("/") if "/" in path else (path, "", "")
        own: dict[str, Any] = {**url.own, **({"database": unquote(database)} if database else {})}
        return cls(f"{head}{slash}{host}", url.key or "default", url.secret or "", **own, **options)

    def inspect(self) -> Inspection:
        """Compare the tables with those that are filled, and return the statements that are missing: for `sojourn check`."""
        exchange = Exchange(self._transport)
        try:
            response = exchange.run(
                "POST",
                self._server.url({"query": question(self._prefix), "wait_end_of_query": "1"}),
                self._server.headers,
                b"",
                deadline=time.monotonic() + DEADLINE_S,
            )
        except (OutOfTimeError, httpx.TransportError):
            return Inspection()
        finally:
            exchange.close()
        return read(response, self._prefix)


def _pair(user: str, password: str) -> str:
    if not user or ":" in user:
        raise SettingsError("clickhouse: user must have a character, and no colon")
    return b64encode(f"{user}:{password}".encode()).decode()


def _checked(database: str) -> str:
    if not database or not database.isprintable():
        raise SettingsError(
            "clickhouse: database must be a name; in a URL it is the path: clickhouse+https://host/shop"
        )
    return database


@dataclass(frozen=True, slots=True)
class _Server:
    address: str
    database: str
    authorization: str = field(repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"authorization": self.authorization}

    def url(self, parameters: Mapping[str, str]) -> str:
        return f"{self.address}/?{urlencode({'database': self.database, **parameters}, quote_via=quote)}"


class _Encoder:
    def __init__(self, server: _Server, prefix: str, *, has_tables: bool) -> None:
        self._server = server
        self._prefix = prefix
        self._has_tables = has_tables

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        return self.encode_batches(self.divide(batch))

    def divide(self, events: Sequence[Event]) -> list[Batch]:
        return [Batch(hashed_uuid("clickhouse", *(event.id for event in part)), part) for part in _parts(events)]

    def encode_batches(self, batches: Sequence[Batch]) -> Iterator[HttpCall | Unsendable]:
        if batches and not self._has_tables:
            yield from map(self._creation, TABLES)
        for batch in batches:
            rows = [to_json(event_row(event)) for event in batch.events]
            if len(rows) == 1 and len(rows[0]) > ROW_BYTES:
                reason = f"encoded it is {len(rows[0])} bytes, and the receiver takes {ROW_BYTES} at most"
                yield Unsendable(batch.events, reason)
                continue
            # The sessions first: a call that fails ends the send, and the call of the events holds the whole batch.
            changes = [(event, row) for event in batch.events if (row := session_row(event)) is not None]
            if changes:
                changed = [event for event, _ in changes]
                yield self._insertion(SESSIONS, batch.id, [to_json(row) for _, row in changes], changed)
            yield self._insertion(EVENTS, batch.id, rows, batch.events, (batch,))

    def _insertion(
        self, table: Table, token: str, rows: Iterable[bytes], events: Sequence[Event], batches: Sequence[Batch] = ()
    ) -> HttpCall:
        parameters = {
            "query": table.insert(self._prefix),
            # Asynchronous inserts do not know the token unless another setting is made, and a server may confirm them
            # before the rows are stored.
            "async_insert": "0",
            "insert_deduplication_token": token,
            # Else the status may be sent before the rows are stored, and an exception follows in the body.
            "wait_end_of_query": "1",
        }
        return HttpCall(
            "POST",
            self._server.url(parameters),
            events,
            body=b"[" + b",\n".join(rows) + b"]",
            headers={**self._server.headers, "content-type": "application/json"},
            interpret=outcome_of,
            batches=batches,
        )

    def _creation(self, table: Table) -> HttpCall:
        """A call without events: if it fails, those behind it wait, as after any other."""
        body = table.create(self._prefix).encode()
        interpret = self._last_created if table is TABLES[-1] else outcome_of
        return HttpCall(
            "POST",
            self._server.url({}),
            (),
            body=body,
            headers=self._server.headers,
            has_gzip=False,
            interpret=interpret,
        )

    def _last_created(self, response: Response) -> Outcome | None:
        outcome = outcome_of(response)
        self._has_tables = isinstance(outcome, Delivered)
        return outcome


def _parts(events: Sequence[Event]) -> Iterator[tuple[Event, ...]]:
    """Divide events in order; a large one stands alone."""
    part: list[Event] = []
    size = 0
    for event in events:
        weight = _weight(event)
        if part and (weight > _LARGE or size + weight > _BATCH_CHARACTERS or len(part) == BATCH_EVENTS):
            yield tuple(part)
            part, size = [], 0
        if weight > _LARGE:
            yield (event,)
        else:
            part.append(event)
            size += weight
    if part:
        yield tuple(part)


def _weight(event: Event) -> int:
    """Return about how many characters an event has."""
    return sum(len(name) + (len(value) if isinstance(value, str) else 8) for name, value in event.attributes.items())
