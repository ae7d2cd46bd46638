"""Statements that read visits, once for both databases."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from sojourn.core.events import EXCEPTION, PAGE_VIEW
from sojourn.core.goals import EXCLUDED
from sojourn.stores.dialect import Dialect
from sojourn.stores.dimensions import NAMES

from .statements import FIRST_VISIT
from .visits import ATTRIBUTES

_LEFT_OUT: Final = EXCLUDED - {PAGE_VIEW}
"""Events that nothing counts."""


@dataclass(frozen=True)
class VisitStatements:
    """In one database's dialect."""

    d: Dialect

    @property
    def _started(self) -> str:
        return f"s.started_at >= {self.d['since']} AND s.started_at < {self.d['until']}"

    @cached_property
    def sessions(self) -> str:
        """The facts of a span's sessions."""
        return self.facts(f"sojourn_sessions AS s WHERE {self._started}")

    @cached_property
    def whole(self) -> str:
        """All facts of a span's sessions, in the order of `WholeFacts`."""
        more = ("s.visitor_id", "s.started_at", FIRST_VISIT, "s.client_errors")
        return self.facts(f"sojourn_sessions AS s WHERE {self._started}", *more)

    def facts(self, tables: str, *more: str) -> str:
        """The facts of the sessions AS s of these tables, in the order of `SessionFacts`."""
        d = self.d
        row = d.array(
            "s.key",
            "s.user_id",
            "s.user_name",
            "s.last_seen_at",
            "CASE WHEN s.last_seen_at > s.started_at THEN s.last_seen_at - s.started_at ELSE 0 END",
            "CASE WHEN s.end_reason IS NULL THEN 1 ELSE 0 END",
            "s.page_views",
            "s.tracked_events",
            "s.errors",
            "s.exit_ms",
            d.array(*(f"s.{name}" for name in NAMES)),
            *more,
        )
        return f"SELECT {d.rows.format(row)} FROM {tables}"

    @cached_property
    def events(self) -> str:
        """The events of a span's sessions, in the order of `EventFacts`."""
        return self._events(
            f"sojourn_sessions AS s {self.d.join} sojourn_events AS e ON e.session_key = s.key", self._started
        )

    @cached_property
    def events_of(self) -> str:
        """The events of these sessions."""
        return self._events("sojourn_events AS e", self.d.among.format("e.session_key", self.d["keys"]))

    @cached_property
    def counted_of(self) -> str:
        """The same, with the attributes that breakdowns count and no others."""
        among = self.d.among.format("e.session_key", self.d["keys"])
        return self._events("sojourn_events AS e", among, with_attributes=f"e.name = '{EXCEPTION}'")

    def _events(self, tables: str, where: str, *, with_attributes: str = f"e.name <> '{PAGE_VIEW}'") -> str:
        d = self.d
        is_page = f"e.name = '{PAGE_VIEW}'"
        row = d.array(
            "e.session_key",
            "e.name",
            "e.time",
            f"CASE WHEN {is_page} THEN 0 ELSE 1 END",
            "e.seq",
            *(f"CASE WHEN {is_page} THEN {d.attribute.format('e.data', name)} END" for name in ATTRIBUTES),
            d.json.format(f"(CASE WHEN {with_attributes} THEN e.data END)"),
        )
        left_out = ", ".join(f"'{name}'" for name in sorted(_LEFT_OUT))
        return f"SELECT {d.rows.format(row)} FROM {tables} WHERE {where} AND e.name NOT IN ({left_out})"
