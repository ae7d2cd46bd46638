"""Where a store's inbox is: what a connection of the application is compared with before it writes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

TABLE: Final = "sojourn_inbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxTarget:
    """`name`: of the store, to show. In SQLite a file; in PostgreSQL a schema, and the mark that the table bears there."""

    name: str
    path: Path | None = None
    schema: str | None = None
    mark: str = ""

    @property
    def database(self) -> str:
        """The kind of database, as Django and SQLAlchemy call it."""
        return "sqlite" if self.schema is None else "postgresql"


def mark_of(store_key: bytes) -> str:
    """Return the mark of a store's inbox: a comment on the table, which every role may read and a dump keeps."""
    return "sojourn inbox " + blake2b(store_key, digest_size=16, person=b"sojourn inbox").hexdigest()
