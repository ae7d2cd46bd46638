"""What counts as an error of a session: one definition for the fold, the report and the docs. Pure.

An error is an exception, or a failed page view (status 500 or more) whose request recorded no exception: an exception and
the failed response that it caused are one error. A page view with a status of 400 to 499 is counted apart. A log record is
no error, whatever its level: frameworks log each failed request as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from .events import EXCEPTION, PAGE_VIEW, Scalar
from .records import FAILED, Entry

_CLIENT_ERROR: Final = 400
SERVER_ERROR: Final = 500


def is_error(name: str, attributes: Mapping[str, Scalar] | None) -> bool:
    """Whether an event is an error, by itself."""
    return name == EXCEPTION or (name == PAGE_VIEW and _status(attributes) >= SERVER_ERROR)


def is_client_error(name: str, attributes: Mapping[str, Scalar] | None) -> bool:
    """Whether an event is a page view with a status of 400 to 499."""
    return name == PAGE_VIEW and _CLIENT_ERROR <= _status(attributes) < SERVER_ERROR


def is_unexplained(entries: Iterable[Entry]) -> bool:
    """Whether a page view failed here and no exception says why."""
    return any(is_error(entry.name, entry.attributes) for entry in entries) and not _has_exception(entries)


def errors_in(entries: Iterable[Entry], flags: int) -> int:
    """How many errors a record adds to its session."""
    exceptions = failed = 0
    for entry in entries:
        if entry.name == PAGE_VIEW:
            failed += _status(entry.attributes) >= SERVER_ERROR
        elif entry.name == EXCEPTION:
            exceptions += 1
    counted_before = 1 if flags & FAILED and exceptions else 0
    return max(exceptions, failed) - counted_before


def _has_exception(entries: Iterable[Entry]) -> bool:
    return any(entry.name == EXCEPTION for entry in entries)


def _status(attributes: Mapping[str, Scalar] | None) -> int:
    status = (attributes or {}).get("http.response.status_code")
    return status if isinstance(status, int) else 0
