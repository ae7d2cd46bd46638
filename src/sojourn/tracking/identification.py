"""What `identify()` and the framework's principal do to a visit's session (S5).

The verdicts are the core's; here they become a tag, a new session or nothing, and the event that reports it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from sojourn.core import identity
from sojourn.core.events import USER_IDENTIFY, Scalar
from sojourn.core.identity import Verdict
from sojourn.core.properties import MAX_PROPERTIES, Problem, cleaned
from sojourn.core.records import Entry, Tag
from sojourn.core.session import EndReason, SessionState

from .carrying import note_late
from .guard import Guard
from .masking import pseudonym
from .principal import UNKNOWN, Principal, Resolver, User, to_principal
from .visit import Visit


def name_user(visit: Visit, state: SessionState, user: User) -> None:
    """`identify(user)`: tag the session, change it, or do nothing."""
    user = _as_stored(visit, user)
    codec = visit.context.codec
    verdict = identity.on_explicit(state, is_owner=codec.is_user(user.id, state.owner))
    if verdict is Verdict.NOTHING:
        if user.name is not None or user.traits:
            _add_tag(visit, user, is_new=False)
        return
    if verdict is Verdict.CHANGE:
        if visit.context.options.rules.split_on_user_change:
            state = visit.succeed(EndReason.USER_CHANGED, is_manual=state.is_manual, user=user.id)
        else:
            state = identity.user_changed(state)
    visit.become(identity.tagged(state, codec.hash_user(user.id)))
    _add_tag(visit, user)


def name_user_late(visit: Visit, state: SessionState, user: User) -> None:
    """`identify(user)` in a carried call after the end of its session: it names this session only, if it has no other user."""
    if visit.is_anonymous or user.id in visit.context.own_traffic.users:
        visit.guard.count("anonymous" if visit.is_anonymous else "own_user")
        return
    user = _as_stored(visit, user)
    verdict = identity.on_explicit(state, is_owner=visit.context.codec.is_user(user.id, state.owner))
    if verdict is Verdict.CHANGE:
        visit.guard.count("over")
    else:
        note_late(visit, state, USER_IDENTIFY, tag=_tag(visit, user, is_new=verdict is Verdict.TAG))


def is_known_user(visit: Visit, user: User) -> bool:
    """Whether the session, over or not, is this user's already."""
    state = visit.binding.latest
    return (
        state is not None and state.is_tagged and visit.context.codec.is_user(_as_stored(visit, user).id, state.owner)
    )


def known_user_id(visit: Visit, state: SessionState) -> str | None:
    """The user of this session as it is stored, if this request has named them, or the framework has to this process."""
    if not state.is_tagged:
        return None
    user_id = visit.user_id
    if user_id is None and not state.is_explicit:
        principal, live = visit.principal and visit.principal[0], visit.live
        user_id = principal.id if isinstance(principal, User) else None if live is None else live.principal_id
    return None if user_id is None else _as_stored(visit, User(user_id)).id


def unname_user(visit: Visit, state: SessionState) -> None:
    """`identify(None)`: remove the tag; the session stays."""
    visit.user_id = None
    if identity.on_explicit_none(state) is Verdict.UNTAG:
        visit.become(identity.untagged(state))
        _add_tag(visit, None)


def read_principal(visit: Visit, resolver: Resolver | None) -> Principal:
    """The framework's user, or what the app's own callable returns; after an error in either, `UNKNOWN`."""
    try:
        if resolver is None:
            return visit.facts.principal()
        return to_principal(resolver(visit.facts.framework_request()))
    except Exception as error:  # noqa: BLE001 - the app's own callable, or a user object of the app
        kind = type(error).__name__
        visit.guard.count("principal_error")
        visit.guard.warn_once(f"principal {kind}", f"the principal could not be read: {kind}")
        return UNKNOWN


def drop_user(visit: Visit) -> None:
    """Remove the tag of an earlier request, whose browser did not ask for anonymity as this one does."""
    state = visit.state
    if state is not None and state.is_tagged:
        unname_user(visit, state)


def apply_principal(visit: Visit, principal: User | None, may_split: Callable[[], bool]) -> None:
    """Apply the framework's user, or that there is none."""
    if (state := visit.binding.state) is None:
        return
    if principal is None:
        _apply_anonymous(visit, state)
        return
    user = _as_stored(visit, _with_valid_traits(visit.guard, principal) if principal.traits else principal)
    live = visit.live
    if live is not None and live.principal_id == user.id and visit.binding.draft is None:
        return  # a returning visitor: spared the hash
    _apply_user(visit, state, user, may_split)


