"""`current_session()`: what a view can know of its session before the first byte, by cookie and memory.

Nothing here reads the store but `Session.history()`, which says so.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sojourn.core.history import PastEvent, PastSession, StoredSession
from sojourn.core.records import LATE, Origin
from sojourn.core.session import SessionState
from sojourn.core.sources import channel_of, parameter_of, source_of

from .carrying import call
from .visit import active_visit

if TYPE_CHECKING:
    from .visit import Visit

_MOST: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The current session, read-only. `started_at` is in milliseconds since the epoch (UTC).

    `user_id` is the user that this request has named; the cookie only holds whether there is one (`is_identified`).
    """

    id: str
    visitor_id: str
    started_at: int
    is_new: bool
    is_manual: bool
    is_identified: bool
    user_id: str | None
    visit_number: int = 1
    """1 for the visitor's first session in this browser, one more for each after it, as the cookie counts them."""
    _visit: Visit = field(repr=False, compare=False)
    _state: SessionState = field(repr=False, compare=False)
    _origin: Origin | None = field(default=None, repr=False, compare=False)

    @property
    def entry_path(self) -> str | None:
        """The path of the session's first page; `None` where it is not known to this process."""
        return _text(self._origin, "url.path")

    @property
    def source(self) -> str | None:
        """Where the session came from, as in the report: a site, a campaign's `utm_source`, `Direct`; `None` as above."""
        return None if self._origin is None else source_of(self._origin)

    @property
    def channel(self) -> str | None:
        """The kind of source, such as `Organic search`; `None` as above."""
        return None if self._origin is None else channel_of(self._origin)

    @property
    def campaign(self) -> str | None:
        """`utm_campaign` of the first page's address; `None` without one, and as above."""
        return None if self._origin is None else parameter_of(self._origin, "utm_campaign")

    def last(self, name: str) -> PastEvent | None:
        """The last event that `track()` recorded under this name for this person, as far as this process knows.

        This person is the browser between two logouts, over all its sessions. Other workers' events, those before a restart,
        and those of a `connection=` are in `history()` only. Never blocks, never raises.
        """
        visit = self._visit
        return (
            None
            if visit.refused is not None
            else visit.guard.guarded(None, visit.context.memory.last, self._state, name)
        )

    def history(self, limit: int = 10) -> tuple[PastSession, ...]:
        """The latest sessions of this person in this browser, with the app's own events, the latest first; from the store.

        This one is among them once it is recorded, which takes about a second. **Blocks** for a query; in async code call
        `history_async()`. Empty where the store cannot be read, which is logged; never raises for that.
        """
        visit, context = self._visit, self._visit.context
        if visit.refused is not None:  # opted out since
            return ()
        stored = context.guard.guarded((), context.history, self._state.visitor_id, min(max(limit, 1), _MOST))
        return tuple(each.session for each in stored if self._is_own(each))

    async def history_async(self, limit: int = 10) -> tuple[PastSession, ...]:
        """The same as `history()`, in a thread."""
        return await asyncio.to_thread(self.history, limit)

    def _is_own(self, stored: StoredSession) -> bool:
        """Whether a session of this browser is this person's: another one may have logged out since."""
        user_id, state = stored.session.user_id, self._state
        if user_id is None:
            return stored.logouts == state.logouts
        named = state.owner if state.is_explicit else state.principal
        return state.is_tagged and self._visit.context.codec.is_user(user_id, named)


def current_session() -> Session | None:
    """Return the session of this request as of now; `None` without one, and outside a request."""
    visit = active_visit.get()
    return None if visit is None else call(None, _look, _look_late, visit)


def _look(visit: Visit) -> Session | None:
    state = visit.look()
    return None if state is None else _session(visit, state)


def _look_late(visit: Visit, state: SessionState) -> Session | None:
    return None if visit.late_flags & LATE else _session(visit, state)


def _session(visit: Visit, state: SessionState) -> Session:
    is_draft = visit.binding.draft is not None
    return Session(
        id=state.session_id,
        visitor_id=state.visitor_id,
        started_at=state.started_at,
        is_new=visit.is_new(state),
        is_manual=state.is_manual,
        is_identified=state.is_tagged,
        user_id=visit.user_id,
        visit_number=state.visit_number,
        _visit=visit,
        _state=state,
        _origin=visit.context.recorder.origin(visit) if is_draft else visit.context.memory.origin(state),
    )


def _text(origin: Origin | None, name: str) -> str | None:
    value = None if origin is None else origin.get(name)
    return value if isinstance(value, str) else None
