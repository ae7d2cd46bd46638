"""Whether a response sets our cookie, and the `Set-Cookie` line (S11)."""

from __future__ import annotations

from sojourn.core.clock import Clock

from . import admission, reach
from .binding import DISPUTED, Choice
from .binding import OPTED_OUT as OPTED_OUT_REASON
from .cookie import CookieCodec
from .cookie_layout import OPTED_OUT
from .cookie_policy import CookiePolicy
from .facts import ResponseFacts
from .options import TrackingOptions
from .session_cache import CachedSession, SessionCache
from .visit import Visit
from .without_cookie import Cookieless

_SLOW_RESPONSE_S = 5.0


class ResponseCookies:
    """Writes the cookie where it is due and may be carried."""

    __slots__ = ("_adds_private", "_clock", "_codec", "_cookieless", "_policy", "_refresh", "_sessions")

    def __init__(
        self,
        policy: CookiePolicy,
        options: TrackingOptions,
        *,
        codec: CookieCodec,
        sessions: SessionCache,
        clock: Clock,
        cookieless: Cookieless | None = None,
    ) -> None:
        self._policy = policy
        self._codec = codec
        self._sessions = sessions
        self._clock = clock
        self._cookieless = cookieless
        self._refresh = options.rules.refresh
        self._adds_private = options.adds_private

    def settle_who_keeps(self, visit: Visit, response: ResponseFacts) -> None:
        """Put off that a cookie takes the session over, if this response cannot carry it."""
        if visit.takes_over is not None and not self.may_carry(visit, response):
            visit.daily, visit.takes_over = visit.takes_over, None

    def may_keep(self, visit: Visit, response: ResponseFacts) -> bool:
        """Whether the session goes on with the next request: without a cookie always, else if this response may carry it."""
        return visit.daily is not None or self.may_carry(visit, response)

    def may_carry(self, visit: Visit, response: ResponseFacts) -> bool:
        """Whether this response may carry a cookie; judged once per visit."""
        if visit.can_carry is None:
            visit.can_carry = self.carries(visit, response)
        return visit.can_carry

    def carries(self, visit: Visit, response: ResponseFacts) -> bool:
        """The same, judged anew: a WSGI app may replace a response that it has started."""
        if not admission.may_carry_cookie(visit.facts, response, adds_private=self._adds_private):
            return False
        has_cookie = _has_cookie(visit) or visit.refused == DISPUTED
        return reach.keeps(visit.facts, response, self._policy, has_cookie=has_cookie)

    def is_redirected_out_of_reach(self, visit: Visit, response: ResponseFacts) -> bool:
        """Whether the visit goes on where a cookie that is set now is not sent, so that it begins there."""
        is_cookieless = visit.daily is not None
        return reach.leads_out_of_reach(visit.facts, response, self._policy, is_cookieless=is_cookieless)

    def session_line(self, visit: Visit, response: ResponseFacts) -> str | None:
        """The cookie of a visit with a session, if it is due. Without a cookie, the state is kept here instead."""
        live = visit.live
        if live is None:
            return None
        if visit.daily is not None:
            if self._cookieless is not None and self._is_due(visit, live):
                self._cookieless.keep(visit, self._sessions.write(live))
            return self._removal(visit, response) if visit.drops_cookie else None
        if not self._is_due(visit, live) or not self.may_carry(visit, response):
            return None
        state = self._sessions.write(live)
        if visit.takes_over is not None and self._cookieless is not None:
            self._cookieless.take_over(visit)
        return self._policy.line(self._codec.dumps(state), state, visit.now, is_https=visit.facts.is_https)

    def _is_due(self, visit: Visit, live: CachedSession) -> bool:
        arrived = visit.binding.arrived
        if arrived is None or visit.is_cookie_due:
            return True
        is_refresh = not live.differs_from(arrived.state)
        if is_refresh and visit.at - arrived.state.last_seen_at < self._refresh:
            return False
        return live.may_write(is_slow=is_refresh and self._clock.monotonic() - visit.mono > _SLOW_RESPONSE_S)

    def parting_line(self, visit: Visit, response: ResponseFacts) -> str | None:
        """The cookie of a response without a session: the opt-out, or the removal of what consent no longer covers."""
        if visit.refused == DISPUTED and self.may_carry(visit, response):
            return self._remove_copies(visit)
        refused, choice, has_cookie = visit.refused, visit.binding.choice, _has_cookie(visit)
        is_opt_out = refused == OPTED_OUT_REASON and (choice is Choice.OUT or has_cookie)
        is_removal = choice is Choice.IN or visit.drops_cookie or (refused == "no_consent" and has_cookie)
        if is_opt_out and self.may_carry(visit, response):
            return self._policy.opt_out_line(self._codec.dumps(OPTED_OUT), is_https=visit.facts.is_https)
        return self._removal(visit, response) if is_removal and not is_opt_out else None

    def _removal(self, visit: Visit, response: ResponseFacts) -> str | None:
        return self._policy.removal(is_https=visit.facts.is_https) if self.may_carry(visit, response) else None

    def _remove_copies(self, visit: Visit) -> str:
        """Remove every copy that may be ours to remove: the next page begins a session with one cookie."""
        is_https = visit.facts.is_https
        first, *rest = self._policy.removals(reach.parent_domains(visit.facts), is_https=is_https)
        visit.more_cookie_lines = tuple(rest)
        return first


def _has_cookie(visit: Visit) -> bool:
    """Whether the request brought the session in a cookie of ours."""
    return visit.binding.arrived is not None and visit.daily is None and visit.takes_over is None
