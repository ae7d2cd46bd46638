"""Visitors without a cookie: known for a day, and then no more. Their sessions follow the rules of the cookie.

The table of visitors stands for the browser: what a cookie would bring is looked up there, and where one would be set the
state is kept there. So nothing else in tracking needs to know of it, but for three things: no response has to carry
anything; a session that is over has no successor of another day; and where the visitor consents, the cookie takes over.

See S18 in docs/internals.md.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Final, NamedTuple, Protocol

from sojourn.core import session
from sojourn.core.bounded import Bounded
from sojourn.core.days import Day, day_of
from sojourn.core.session import SessionState

from .binding import NO_ADDRESS, NOT_RECOGNISED
from .cookie import Verified
from .cookie_layout import OptedOut, pack, unpack
from .cookie_policy import CookiePolicy
from .guard import Guard
from .masking import masked_address
from .reach import site_of
from .visit import Visit
from .visitor_hash import DailyVisitor, hash_key, visitor_hash

_LONGEST_GRACE_MS: Final = 3_600_000
_KEPT_STATES: Final = 4096
_KEPT_KEYS: Final = 16
_KEPT_SITES: Final = 256
_IPV4: Final = re.compile(r"((?:(?:0|[1-9][0-9]{0,2})\.){3})(?:0|[1-9][0-9]{0,2})")
_CURRENT_KEY: Final = -1


def grace_of(idle_timeout: int) -> int:
    """For how long after midnight (ms) the salt of the day before finds sessions in progress."""
    return min(idle_timeout, _LONGEST_GRACE_MS)


class Salt(Protocol):
    """The salt of a day."""

    @property
    def starts_at(self) -> int: ...
    @property
    def until(self) -> int: ...
    @property
    def salt(self) -> bytes: ...
    @property
    def is_displaced(self) -> bool: ...


class Visitors(Protocol):
    """What the workers of this host keep of visitors without a cookie. Never blocks, never raises."""

    def get(self, hashed: bytes) -> tuple[int, bytes] | None:
        """Generation and state of a visitor; an empty state: the one before has left."""
        ...

    def put(self, hashed: bytes, generation: int, state: bytes, at: int) -> None: ...

    def salts(self) -> Sequence[Salt]: ...

    def salt_of(self, starts_at: int, *, until: int) -> Salt:
        """The salt of the day that begins at this moment."""
        ...


class _Found(NamedTuple):
    visitor: DailyVisitor
    arrived: Verified | None
    """The session, as the table has it."""
    day: Day
    is_earlier: bool
    """It was found by a salt that is on its way out."""


class Cookieless:
    """Recognises visitors without a cookie. Any thread. `is_always`: consent or not, no cookie is set."""

    def __init__(
        self,
        visitors: Visitors,
        guard: Guard,
        *,
        secret: bytes,
        zone: tzinfo,
        idle_timeout: int,
        policy: CookiePolicy,
        mask_addresses: bool,
        is_always: bool,
    ) -> None:
        self._visitors = visitors
        self._guard = guard
        self._secret = secret
        self._zone = zone
        self._grace = grace_of(idle_timeout)
        self._policy = policy
        self._mask_addresses = mask_addresses
        self.is_always = is_always
        self._day = Day(0, 0)
        self._keys: Bounded[bytes, bytes] = Bounded(_KEPT_KEYS)
        self._sites: Bounded[str, str] = Bounded(_KEPT_SITES)
        self._states: Bounded[bytes, Verified] = Bounded(_KEPT_STATES)
        """By what the table has: the same state is the same object, which is quick to compare."""

    # --- a request arrives -----------------------------------------------------------------------------------------

    def begin(self, visit: Visit, recognise: Callable[[Visit, Verified], None]) -> None:
        """Find the session of a visitor without a cookie; of one who has consented since, to go on with a cookie."""
        if not (self.is_always or visit.lacks_consent):
            if visit.binding.arrived is None:
                self._begin_with_consent(visit, recognise)
            return
        if visit.binding.arrived is not None:  # from before the consent was withdrawn
            visit.drops_cookie = True
            _forget(visit)
        if visit.drops_cookie:
            visit.is_cookie_due = True
        found = self._find(visit)
        if found is None:
            visit.refuse(NO_ADDRESS)
            self._guard.count(NO_ADDRESS)
            self._guard.warn_once(
                NO_ADDRESS, "visitors without a cookie look alike: their addresses are a proxy's; set trusted_proxies"
            )
            return
        visit.daily = found.visitor
        self._recognise(visit, found, recognise)

    def _begin_with_consent(self, visit: Visit, recognise: Callable[[Visit, Verified], None]) -> None:
        found = self._find(visit)
        if found is None or found.arrived is None:
            return
        self._recognise(visit, found, recognise)
        if visit.refused is not None or visit.state is None:
            _forget(visit)  # nothing goes on, so nothing links the cookie to it; nor does an opt-out of who looks alike
        else:
            visit.takes_over, visit.is_cookie_due = found.visitor, True

    def _recognise(self, visit: Visit, found: _Found, recognise: Callable[[Visit, Verified], None]) -> None:
        if found.arrived is None:
            return
        recognise(visit, found.arrived)
        live = visit.live
        if visit.refused is not None or live is None:
            return
        is_of_before = found.is_earlier or live.state.visitor_since < found.day.starts_at
        if visit.binding.over is not None and is_of_before:
            _forget(visit)
        elif found.is_earlier and visit.daily is not None:
            self.keep(visit, live.state)  # by today's salt from here on

    def _find(self, visit: Visit) -> _Found | None:
        looks = self._looks(visit)
        if looks is None:
            return None
        now, day = visit.now, self._day
        if not day.has(now):
            day = self._day = day_of(now, self._zone)
        today = self._visitors.salt_of(day.starts_at, until=day.ends_at + self._grace)
        visitor, arrived = self._look_up(today, looks)
        if visitor is not None:
            return _Found(visitor, arrived, day, is_earlier=False)
        for salt in self._visitors.salts():
            if salt.until > now and (salt.is_displaced or salt.starts_at < day.starts_at):
                _, arrived = self._look_up(salt, looks)
                if arrived is not None:
                    return _Found(DailyVisitor(self._hash(today, looks)), arrived, day, is_earlier=True)
        return _Found(DailyVisitor(self._hash(today, looks)), None, day, is_earlier=False)

    def _look_up(self, salt: Salt, looks: tuple[str, str, str]) -> tuple[DailyVisitor | None, Verified | None]:
        hashed = self._hash(salt, looks)
        kept = self._visitors.get(hashed)
        return (None, None) if kept is None else (DailyVisitor(hashed, kept[0]), self._unpacked(kept[1]))

    def _hash(self, salt: Salt, looks: tuple[str, str, str]) -> bytes:
        key = self._keys.get(salt.salt)
        if key is None:
            key = self._keys[salt.salt] = hash_key(self._secret, salt.salt)
        return visitor_hash(key, *looks)

    def _looks(self, visit: Visit) -> tuple[str, str, str] | None:
        """What tells visitors apart: network, user agent and site. `None` where the address is a proxy's."""
        facts = visit.facts
        address = facts.proven_address()
        if not address:
            return None
        if self._mask_addresses or visit.is_anonymous:
            address = network_of(address)
        host = facts.header("host")
        site = self._sites.get(host)
        if site is None:
            site = self._sites[host] = site_of(facts, self._policy)
        return address, facts.header("user-agent"), site

    def _unpacked(self, packed: bytes) -> Verified | None:
        state = self._states.get(packed)
        if state is None and packed:
            try:
                unpacked = unpack(packed)
            except (ValueError, IndexError, struct.error):  # of another version, which shares the table with this one
                return None
            if not isinstance(unpacked, OptedOut):
                state = self._states[packed] = Verified(unpacked, _CURRENT_KEY)
        return state

    # --- its response ----------------------------------------------------------------------------------------------

    def keep(self, visit: Visit, state: SessionState) -> None:
        """Keep the state of the session where a cookie would be set; not over a newer one, which another request kept."""
        daily = visit.daily
        if daily is None:
            return
        kept = self._visitors.get(daily.hashed)
        if kept is not None and (
            kept[0] > daily.generation or (kept[0] == daily.generation and self._is_newer(kept[1], state))
        ):
            return
        self._visitors.put(daily.hashed, daily.generation, pack(state), max(state.last_seen_at, visit.at))

    def _is_newer(self, packed: bytes, state: SessionState) -> bool:
        kept = self._unpacked(packed)
        if kept is None:
            return False
        if kept.state.visitor_id != state.visitor_id:  # of the day before, or of this one
            return kept.state.started_at > state.started_at
        return session.is_newer_copy(kept.state, state)

    def take_over(self, visit: Visit) -> None:
        """The cookie has the session: whoever comes without one and looks alike is somebody else."""
        if visit.takes_over is not None:
            self._visitors.put(visit.takes_over.hashed, visit.takes_over.generation + 1, b"", visit.at)

    # --- the visitor's own switch ----------------------------------------------------------------------------------

    def consent(self, visit: Visit) -> None:
        """The visitor consents: from this response on the session is the cookie's. One that is over is left behind."""
        if visit.state is None:
            visit.binding = NOT_RECOGNISED
        visit.takes_over, visit.daily = visit.daily, None
        visit.lacks_consent, visit.is_cookie_due, visit.can_carry = False, True, None

    def return_to(self, visit: Visit) -> None:
        """The visitor takes part again, as a new one that nothing links to the one before. The opt-out's cookie goes."""
        visit.drops_cookie = visit.is_cookie_due = True
        if (found := self._find(visit)) is not None:
            visit.daily = DailyVisitor(found.visitor.hashed, found.visitor.generation + 1)


def network_of(address: str) -> str:
    """The network of an address as it is kept; what is no address (a test client's name) stands for itself."""
    plain = _IPV4.fullmatch(address)  # most are, and the library takes twenty times as long
    return f"{plain[1]}0" if plain is not None else masked_address(address) or address


def _forget(visit: Visit) -> None:
    """Leave the session that was recognised, as if nothing had been."""
    visit.binding = NOT_RECOGNISED
    visit.at = visit.now
    visit.is_passive, visit.is_counted = False, True
