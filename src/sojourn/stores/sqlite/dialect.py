"""SQLite's dialect. It is the oldest that is allowed (3.33): no `->>`, no RETURNING."""

from __future__ import annotations

from typing import Final

from sojourn.stores.dialect import Dialect
from sojourn.stores.tables import Kind

SQLITE: Final = Dialect(
    parameter=":{}",
    # Row numbers are handed out only for a key that is declared INTEGER.
    kinds={
        Kind.TEXT: "TEXT",
        Kind.INTEGER: "INTEGER",
        Kind.SMALL: "INTEGER",
        Kind.BOOLEAN: "BOOLEAN",
        Kind.BYTES: "BLOB",
        Kind.SERIAL: "INTEGER",
        Kind.SEQUENCE: "INTEGER",
    },
    sequence=" AUTOINCREMENT",
    clustered=" WITHOUT ROWID",
    has_wide_indices=True,
    row="json_array",
    rows="json_group_array({})",
    rows_where="json_group_array({}) FILTER (WHERE {})",
    totals="json_group_object({}, {})",
    joined="group_concat({}, '')",
    json="json({})",
    field="json_extract({}, '$.\"{}\"')",
    attribute="json_extract({}, '$.\"{}\"')",
    hex="hex({})",
    part="substr({}, 1, {})",
    keys="(SELECT value FROM json_each({}))",
    among="{} IN (SELECT value FROM json_each({}))",
    numbers="json_each({})",
    among_numbers="{} IN (SELECT value FROM json_each({}))",
    texts="json_each({})",
    items="json_each({})",
    item="json_extract(value, '$[{}]')",
    integer="json_extract(value, '$[{}]')",
    boolean="json_extract(value, '$[{}]')",
    entries="json_each({})",
    size="(SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size())",
    greatest="MAX",
    either="MAX({}, {})",
    like="LIKE",
    contains="instr(lower({}), {}) > 0",
    property_text="CASE json_type(s.properties, {0}) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'"
    " ELSE CAST(json_extract(s.properties, {0}) AS TEXT) END",
    property_name='$."{}"[0]',
    event_property_text="CASE json_type(e.data, {0}) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'"
    " ELSE CAST(json_extract(e.data, {0}) AS TEXT) END",
    event_property_name='$."{}"',
    by_session="seq",
    join="CROSS JOIN",
    # By row number: thousands of sessions are examined, but only their numbers are sorted.
    inner="rowid AS number",
    outer="({}) AS c CROSS JOIN sojourn_sessions AS s ON s.rowid = c.number",
    # Along the wide index, which has closed sessions only; then the rows of those that match.
    found="(SELECT s.rowid AS number FROM sojourn_sessions AS s WHERE s.end_reason > '' AND {0}"
    " UNION ALL SELECT s.rowid FROM sojourn_sessions AS s WHERE s.end_reason IS NULL AND {0}) AS c"
    " CROSS JOIN sojourn_sessions AS s ON s.rowid = c.number",
    indexed="INDEXED BY sojourn_ix_sessions_started",
    locked="",
    alone=(),
    # Not every SQLite build does this by default.
    erasing="PRAGMA secure_delete = ON",
)
