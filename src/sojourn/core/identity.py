"""Whose session it is: what a newly named user means for it (S5). Pure; users appear as keyed hashes only.

Two sources, each compared only with itself: the app's `identify()` (explicit) and the principal that the framework
authenticated. The explicit user wins; the principal is the default.
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from .session import SessionState, logouts_after


class Verdict(Enum):
    """What naming a user means for the session."""

    NOTHING = auto()
    TAG = auto()
    UNTAG = auto()
    CHANGE = auto()


def on_explicit(state: SessionState, *, is_owner: bool) -> Verdict:
    """`identify(user)`: `is_owner` says whether the session's `owner` hash is this user's."""
    if state.owner is None:
        return Verdict.TAG
    if not is_owner:
        return Verdict.CHANGE
    return Verdict.NOTHING if state.is_tagged and state.is_explicit else Verdict.TAG


def on_explicit_none(state: SessionState) -> Verdict:
    """`identify(None)`: the tag goes, the session stays."""
    return Verdict.UNTAG if state.is_tagged else Verdict.NOTHING


def on_principal(state: SessionState, *, is_bound: bool, is_owner: bool = True) -> Verdict:
    """A known principal: `is_bound` says whether it is the one bound to the session, `is_owner` whether `owner` is it.

    A session that `identify()` named, and whose user then left, is not handed to a principal who is another user.
    """
    if state.principal is not None and not is_bound:
        return Verdict.CHANGE
    if state.owner is not None and not is_owner and not state.is_tagged and not state.is_explicit:
        return Verdict.CHANGE
    return Verdict.NOTHING if state.is_tagged or state.is_explicit else Verdict.TAG


def on_anonymous(state: SessionState) -> Verdict:
    """No user is logged in: that removes a tag that came from a principal, never an explicit one."""
    return Verdict.UNTAG if state.is_tagged and not state.is_explicit else Verdict.NOTHING


def tagged(state: SessionState, owner: bytes) -> SessionState:
    """The session tagged by `identify()`."""
    return msgspec.structs.replace(state, owner=owner, is_tagged=True, is_explicit=True)


def untagged(state: SessionState) -> SessionState:
    """The session after `identify(None)`: `owner` stays, so that another user is still seen as a change."""
    return msgspec.structs.replace(state, is_tagged=False, is_explicit=True, logouts=logouts_after(state))


def bound(state: SessionState, principal: bytes) -> SessionState:
    """The session with this principal bound to it, and tagged by it where the app has not spoken."""
    is_tagged = state.is_tagged or not state.is_explicit
    if state.principal == principal and state.is_tagged == is_tagged:
        return state
    return msgspec.structs.replace(state, principal=principal, is_tagged=is_tagged)


def left(state: SessionState) -> SessionState:
    """The session once no user is logged in: a principal's tag goes, and the next principal may tag again."""
    if state.is_tagged and state.is_explicit:
        return state
    if not state.is_tagged and not state.is_explicit:
        return state
    return msgspec.structs.replace(state, is_tagged=False, is_explicit=False, logouts=logouts_after(state))


def logged_out(state: SessionState, *, revision: int, logouts: int) -> SessionState:
    """The session of a cookie from before its user left, as another process knows it: without a user, of that revision."""
    return msgspec.structs.replace(state, is_tagged=False, is_explicit=False, revision=revision, logouts=logouts)


def user_changed(state: SessionState) -> SessionState:
    """The session that goes on with another user, where a change of user does not split it."""
    return msgspec.structs.replace(state, logouts=logouts_after(state))


def principal_changed(state: SessionState) -> SessionState:
    """The same for the principal. One that `identify(None)` had overruled may tag again."""
    is_overruled = state.is_explicit and not state.is_tagged
    return msgspec.structs.replace(user_changed(state), is_explicit=state.is_explicit and not is_overruled)
