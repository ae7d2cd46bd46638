"""Make the events of a session row: the one place where an event gets its id and its attributes. Pure.

See S8 and P16 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from sojourn.core import events
from sojourn.core.events import Event, Scalar
from sojourn.core.ids import session_event_id, start_id
from sojourn.core.records import SERVICE_ATTRIBUTES, Entry, Origin, Tag
from sojourn.core.session import LINKING
from sojourn.stores.rows import SessionRow

_FEW: Final = 12
MAX_EVENT_BYTES: Final = 32 * 1024
_ENVELOPE_BYTES: Final = 1024
_MARK: Final = "event.cut"
_NEEDED: Final = frozenset({"session.id", "visitor.id", "session.previous_id", "user.id", "session.end_reason"})


def fitted(attributes: dict[str, Scalar]) -> dict[str, Scalar]:
    """Cut the attributes to 32 KiB as JSON: the longest texts are left out first, and `event.cut` says so."""
    texts = [name for name, value in attributes.items() if isinstance(value, str)]
    # An eighth fits however the texts are escaped.
    if sum(len(str(attributes[name])) for name in texts) < MAX_EVENT_BYTES // 8:
        return attributes
    room = MAX_EVENT_BYTES - _ENVELOPE_BYTES
    kept = dict(attributes)
    for name in sorted(texts, key=lambda text: len(str(attributes[text])), reverse=True):
        if len(msgspec.json.encode(kept)) <= room:
            break
        if name not in _NEEDED:
            del kept[name]
            kept[_MARK] = True
    return kept


def start(row: SessionRow, origin: Origin | None, user_id: str | None = None) -> Event:
    """Make `session.start`. Without an origin it is inferred: only a later record of the session came.

    `user_id`: the user whose log-in started the session.
    """
    attributes: Mapping[str, Scalar] = {"session.start_inferred": True} if origin is None else origin
    own_id, has_user = start_id(row.key), user_id is not None
    return _event(row, events.SESSION_START, row.started_at, attributes, own_id, user_id=user_id, has_user=has_user)


def heartbeat(row: SessionRow, at: int, slot: int, path: str | None = None) -> Event:
    """Make the `session.heartbeat` of a slot. `path`: of the request that caused it, where no page view says it."""
    attributes: dict[str, Scalar] = {"session.duration_ms": max(0, at - row.started_at)}
    if path is not None:
        attributes["url.path"] = path
    return _event(
        row, events.SESSION_HEARTBEAT, at, attributes, session_event_id(row.key, events.SESSION_HEARTBEAT, str(slot))
    )


def end(row: SessionRow) -> Event:
    """Make `session.end`, dated at the last activity. Raises `ValueError` for an open session."""
    if row.end_reason is None:
        msg = "an open session has no end"
        raise ValueError(msg)
    attributes: dict[str, Scalar] = {
        "session.end_reason": row.end_reason.value,
        "session.duration_ms": max(0, row.last_seen_at - row.started_at),
        "session.requests": row.requests,
        "session.page_views": row.page_views,
        "session.errors": row.errors,
    }
    if row.end_revision:
        attributes["session.end_revision"] = row.end_revision
    at = max(row.last_seen_at, row.started_at)
    return _event(row, events.SESSION_END, at, attributes, end_id(row))


def end_id(row: SessionRow) -> str:
    """Return the id of the end of this revision."""
    return session_event_id(row.key, events.SESSION_END, str(row.end_revision))


def identify(row: SessionRow, at: int, tag: Tag, *, is_late: bool = False) -> Event:
    """Make `user.identify`: the user just named, or, without `user.id`, the removal of the tag."""
    attributes: dict[str, Scalar] = {}
    if tag.name is not None:
        attributes["user.name"] = tag.name
    for key, value in (tag.traits or {}).items():
        attributes[f"user.traits.{key}"] = value
    own_id = session_event_id(row.key, events.USER_IDENTIFY, tag.user_id or "", tag.before)
    return _event(
        row, events.USER_IDENTIFY, at, attributes, own_id, user_id=tag.user_id, has_user=True, is_late=is_late
    )


def from_entry(row: SessionRow, entry: Entry, own_id: str, *, is_late: bool = False) -> Event:
    """Make an event that a record carried. `is_late`: the session had ended, although its row may not say so yet."""
    return _event(row, entry.name, entry.at, entry.attributes or {}, own_id, is_late=is_late)


def _event(
    row: SessionRow,
    name: str,
    at: int,
    own: Mapping[str, Scalar],
    own_id: str,
    *,
    user_id: str | None = None,
    has_user: bool = False,
    is_late: bool = False,
) -> Event:
    user = user_id if has_user else row.user_id if row.is_tagged else None
    attributes: dict[str, Scalar] = {"session.id": row.session_id, "visitor.id": row.visitor_id}
    if row.logouts:
        attributes[events.LOGOUTS] = row.logouts
    previous = row.previous_id if row.previous_reason in LINKING else None
    if previous is not None:
        attributes["session.previous_id"] = previous
    if user is not None:
        attributes["user.id"] = user
    for service in SERVICE_ATTRIBUTES:
        value = row.origin.get(service)
        if value is not None:
            attributes[service] = value
    if (is_late or not row.is_open) and name != events.SESSION_END:
        attributes["session.late"] = True
    if row.properties:
        attributes.update({key: current.value for key, current in row.properties.items()})
    attributes.update(own)
    if row.properties or len(own) > _FEW:
        attributes = fitted(attributes)
    return Event(
        id=own_id,
        name=name,
        time=at,
        session_id=row.session_id,
        session_key=row.key,
        session_started_at=row.started_at,
        visitor_id=row.visitor_id,
        is_manual=row.is_manual,
        previous_id=previous,
        user_id=user,
        attributes=attributes,
    )
