"""Errors of PostgreSQL as `StoreError`, with the fix. Never the server's own text of a statement: it may quote data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg import errors

from sojourn.errors import StoreError
from sojourn.stores.model import TryAgain

LOCK_PATIENCE_S: Final = 5
STATEMENT_PATIENCE_S: Final = 30

_REPEATABLE: Final = (errors.DeadlockDetected, errors.SerializationFailure)

_READ_ONLY: Final = (
    "is read-only, probably a standby; name the primary, or all hosts with ?target_session_attrs=read-write"
)

_MESSAGES: Final[Mapping[type[psycopg.Error], str]] = {
    errors.LockNotAvailable: f"has been locked by another process for {LOCK_PATIENCE_S} s; it will be retried",
    errors.QueryCanceled: f"took longer than {STATEMENT_PATIENCE_S} s; it will be retried. Is the server overloaded?",
    errors.IdleInTransactionSessionTimeout: (
        "closed the connection, because this process was suspended in a transaction for too long"
    ),
    errors.ReadOnlySqlTransaction: _READ_ONLY,
    # What a standby says to BEGIN ... READ WRITE: "cannot set transaction read-write mode during recovery".
    errors.FeatureNotSupported: _READ_ONLY,
    errors.InsufficientPrivilege: (
        "does not give this role enough privileges; make it the owner of the tables: "
        "ALTER SCHEMA ... OWNER TO ..., and the same for each table in it"
    ),
    errors.DiskFull: "has no space left on its disk; it will be retried",
    errors.UndefinedTable: "lacks some of its tables; restore them, or drop the others to start with an empty store",
    errors.InvalidSchemaName: "lacks its schema; restore it, or restart to create an empty store",
    errors.UndefinedColumn: "has tables with other columns than Sojourn created; restore them",
}


def explained(name: str, error: psycopg.Error, *, is_lost: bool) -> StoreError | TryAgain:
    """Return the error to raise instead. `is_lost`: the connection is lost too."""
    if isinstance(error, _REPEATABLE):
        return TryAgain(type(error).__name__)
    for kind, message in _MESSAGES.items():
        if isinstance(error, kind):
            return StoreError(f"the store {name} {message}")
    reason = type(error).__name__ + (f" {error.sqlstate}" if error.sqlstate else "")
    if is_lost:
        return StoreError(f"the store {name} cut the connection ({reason}); it will be retried with a new one")
    return StoreError(f"the store {name} failed ({reason}); the server's log says more")


def unreachable(name: str, error: psycopg.Error) -> StoreError:
    """Return the error for a failed connection. The driver's text names host, user and reason, but no password."""
    reason = " ".join(str(error).split())[:400]
    return StoreError(
        f"the store {name} cannot be reached: {reason}; check that the server runs, and host, user and password"
    )
