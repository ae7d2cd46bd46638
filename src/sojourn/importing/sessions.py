"""Which session a line belongs to, by the rules of the core: the request path of a log. Pure, but for the keys it is given.

A log has no cookie, so a visitor is known by network and user agent, as a keyed hash. What a log does not have is left out:
users, properties, events, and whether a script asked for something (judged by its path, see `requests`).

See P42 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from sojourn.core import session
from sojourn.core.bounded import Bounded
from sojourn.core.events import IMPORTED, PAGE_VIEW
from sojourn.core.ids import hashed_uuid
from sojourn.core.records import ACTIVITY, REQUEST, STARTS, Entry, Record, about
from sojourn.core.session import Rules, SessionState
from sojourn.stores.imports_protocol import ImportedSession
from sojourn.tracking import admission, masking
from sojourn.tracking.facts import RequestFacts
from sojourn.tracking.pages import Pages
from sojourn.tracking.paths import Paths
from sojourn.tracking.presence import Pace, Sign, note_fetch, sign_of, target_of
from sojourn.user_agents.kinds import kind_of

from .formats import Line
from .requests import LoggedRequest, LoggedResponse

ORIGIN: str = "access log"
_TARGETS = 10
_REMEMBERED = 20_000
_DURATION = "page_view.duration_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Which lines count, and how they are described."""

    rules: Rules
    pages: Pages
    paths: Paths
    passive: Paths
    client_of: Callable[[Line], str]
    """The client's address."""
    is_own: Callable[[RequestFacts], bool]
    visitor_key: bytes
    host: str = ""
    mask_addresses: bool = True
    any_request: bool = False
    refuses_programs: bool = False
    has_page_views: bool = True
    heeds_presence: bool = True


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """A line that may be part of a session, and whose."""

    line: Line
    request: LoggedRequest
    visitor_id: str
    sign: Sign


@dataclass(slots=True)
class _Visitor:
    """Sessions of one visitor, by their start, and the latest targets of fetches (`presence.TargetMemory`)."""

    states: list[SessionState] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    def targets(self) -> list[int]:
        return self.memory or [0] * _TARGETS

    def put_target(self, place: int, value: int, at: int) -> None:
        self.memory = self.targets()
        self.memory[place] = value


