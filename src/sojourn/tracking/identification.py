"""Users, as a visit meets them: what `identify()` and the framework's principal do to its session (S5).

The verdicts are the core's; this turns them into a tag, a new session or nothing, and into what is told of it.
"""

from __future__ import annotations

from collections.abc import Callable

from sojourn.core import identity
from sojourn.core.events import USER_IDENTIFY, Scalar
from sojourn.core.identity import Verdict
from sojourn.core.properties import MAX_PROPERTIES, cleaned
from sojourn.core.records import Entry, Tag
from sojourn.core.session import EndReason, SessionState

from .principal import Resolver, Unknown, User, understood
from .visit import Host, Visit


def name_user(visit: Visit, state: SessionState, user: User) -> None:
    """`identify(user)`: tag, change, or nothing."""
    host = visit.host
    visit.user_id = user.id
    verdict = identity.on_explicit(state, is_owner=host.codec.is_user(user.id, state.owner))
    if verdict is Verdict.NOTHING:
        if user.name is not None or user.traits:
            _tell(visit, user, is_told=False)
        return
    if verdict is Verdict.CHANGE and host.rules.split_on_user_change:
        state = visit.succeed(EndReason.USER_CHANGED, is_manual=state.is_manual, user=user.id)
    visit.become(identity.tagged(state, host.codec.hash_user(user.id)))
    _tell(visit, user)


def unname_user(visit: Visit, state: SessionState) -> None:
    """`identify(None)`: the tag goes, the session stays."""
    visit.user_id = None
    if identity.on_explicit_none(state) is Verdict.UNTAG:
        visit.become(identity.untagged(state))
        _tell(visit, None)


def apply_principal(visit: Visit, own: Resolver | None, may_split: Callable[[], bool]) -> None:
    """The framework's user for this request, or what the app's own callable says; in doubt nobody has said anything."""
    host = visit.host
    if visit.is_anonymous:
        state = visit.state
        if state is not None and state.is_tagged:  # by an earlier request, which did not ask for it
            unname_user(visit, state)
        return
    try:
        found = visit.facts.principal() if own is None else understood(own(visit.facts.framework_request()))
    except Exception as error:  # noqa: BLE001 - the app's own callable, or a user object of the app
        kind = type(error).__name__
        host.count("principal_error")
        host.warn_once(f"principal {kind}", f"the principal could not be read: {kind}")
        return
    state = visit.state
    if isinstance(found, Unknown) or state is None:
        return
    if found is None:
        _meet_nobody(visit, state)
        return
    found = host.shown_user(_fit(host, found) if found.traits else found)
    live = visit.live
    if live is not None and live.principal_id == found.id and visit.draft is None:
        return  # a returning visitor: spared the hash
    _meet_principal(visit, state, found, may_split)


def _fit(host: Host, user: User) -> User:
    """The user with those traits that can be written down; an app's callable may have put anything there."""
    kept: dict[str, Scalar] = {}
    for name, value in list((user.traits or {}).items())[:MAX_PROPERTIES]:
        try:
            told, problems = cleaned({name: value}, "")
        except (TypeError, ValueError):
            told, problems = {}, ["bad_trait"]
        kept.update(told)
        for problem in problems:
            host.count(f"property_{problem}")
            host.warn_once(f"property_{problem}", f"a trait of a principal was {problem.replace('_', ' ')}")
    return User(user.id, user.name, kept)


def _meet_principal(visit: Visit, state: SessionState, user: User, may_split: Callable[[], bool]) -> None:
    """The framework's user for this request: only the default, compared only with the one bound before."""
    host = visit.host
    is_bound = host.codec.is_user(user.id, state.principal)
    verdict = identity.on_principal(state, is_bound=is_bound)
    if verdict is Verdict.CHANGE:
        if not host.rules.split_on_user_change:
            state = identity.heeding(state)
        elif may_split():
            state = visit.succeed(EndReason.USER_CHANGED, is_manual=state.is_manual, user=user.id)
        else:
            host.count("user_change_undeliverable")
            return
    if not (verdict is Verdict.NOTHING and is_bound):
        moved = identity.bound(state, host.codec.hash_user(user.id))
        visit.become(moved)
        if moved.is_tagged and not moved.is_explicit and verdict is not Verdict.NOTHING:
            _tell(visit, user, is_explicit=False)
    if visit.live is not None and visit.draft is None:
        visit.live.principal_id = user.id


def _meet_nobody(visit: Visit, state: SessionState) -> None:
    """The framework knows that nobody is logged in."""
    verdict = identity.on_anonymous(state)
    moved = identity.left(state)
    if moved is not state:
        visit.become(moved)
    if verdict is Verdict.UNTAG:
        _tell(visit, None, is_explicit=False)
    if visit.live is not None:
        visit.live.principal_id = None


def _tell(visit: Visit, user: User | None, *, is_explicit: bool = True, is_told: bool = True) -> None:
    entry = Entry(
        USER_IDENTIFY,
        visit.at,
        tag=Tag(
            None if user is None else user.id,
            None if user is None else user.name,
            dict(user.traits) if user is not None and user.traits else None,
            is_explicit,
            is_told,
            _tag_before(visit),
        ),
    )
    entries = visit.part().entries
    # A principal was there all along, though it is read last: what the request tells is its user's.
    entries.append(entry) if is_explicit else entries.insert(0, entry)


def _tag_before(visit: Visit) -> str:
    """The tag state that this request arrived with: racing requests that tell the same thing tell it once."""
    number, visit.tags = visit.tags, visit.tags + 1
    if visit.responded:
        return f"{visit.at}#{number}"
    if visit.arrived is None:
        return f"#{number}"
    arrived = visit.arrived.state
    owner = (arrived.owner or b"").hex()
    bound = (arrived.principal or b"").hex()
    return f"{owner}.{bound}.{arrived.is_tagged:d}{arrived.is_explicit:d}.{arrived.last_seen_at}#{number}"
