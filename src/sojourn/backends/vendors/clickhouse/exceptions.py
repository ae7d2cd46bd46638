"""What an exception of ClickHouse means for the events of an insert. Pure.

The code stands in a header; in the body too, where the response had begun before the exception, and then the status is 200.
Which code has which status: `exceptionCodeToHTTPStatus` in ClickHouse's source.
https://clickhouse.com/docs/interfaces/http
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sojourn.backends.outcomes import Delivered, Outcome, Pause, Response, RetryLater, Split
from sojourn.backends.receipts import not_a_receipt

CODE_HEADER: Final = "x-clickhouse-exception-code"

UNKNOWN_TABLE: Final = 60
_TOO_MANY_PARTS: Final = 252

_IN_BODY: Final = re.compile(rb"\bCode: (\d{1,4})(?:\.|,) .{0,40}DB::Exception")
_TOO_MANY_PARTITIONS: Final = re.compile(rb"too many partitions", re.IGNORECASE)

_COLUMN: Final = "a table lacks a column that is inserted; `sojourn check` shows the statement that adds it"
_LOG_IN: Final = "user or password is wrong; check the URL"
_RIGHTS: Final = "the user may not do this; grant INSERT on both tables (for create=1 also CREATE TABLE)"
_SETTING: Final = "a setting of the insert is refused; allow async_insert and insert_deduplication_token to this user"

# These concern the database, not an event: nothing is lost while they are mended.
_PAUSED: Final[Mapping[int, tuple[str, str]]] = {
    8: ("THERE_IS_NO_COLUMN", _COLUMN),
    16: ("NO_SUCH_COLUMN_IN_TABLE", _COLUMN),
    47: ("UNKNOWN_IDENTIFIER", _COLUMN),
    UNKNOWN_TABLE: (
        "UNKNOWN_TABLE",
        "a table does not exist; `sojourn check` shows the statements that create both, or add create=1 to the URL",
    ),
    81: ("UNKNOWN_DATABASE", "the database does not exist; create it, or check the path of the URL"),
    115: ("UNKNOWN_SETTING", _SETTING),
    164: ("READONLY", "the user may only read; give it a profile without readonly"),
    192: ("UNKNOWN_USER", _LOG_IN),
    193: ("WRONG_PASSWORD", _LOG_IN),
    194: ("REQUIRED_PASSWORD", "a password is missing; write user:password before the host"),
    195: ("IP_ADDRESS_NOT_ALLOWED", "the user may not log in from this address"),
    452: ("SETTING_CONSTRAINT_VIOLATION", _SETTING),
    497: ("ACCESS_DENIED", _RIGHTS),
    516: ("AUTHENTICATION_FAILED", _LOG_IN),
}

# These concern the values of a row: halved until the rows at fault stand alone.
_REFUSED: Final[Mapping[int, str]] = {
    6: "CANNOT_PARSE_TEXT",
    25: "CANNOT_PARSE_ESCAPE_SEQUENCE",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    33: "CANNOT_READ_ALL_DATA",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    130: "CANNOT_READ_ARRAY_FROM_TEXT",
    131: "TOO_LARGE_STRING_SIZE",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    376: "CANNOT_PARSE_UUID",
    467: "CANNOT_PARSE_BOOL",
    469: "VIOLATED_CONSTRAINT",
    691: "UNKNOWN_ELEMENT_OF_ENUM",
}

# As all others are; named, because an operator meets these.
_RETRIED: Final[Mapping[int, str]] = {
    159: "TIMEOUT_EXCEEDED",
    201: "QUOTA_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    243: "NOT_ENOUGH_SPACE",
    _TOO_MANY_PARTS: "TOO_MANY_PARTS",
    439: "CANNOT_SCHEDULE_TASK",
    999: "KEEPER_EXCEPTION",
}


def outcome_of(response: Response) -> Outcome | None:
    """Return what a response to an insert or to a statement without a result means. `None`: what its status means."""
    code = code_of(response)
    if code is not None:
        return _outcome_of_code(code, response)
    if not 200 <= response.status < 300:
        return None
    if response.status == 200 and not response.body.strip() and is_clickhouse(response):
        return Delivered()
    return not_a_receipt(response, "ClickHouse responds with 200, headers X-ClickHouse-... and an empty body")


def is_clickhouse(response: Response) -> bool:
    """Return whether the headers are those of ClickHouse."""
    return any(name.startswith("x-clickhouse-") for name in response.headers)


def code_of(response: Response) -> int | None:
    """Return the code of an exception, or `None` if there was none."""
    text = response.headers.get(CODE_HEADER, "").strip()
    if text.isdecimal() and text.isascii():
        return int(text) or None
    match = _IN_BODY.search(response.body)
    return int(match[1]) if match else None


def _outcome_of_code(code: int, response: Response) -> Outcome | None:
    where = f"HTTP {response.status}: ClickHouse error {code}"
    if pause := _PAUSED.get(code):
        name, hint = pause
        return Pause(reason=f"{where} ({name}): {hint}")
    # The message is not shown: it may quote the row.
    if name := _REFUSED.get(code, ""):
        return Split(reason=f"{where} ({name}): the row is not valid for the table")
    if code == _TOO_MANY_PARTS and _TOO_MANY_PARTITIONS.search(response.body):
        return Split(reason=f"{where} (TOO_MANY_PARTS): one insert for more than 100 months")
    if response.status in (400, 404):
        return Pause(reason=f"{where}; look it up in ClickHouse's list of errors")
    name = _RETRIED.get(code, "")
    return RetryLater(reason=f"{where} ({name})" if name else where)
