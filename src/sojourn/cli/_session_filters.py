"""Options that select sessions, shared by several commands, and the filter they make."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sojourn.core.session import EndReason

from . import _data_subjects
from ._status import duration

if TYPE_CHECKING:
    from sojourn.stores import Store
    from sojourn.stores.reporting.filters import Condition
    from sojourn.stores.reporting.model import Filter, Span

    from ._stores import StoreSource

_LATEST: Final = 253_402_300_799_999
"""The end of the year 9999."""


def options() -> argparse.ArgumentParser:
    """A parent parser with the options that select sessions."""
    from sojourn.stores.reporting.filters import NONE, names

    parent = argparse.ArgumentParser(add_help=False)
    which = parent.add_argument_group("filters (a session must match all of them)")
    which.add_argument(
        "--where",
        action="append",
        type=_condition,
        metavar="CONDITION",
        help="a condition such as browser=Firefox, browser!=Firefox (is not) or entry~=shop (contains); repeatable. "
        f"Names: {', '.join(names())}. `*` at the end of a value matches any rest; {NONE} matches sessions without a value",
    )
    which.add_argument(
        "--view",
        metavar="NAME",
        help="what this saved view of the report has; other options replace its filters of the same name, or its range",
    )
    which.add_argument("--active", action="store_true", help="sessions that have not ended: state=open")
    which.add_argument("--path", metavar="PATH", help="sessions that viewed this page: path=PATH")
    which.add_argument(
        "--reason",
        choices=[str(reason) for reason in EndReason],
        help="sessions that ended for this reason: reason=...",
    )
    which.add_argument(
        "--errors",
        action="store_true",
        help="sessions with an exception, or a page view with a status of 500 or above: errors=1..",
    )
    span_options(which)
    return parent


def _condition(text: str) -> Condition:
    """Parse `--where`."""
    from sojourn.stores.reporting.filters import InvalidFilterError, parse_condition

    try:
        return parse_condition(text)
    except InvalidFilterError as error:
        raise argparse.ArgumentTypeError(f"{error.parameter}: {error}") from None


def span_options(parser: Any) -> None:
    """Add `--since` and `--until`."""
    parser.add_argument(
        "--since",
        type=moment,
        metavar="WHEN",
        help="from this time on: 2026-01-31, 2026-01-31T12:00 (UTC), or an age such as 7d",
    )
    parser.add_argument("--until", type=moment, metavar="WHEN", help="before this time")


def person_options() -> argparse.ArgumentParser:
    """A parent parser with `--user` and `--visitor`."""
    parent = argparse.ArgumentParser(add_help=False)
    who = parent.add_mutually_exclusive_group()
    who.add_argument(
        "--user", type=_data_subjects.parse_id, metavar="ID", help="sessions of a user, by the ID passed to identify()"
    )
    who.add_argument(
        "--visitor", type=_data_subjects.parse_id, metavar="ID", help="sessions of a browser, by its visitor.id"
    )
    return parent


def moment(text: str) -> datetime | timedelta:
    """Parse a date argument, or how long ago it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    try:
        return duration(text)
    except argparse.ArgumentTypeError:
        msg = f'give a date such as "2026-01-31" or "2026-01-31T12:00", or an age such as "7d"; got {text!r}'
        raise argparse.ArgumentTypeError(msg) from None


def span_of(arguments: argparse.Namespace, now: int) -> Span | None:
    """The span from `--since` to `--until`; `None`: all time. Raises `SojournError`."""
    from sojourn.errors import SojournError
    from sojourn.stores.reporting.model import Span

    if arguments.since is None and arguments.until is None:
        return None
    since = 0 if arguments.since is None else _at(arguments.since, now)
    until = _LATEST if arguments.until is None else _at(arguments.until, now)
    if since >= until:
        raise SojournError("--until must be later than --since")
    return Span(since, until)


def filter_of(arguments: argparse.Namespace, source: StoreSource, store: Store, now: int) -> Filter:
    """The filter that the options make. Raises `SojournError`."""
    from sojourn.errors import SojournError
    from sojourn.stores.reporting.filters import Condition, InvalidFilterError, Operator, condition, first_conflict
    from sojourn.stores.reporting.model import Filter

    conditions: list[Condition] = list(arguments.where or ())
    if getattr(arguments, "visitor", None) is not None:
        conditions.append(Condition("visitor", Operator.IS, arguments.visitor))
    elif getattr(arguments, "user", None) is not None:
        conditions.append(Condition("user", Operator.IS, _data_subjects.stored_user_id(arguments, source) or ""))
    try:
        if arguments.active:
            conditions.append(condition("state", "open"))
        if arguments.path is not None:
            conditions.append(condition("path", arguments.path))
        if arguments.errors:
            conditions.append(condition("errors", "1.."))
        if arguments.reason is not None:
            conditions.append(condition("reason", arguments.reason))
        if (conflict := first_conflict(conditions)) is not None:
            raise conflict
    except InvalidFilterError as error:
        raise SojournError(f"{error.parameter}: {error}") from None
    span = span_of(arguments, now)
    if arguments.view is None:
        return Filter(span=span, conditions=tuple(conditions))
    from sojourn.report.reading import filter_of_view

    from ._stats import report_source

    return filter_of_view(report_source(source, store), arguments.view, conditions, span)


def _at(when: datetime | timedelta, now: int) -> int:
    if isinstance(when, timedelta):
        return max(0, now - round(when.total_seconds() * 1000))
    return min(max(0, round(when.timestamp() * 1000)), _LATEST)
