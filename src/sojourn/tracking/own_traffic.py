"""Leaves out your own people: by their network, by user, and browsers that carry a mark.

The mark is a signed cookie beside the session's, of the same scope. It is set by hand on the report page, or by a response
whose request named an excluded user; then it stands until another user is named in that browser. Nothing is recorded
of a request with a mark, whatever the app calls in it.

See S14 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sojourn.core.bounded import Bounded

from . import cookie_header
from .cookie_policy import CookiePolicy
from .facts import RequestFacts
from .forwarded import Network, parsed_address
from .principal import UNKNOWN, Principal
from .signing import signers

if TYPE_CHECKING:
    from .visit import Visit

OWN_ADDRESS: Final = "own_address"
OWN_BROWSER: Final = "own_browser"
OWN_USER: Final = "own_user"
_SALT: Final = b"sojourn.own-browser.1."
_REMEMBERED: Final = 1024


class Mark(StrEnum):
    """Who set the mark of a browser: that decides what takes it away."""

    HAND = "hand"
    IDENTIFIED = "identified"
    PRINCIPAL = "principal"


class OwnTraffic:
    """One per tracker; any thread. `keys`: as the cookie's, the last one signs."""

    __slots__ = (
        "_addresses",
        "_by_value",
        "_networks",
        "_policy",
        "_values",
        "has_networks",
        "has_users",
        "names",
        "users",
    )

    def __init__(
        self,
        policy: CookiePolicy,
        keys: Sequence[bytes],
        *,
        networks: Sequence[Network] = (),
        users: Collection[str] = (),
    ) -> None:
        self._policy = replace(policy, base_name=f"{policy.base_name}_own", is_persistent=True)
        self.names = (self._policy.name(is_https=False), self._policy.name(is_https=True))
        salt = _SALT + policy.base_name.encode("ascii")
        all_signers = signers(keys, salt)
        self._by_value = {signer.sign(mark.value.encode()): mark for signer in all_signers for mark in Mark}
        self._values = {mark: all_signers[-1].sign(mark.value.encode()).decode() for mark in Mark}
        self._networks = tuple(networks)
        self.has_networks = bool(networks)
        self.users = frozenset(users)
        self.has_users = bool(users)
        self._addresses: Bounded[str, bool] = Bounded(_REMEMBERED)

    def is_own_address(self, facts: RequestFacts) -> bool:
        """Whether the request comes from one of the excluded networks; behind trusted proxies, as they say."""
        address = facts.client_address()
        if address is None:
            return False
        known = self._addresses.get(address)
        if known is None:
            plain = parsed_address(address)
            known = plain is not None and any(plain in network for network in self._networks)
            self._addresses[address] = known
        return known

    def mark_of(self, facts: RequestFacts) -> Mark | None:
        """The mark of the browser that sent this request. One set by hand outweighs the others."""
        name = self.names[facts.is_https]
        if name not in facts.cookie:
            return None
        marks = {self._by_value.get(value) for value in cookie_header.values(facts.cookie, name)}
        return next((mark for mark in Mark if mark in marks), None)

    def name_user(self, visit: Visit, user_id: str | None, mark: Mark) -> bool:
        """Note a user that the request names, and return whether the visit ends here: the user is an excluded one.

        `None`: the request says that no user is logged in.
        """
        if user_id is not None and user_id in self.users:
            if visit.own_mark is not Mark.HAND:
                visit.own_mark_after = mark
            if visit.refused is None:
                visit.refuse(OWN_USER)
                visit.guard.count(OWN_USER)
            return True
        if visit.own_mark is Mark.PRINCIPAL or (visit.own_mark is Mark.IDENTIFIED and mark is Mark.IDENTIFIED):
            visit.own_mark_after = None
        return False

    def parting_line(
        self, visit: Visit, read_principal: Callable[[], Principal], may_carry: Callable[[], bool]
    ) -> str | None:
        """The `Set-Cookie` line of a response to one of your own, if its mark changes."""
        if visit.own_mark is Mark.PRINCIPAL and visit.own_mark_after is Mark.PRINCIPAL:
            principal = read_principal()
            if principal is not UNKNOWN:
                self.name_user(visit, None if principal is None else principal.id, Mark.PRINCIPAL)
        if visit.own_mark_after is visit.own_mark or not may_carry():
            return None
        return self.line(visit.own_mark_after, is_https=visit.facts.is_https)

    def line(self, mark: Mark | None, *, is_https: bool) -> str:
        """The `Set-Cookie` line that sets this mark, or removes it (`None`)."""
        if mark is None:
            return self._policy.removal(is_https=is_https)
        return self._policy.opt_out_line(self._values[mark], is_https=is_https)
