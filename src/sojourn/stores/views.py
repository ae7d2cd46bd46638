"""The documented views of a store: what to read with SQL. The tables behind them may change with every release.

A view is declared once, as columns with their meaning and an expression for each database. docs/data.md shows the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sojourn.core.events import PAGE_VIEW

from .dimensions import DIMENSIONS

SHARED_PREFIX: Final = "sojourn_view_"
"""Of the views' names beside tables of an application: those it has, and those that it may add."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expressions:
    """What two databases write differently. `{}` is a column, or a column and the name of an attribute."""

    time: str
    text: str
    number: str
    json: str
    session_properties: str
    """The properties of a session as one object, without when they were set."""


SQLITE: Final = Expressions(
    time="strftime('%Y-%m-%d %H:%M:%f', {} / 1000.0, 'unixepoch')",
    text="json_extract({}, '$.\"{}\"')",
    number="json_extract({}, '$.\"{}\"')",
    json="{}",
    session_properties=(
        "(SELECT json_group_object(key, CASE json_type(value, '$[0]') WHEN 'true' THEN json('true')"
        " WHEN 'false' THEN json('false') ELSE json_extract(value, '$[0]') END) FROM json_each(properties))"
    ),
)

POSTGRESQL: Final = Expressions(
    time="to_timestamp({} / 1000.0)",
    text="({}::json ->> '{}')",
    # Not of every value: an app's `scrub` may have put a text there, and no view fails over one event.
    number="CASE json_typeof({0}::json -> '{1}') WHEN 'number' THEN ({0}::json ->> '{1}')::numeric END",
    json="{}::json",
    session_properties="COALESCE((SELECT json_object_agg(key, value -> 0) FROM json_each(properties::json)), '{}')",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a view: `source` is one of the table, or the name of an attribute."""

    name: str
    meaning: str
    source: str
    form: str = "{}"
    """Which of `Expressions` it takes, or the expression itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    name: str
    table: str
    columns: tuple[Column, ...]
    condition: str = ""

    def create(self, d: Expressions, prefix: str) -> str:
        columns = ", ".join(f"{_expression(d, column)} AS {column.name}" for column in self.columns)
        return f"CREATE VIEW {prefix}{self.name} AS SELECT {columns} FROM {self.table}{self.condition}"  # noqa: S608 - all of it is written here


def _expression(d: Expressions, column: Column) -> str:
    match column.form:
        case "time" | "json":
            return str(getattr(d, column.form)).format(column.source)
        case "text" | "number":
            return str(getattr(d, column.form)).format("data", column.source)
        case "session_properties":
            return d.session_properties
        case form:
            return form.format(column.source)


def _same(name: str, meaning: str, source: str | None = None) -> Column:
    return Column(name=name, meaning=meaning, source=source or name)


def _moment(name: str, meaning: str, source: str | None = None) -> Column:
    return Column(name=name, meaning=f"{meaning}, in UTC", source=source or name, form="time")


def _text(name: str, meaning: str, attribute: str) -> Column:
    return Column(name=name, meaning=meaning, source=attribute, form="text")


def _number(name: str, meaning: str, attribute: str) -> Column:
    return Column(name=name, meaning=meaning, source=attribute, form="number")


_MILLISECONDS: Final = "the same in milliseconds since 1970, which an index finds"

_OF_EVENT: Final = (
    _same("event_id", "the event's id; a repeated delivery has the same", "id"),
    _same("position", "its place in the event log: orders the events of a session", "seq"),
    _moment("time", "when it happened"),
    _same("time_ms", "the same in milliseconds since 1970", "time"),
    _same("session_key", "the session, as in `sessions`"),
    _text("session_id", "the id that the session shows to the world", "session.id"),
    _text("visitor_id", "the browser; random", "visitor.id"),
    _text("user_id", "the user, if one was identified by then", "user.id"),
)

SESSIONS: Final = View(
    name="sessions",
    table="sojourn_sessions",
    columns=(
        _same("session_key", "identifies the session in this store", "key"),
        _same("session_id", "the id that the session shows to the world; the key, unless the app chose one"),
        _same("visitor_id", "the browser; random"),
        _same("user_id", "the user, if one was identified"),
        _same("user_name", "the user's name, if one was given"),
        Column(name="user_traits", meaning="the user's traits, as JSON", source="user_traits", form="json"),
        _moment("started_at", "when it started"),
        _same("started_at_ms", _MILLISECONDS, "started_at"),
        _moment("last_seen_at", "its last activity"),
        _same("last_seen_at_ms", "the same in milliseconds since 1970", "last_seen_at"),
        Column(
            name="duration_ms",
            meaning="from the start to the last activity",
            source="last_seen_at - started_at",
        ),
        Column(name="is_open", meaning="whether it goes on", source="end_reason IS NULL", form="({})"),
        _same("end_reason", "why it ended, as in [`session.end`](events.md#sessionend)"),
        _same("is_manual", "whether the app started it with `start_session()`"),
        _same("requests", "how many requests it had"),
        _same("page_views", "how many page views"),
        _same("events", "how many events of its own"),
        _same("tracked_events", "how many of them by `track()`"),
        _same("errors", "how many [errors](report.md#errors): exceptions, and page views with a status of 500 or more"),
        _same("client_errors", "how many page views with a status of 400 to 499"),
        *(_same(dimension.name, dimension.meaning) for dimension in DIMENSIONS),
        Column(
            name="properties",
            meaning="its [properties](properties.md), as JSON",
            source="properties",
            form="session_properties",
        ),
        Column(
            name="origin",
            meaning="what else is known of its first request, as JSON by the attributes of "
            "[`session.start`](events.md#sessionstart)",
            source="origin",
            form="json",
        ),
    ),
)

EVENTS: Final = View(
    name="events",
    table="sojourn_events",
    columns=(
        *_OF_EVENT,
        _same("name", "what happened, such as `session.start`"),
        Column(name="attributes", meaning="its [attributes](events.md), as JSON", source="data", form="json"),
    ),
)

PAGE_VIEWS: Final = View(
    name="page_views",
    table="sojourn_events",
    condition=f" WHERE name = '{PAGE_VIEW}'",
    columns=(
        *_OF_EVENT,
        _text("path", "the path, masked as in [`page_view`](events.md#page_view)", "url.path"),
        _text("query", "the query parameters of allowed names", "url.query"),
        _text("route", "the route's template", "http.route"),
        _text("method", "the request's method", "http.request.method"),
        _number("status", "the response's status", "http.response.status_code"),
        _number("duration_ms", "until the response started", "page_view.duration_ms"),
    ),
)

VIEWS: Final = (SESSIONS, EVENTS, PAGE_VIEWS)


def create_views(d: Expressions, prefix: str) -> Iterator[str]:
    """The statements that create the views."""
    return (view.create(d, prefix) for view in VIEWS)


def drop_views(prefix: str) -> Iterator[str]:
    """The statements that drop them: a migration changes no table under a view."""
    return (f"DROP VIEW IF EXISTS {prefix}{view.name}" for view in VIEWS)
