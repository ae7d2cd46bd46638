"""What went wrong with PostgreSQL, said with the fix. Never the server's own text of a statement: it may quote data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg import errors

from sojourn.errors import StoreError
from sojourn.stores.model import TryAgain

LOCK_PATIENCE_S: Final = 5
STATEMENT_PATIENCE_S: Final = 30

_AGAIN: Final = (errors.DeadlockDetected, errors.SerializationFailure)

_SAYS: Final[Mapping[type[psycopg.Error], str]] = {
    errors.LockNotAvailable: f"has been locked by another process for {LOCK_PATIENCE_S} s; it is tried again",
    errors.QueryCanceled: f"took longer than {STATEMENT_PATIENCE_S} s; it is tried again. Is the server overloaded?",
    errors.IdleInTransactionSessionTimeout: "took its connection back, because this process stood still for too long",
    errors.ReadOnlySqlTransaction: (
        "is read-only: a standby, it seems. Name the primary, or all hosts and ?target_session_attrs=read-write"
    ),
    errors.InsufficientPrivilege: (
        "does not let this role do its work; make it the owner of the tables: "
        "ALTER SCHEMA ... OWNER TO ..., and the same for each table in it"
    ),
    errors.DiskFull: "has no space left on its disk; it is tried again",
    errors.UndefinedTable: "has lost tables of ours; restore them, or drop the rest of them to begin anew",
    errors.InvalidSchemaName: "has lost the schema of our tables; restore it, or restart to begin anew",
    errors.UndefinedColumn: "has tables that are not as we made them; restore them",
}


def explained(name: str, error: psycopg.Error, *, is_lost: bool) -> StoreError | TryAgain:
    """What to raise instead. `is_lost`: the connection is gone with it."""
    if isinstance(error, _AGAIN):
        return TryAgain(type(error).__name__)
    for kind, says in _SAYS.items():
        if isinstance(error, kind):
            return StoreError(f"the store {name} {says}")
    kind_of_error = type(error).__name__ + (f" {error.sqlstate}" if error.sqlstate else "")
    if is_lost:
        return StoreError(f"the store {name} cut the connection ({kind_of_error}); it is tried again with a new one")
    return StoreError(f"the store {name} failed ({kind_of_error}); the server's log says more")


def unreachable(name: str, error: psycopg.Error) -> StoreError:
    """What the driver says of a connection that did not come about names host, user and reason, but no password."""
    reason = " ".join(str(error).split())[:400]
    return StoreError(
        f"the store {name} cannot be reached: {reason}; check that the server runs, and host, user and password"
    )
