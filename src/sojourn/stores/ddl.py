"""The statements that create the tables, in a database's dialect."""

from __future__ import annotations

from collections.abc import Iterator

from .dialect import Dialect
from .schema import TABLES
from .tables import Index, Kind, Table


def create_statements(d: Dialect) -> tuple[str, ...]:
    """Return what creates all tables and indices of the schema."""
    tables = tuple(table_statement(d, table) for table in TABLES)
    indices = ((table, index) for table in TABLES for index in table.indices if d.has_wide_indices or not index.is_wide)
    return tables + tuple(index_statement(table, index) for table, index in indices)


def table_statement(d: Dialect, table: Table) -> str:
    """Return what creates a table."""
    return f"CREATE TABLE {table.name} ({', '.join(_parts(d, table))}){d.clustered if table.is_clustered else ''}"


def _parts(d: Dialect, table: Table) -> Iterator[str]:
    for column in table.columns:
        yield f"{column.name} {d.kinds[column.kind]}{'' if column.is_nullable else ' NOT NULL'}"
    yield f"PRIMARY KEY ({', '.join(table.key)}{d.sequence if table[table.key[0]].kind is Kind.SEQUENCE else ''})"
    for column in table.columns:
        if column.is_unique:
            yield f"UNIQUE ({column.name})"


def index_statement(table: Table, index: Index) -> str:
    """Return what creates an index."""
    where = "" if index.where is None else f" WHERE {index.where}"
    return f"CREATE INDEX {index.name} ON {table.name} ({', '.join(index.columns)}){where}"