def _apply_user(visit: Visit, state: SessionState, user: User, may_split: Callable[[], bool]) -> None:
    """The principal is only the default user, and compared only with the one bound before."""
    codec = visit.context.codec
    is_bound = codec.is_user(user.id, state.principal)
    is_owner = state.owner is None or codec.is_user(user.id, state.owner)
    verdict = identity.on_principal(state, is_bound=is_bound, is_owner=is_owner)
    if verdict is Verdict.CHANGE:
        if not visit.context.options.rules.split_on_user_change:
            state = identity.principal_changed(state)
        elif may_split():
            state = visit.succeed(EndReason.USER_CHANGED, is_manual=state.is_manual, user=user.id)
        else:
            visit.guard.count("user_change_undeliverable")
            return
    if not (verdict is Verdict.NOTHING and is_bound):
        moved = identity.bound(state, codec.hash_user(user.id))
        visit.become(moved)
        if moved.is_tagged and not moved.is_explicit and verdict is not Verdict.NOTHING:
            _add_tag(visit, user, is_explicit=False)
    if visit.live is not None and visit.binding.draft is None:
        visit.live.principal_id = user.id


def _apply_anonymous(visit: Visit, state: SessionState) -> None:
    """The framework says that no user is logged in."""
    verdict = identity.on_anonymous(state)
    moved = identity.left(state)
    if moved is not state:
        visit.become(moved)
    if verdict is Verdict.UNTAG:
        _add_tag(visit, None, is_explicit=False)
    if visit.live is not None:
        visit.live.principal_id = None


def _as_stored(visit: Visit, user: User) -> User:
    """With `hash_user_ids` the user under a keyed hash."""
    key = visit.context.options.user_hash_key
    if key is None:
        return user
    # A framework's name for a user is often the id in other words, so none goes with a hash.
    traits = {name: value for name, value in (user.traits or {}).items() if str(value) != user.id}
    return User(pseudonym(user.id, key), None, traits)


def _with_valid_traits(guard: Guard, user: User) -> User:
    """The user with the traits that can be stored; an app's callable may have put anything there."""
    kept: dict[str, Scalar] = {}
    for name, value in list((user.traits or {}).items())[:MAX_PROPERTIES]:
        try:
            traits, problems = cleaned({name: value}, "")
        except (TypeError, ValueError):
            traits, problems = {}, [Problem("bad_trait", "a name", "is malformed; it was dropped")]
        kept.update(traits)
        for problem in problems:
            guard.count(f"property_{problem.kind}")
            guard.warn_once(f"property_{problem.kind}", f"traits of a principal: {problem}", of=problem.name)
    return User(user.id, user.name, kept)


def _add_tag(visit: Visit, user: User | None, *, is_explicit: bool = True, is_new: bool = True) -> None:
    entry = Entry(USER_IDENTIFY, visit.at, tag=_tag(visit, user, is_explicit=is_explicit, is_new=is_new))
    entries = visit.changes_of().entries
    # A principal was there all along, though it is read last: what happened in the request is that user's.
    entries.append(entry) if is_explicit else entries.insert(0, entry)


def _tag(visit: Visit, user: User | None, *, is_explicit: bool = True, is_new: bool) -> Tag:
    return Tag(
        None if user is None else user.id,
        None if user is None else user.name,
        dict(cast("Mapping[str, Scalar]", user.traits))
        if user is not None and user.traits
        else None,  # `cleaned` by now
        is_explicit,
        is_new,
        _tag_before(visit),
    )


def _tag_before(visit: Visit) -> str:
    """The tag state that this request arrived with: racing requests that report the same change make one event."""
    number, visit.tags = visit.tags, visit.tags + 1
    if visit.responded:
        return f"{visit.at}#{number}"
    if visit.binding.arrived is None:
        return f"#{number}"
    arrived = visit.binding.arrived.state
    owner = (arrived.owner or b"").hex()
    bound = (arrived.principal or b"").hex()
    return f"{owner}.{bound}.{arrived.is_tagged:d}{arrived.is_explicit:d}.{arrived.last_seen_at}#{number}"
