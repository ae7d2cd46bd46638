"""Triggers that delete the rollups of a session's hour, day and block when it changes, and also what lies beside them when it
is deleted: trails and breakdowns.

These are not read without their rollup, so they may stay until they are made again; but of a deleted session nothing may stay.

So no writer has to think of it: the recorder, an erasure, the retention. Part of the schema: what was released never
changes but by a new version.
"""

# ruff: noqa: S608 - every part is written here
from __future__ import annotations

from typing import Final

_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_BLOCK: Final = 16 * _DAY


def _ids(at: str) -> str:
    """The ids of the rollups with this moment (see `levels`)."""
    return f"{at} / {_HOUR} * {_HOUR}, {at} / {_DAY} * {_DAY} + 1, {at} / {_BLOCK} * {_BLOCK} + 2"


def _forget(at: str, *more: str) -> str:
    steps = (f"DELETE FROM sojourn_rollups WHERE id IN ({_ids(at)})", *more)
    return f"BEGIN {'; '.join(steps)}; END"


_TRAIL: Final = f"DELETE FROM sojourn_trails WHERE hour IN ({_ids('OLD.started_at')})"
_BREAKDOWN: Final = f"DELETE FROM sojourn_breakdowns WHERE id IN ({_ids('OLD.started_at')})"


SQLITE_TRIGGERS: Final = (
    f"CREATE TRIGGER sojourn_rollups_of_new AFTER INSERT ON sojourn_sessions {_forget('NEW.started_at')}",
    f"CREATE TRIGGER sojourn_rollups_of_changed AFTER UPDATE ON sojourn_sessions {_forget('NEW.started_at')}",
    (
        "CREATE TRIGGER sojourn_rollups_of_moved AFTER UPDATE OF started_at ON sojourn_sessions"
        f" WHEN OLD.started_at <> NEW.started_at {_forget('OLD.started_at')}"
    ),
    f"CREATE TRIGGER sojourn_rollups_of_gone AFTER DELETE ON sojourn_sessions {_forget('OLD.started_at', _TRAIL, _BREAKDOWN)}",
)


def _function(name: str, *tables: str, more: str = "") -> str:
    ids = " UNION ".join(f"SELECT unnest(ARRAY[{_ids('started_at')}]) FROM {table}" for table in tables)
    return f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN DELETE FROM sojourn_rollups WHERE id IN ({ids}); {more}RETURN NULL; END $$"""


_TRAILS: Final = f"DELETE FROM sojourn_trails WHERE hour IN (SELECT unnest(ARRAY[{_ids('started_at')}]) FROM gone); "
_BREAKDOWNS: Final = (
    f"DELETE FROM sojourn_breakdowns WHERE id IN (SELECT unnest(ARRAY[{_ids('started_at')}]) FROM gone); "
)


# Once per statement, not per row.
POSTGRES_TRIGGERS: Final = (
    _function("sojourn_forget_rollups_of_new", "arrived"),
    _function("sojourn_forget_rollups_of_changed", "arrived", "gone"),
    _function("sojourn_forget_rollups_of_gone", "gone", more=_TRAILS + _BREAKDOWNS),
    (
        "CREATE TRIGGER sojourn_rollups_of_new AFTER INSERT ON sojourn_sessions REFERENCING NEW TABLE AS arrived"
        " FOR EACH STATEMENT EXECUTE FUNCTION sojourn_forget_rollups_of_new()"
    ),
    (
        "CREATE TRIGGER sojourn_rollups_of_changed AFTER UPDATE ON sojourn_sessions"
        " REFERENCING NEW TABLE AS arrived OLD TABLE AS gone"
        " FOR EACH STATEMENT EXECUTE FUNCTION sojourn_forget_rollups_of_changed()"
    ),
    (
        "CREATE TRIGGER sojourn_rollups_of_gone AFTER DELETE ON sojourn_sessions REFERENCING OLD TABLE AS gone"
        " FOR EACH STATEMENT EXECUTE FUNCTION sojourn_forget_rollups_of_gone()"
    ),
)
