"""The helpers that an app calls inside a request, sync or async. Thin: a Visit does the work.

Outside a request behind the middleware they raise `NoActiveRequest`. A programmer's error raises. Bad data is dropped or
cut, counted, and logged once (`strict=True` raises). A fault of Sojourn itself never raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sojourn.core.events import RESERVED_NAMES, SESSION_PROPERTIES, Scalar
from sojourn.core.properties import EVENT_PREFIX, SESSION_PREFIX, Problem, cleaned
from sojourn.core.property_values import PropertyValue
from sojourn.core.session import SessionState
from sojourn.errors import NoActiveRequest

from . import opt_out as visitor_choice
from .carrying import call, lock_of, note_late, warn_dropped
from .exceptions import capture, capture_late
from .identification import is_known_user, name_user, name_user_late, unname_user
from .manual_sessions import manual_id, may_restart, restart
from .masking import printable
from .own_traffic import Mark
from .principal import User
from .principal import user_id as checked_user_id
from .transactions import record_of_event
from .visit import Visit, active_visit

_LONGEST_EVENT_NAME = 100
_LONGEST_USER_NAME = 256


def identify(
    user_id: str | int | UUID | None,
    name: str | None = None,
    *,
    traits: Mapping[str, PropertyValue | None] | None = None,
) -> None:
    """Tag the session with a user; `None` or `""` removes the tag. A different user starts a new session.

    `user_id` has at most 256 printable characters; `traits` follow the rules of properties. Raises `TypeError` for
    anything but str, int, UUID or None, `ValueError` for a malformed trait name, and `NoActiveRequest` outside a request.
    """
    visit = _visit()
    if name is not None and not isinstance(name, str):
        msg = f"identify(): name must be a str, not {type(name).__name__}"
        raise TypeError(msg)
    if user_id is None or (isinstance(user_id, str) and not str.__len__(user_id)):
        call(None, _unname, None, visit)
        return
    try:
        checked_id = checked_user_id(user_id)
    except ValueError as error:
        visit.is_named = True
        visit.guard.refuse_data("bad_user_id", f"identify(): {error}")
        return
    kept_traits, problems = ({}, []) if traits is None else cleaned(traits, "")
    _refuse_data(visit, problems, "identify()")
    shown_name = None if name is None else printable(str.__str__(name), _LONGEST_USER_NAME)
    call(None, _name, name_user_late, visit, User(checked_id, shown_name, kept_traits or None))


def track(name: str, properties: Mapping[str, PropertyValue | None] | None = None, *, connection: Any = None) -> None:
    """Record an event in this session.

    `name` has 1 to 100 printable characters and is none of Sojourn's own events. `properties` maps names to text, numbers,
    bools, `Decimal`, `UUID`, dates, times, `timedelta` or enums; a value of another type is dropped with a warning. Raises
    `ValueError` for a reserved or malformed name, `TypeError` for a wrong type, and `NoActiveRequest` outside a request.

    With a `connection` to the store's database, the event is committed, or rolled back, with the transaction that it is in.
    Then errors of the database are raised too, and `WrongDatabaseError` for a connection to another one.
    """
    visit = _visit()
    if connection is not None:
        visit.context.inbox.check(connection, is_awaited=False)
    own_name, kept = _event(visit, name, properties)
    if connection is None:
        call(None, _track, note_late, visit, own_name, kept)
    elif (record := record_of_event(visit, own_name, kept)) is not None:
        visit.context.inbox.write(record, connection)


async def track_async(
    name: str, properties: Mapping[str, PropertyValue | None] | None = None, *, connection: Any
) -> None:
    """Record an event in a transaction of asynchronous code; otherwise as `track()` with a `connection`."""
    visit = _visit()
    visit.context.inbox.check(connection, is_awaited=True)
    record = record_of_event(visit, *_event(visit, name, properties))
    if record is not None:
        await visit.context.inbox.write_async(record, connection)


def _event(
    visit: Visit, name: str, properties: Mapping[str, PropertyValue | None] | None
) -> tuple[str, dict[str, Scalar]]:
    """The name and properties of an event as they are kept."""
    if not isinstance(name, str):
        msg = f"track(): an event name must be a str, not {type(name).__name__}"
        raise TypeError(msg)
    name = str.__str__(name)  # from here on no method of an app's subclass runs
    if name in RESERVED_NAMES or name.startswith("session."):
        msg = f"track(): {name!r} is reserved for Sojourn's own events; choose another name"
        raise ValueError(msg)
    if not name or len(name) > _LONGEST_EVENT_NAME or not name.isprintable():
        msg = f"track(): an event name has 1 to {_LONGEST_EVENT_NAME} printable characters, got {name[:120]!r}"
        raise ValueError(msg)
    kept, problems = (
        ({}, []) if properties is None else cleaned(properties, EVENT_PREFIX, visit.context.options.declared.event)
    )
    _refuse_data(visit, problems, f"track({name!r})")
    return name, kept


def set_session_property(key: str, value: PropertyValue) -> None:
    """Set a property of the session; see `set_session_properties()`."""
    set_session_properties({key: value})


def set_session_properties(properties: Mapping[str, PropertyValue | None]) -> None:
    """Set properties of the session. Its end and all its later events carry them.

    Names get the prefix `session_properties.` if they lack it. The last value of a name is kept, unless it is declared with
    `keep="first"`. Values are as in `track()`. Raises `ValueError` for a malformed name, `TypeError` for what is no mapping of
    names, and `NoActiveRequest` outside a request.
    """
    visit = _visit()
    kept, problems = cleaned(properties, SESSION_PREFIX, visit.context.options.declared.session)
    _refuse_data(visit, problems, "set_session_properties()")
    if kept:
        call(None, _set_properties, _set_properties_late, visit, kept)


def capture_exception(error: BaseException) -> None:
    """Record an exception that the app handles: type, message, and a stack without the values of variables."""
    visit = _visit()
    if not isinstance(error, BaseException):
        msg = f"capture_exception(): pass the exception itself, not {type(error).__name__}"
        raise TypeError(msg)
    call(None, _capture, capture_late, visit, error)


def opt_out() -> None:
    """Opt the visitor out: end the session, forget the visitor, and leave a cookie that holds only the opt-out."""
    visit = _visit()
    with lock_of(visit):
        visit.guard.guarded(None, visitor_choice.opt_out, visit)


def opt_in() -> None:
    """Opt the visitor in (again), as a new visitor. Call it before the response starts."""
    visit = _visit()
    with lock_of(visit):
        visit.guard.guarded(None, visitor_choice.opt_in, visit)


def heartbeat() -> None:
    """Mark the session as active now. Emits no event by itself; at most one heartbeat per interval is sent.

    A request is activity anyway: call this after the response has started, and in sockets.
    """
    visit = _visit()
    call(None, _beat, None, visit)


def start_session(session_id: str | int | None = None) -> None:
    """Start a manual session. It ends the running one, and ignores idle timeout and maximum duration until `end_session()`.

    `session_id` is an integer of at least 10 digits, or 8 to 100 letters, digits and `-`; without one Sojourn makes an
    id. Raises `ValueError` for anything else, and changes nothing then. The running session's own id is a no-op.
    """
    visit = _visit()
    checked_id = None if session_id is None else manual_id(session_id)
    call(None, _start, None, visit, checked_id)


def end_session() -> None:
    """End the session now. The visitor's next request starts a new one; with `automatic=False` only `start_session()` does."""
    visit = _visit()
    call(None, _end, None, visit)


