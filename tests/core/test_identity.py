"""What naming a user means: the whole table of who is tagged, bound and named next (S5)."""

from __future__ import annotations

import msgspec
import pytest

from sojourn.core import identity
from sojourn.core.identity import Verdict
from sojourn.core.session import SessionState, begin

A, P, Q = b"ada-hash", b"pri-hash", b"qri-hash"
BASE = begin(visitor_id="v", visitor_since=0, key="k", now=0)

STATES = {
    "anonymous": BASE,
    "explicit": identity.tagged(BASE, A),
    "explicit and bound": identity.bound(identity.tagged(BASE, A), P),
    "principal": identity.bound(BASE, P),
    "untagged": identity.untagged(identity.tagged(BASE, A)),
    "untagged and bound": identity.untagged(identity.bound(identity.tagged(BASE, A), P)),
    "principal overruled": identity.untagged(identity.bound(BASE, P)),
    "principal gone": identity.left(identity.bound(BASE, P)),
    "untagged, principal gone": identity.left(identity.untagged(identity.bound(identity.tagged(BASE, A), P))),
}
N, T, U, C = Verdict.NOTHING, Verdict.TAG, Verdict.UNTAG, Verdict.CHANGE

#                             identify:  A  B  None   principal: P  Q   None
TABLE: dict[str, tuple[Verdict, Verdict, Verdict, Verdict, Verdict, Verdict]] = {
    "anonymous":                        (T, T, N,                T, T,  N),
    "explicit":                         (N, C, U,                N, N,  N),
    "explicit and bound":               (N, C, U,                N, C,  N),
    "principal":                        (T, T, U,                N, C,  U),
    "untagged":                         (T, C, N,                N, N,  N),
    "untagged and bound":               (T, C, N,                N, C,  N),
    "principal overruled":              (T, T, N,                N, C,  N),
    "principal gone":                   (T, T, N,                T, C,  N),
    "untagged, principal gone":         (T, C, N,                T, C,  N),
}  # fmt: skip


def on_explicit(state: SessionState, user: bytes) -> Verdict:
    return identity.on_explicit(state, is_owner=state.owner == user)


def on_principal(state: SessionState, user: bytes) -> Verdict:
    return identity.on_principal(state, is_bound=state.principal == user)


@pytest.mark.parametrize("name", TABLE)
def test_verdicts(name: str) -> None:
    state = STATES[name]
    assert (
        on_explicit(state, A),
        on_explicit(state, b"bob-hash"),
        identity.on_explicit_none(state),
        on_principal(state, P),
        on_principal(state, Q),
        identity.on_anonymous(state),
    ) == TABLE[name]


@pytest.mark.parametrize("name", TABLE)
def test_identify_tags_and_leaves_the_bound_principal(name: str) -> None:
    after = identity.tagged(STATES[name], A)
    assert (after.owner, after.is_tagged, after.is_explicit) == (A, True, True)
    assert after.principal == STATES[name].principal


@pytest.mark.parametrize("name", TABLE)
def test_untagging_keeps_the_owner_hash(name: str) -> None:
    before, after = STATES[name], identity.untagged(STATES[name])
    assert (after.is_tagged, after.is_explicit) == (False, True)
    assert (after.owner, after.principal) == (before.owner, before.principal)


@pytest.mark.parametrize(
    ("name", "is_tagged"),
    [
        ("anonymous", True),
        ("explicit", True),
        ("untagged", False),
        ("principal overruled", False),
        ("principal gone", True),
        ("untagged, principal gone", True),
    ],
)
def test_a_principal_is_bound_and_tags_where_the_app_has_not_spoken(name: str, is_tagged: bool) -> None:
    before, after = STATES[name], identity.bound(STATES[name], P)
    assert after.principal == P
    assert after.is_tagged == is_tagged
    assert (after.owner, after.is_explicit) == (before.owner, before.is_explicit)


def test_binding_what_is_bound_changes_nothing() -> None:
    for name in ("principal", "explicit and bound", "principal overruled"):
        assert identity.bound(STATES[name], P) is STATES[name]


@pytest.mark.parametrize(
    ("name", "is_same"),
    [
        pytest.param("anonymous", True, id="anonymous before"),
        pytest.param("explicit", True, id="the app has spoken"),
        pytest.param("principal", False, id="the tag was the principal's"),
        pytest.param("untagged", False, id="the next principal may tag again"),
    ],
)
def test_a_principal_of_none_removes_only_its_own_tag(name: str, is_same: bool) -> None:
    before, after = STATES[name], identity.left(STATES[name])
    assert (after is before) == is_same
    if not is_same:
        assert (after.is_tagged, after.is_explicit) == (False, False)
        assert (after.owner, after.principal) == (before.owner, before.principal)


@pytest.mark.parametrize("name", TABLE)
def test_a_changed_principal_is_heeded_only_where_the_app_had_overruled_one(name: str) -> None:
    before, after = STATES[name], identity.principal_changed(STATES[name])
    if before.is_explicit and not before.is_tagged:
        assert after == msgspec.structs.replace(before, is_explicit=False)
        assert identity.bound(after, Q).is_tagged
    else:
        assert after == msgspec.structs.replace(before, logouts=before.logouts + before.is_tagged)


@pytest.mark.parametrize("name", TABLE)
def test_logouts_are_counted_when_a_tag_goes_or_the_user_changes(name: str) -> None:
    """Once for each user: one who was removed does not leave again when another comes."""
    before = STATES[name]
    assert identity.untagged(before).logouts == before.logouts + before.is_tagged
    assert identity.user_changed(before).logouts == before.logouts + before.is_tagged
    assert identity.user_changed(identity.untagged(before)).logouts == before.logouts + before.is_tagged
    assert identity.left(before).logouts == before.logouts + (before.is_tagged and not before.is_explicit)
    assert identity.tagged(before, A).logouts == identity.bound(before, P).logouts == before.logouts


def test_a_session_whose_named_user_left_is_not_handed_to_another_principal() -> None:
    state = STATES["untagged, principal gone"]
    state = msgspec.structs.replace(state, principal=None)
    assert identity.on_principal(state, is_bound=False, is_owner=False) is C
    assert identity.on_principal(state, is_bound=False, is_owner=True) is T


def test_a_logout_that_another_process_saw_leaves_no_user() -> None:
    after = identity.logged_out(STATES["explicit"], revision=7, logouts=2)
    assert (after.is_tagged, after.is_explicit, after.revision, after.logouts) == (False, False, 7, 2)
    assert after.owner == A, "another user is still a change"
