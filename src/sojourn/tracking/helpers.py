"""The request-scoped helpers: what an app calls inside a request, sync or async. Thin: a Visit does the work.

Outside a request behind the middleware they raise `NoActiveRequest`. A programmer's error raises; bad data is refused
or cut, counted and warned of once (`strict=True` raises); nothing that fails on our side ever raises here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sojourn.core.events import RESERVED_NAMES, SESSION_PROPERTIES, Scalar
from sojourn.core.properties import EVENT_PREFIX, SESSION_PREFIX, cleaned
from sojourn.core.session import SessionState
from sojourn.errors import NoActiveRequest

from . import opt_out as visitor_choice
from .exceptions import capture
from .identification import name_user, unname_user
from .manual_sessions import manual_id, may_restart, restart
from .masking import printable
from .principal import User
from .principal import user_id as checked_user_id
from .visit import Visit, active_visit

_LONGEST_EVENT_NAME = 100
_LONGEST_USER_NAME = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A look at the current session. `started_at` in milliseconds since the epoch (UTC).

    `user_id` is the user named in this very request, as the app named it; the cookie knows only whether there is one.
    """

    id: str
    visitor_id: str
    started_at: int
    is_new: bool
    is_manual: bool
    is_identified: bool
    user_id: str | None


def identify(
    user_id: str | int | UUID | None, name: str | None = None, *, traits: Mapping[str, Scalar] | None = None
) -> None:
    """Tag the session with a user; `None` or `""` removes the tag. Another user than its own starts a new session.

    `user_id` has at most 256 printable characters; `traits` are named and valued like properties. Raises `TypeError` for
    anything but str, int, UUID or None, `ValueError` for a malformed trait's name, and `NoActiveRequest` outside a request.
    """
    visit = _visit()
    if name is not None and not isinstance(name, str):
        msg = f"identify(): name is text, not {type(name).__name__}"
        raise TypeError(msg)
    if user_id is None or user_id == "":
        visit.guard.guarded(None, _unname, visit)
        return
    try:
        checked_id = checked_user_id(user_id)
    except ValueError as error:
        visit.is_named = True
        visit.guard.refuse_data("bad_user_id", f"identify(): {error}")
        return
    kept_traits, problems = ({}, []) if traits is None else cleaned(traits, "")
    _refuse_data(visit, problems, "identify()")
    shown_name = None if name is None else printable(name, _LONGEST_USER_NAME)
    visit.guard.guarded(None, _name, visit, User(checked_id, shown_name, kept_traits or None))


def track(name: str, properties: Mapping[str, Scalar] | None = None) -> None:
    """An event in this session.

    `name`: 1 to 100 printable characters, none of Sojourn's own. `properties`: names to strings, finite numbers or
    bools. Raises `ValueError` for a reserved or malformed name, `TypeError` for a wrong type, and `NoActiveRequest`
    outside a request.
    """
    visit = _visit()
    if not isinstance(name, str):
        msg = f"track(): an event's name is text, not {type(name).__name__}"
        raise TypeError(msg)
    if name in RESERVED_NAMES or name.startswith("session."):
        msg = f"track(): {name!r} is an event of Sojourn itself; choose another name"
        raise ValueError(msg)
    if not name or len(name) > _LONGEST_EVENT_NAME or not name.isprintable():
        msg = f"track(): an event's name has 1 to {_LONGEST_EVENT_NAME} printable characters, got {name[:120]!r}"
        raise ValueError(msg)
    kept, problems = (
        ({}, []) if properties is None else cleaned(properties, EVENT_PREFIX, visit.context.options.declared.event)
    )
    _refuse_data(visit, problems, f"track({name!r})")
    visit.guard.guarded(None, _track, visit, str.__str__(name), kept)


def set_session_property(key: str, value: Scalar) -> None:
    """A property of the session, stamped on its later events too; see `set_session_properties()`."""
    set_session_properties({key: value})


def set_session_properties(properties: Mapping[str, Scalar]) -> None:
    """Properties of the session: shown on its end, stamped on its later events, gone with it.

    Names get the prefix `session_properties.` if they lack it. The last value of a name is kept, unless it is declared with
    `keep="first"`. Raises `ValueError` for a malformed name, `TypeError` for a value that is no string, number or bool,
    and `NoActiveRequest` outside a request.
    """
    visit = _visit()
    kept, problems = cleaned(properties, SESSION_PREFIX, visit.context.options.declared.session)
    _refuse_data(visit, problems, "set_session_properties()")
    if kept:
        visit.guard.guarded(None, _set_properties, visit, kept)