def _visit() -> Visit:
    visit = active_visit.get()
    if visit is None:
        msg = (
            "there is no active request behind Sojourn's middleware: call this helper inside a request. A thread that a view "
            "starts needs sojourn.carry(), as in Thread(target=carry(work)); a test or a job sojourn.testing.fake_visit()"
        )
        raise NoActiveRequest(msg)
    return visit


def _name(visit: Visit, user: User) -> None:
    visit.is_named = True
    if visit.context.own_traffic.name_user(visit, user.id, Mark.IDENTIFIED):
        return
    if visit.is_anonymous:
        visit.guard.count("anonymous")
        return
    was_passive = visit.is_passive
    if was_passive and is_known_user(visit, user):  # the poll of a page names the user as every request does
        visit.user_id = user.id
        if visit.state is None:
            return
    state = visit.enter(by_helper=True)
    if state is None:
        warn_dropped(visit)
        return
    visit.is_passive = was_passive and is_known_user(visit, user)
    name_user(visit, state, user)
    visit.user_id = user.id
    visit.leave()


def _unname(visit: Visit) -> None:
    visit.is_named = True
    visit.context.own_traffic.name_user(visit, None, Mark.IDENTIFIED)
    latest, was_passive = visit.binding.latest, visit.is_passive
    if latest is None or (was_passive and visit.state is None and not latest.is_tagged):
        return  # no session, so no tag: nothing to start for that
    state = visit.enter(by_helper=True)
    if state is not None:
        visit.is_passive = was_passive and not state.is_tagged
        unname_user(visit, state)
        visit.leave()


def _set_properties(visit: Visit, properties: dict[str, Scalar]) -> None:
    if visit.enter_present() is None:
        warn_dropped(visit)
        return
    visit.note(SESSION_PROPERTIES, properties)
    visit.leave()


def _set_properties_late(visit: Visit, state: SessionState, properties: dict[str, Scalar]) -> None:
    note_late(visit, state, SESSION_PROPERTIES, properties)


def _capture(visit: Visit, error: BaseException) -> None:
    capture(visit, error, is_handled=True)


def _track(visit: Visit, name: str, properties: dict[str, Scalar]) -> None:
    state = visit.enter(by_helper=True)
    if state is None:
        warn_dropped(visit)
        return
    visit.note(name, properties)
    visit.context.memory.note(state, name, visit.at, properties)
    visit.leave()


def _beat(visit: Visit) -> None:
    visit.is_passive = False
    if visit.responded and visit.enter(by_helper=True) is not None:
        visit.leave()


def _start(visit: Visit, session_id: str | None) -> None:
    if may_restart(visit):
        restart(visit, session_id)
        visit.leave()
    else:
        warn_dropped(visit)


def _end(visit: Visit) -> None:
    if visit.binding.latest is None:
        return
    if not visit.responded:
        visit.follow()
    # For a session that is over, end the successor that this request begins: otherwise that one would go on.
    is_over = visit.binding.over is not None and visit.binding.draft is None and not visit.changes
    if is_over and visit.is_passive:
        return
    state: SessionState | None = visit.enter(by_helper=True) if visit.responded or is_over else visit.state
    if state is not None:
        visit.end(state)
        visit.leave()


def _refuse_data(visit: Visit, problems: list[Problem], where: str) -> None:
    for problem in problems:
        visit.guard.refuse_data(f"property_{problem.kind}", f"{where}: {problem}", of=problem.cause)
