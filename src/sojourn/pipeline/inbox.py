"""The inbox as the request path writes it: over the application's connection, in its transaction (`tracking.transactions`).

See P35 in docs/internals.md.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from typing import Any, Final

from sojourn.core.ids import uuid7
from sojourn.core.records import Record
from sojourn.stores.inbox.drivers import Awaiting, Blocking, awaits, driver_of
from sojourn.stores.inbox.target import InboxTarget
from sojourn.stores.inbox.writing import Values, writing
from sojourn.stores.protocol import Store

from . import payloads
from .intake import Intake

_numbers: Final = itertools.count()


class Inbox:
    """The inbox of a store. Every method may be called by any thread."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._target: InboxTarget | None = None

    def check(self, connection: Any, *, is_awaited: bool) -> None:
        """Raise `TypeError` for what is no connection, or one of the other kind."""
        _check(connection, is_awaited=is_awaited)

    def write(self, record: Record, connection: Any) -> None:
        """Write a record. Blocks; the first call of a process may connect to the store."""
        driver = driver_of(connection)
        if isinstance(driver, Blocking):
            driver.write(writing(self._where(), driver.database, _values(record)))

    async def write_async(self, record: Record, connection: Any) -> None:
        """Write a record without blocking the event loop."""
        driver = driver_of(connection)
        if isinstance(driver, Awaiting):
            target = await asyncio.to_thread(self._where) if self._target is None else self._target
            await driver.write(writing(target, driver.database, _values(record)))

    def _where(self) -> InboxTarget:
        # Without a lock: of two threads that ask at once, both get the same.
        target = self._target
        if target is None:
            target = self._target = self._store().inbox_target()
        return target


class DirectInbox:
    """For tests with a store in memory and a manual clock: no transaction can reach it, so events are recorded at once."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def check(self, connection: Any, *, is_awaited: bool) -> None:
        _check(connection, is_awaited=is_awaited)

    def write(self, record: Record, connection: Any) -> None:
        self._intake.append(record, kind="inbox", is_essential=True)

    async def write_async(self, record: Record, connection: Any) -> None:
        self.write(record, connection)


def _check(connection: Any, *, is_awaited: bool) -> None:
    # By class: recognising a session of SQLAlchemy would take its connection out of the pool.
    kind = type(connection)
    if awaits(connection) == is_awaited:
        return
    name = f"{kind.__module__}.{kind.__qualname__}"
    msg = (
        f"track_async(): {name} blocks; call track(..., connection=...)"
        if is_awaited
        else f"track(): {name} belongs to asynchronous code; call await track_async(..., connection=...)"
    )
    raise TypeError(msg)


def _values(record: Record) -> Values:
    # All events of a request have its time. A number keeps them in order: 26 of the 74 bits that an id has beside the time.
    number = next(_numbers)
    high, low = (number >> 14) % 2**12, number % 2**14
    return {
        "id": uuid7(record.at, high.to_bytes(2, "big") + low.to_bytes(2, "big") + os.urandom(6)),
        "visitor_id": record.visitor_id,
        "session_key": record.key,
        "data": payloads.encode_for_inbox(record),
    }