class LoggedSessions:
    """Turns lines in about the order of time into records. `new_key`: a new session key for this time."""

    def __init__(self, admission: Admission, new_key: Callable[[int], str]) -> None:
        self._admission = admission
        self._new_key = new_key
        self._visitors: dict[str, _Visitor] = {}
        self._hashed: Bounded[tuple[str | None, str], str] = Bounded(_REMEMBERED)

    def admit(self, line: Line) -> Admitted | str:
        """Judge a line by itself; return why it does not count, as the counters of the request path call it."""
        rule = self._admission
        if not line.target:
            return "not_http"
        request = LoggedRequest(line, address=rule.client_of(line), host=rule.host)
        if rule.paths.is_excluded(request.path):
            return "excluded"
        kind = kind_of(line.agent)
        if kind.is_bot or (rule.refuses_programs and kind.is_program):
            return kind.value
        if rule.is_own(request):
            return "own_address"
        sign = sign_of(request, is_fetch=admission.is_marked_fetch, is_passive_path=rule.passive.is_excluded)
        if sign is Sign.SUBRESOURCE:
            return "asset"
        return Admitted(line, request, self._visitor_of(request.client_address(), line.agent), sign)

    def _visitor_of(self, address: str | None, agent: str) -> str:
        client = (address, agent)
        visitor = self._hashed.get(client)
        if visitor is None:
            rule = self._admission
            network = masking.masked_address(address) if rule.mask_addresses else address
            visitor = hashed_uuid(rule.visitor_key.hex(), "imported visitor", network or "", agent)
            self._hashed[client] = visitor
        return visitor

    def is_known(self, visitor_id: str) -> bool:
        return visitor_id in self._visitors

    def know(self, visitors: Iterable[str], sessions: Iterable[ImportedSession]) -> None:
        """Note these visitors, with the sessions that the store has of them."""
        for visitor in visitors:
            self._visitors[visitor] = _Visitor()
        for each in sessions:
            begun = session.begin(visitor_id=each.visitor_id, visitor_since=0, key=each.key, now=each.started_at)
            self._visitors[each.visitor_id].states.append(session.seen(begun, each.last_seen_at))

    def forget(self, seen_before: int) -> None:
        """Forget visitors last seen before this time (ms)."""
        old = [name for name, visitor in self._visitors.items() if visitor.states[-1:] and _last(visitor) < seen_before]
        for name in old:
            del self._visitors[name]

    def take(self, admitted: Admitted) -> Record | str:
        """Return the record of a line, or why it has none."""
        rule, line, request = self._admission, admitted.line, admitted.request
        visitor = self._visitors[admitted.visitor_id]
        response = LoggedResponse(line.status, request.target)
        intent = admission.intent_of(request)
        place, state = self._running(visitor, line.at)
        before = visitor.states[place - 1] if place else None
        is_start = state is None or line.at < state.started_at  # a late line: its session began with it
        is_page = admission.is_page_view(intent, request, response)
        is_passive = rule.heeds_presence and self._is_passive(admitted, visitor, is_page=is_page)
        if is_start:
            refusal = admission.refusal_to_start(request, any_request=rule.any_request, by_helper=False)
            if refusal is not None or is_passive:
                return refusal or "passive"
            if before is None and not admission.may_start_at(intent, response):
                return "failed_response"
            if not admission.may_carry_cookie(request, response):
                return "undeliverable"
        if state is None:
            state = self._begin(admitted.visitor_id, before, line.at)
            visitor.states.insert(place, state)
        elif is_start:
            state = visitor.states[place] = msgspec.structs.replace(state, started_at=line.at)
        path = rule.paths.shown(request.path)
        origin = None
        if is_start:
            origin = {**rule.pages.origin(request, path, is_anonymous=False), IMPORTED: ORIGIN}
        entries: tuple[Entry, ...] = ()
        if is_page and rule.has_page_views:
            attributes = rule.pages.view(request, response, line.took_s or 0.0)
            if line.took_s is None:
                del attributes[_DURATION]
            entries = (Entry(PAGE_VIEW, line.at, attributes),)
        if not is_passive:
            visitor.states[place] = session.seen(state, line.at)
        flags = REQUEST | (STARTS if is_start else 0) | (0 if is_passive else ACTIVITY)
        return about(state, line.at, flags, entries, origin, path=None if entries else path)

    def _running(self, visitor: _Visitor, at: int) -> tuple[int, SessionState | None]:
        """Return the session that goes on at this time and its place, or the place of one that begins."""
        rules = self._admission.rules
        states = visitor.states
        place = next((n for n in range(len(states), 0, -1) if states[n - 1].started_at <= at), 0)
        if place and session.over(states[place - 1], rules, at) is None:
            return place - 1, states[place - 1]
        if place < len(states) and states[place].started_at - at < rules.idle_timeout:
            return place, states[place]
        return place, None

    def _begin(self, visitor_id: str, before: SessionState | None, at: int) -> SessionState:
        key = self._new_key(at)
        reason = None if before is None else session.over(before, self._admission.rules, at)
        if before is None or reason is None:
            return session.begin(visitor_id=visitor_id, visitor_since=at, key=key, now=at)
        return session.succeed(before, reason, key=key, now=at)

    @staticmethod
    def _is_passive(admitted: Admitted, visitor: _Visitor, *, is_page: bool) -> bool:
        """Judge as `presence_judge` does, by what this visitor fetched before."""
        if is_page:
            visitor.memory = []
            return False
        if admitted.sign is Sign.PASSIVE:
            return True
        if admitted.sign is Sign.PERSON:
            return False
        return note_fetch(visitor, target_of(admitted.request), admitted.line.at) is Pace.EVEN


def _last(visitor: _Visitor) -> int:
    return visitor.states[-1].last_seen_at
