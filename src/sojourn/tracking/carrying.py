"""`carry()`: take the current request into a thread, and what a call means there.

A carried call names its session: the one that the request was in when `carry()` was called, or, if it was in none yet, the
one that it is in when its response starts. While that session runs, the call is like any helper's. Afterwards events are
recorded as late in that session, and nothing else has an effect but `opt_out()`.

Two threads then use one Visit. Its carrier has the lock that they take; a request that carries nothing has none.

See S15 in docs/internals.md.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar, cast

from sojourn.core import session
from sojourn.core.events import Scalar
from sojourn.core.records import Entry, Tag
from sojourn.core.session import EndReason, SessionState
from sojourn.core.threads import RLock

from .changes import SessionChanges
from .visit import Visit, active_visit

P = ParamSpec("P")
R = TypeVar("R")


class Carrier:
    """What a visit has once it is carried: a lock, and its sessions as it last knew them, by key."""

    __slots__ = ("is_settling", "lock", "sessions", "settled_key")

    def __init__(self) -> None:
        self.lock = RLock()
        self.sessions: dict[str, SessionState] = {}
        self.settled_key: str | None = None
        """The session of the request, once its response has started."""
        self.is_settling = False

    def note(self, *states: SessionState) -> None:
        """Remember sessions that are recorded, as they are now."""
        self.sessions.update((state.key, state) for state in states)

    def settled(self, settle: Callable[Concatenate[Visit, P], R], visit: Visit, *args: P.args, **kwargs: P.kwargs) -> R:
        """Settle the visit under the lock. Then it is certain which session the request is in."""
        with self.lock:
            self.is_settling = True
            try:
                return settle(visit, *args, **kwargs)
            finally:
                binding = visit.binding
                home = binding.home
                self.settled_key = binding.begun_key or (None if home is None else home.key)
                self.note(*(state for state in (home, binding.latest) if state and state.key == self.settled_key))
                self.is_settling = False


@dataclass(frozen=True, slots=True)
class Carried:
    """What one `carry()` took along: the visit, and the key of its session; `None`: it was in none yet."""

    visit: Visit
    carrier: Carrier
    key: str | None

    def ended_session(self) -> SessionState | None:
        """The session of these calls, if it has ended or is left; `None`: they are like any helper's."""
        visit, sessions = self.visit, self.carrier.sessions
        if not visit.responded:
            visit.follow()
        key = self.key
        if key is None or (visit.responded and key not in sessions):  # a drafted one may have come to nothing
            key = self.carrier.settled_key
        latest, live = visit.binding.latest, visit.live
        if key is None or latest is None:
            return None
        if latest.key != key:
            drafted = _draft(visit, key)
            return sessions.get(key) if drafted is None else drafted.state
        if live is None or visit.binding.draft is not None:
            return latest if latest.is_ended else None
        live.look()
        is_over = latest.is_ended or live.ended_elsewhere is not None
        if visit.responded:
            is_over = is_over or session.over(live, visit.context.options.rules, _now(visit, latest)) is not None
        return latest if is_over else None


