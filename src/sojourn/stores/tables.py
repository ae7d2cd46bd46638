"""What a table is made of, in no database's words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What a column holds. Whole numbers have 64 bits, but for SMALL."""

    TEXT = auto()
    """Compared by bytes."""
    INTEGER = auto()
    SMALL = auto()
    BOOLEAN = auto()
    BYTES = auto()
    SERIAL = auto()
    """The key, numbered by the database."""
    SEQUENCE = auto()
    """The same, and no number is ever given twice, even after the last rows were deleted."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    kind: Kind
    is_nullable: bool = False
    is_unique: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """An index over columns or expressions, of the rows for which `where` holds.

    `is_wide`: it holds long texts only to be read instead of the table. Databases that cannot, do without.
    """

    name: str
    columns: tuple[str, ...]
    where: str | None = None
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `key`: the columns of its primary key."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    indices: tuple[Index, ...] = ()
    is_clustered: bool = False
    """Whether rows lie in the order of the key, where the database can do that: for many small rows that are read in ranges."""

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> str:
        """The names of all columns, as a statement lists them."""
        return ", ".join(column.name for column in self.columns)

    @property
    def replaced(self) -> str:
        """What an upsert sets: every column but the key, as inserted."""
        return ", ".join(f"{each.name} = excluded.{each.name}" for each in self.columns if each.name not in self.key)
