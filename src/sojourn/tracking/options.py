"""The settings that tracking needs, as values."""

from __future__ import annotations

from dataclasses import dataclass, field

from sojourn.core.properties import Declared
from sojourn.core.session import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingOptions:
    """Which requests are tracked, and what is recorded of them."""

    rules: Rules = field(default_factory=Rules)
    is_enabled: bool = True
    starts_on_any_request: bool = False
    """Whether a fetch may start a session, not only a navigation."""
    refuses_programs: bool = False
    """Whether HTTP clients and headless browsers count as bots."""
    page_views: bool = True
    presence_person: bool = True
    """Whether only signs of a person extend a session (`presence.py`), not what a page does by itself."""
    presence_open: bool = False
    """Whether an open connection is activity by itself."""
    adds_private: bool = True
    """Whether the door adds `private` to the `Cache-Control` of a response that carries our cookie."""
    declared: Declared = field(default_factory=Declared)
    user_hash_key: bytes | None = None
    """With a key, user ids are replaced by keyed hashes."""
