"""The key under which a store keeps tombstones: a keyed hash of its own stands for each person, never the id.

See P24 in docs/internals.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class StoreKey:
    """The store's own key, and whether a tombstone was ever seen. Until then no id is hashed to look for one."""

    value: bytes
    has_tombstones: bool = False