_current: ContextVar[Carried | None] = ContextVar("sojourn_carried", default=None)


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with the current request carried along, for a thread or an executor: helpers work in it.

    For `threading.Thread(target=...)`, `ThreadPoolExecutor.submit(...)` and `loop.run_in_executor(None, ...)`. It may be an
    async function, and may be called any number of times. Outside a request the function is returned as it is. Raises
    `TypeError` for anything but a function, and for a generator function, whose body runs after the call.
    """
    if not callable(function):
        msg = f"carry(): pass the function itself, as in carry(work); got {type(function).__name__}"
        raise TypeError(msg)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        msg = "carry(): a generator runs where it is iterated; carry the function that iterates over it"
        raise TypeError(msg)
    visit = active_visit.get()
    carried = None if visit is None else visit.guard.guarded(None, _carry, visit)
    if carried is None:
        return function
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def work(*args: P.args, **kwargs: P.kwargs) -> Any:
            with active(carried):
                return await function(*args, **kwargs)

        return cast("Callable[P, R]", work)
    return cast("Callable[P, R]", _CarriedFunction(function, carried))


class _CarriedFunction:
    """A function with its request. An object, so that it can say why it cannot go to another process."""

    def __init__(self, function: Callable[..., Any], carried: Carried) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._carried = carried

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with active(self._carried):
            result = self._function(*args, **kwargs)
        return _awaited(self._carried, result) if inspect.iscoroutine(result) else result

    def __reduce__(self) -> NoReturn:
        msg = "a carried function cannot go to another process: a request lives in its own"
        raise TypeError(msg)


async def _awaited(carried: Carried, work: Coroutine[Any, Any, R]) -> R:
    with active(carried):
        return await work


@contextmanager
def active(carried: Carried) -> Iterator[None]:
    """Make the helpers work on what was carried, in this context."""
    tokens = active_visit.set(carried.visit), _current.set(carried)
    try:
        yield
    finally:
        with suppress(ValueError):  # a coroutine that was closed in another context, which keeps its own
            active_visit.reset(tokens[0])
            _current.reset(tokens[1])


def _carry(visit: Visit) -> Carried:
    current = _current.get()
    if current is not None and current.visit is visit:
        return current  # carried on from a thread: the session stays the same
    carrier: Carrier = vars(visit).setdefault("carrier", Carrier())
    with carrier.lock:
        if not visit.responded:
            visit.follow()
        state = visit.binding.state
        if state is not None and visit.binding.draft is None:
            carrier.note(state)
        return Carried(visit, carrier, None if state is None else state.key)


# --- a call of a helper --------------------------------------------------------------------------------------------


def call(
    default: R,
    work: Callable[..., R],
    late: Callable[..., R] | None,
    visit: Visit,
    *args: object,
) -> R:
    """Do `work(visit, *args)` under the guard.

    A carried call whose session has ended does `late(visit, session, *args)` instead, or nothing.
    """
    if visit.carrier is None:
        return visit.guard.guarded(default, work, visit, *args)
    with visit.carrier.lock:
        return visit.guard.guarded(default, _call_carried, default, work, late, visit, *args)


def lock_of(visit: Visit) -> AbstractContextManager[object]:
    """What to hold while a step changes the visit."""
    return nullcontext() if visit.carrier is None else visit.carrier.lock


def note_late(
    visit: Visit, state: SessionState, name: str, attributes: dict[str, Scalar] | None = None, tag: Tag | None = None
) -> None:
    """Add an event, or a user, to the session of a carried call, which has ended."""
    drafted = _draft(visit, state.key)
    if drafted is None:
        entry = Entry(name, _now(visit, state), attributes, tag)
        visit.context.recorder.record_after_end(visit, state, entry)
    else:  # it waits for the response, as all of this request
        drafted.entries.append(Entry(name, visit.at, attributes, tag))


def warn_dropped(visit: Visit) -> None:
    """Warn once that a call came to nothing, unless the request has nothing to do with sessions at all."""
    if visit.refused is None:
        visit.guard.warn_once(
            "no_session", "a helper was called where there is no session and none may start; the call was dropped"
        )


def _call_carried(
    default: R,
    work: Callable[..., R],
    late: Callable[..., R] | None,
    visit: Visit,
    *args: object,
) -> R:
    carried = _current.get()
    if carried is None or carried.visit is not visit:
        return work(visit, *args)
    ended = None if visit.refused is not None else carried.ended_session()
    if ended is None:
        visit.is_carried = visit.responded
        try:
            return work(visit, *args)
        finally:
            visit.is_carried = False
    if late is None or _has_opted_out(visit, ended):
        visit.guard.count("over")
        return default
    return late(visit, ended, *args)


def _has_opted_out(visit: Visit, state: SessionState) -> bool:
    live, sessions = visit.live, visit.context.sessions
    if live is not None and (live.is_gone or live.ended_elsewhere is EndReason.OPTED_OUT):
        return True
    return sessions.has_opt_outs and sessions.has_opted_out(visit.context.codec.hash_user(state.visitor_id))


def _draft(visit: Visit, key: str) -> SessionChanges | None:
    """What happens in a session that this request has begun, while its response is yet to start."""
    return next((changes for changes in visit.changes if changes.is_start and changes.state.key == key), None)


def _now(visit: Visit, state: SessionState) -> int:
    return max(visit.context.clock.now(), state.last_seen_at)
