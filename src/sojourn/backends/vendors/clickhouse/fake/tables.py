"""The tables of the fake: they take rows that fit, take the token of an insert once, and replace rows by their key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

Row = dict[str, Any]

_CREATE: Final = re.compile(
    r"CREATE TABLE IF NOT EXISTS (\w+)\s*\((.*)\)\s*ENGINE = (\w+)(?:\((\w+)\))?.*?ORDER BY \(?([\w, ]+)\)?\s",
    re.DOTALL,
)
_COLUMN: Final = re.compile(r"\s*(\w+) (.+?),?\s*$")
_NULLABLE: Final = re.compile(r"Nullable\((.+)\)")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,9})?", re.ASCII)


class ClickHouseError(Exception):
    """An exception of ClickHouse, with its code, name and message."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.name = name


@dataclass(slots=True, kw_only=True)
class FakeTable:
    """A table of the engine ReplacingMergeTree: of the rows with one key, the highest version holds, else the last."""

    name: str
    columns: Mapping[str, str]
    engine: str
    key: Sequence[str]
    version: str | None
    rows: list[Row] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def insert(self, columns: Sequence[str], rows: Sequence[Any], token: str) -> list[Row] | None:
        """Insert rows and return them; `None` if an insert with this token was taken before."""
        for column in columns:
            if column not in self.columns:
                message = f"No such column {column} in table {self.name}"
                raise ClickHouseError(16, "NO_SUCH_COLUMN_IN_TABLE", message)
        checked = [self._checked(columns, row) for row in rows]
        if token in self.tokens:
            return None
        if token:
            self.tokens.add(token)
        self.rows += checked
        return checked

    def final(self) -> list[Row]:
        """Return the rows as `SELECT ... FINAL` does."""
        kept: dict[tuple[Any, ...], Row] = {}
        for row in self.rows:
            key = tuple(row[name] for name in self.key)
            other = kept.get(key)
            if other is None or self.version is None or row[self.version] >= other[self.version]:
                kept[key] = row
        return list(kept.values())

    def _checked(self, columns: Sequence[str], row: Any) -> Row:
        if not isinstance(row, dict):
            raise ClickHouseError(27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", "Cannot parse input: expected '{'")
        for name in row:
            if name not in columns:
                message = f"Unknown field found while parsing JSONEachRow format: {name}"
                raise ClickHouseError(117, "INCORRECT_DATA", message)
        for name in columns:
            check_value(self.columns[name], row.get(name), name)
        return row


def created(statement: str) -> FakeTable | None:
    """Return the table that a statement creates, or `None` if it is no such statement."""
    match = _CREATE.match(statement + "\n")
    if match is None:
        return None
    found = filter(None, map(_COLUMN.match, match[2].strip().split("\n")))
    columns = {column[1]: column[2] for column in found}
    key = [name.strip() for name in match[5].split(",")]
    return FakeTable(name=match[1], columns=columns, engine=match[3], version=match[4], key=key)


def check_value(kind: str, value: Any, name: str) -> None:
    """Raise `ClickHouseError` if JSON's value is none of this type."""
    if nullable := _NULLABLE.fullmatch(kind):
        if value is not None:
            check_value(nullable[1], value, name)
    elif kind.startswith("Map("):
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise _cannot_parse(name, "{'key':'text'}")
    elif kind.startswith("DateTime64"):
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            raise ClickHouseError(
                41, "CANNOT_PARSE_DATETIME", f"Cannot parse DateTime (while reading the value of key {name})"
            )
    elif kind == "UInt64":
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
            raise _cannot_parse(name, "a number")
    elif kind == "Bool":
        if not isinstance(value, bool):
            raise ClickHouseError(
                467, "CANNOT_PARSE_BOOL", f"Cannot parse boolean (while reading the value of key {name})"
            )
    elif not isinstance(value, str):
        raise _cannot_parse(name, "a text")


def rows_of(body: bytes) -> list[Any]:
    """Read JSONEachRow: objects in an array, or one after the other."""
    try:
        if body.lstrip()[:1] == b"[":
            rows: list[Any] = msgspec.json.decode(body)
            return rows
        return msgspec.json.Decoder().decode_lines(body)
    except ValueError as error:
        raise ClickHouseError(27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", "Cannot parse input") from error


def _cannot_parse(name: str, expected: str) -> ClickHouseError:
    message = f"Cannot parse input: expected {expected} (while reading the value of key {name})"
    return ClickHouseError(27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", message)
