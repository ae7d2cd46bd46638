"""How a summary is forgotten when a session of its hour or day changes, whoever changes it: by triggers on sessions.

So no writer has to think of it: the recorder, an erasure, the retention. Part of the schema: what was released never
changes but by a new version.
"""

# ruff: noqa: S608 - every part is written here
from __future__ import annotations

from typing import Final

_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR


def _ids(at: str) -> str:
    """The summaries of the hour and of the day with this moment; a day's is 1 ms beside its first hour's."""
    return f"{at} / {_HOUR} * {_HOUR}, {at} / {_DAY} * {_DAY} + 1"


def _forget(at: str) -> str:
    return f"BEGIN DELETE FROM summaries WHERE id IN ({_ids(at)}); END"


SQLITE_TRIGGERS: Final = (
    f"CREATE TRIGGER summaries_of_new AFTER INSERT ON sessions {_forget('NEW.started_at')}",
    f"CREATE TRIGGER summaries_of_changed AFTER UPDATE ON sessions {_forget('NEW.started_at')}",
    "CREATE TRIGGER summaries_of_moved AFTER UPDATE OF started_at ON sessions WHEN OLD.started_at <> NEW.started_at "
    + _forget("OLD.started_at"),
    f"CREATE TRIGGER summaries_of_gone AFTER DELETE ON sessions {_forget('OLD.started_at')}",
)


def _function(name: str, *tables: str) -> str:
    ids = " UNION ".join(f"SELECT unnest(ARRAY[{_ids('started_at')}]) FROM {table}" for table in tables)
    return f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN DELETE FROM summaries WHERE id IN ({ids}); RETURN NULL; END $$"""


# Once for each statement, not for each row.
POSTGRES_TRIGGERS: Final = (
    _function("forget_summaries_of_new", "arrived"),
    _function("forget_summaries_of_changed", "arrived", "gone"),
    _function("forget_summaries_of_gone", "gone"),
    (
        "CREATE TRIGGER summaries_of_new AFTER INSERT ON sessions REFERENCING NEW TABLE AS arrived"
        " FOR EACH STATEMENT EXECUTE FUNCTION forget_summaries_of_new()"
    ),
    (
        "CREATE TRIGGER summaries_of_changed AFTER UPDATE ON sessions REFERENCING NEW TABLE AS arrived OLD TABLE AS gone"
        " FOR EACH STATEMENT EXECUTE FUNCTION forget_summaries_of_changed()"
    ),
    (
        "CREATE TRIGGER summaries_of_gone AFTER DELETE ON sessions REFERENCING OLD TABLE AS gone"
        " FOR EACH STATEMENT EXECUTE FUNCTION forget_summaries_of_gone()"
    ),
)
