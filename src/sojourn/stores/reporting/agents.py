"""What agents read, in any database."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from typing import Final

import msgspec

from sojourn.core.agent_hits import LLMS, OTHER_PAGES, ROBOTS
from sojourn.stores import wire
from sojourn.stores.database import Database

from .agents_model import AgentHour, AgentLine, AgentPage, AgentPages
from .filters_sql import lower
from .model import HOUR_MS, Span

_lines: Final = msgspec.json.Decoder(list[AgentLine])
_pages: Final = msgspec.json.Decoder(list[AgentPage])
_hours: Final = msgspec.json.Decoder(list[AgentHour])


def _hits_where(condition: str) -> str:
    return _sum(f"CASE WHEN {condition} THEN hits ELSE 0 END")


def _sum(value: str) -> str:
    """A sum as a whole number: PostgreSQL makes a decimal of a sum of BIGINT."""
    return f"CAST(SUM({value}) AS BIGINT)"


_REFUSED: Final = f"{_hits_where('status = 4')} AS client_errors, {_hits_where('status = 5')} AS server_errors"
_INSIDE: Final = "FROM sojourn_agents WHERE at >= :since AND at < :until"
_CHOSEN: Final = "(:agent = '' OR agent = :agent) AND (:kind = '' OR kind = :kind)"


class SQLAgents:
    """The port `AgentReport`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        llms = ", ".join(f"'{path}'" for path in LLMS)
        columns = ", ".join(f"{_sum(name)} AS {name}" for name in ("hits", "verified", "refuted"))
        lines = f"""
SELECT agent, MAX(kind) AS kind, {columns}, {_REFUSED},
       {_hits_where(f"path = '{ROBOTS}'")} AS robots, {_hits_where(f"path IN ({llms})")} AS llms,
       COUNT(DISTINCT path) AS pages, MAX(last_at) AS last_at
{_INSIDE} GROUP BY agent ORDER BY hits DESC, agent"""
        fields = d.array(*AgentLine.__struct_fields__)
        self._lines: Final = d.sql(f"SELECT {d.rows.format(fields)} FROM ({lines}) AS found")
        found_in = f"{_INSIDE} AND {_CHOSEN} AND (:find = '' OR {d.contains.format('path', ':find')})"
        pages = f"""
SELECT path, {_sum("hits")} AS hits, {_REFUSED},
       COUNT(DISTINCT agent) AS agents, MAX(last_at) AS last_at
{found_in} GROUP BY path"""
        fields = d.array(*AgentPage.__struct_fields__)
        self._pages: Final = d.sql(f"""
SELECT {d.rows.format(fields)}, (SELECT COUNT(DISTINCT path) {found_in} AND path <> '{OTHER_PAGES}')
FROM (SELECT * FROM ({pages}) AS every ORDER BY hits DESC, path LIMIT :limit) AS found""")
        hours = f"""
SELECT at, {_sum("hits")} AS hits, {_hits_where("status >= 4")} AS refused
{_INSIDE} AND {_CHOSEN} GROUP BY at"""
        fields = d.array(*AgentHour.__struct_fields__)
        self._hours: Final = d.sql(f"SELECT {d.rows.format(fields)} FROM ({hours}) AS found")

    def agents(self, span: Span) -> list[AgentLine]:
        return sorted(_lines.decode(self._text(self._lines, span)), key=lambda line: (-line.hits, line.agent))

    def pages(
        self, span: Span, *, agent: str | None = None, kind: str | None = None, find: str = "", limit: int
    ) -> AgentPages:
        values = {**_whole_hours(span), **_chosen(agent, kind), "find": lower(wire.clean(find)), "limit": limit}
        text, total = self._database.read(self._pages, **values)
        pages = sorted(_pages.decode(text), key=lambda page: (-page.hits, page.path))
        return AgentPages(pages=tuple(pages), total=int(total))

    def hours(self, span: Span, *, agent: str | None = None, kind: str | None = None) -> list[AgentHour]:
        text = self._text(self._hours, span, **_chosen(agent, kind))
        return sorted(_hours.decode(text), key=lambda hour: hour.at)

    def _text(self, statement: str, span: Span, **values: str) -> str:
        text: str = self._database.read(statement, **_whole_hours(span), **values)[0]
        return text


def _chosen(agent: str | None, kind: str | None) -> dict[str, str]:
    return {"agent": wire.clean(agent or ""), "kind": wire.clean(kind or "")}


def _whole_hours(span: Span) -> dict[str, object]:
    return {"since": span.since // HOUR_MS * HOUR_MS, "until": -(-span.until // HOUR_MS) * HOUR_MS}
