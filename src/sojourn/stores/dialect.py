"""What the two databases write differently, so that a statement off the hot path exists once.

A shared statement names its parameters as SQLite does (`:name`); `Dialect.sql` turns them into the driver's. Lists are
one JSON parameter each, and rows leave as one JSON value: a statement per row would give up the interpreter lock per row.

See P11 in docs/internals.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .schema import EVENTS, JSON_COLUMNS, SESSIONS
from .tables import Kind

_PARAMETER: Final = re.compile(r"(?<!:):([a-z_]+)")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """Templates: `{}` stands for the value, a column or a parameter."""

    parameter: str
    """How the driver names a parameter."""

    # --- tables
    kinds: Mapping[Kind, str]
    """What a column's type is called."""
    sequence: str
    """What a key says whose numbers are never given twice."""
    clustered: str
    """What a table says whose rows lie in the order of its key."""
    has_wide_indices: bool
    """Whether an index may hold texts of any length."""

    # --- values out
    row: str
    """The function that makes a JSON array of its arguments."""
    rows: str
    """All values of a column as one JSON text, `[]` for none."""
    rows_where: str
    """The same of the values for which a condition holds."""
    totals: str
    """Names and numbers as one JSON object."""
    joined: str
    """All texts of a column as one text, in any order."""
    json: str
    """A column of JSON text within a JSON array."""
    field: str
    """A field of a column of JSON: the column and the field's name."""
    attribute: str
    """The same within a JSON array, as what it is: a number stays one."""
    hex: str
    part: str
    """The first bytes of a column, and how many."""

    # --- values in
    keys: str
    """A JSON parameter of texts, as what follows IN."""
    among: str
    """Whether a column is one of a JSON parameter of texts, found by the column's index."""
    numbers: str
    """A JSON parameter of whole numbers, as a table with the column `value`."""
    among_numbers: str
    """Whether a column is one of a JSON parameter of whole numbers, found by the column's index."""
    texts: str
    """A JSON parameter of texts, as a table with the column `value`."""
    items: str
    """A JSON parameter of arrays, as a table with the column `value`."""
    item: str
    """An item of `value` as text, by its place."""
    integer: str
    """An item of `value` as a whole number, by its place."""
    boolean: str
    """An item of `value` as a truth value, by its place."""
    entries: str
    """A JSON parameter of names and numbers, as a table with the columns `key` and `value`."""

    # --- functions
    size: str
    """How many bytes the store takes."""
    greatest: str
    either: str
    """Of two truth values, whether one is true."""
    like: str
    contains: str
    """Whether a text contains another, which is in lower case; ASCII letters of either case."""
    property_text: str
    """A session property as text; {0} is its parameter."""
    property_name: str
    """What that parameter is for a property of this name."""
    event_property_text: str
    """The same for a property of an event AS e."""
    event_property_name: str

    # --- plans
    by_session: str
    """An event's number where its session's events are to be found by their own index, and then put in order."""
    join: str
    """A join whose left side is read first."""
    inner: str
    outer: str
    """Sessions in order, and the same looked at once more: {} is the former."""
    found: str
    """Sessions AS s for which a condition on s holds, of those that started in a span."""
    indexed: str
    """The index by start, where the database would choose another."""

    # --- locks; empty where a writing transaction has the database to itself
    locked: str
    """What locks the rows of a SELECT from this table."""
    alone: tuple[str, ...]
    """Statements that wait until no transaction is changing sessions."""
    erasing: str
    """The statement that makes the database overwrite what this transaction deletes."""

    def __getitem__(self, name: str) -> str:
        return self.parameter.format(name)

    def sql(self, statement: str) -> str:
        """Return a shared statement in this dialect."""
        return _PARAMETER.sub(lambda name: self.parameter.format(name[1]), statement)

    def array(self, *columns: str) -> str:
        return f"{self.row}({', '.join(columns)})"

    @property
    def session(self) -> str:
        """A row of sessions AS s as one value."""
        return self.array(
            *(
                self.json.format(f"s.{column.name}") if column in JSON_COLUMNS else f"s.{column.name}"
                for column in SESSIONS.columns
            )
        )

    @property
    def event(self) -> str:
        """A row of the log as one value."""
        return self.array(
            *(self.json.format("data") if column.name == "data" else column.name for column in EVENTS.columns)
        )

    @property
    def letter(self) -> str:
        """A dead letter as one value."""
        return self.array("number", "backend", "reason", "status", "at", "requeued_at", self.json.format("event"))