def capture_exception(error: BaseException) -> None:
    """An exception that the app handles, as an event of the session: type, message and a stack without values."""
    visit = _visit()
    if not isinstance(error, BaseException):
        msg = f"capture_exception(): pass the exception itself, not {type(error).__name__}"
        raise TypeError(msg)
    visit.guard.guarded(None, capture, visit, error, is_handled=True)


def opt_out() -> None:
    """The visitor wants no analytics: the session ends, the visitor is forgotten, and the cookie says only that."""
    visit = _visit()
    visit.guard.guarded(None, visitor_choice.opt_out, visit)


def opt_in() -> None:
    """The visitor takes part (again), as a new visitor; call it before the response starts."""
    visit = _visit()
    visit.guard.guarded(None, visitor_choice.opt_in, visit)


def heartbeat() -> None:
    """Activity now, without an event of its own; at most one `session.heartbeat` per slot comes of it.

    The request itself is activity; this is for what goes on after the response has started, and in sockets.
    """
    visit = _visit()
    visit.guard.guarded(None, _beat, visit)


def start_session(session_id: str | int | None = None) -> None:
    """Start a manual session: it ends what runs, and goes on, whatever the timeouts say, until `end_session()`.

    `session_id`: an integer of at least 10 digits, or 8 to 100 of letters, digits and `-`; without one it is ours.
    Anything else is a `ValueError`, and changes nothing. The running session's own id is a no-op.
    """
    visit = _visit()
    checked_id = None if session_id is None else manual_id(session_id)
    visit.guard.guarded(None, _start, visit, checked_id)


def end_session() -> None:
    """End the session now; the visitor's next request starts a new one (`automatic=False`: `start_session()` does)."""
    visit = _visit()
    visit.guard.guarded(None, _end, visit)


def current_session() -> Session | None:
    """The session of this request as of now, read-only; `None` without one, and outside a request."""
    visit = active_visit.get()
    return None if visit is None else visit.guard.guarded(None, _look, visit)


def _visit() -> Visit:
    visit = active_visit.get()
    if visit is None:
        msg = (
            "no request behind Sojourn's middleware is active here: call this helper inside a request, "
            "or use sojourn.testing.fake_visit() in a test or a job"
        )
        raise NoActiveRequest(msg)
    return visit


def _name(visit: Visit, user: User) -> None:
    visit.is_named = True
    if visit.is_anonymous:
        visit.guard.count("anonymous")
        return
    state = visit.enter(by_helper=True)
    if state is None:
        _warn_dropped(visit)
        return
    name_user(visit, state, user)
    visit.user_id = user.id
    visit.leave()


def _unname(visit: Visit) -> None:
    visit.is_named = True
    if visit.binding.latest is None:
        return  # no session, so no tag: nothing to start for that
    state = visit.enter(by_helper=True)
    if state is not None:
        unname_user(visit, state)
        visit.leave()


def _set_properties(visit: Visit, properties: dict[str, Scalar]) -> None:
    if visit.enter_present() is None:
        _warn_dropped(visit)
        return
    visit.note(SESSION_PROPERTIES, properties)
    visit.leave()


def _track(visit: Visit, name: str, properties: dict[str, Scalar]) -> None:
    if visit.enter(by_helper=True) is None:
        _warn_dropped(visit)
        return
    visit.note(name, properties)
    visit.leave()


def _beat(visit: Visit) -> None:
    if visit.responded and visit.enter(by_helper=True) is not None:
        visit.leave()


def _start(visit: Visit, session_id: str | None) -> None:
    if may_restart(visit):
        restart(visit, session_id)
        visit.leave()
    else:
        _warn_dropped(visit)


def _end(visit: Visit) -> None:
    if visit.binding.latest is None:
        return
    if not visit.responded:
        visit.follow()
    # On a session that is over, the successor that this request begins is entered first: or it would go on, re-tagged.
    is_over = visit.binding.over is not None and visit.binding.draft is None and not visit.changes
    state: SessionState | None = visit.enter(by_helper=True) if visit.responded or is_over else visit.state
    if state is not None:
        visit.end(state)
        visit.leave()


def _look(visit: Visit) -> Session | None:
    state = visit.look()
    if state is None:
        return None
    return Session(
        id=state.session_id,
        visitor_id=state.visitor_id,
        started_at=state.started_at,
        is_new=visit.is_new(state),
        is_manual=state.is_manual,
        is_identified=state.is_tagged,
        user_id=visit.user_id,
    )


def _refuse_data(visit: Visit, problems: list[str], where: str) -> None:
    for problem in problems:
        visit.guard.refuse_data(f"property_{problem}", f"{where}: a property was {problem.replace('_', ' ')}")


def _warn_dropped(visit: Visit) -> None:
    if visit.refused is None:
        visit.guard.warn_once(
            "no_session", "a helper was called where no session is and none may start; its call was dropped"
        )
