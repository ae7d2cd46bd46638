"""PostgreSQL's dialect."""

# ruff: noqa: S608 - every part is written here
from __future__ import annotations

from typing import Final

from sojourn.stores.dialect import Dialect
from sojourn.stores.tables import Kind

_TEXTS: Final = "json_array_elements_text({}::json)"

POSTGRESQL: Final = Dialect(
    parameter="%({})s",
    # Texts are compared by bytes: ids need no language, and no upgrade of an operating system's then spoils an index.
    kinds={
        Kind.TEXT: 'TEXT COLLATE "C"',
        Kind.INTEGER: "BIGINT",
        Kind.SMALL: "SMALLINT",
        Kind.BOOLEAN: "BOOLEAN",
        Kind.BYTES: "BYTEA",
        Kind.SERIAL: "BIGSERIAL",
        Kind.SEQUENCE: "BIGSERIAL",
    },
    sequence="",
    clustered="",
    has_wide_indices=False,
    row="json_build_array",
    rows="COALESCE(json_agg({}), '[]')::text",
    rows_where="COALESCE(json_agg({}) FILTER (WHERE {}), '[]')::text",
    totals="COALESCE(json_object_agg({}, {}), '{{}}')::text",
    joined="string_agg({}, '')",
    json="{}::json",
    field="({}::json ->> '{}')",
    attribute="({}::json -> '{}')",
    hex="encode({}, 'hex')",
    part="substring({} FROM 1 FOR ({})::int)",
    keys=f"(SELECT {_TEXTS})",
    # An array, not a subquery: the planner would guess at its size, and read the whole table.
    among=f"{{}} = ANY(ARRAY(SELECT {_TEXTS}))",
    numbers=f"(SELECT value::bigint AS value FROM {_TEXTS})",
    among_numbers=f"{{}} = ANY(ARRAY(SELECT value::bigint FROM {_TEXTS}))",
    # In the order of the columns' collation: what locks several rows does so in one order.
    texts=f'(SELECT value COLLATE "C" AS value FROM {_TEXTS})',
    items="(SELECT value FROM json_array_elements({}::json))",
    item="(value ->> {})",
    integer="(value ->> {})::bigint",
    boolean="(value ->> {})::boolean",
    entries='(SELECT key COLLATE "C" AS key, value::bigint AS value FROM json_each_text({}::json))',
    size="(SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c"
    " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND starts_with(c.relname::text, 'sojourn_'))",
    greatest="GREATEST",
    either="({} OR {})",
    like="ILIKE",
    contains='strpos(lower({} COLLATE "C"), {}) > 0',
    property_text="(s.properties::json -> {} ->> 0)",
    property_name="{}",
    event_property_text="(e.data::json ->> {})",
    event_property_name="{}",
    # Else it may read the whole log backwards, to find a session's events already in order.
    by_session="seq + 0",
    join="JOIN",
    inner="sojourn_sessions.*",
    outer="({}) AS s",
    found="sojourn_sessions AS s WHERE {0}",
    indexed="",
    locked="FOR UPDATE OF {}",
    # A transaction that has changed a session may not see a claim that came after it: so the claim comes when none is under
    # way. It does not wait for long, because every change of a session waits behind it.
    alone=("SET LOCAL lock_timeout = '1s'", "LOCK TABLE sojourn_sessions IN SHARE MODE"),
    erasing="",
)
