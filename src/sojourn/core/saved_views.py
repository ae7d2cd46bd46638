"""Saved views: a name for what a reader of the report looks at, as the query of an address. Pure.

What a query may say is the report's to know; here is what makes one worth keeping.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LONGEST_QUERY: Final = 2_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_FULL: Final = re.compile(r"[a-z]+://|[/?]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A view as people write it: `range=30d&campaign=spring`."""

    name: str
    query: str


def parse_query(text: str) -> str:
    """Return the query of an address as it was copied: whole, from its `?` on, or the query alone.

    Raises `ValueError` with the fix.
    """
    query = text.strip()
    if _FULL.match(query):
        query = query.partition("?")[2].partition("#")[0]
    if not query or _CONTROL.search(query):
        msg = 'give filters as an address has them, such as "range=30d&campaign=spring"'
        raise ValueError(msg)
    if len(query) > LONGEST_QUERY:
        msg = f"the address is longer than {LONGEST_QUERY:,} characters; use fewer filters"
        raise ValueError(msg)
    return query
