"""How Exceptionless makes sessions of events: one stored `session` event each, updated by later events.

Sessions go by session id ("manual") or, without one, by the user's identity ("automatic"), batch by batch; a job closes
inactive ones. These are the server's own rules, oddities included. There is no clock here: `now` is called when caches expire.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

DAY_MS: Final = 24 * 3600 * 1000
IDENTITY_MS: Final = 15 * 60 * 1000
HEARTBEAT_MS: Final = 2 * 3600 * 1000
INACTIVE_MS: Final = 5 * 60 * 1000
BOT_MS: Final = 5 * 60 * 1000

_YOUNG_MS: Final = 60 * 1000
_PAGE: Final = 100
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9-]{8,100}")
_REQUEST: Final = (
    *("client_ip_address", "data", "host", "http_method", "is_secure", "path", "port", "referrer", "user_agent"),
)
_NOT_COPIED: Final = frozenset({"thread_id", "thread_name", "process_memory_size", "available_physical_memory"})
_PRIVATE: Final = re.compile(r"10\.|127\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|::1$|f[cd]")

Data = dict[str, Any]


def is_identifier(value: object) -> bool:
    """Return whether the server accepts it as a reference id or session id."""
    return isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None


@dataclass(slots=True, kw_only=True, eq=False)
class Document:
    """A stored event. `value_ms` and `ended_at` are for sessions; a session without an end is open."""

    type: str
    date: int
    reference_id: str | None = None
    source: str | None = None
    message: str | None = None
    geo: str | None = None
    tags: list[str] = field(default_factory=list)
    data: Data = field(default_factory=dict)
    value_ms: int = 0
    ended_at: int | None = None
    is_deleted: bool = False

    @property
    def session_id(self) -> str | None:
        own = self.reference_id if self.type == "session" else self.data.get("@ref:session")
        return own or None

    @property
    def identity(self) -> str:
        user = self.data.get("@user")
        identity = user.get("identity") if isinstance(user, Mapping) else None
        return identity.strip() if isinstance(identity, str) else ""

    @property
    def last_activity(self) -> int:
        return self.date + self.value_ms

    def update(self, last_activity: int, *, is_end: bool) -> None:
        """Move the last activity, never back. An event that is not an end reopens the session."""
        self.value_ms = max(self.value_ms, 0, last_activity - self.date)
        self.ended_at = self.last_activity if is_end else None


class Cache:
    """Values that expire; without a clock, they never do."""

    def __init__(self, now: Callable[[], int] | None) -> None:
        self._now = now
        self._values: dict[str, tuple[Any, int]] = {}

    def get(self, key: str, slide: int | None = None) -> Any:
        value, until = self._values.get(key, (None, 0))
        if value is None or (self._now is not None and self._now() >= until):
            return None
        if slide is not None:
            self.put(key, value, slide)
        return value

    def put(self, key: str, value: object, ttl: int) -> None:
        self._values[key] = (value, (self._now() if self._now is not None else 0) + ttl)

    def drop(self, key: str) -> None:
        self._values.pop(key, None)


class Folding:
    """The stored events of a project. `discarded` lists dropped events with the reason, which their senders never learn."""

    def __init__(self, now: Callable[[], int] | None, bot_limit: int) -> None:
        self._cache = Cache(now)
        self._bot_limit = bot_limit
        self._bots: Counter[tuple[str, int]] = Counter()
        self._numbers = 0
        self.documents: list[Document] = []
        self.discarded: list[tuple[str, Document]] = []

    def fold(self, batch: Sequence[Document]) -> None:
        """Store the events of one call."""
        events = [event for event in self._without_bots(batch) if self._is_new(event)]
        manual = [event for event in events if event.session_id is not None]
        kept = [event for event in events if event.session_id is None and not event.identity]
        if any(not is_identifier(event.session_id) for event in manual):
            # The server's plugin throws, so no event of the batch gets a session; the events are stored all the same.
            self.discarded += [("the batch has an invalid session id", event) for event in manual]
            kept += manual
        else:
            for session_id, group in _grouped(manual, lambda event: event.session_id or ""):
                kept += self._manual(session_id, group)
        automatic = [event for event in events if event.session_id is None and event.identity]
        for identity, group in _grouped(automatic, lambda event: event.identity):
            for part in _split_after_ends(group):
                kept += self._automatic(identity, part)
        self.documents += sorted(kept, key=lambda event: event.date)

    # --- before sessions ---------------------------------------------------------------------------------------------

    def _is_new(self, event: Document) -> bool:
        if event.reference_id is None:
            return True
        key = f"reference:{event.reference_id}"
        if self._cache.get(key):
            return self._discard("its reference id was taken before", event)
        self._cache.put(key, True, DAY_MS)
        return True

    def _without_bots(self, batch: Sequence[Document]) -> Sequence[Document]:
        """Drop events of a bot: too many from one public address in five minutes; the earlier ones are deleted too."""
        sources = {id(event): source for event in batch if (source := _source(event)) is not None}
        self._bots.update(sources.values())
        bots = {source for source in sources.values() if self._bots[source] >= self._bot_limit}
        if not bots:
            return batch
        reason = "its address sends as much as a bot"
        for stored in [stored for stored in self.documents if _source(stored) in bots]:
            stored.is_deleted = True
            self.documents.remove(stored)
            self._discard(reason, stored)
        return [event for event in batch if sources.get(id(event)) not in bots or self._discard(reason, event)]

    def _discard(self, reason: str, event: Document) -> bool:
        self.discarded.append((reason, event))
        return False

    # --- sessions ----------------------------------------------------------------------------------------------------

    def _manual(self, session_id: str, group: list[Document]) -> list[Document]:
        first, last = group[0].date, group[-1].date
        first_is_end = group[0].type == "sessionend"
        kept = self._once_each(group)
        start = next((event for event in kept if event.type == "session"), None)
        end = next((event for event in kept if event.type == "sessionend"), None)
        if start is not None:
            start.date = first
        if end is not None:
            end.date = last
        key = f"start:{session_id}"
        session = self._cache.get(key, slide=DAY_MS)
        if session is not None and not session.is_deleted:
            session.update(last, is_end=end is not None)
            if start is not None:
                kept.remove(start)
                self._discard("its session has a start", start)
        elif start is not None:
            start.update(last, is_end=end is not None)
            self._cache.put(key, start, DAY_MS)
        elif end is not None and kept == [end] and first_is_end:
            self._discard("its session has no events", end)
            return []
        else:
            self._started(key, group[0], session_id, last, is_end=end is not None)
        if session is not None and end is not None:
            self._cache.drop(key)
        return kept

    def _automatic(self, identity: str, group: list[Document]) -> list[Document]:
        digest = hashlib.sha1(identity.encode("utf-8", "replace")).hexdigest()  # noqa: S324 - as the server does
        key = f"identity:{digest}"
        session_id = self._cache.get(key, slide=IDENTITY_MS)
        last, is_end = group[-1].date, group[-1].type == "sessionend"
        if session_id is None and len(group) == 1 and is_end:
            self._discard("its session has no events", group[0])
            return []
        is_new = session_id is None
        if is_new:
            self._numbers += 1
            session_id = f"{group[0].date // 1000:08x}{self._numbers:016x}"
        kept = self._once_each(group)
        start = next((event for event in kept if event.type == "session"), None)
        for event in group:
            if event.type == "session":
                event.reference_id = session_id
                event.date = group[0].date
            else:
                event.data["@ref:session"] = session_id
        start_key = f"start:{session_id}"
        if not is_new:
            if start is not None:
                kept.remove(start)
                self._discard("its session has a start", start)
            session = self._cache.get(start_key, slide=DAY_MS)
            if session is not None and not session.is_deleted:
                session.update(last, is_end=is_end)
            return kept
        if start is None:
            self._started(start_key, group[0], session_id, last, is_end=is_end)
        else:
            start.update(last, is_end=is_end)
            self._cache.put(start_key, start, DAY_MS)
        if not is_end:
            self._cache.put(key, session_id, IDENTITY_MS)
        return kept

    def _once_each(self, group: Sequence[Document]) -> list[Document]:
        """Keep the first start and the first end. Heartbeats are dropped, though their dates count."""
        kept: list[Document] = []
        for event in group:
            if event.type == "heartbeat":
                continue
            if event.type in ("session", "sessionend") and any(other.type == event.type for other in kept):
                self._discard(f"a second {event.type} in one batch", event)
            else:
                kept.append(event)
        return kept

    def _started(self, key: str, source: Document, session_id: str, last: int, *, is_end: bool) -> None:
        """Create the missing start, with fields copied from the first event."""
        data: Data = {name: source.data[name] for name in ("@user", "@location", "@version") if name in source.data}
        request, server = source.data.get("@request"), source.data.get("@environment")
        if isinstance(request, Mapping):
            data["@request"] = {name: request[name] for name in _REQUEST if name in request}
        if isinstance(server, Mapping):
            data["@environment"] = {name: value for name, value in server.items() if name not in _NOT_COPIED}
        start = Document(type="session", date=source.date, reference_id=session_id, geo=source.geo, data=data)
        start.update(last, is_end=is_end)
        self.documents.append(start)
        self._cache.put(key, start, DAY_MS)

    # --- heartbeats by call, and the job that closes -------------------------------------------------------------------

    def heartbeat(self, own_id: str, at: int, *, is_close: bool) -> None:
        """Record a heartbeat of a session, or of a user's session."""
        self._cache.put(f"heartbeat:{own_id}", at, HEARTBEAT_MS)
        if is_close:
            self._cache.put(f"heartbeat:{own_id}-close", True, HEARTBEAT_MS)

    def close_inactive(self, now: int) -> None:
        """Apply the recorded heartbeats, and end sessions that were inactive for five minutes, at their last activity."""
        open_sessions = [doc for doc in self.documents if doc.type == "session" and doc.ended_at is None]
        open_sessions = sorted((doc for doc in open_sessions if doc.date < now - _YOUNG_MS), key=lambda doc: -doc.date)
        for at in range(0, len(open_sessions), _PAGE):
            used: set[str] = set()
            for doc in open_sessions[at : at + _PAGE]:
                self._close(doc, now, used)
            for key in used:
                self._cache.drop(key)
                self._cache.drop(f"{key}-close")

    def _close(self, doc: Document, now: int, used: set[str]) -> None:
        for own_id in (doc.session_id, doc.identity):
            key = f"heartbeat:{own_id}"
            last_seen = self._cache.get(key) if own_id else None
            if last_seen is None:
                continue
            is_close = key in used or bool(self._cache.get(f"{key}-close"))
            used.add(key)
            if is_close or last_seen > doc.last_activity:
                doc.update(last_seen, is_end=is_close or last_seen <= now - INACTIVE_MS)
                return
            break
        if doc.last_activity <= now - INACTIVE_MS:
            doc.update(doc.last_activity, is_end=True)


def _source(event: Document) -> tuple[str, int] | None:
    """Return the public address of an event, and its five-minute period."""
    request = event.data.get("@request")
    address = request.get("client_ip_address") if isinstance(request, Mapping) else None
    is_public = isinstance(address, str) and address and not _PRIVATE.match(address)
    return (str(address), event.date // BOT_MS) if is_public else None


def _grouped(events: Sequence[Document], key: Callable[[Document], str]) -> Iterator[tuple[str, list[Document]]]:
    """Group events by key, each group in order of date; equal dates keep the order of arrival."""
    by_date = sorted(events, key=lambda event: event.date)
    for value, group in groupby(sorted(by_date, key=key), key=key):
        yield value, list(group)


def _split_after_ends(group: Sequence[Document]) -> Iterator[list[Document]]:
    part: list[Document] = []
    for event in group:
        part.append(event)
        if event.type == "sessionend":
            yield part
            part = []
    if part:
        yield part
