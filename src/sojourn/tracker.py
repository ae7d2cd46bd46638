"""The one use case: a request comes in (`begin`), its response starts (`finish`), and a record of it is appended.

Both doors call the same synchronous code. It computes and appends; it never waits, and it never raises: the guard in `guarded`
is the one place where a fault of ours is caught, logged once per cause, and counted.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable
from threading import Lock
from typing import Any, ParamSpec, Protocol, TypeVar
from uuid import UUID

from . import admission, privacy
from .clock import Clock
from .cookie import CookieCodec, CookiePolicy, OptedOut, Verified
from .core import session
from .core.events import PAGE_VIEW, Scalar
from .core.records import ACTIVITY, REQUEST, STARTS, Entry, Origin, Record, about
from .core.session import EndReason, Rules
from .facts import AnswerFacts, RequestFacts
from .live import Live, LiveSessions
from .principal import Resolver, Unknown, resolve
from .visit import Part, Visit

log = logging.getLogger("sojourn")

CONNECTION_END = "connection.end"
_SLOW_RESPONSE_S = 5.0
P = ParamSpec("P")
R = TypeVar("R")


class Sink(Protocol):
    """Where records go: appends one, never blocks, never raises; False: refused, and counted there."""

    def append(self, record: Record, *, kind: str, is_essential: bool) -> bool: ...


class Tracker:
    """Tells sessions from requests. One per engine; every method may be called by any thread."""

    def __init__(
        self,
        *,
        rules: Rules,
        codec: CookieCodec,
        cookies: CookiePolicy,
        clock: Clock,
        sink: Sink,
        paths: privacy.Paths,
        service: Origin,
        principal: Resolver | None = None,
        page_views: bool = True,
        starts_on_any_request: bool = False,
        mask_addresses: bool = True,
        query_parameters: tuple[str, ...] = (),
        presence_open: bool = False,
        strict: bool = False,
        is_enabled: bool = True,
    ) -> None:
        self.rules = rules
        self.codec = codec
        self.sessions = LiveSessions()
        self.starts_on_any_request = starts_on_any_request
        self.presence_open = presence_open
        self.strict = strict
        self.is_enabled = is_enabled
        self._cookies = cookies
        self._clock = clock
        self._sink = sink
        self._paths = paths
        self._service = service
        self._principal = principal
        self._page_views = page_views
        self._mask_addresses = mask_addresses
        self._query_parameters = query_parameters
        self._refresh = rules.refresh
        self._moves = Lock()
        self._counting = Lock()
        self._counters: dict[str, int] = {}
        self._counted = False
        self._said: set[str] = set()
        self._open: weakref.WeakSet[Visit] = weakref.WeakSet()
        self._pid = os.getpid()

    def after_fork(self) -> None:
        """A lock may have been held by a thread that does not exist in this process."""
        self._pid = os.getpid()
        self._moves, self._counting = Lock(), Lock()

    # --- one request ---------------------------------------------------------------------------------------------

    def begin(self, facts: RequestFacts) -> Visit:
        """The Visit of a request that just arrived."""
        visit = Visit(self, facts, self._clock.now())
        if not self.is_enabled:
            visit.refused = "disabled"
            return visit
        if os.getpid() != self._pid:
            self.after_fork()
        visit.mono = self._clock.monotonic()
        is_excluded, visit.shown_path = self._paths.look(facts.path)
        if is_excluded:
            visit.refused = "excluded"
            return visit
        if facts.cookie:
            read = self.codec.read(facts.cookie, self._cookies.name(is_https=facts.is_https))
            if isinstance(read, OptedOut):
                visit.refused = "opted_out"
            elif read is not None:
                self._recognise(visit, read)
        return visit

    def finish(self, visit: Visit, answer: AnswerFacts) -> str | None:
        """The response starts: settle the session, append the record, return the `Set-Cookie` line if one is due."""
        if visit.responded:
            return None
        if visit.refused is not None:
            visit.responded = True
            return None
        visit.follow()
        state = visit.state
        if state is None and not visit.parts:  # with parts, the app itself ended it in this request
            state = visit.enter(by_helper=False)
        can = admission.may_carry_cookie(visit.facts, answer) if self._needs_cookie(visit) else None
        if state is not None:
            state = self._met_principal(visit, answer, can)
        if visit.draft is not None and can is None:
            can = admission.may_carry_cookie(visit.facts, answer)
        visit.responded = True
        if visit.draft is not None and not can and self._is_undeliverable(visit):
            self._drop(visit)
            return None
        if visit.live is None and visit.draft is None:
            return None
        if self._page_views and admission.is_page_view(visit.facts, answer):
            self._note_page_view(visit, answer)
        self._commit(visit)
        line = self._cookie_line(visit, answer, can)
        self._record(visit, is_request=True)
        return line

    def abandon(self, visit: Visit) -> None:
        """The app raised and no response start ever passed: what is sure is recorded, what needed a cookie is not."""
        if visit.responded or visit.refused is not None:
            return
        visit.responded = True
        visit.follow()
        if visit.succession is not None or (visit.draft is not None and self._is_undeliverable(visit)):
            self._drop(visit)
            return
        if visit.live is None and visit.draft is None:
            return
        self._commit(visit)
        self._record(visit, is_request=True)

    def message(self, visit: Visit) -> None:
        """A socket message came in: activity of the session where its browser is now, recorded now and then."""
        live = visit.live
        if visit.refused is not None or live is None:
            return
        now = max(self._clock.now(), live.last_seen_at)
        if live.state.is_ended or session.over(live, self.rules, now) is not None:
            self.count("over")
            return
        live.see(now)
        self.sessions.keep(live)
        if now - live.recorded_at >= self.rules.message_interval:
            live.recorded_at = now
            self._append(about(live.state, now, ACTIVITY), kind="activity", is_essential=False)

    def opened(self, visit: Visit) -> None:
        """A connection that stays open; with `presence="open"` that alone is activity."""
        if self.presence_open:
            self._open.add(visit)

    def touch_open(self) -> None:
        """Activity for every connection that is open (called by the background now and then)."""
        for visit in list(self._open):
            self.message(visit)

    def close(self, visit: Visit, attributes: dict[str, Scalar]) -> None:
        """A stream or a socket is over: tell its length. No activity."""
        self._open.discard(visit)
        live = visit.live
        if visit.refused is not None or live is None or not self._page_views:
            return
        now = max(self._clock.now(), live.last_seen_at)
        told: dict[str, Scalar] = {"url.path": visit.shown_path}
        told.update(attributes)
        told["connection.duration_ms"] = round((self._clock.monotonic() - visit.mono) * 1000, 1)
        entry = Entry(CONNECTION_END, now, told)
        self._append(about(live.state, now, 0, (entry,)), kind=CONNECTION_END, is_essential=False)

    def close_stream(self, visit: Visit) -> None:
        """A response that was sent in pieces is over; of pages, the whole length is told."""
        self._open.discard(visit)
        if visit.page_view is not None:
            self.close(visit, {"http.response.status_code": visit.page_view["http.response.status_code"]})

    # --- what a Visit needs (visit.Host) ---------------------------------------------------------------------------

    def now(self) -> int:
        return self._clock.now()

    def chance(self) -> bytes:
        return os.urandom(10)

    def new_visitor_id(self) -> str:
        return str(UUID(bytes=os.urandom(16), version=4))

    def count(self, reason: str) -> None:
        """Something was refused or gone wrong: counted, and told with the next record."""
        with self._counting:
            self._counters[reason] = self._counters.get(reason, 0) + 1
            self._counted = True
        log.debug("not recorded: %s", reason)

    def counters(self) -> dict[str, int]:
        with self._counting:
            return dict(self._counters)

    def untold_counters(self) -> dict[str, int] | None:
        """The running counters, if they changed since they were last told."""
        with self._counting:
            if not self._counted:
                return None
            self._counted = False
            return dict(self._counters)

    def record_late(self, visit: Visit) -> None:
        """A helper was called after the response had started: a record of its own, at once."""
        self._commit(visit)
        self._record(visit, is_request=False)

    def warn_once(self, cause: str, text: str) -> None:
        if cause not in self._said:
            self._said.add(cause)
            log.warning("%s (said once; every case is counted)", text)

    def refuse_data(self, problem: str, text: str) -> None:
        """Bad data from the app: counted and warned of once, or raised with `strict=True`."""
        if self.strict:
            raise ValueError(text)
        self.count(problem)
        self.warn_once(problem, text)

    def guarded(self, default: R, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do our work for a request; whatever fails in it, the app's response is unharmed."""
        try:
            return work(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the one guard between us and the app
            cause = f"{type(error).__name__} in {getattr(work, '__name__', 'sojourn')}"
            self.count("fault")
            if cause not in self._said:
                self._said.add(cause)
                log.exception("Sojourn failed and left the response alone: %s", cause)
            return default

    # --- steps of begin and finish ---------------------------------------------------------------------------------

    def _recognise(self, visit: Visit, read: Verified) -> None:
        state, now = read.state, visit.now
        if session.clamped(state, self.rules, now) is None:
            self.count("clock_lead")
            return
        if self._cookies.has_expired(state, now):
            return
        live = self.sessions.meet(state, read.key_number)
        visit.arrived, visit.live, visit.seen_key = read, live, live.state.key
        visit.at = max(now, live.last_seen_at)
        visit.succession = visit.over(visit.at)

    def _needs_cookie(self, visit: Visit) -> bool:
        return visit.draft is not None or visit.changed or self._is_due(visit)

    def _is_due(self, visit: Visit) -> bool:
        if visit.arrived is None or visit.live is None:
            return True
        arrived, known = visit.arrived.state, visit.live.state
        return known is not arrived or visit.at - arrived.last_seen_at >= self._refresh

    def _is_undeliverable(self, visit: Visit) -> bool:
        """Whether the draft hangs on this response's cookie.

        A restart or a user change by the app's call does not: the row is the authority, the next response mends the cookie.
        """
        first = visit.parts[0] if visit.parts else None
        if first is None or not first.is_start:
            return False
        return first.reason not in {EndReason.RESTARTED, EndReason.USER_CHANGED}

    def _met_principal(self, visit: Visit, answer: AnswerFacts, can: bool | None) -> session.SessionState | None:
        state = visit.state
        if state is None or visit.is_named:
            return state
        try:
            found = resolve(visit.facts, self._principal)
        except Exception as error:  # noqa: BLE001 - the app's own callable, or a user object of the app
            self.count("principal_error")
            self.warn_once(
                f"principal {type(error).__name__}", f"the principal could not be read: {type(error).__name__}"
            )
            return state
        if isinstance(found, Unknown):
            return state
        if found is None:
            visit.meet_nobody(state)
        else:
            may_split = admission.may_carry_cookie(visit.facts, answer) if can is None else can
            visit.meet_principal(state, found, may_split=may_split)
        return visit.state

    def _drop(self, visit: Visit) -> None:
        """Nothing of a session whose cookie cannot be delivered may remain."""
        lost = sum(len(part.entries) for part in visit.parts)
        self.count("over" if visit.live is not None else "no_session")
        if lost:
            self.count("helper_calls_lost")
            self.warn_once("no_session", "helper calls were dropped: this response cannot carry the session's cookie")
        visit.draft, visit.live = None, None
        visit.parts.clear()

    def _note_page_view(self, visit: Visit, answer: AnswerFacts) -> None:
        told: dict[str, Scalar] = {
            "url.path": visit.shown_path,
            "http.request.method": visit.facts.method,
            "http.response.status_code": answer.status,
            "page_view.duration_ms": round((self._clock.monotonic() - visit.mono) * 1000, 1),
        }
        route = visit.facts.route()
        if route is not None:
            told["http.route"] = route
        visit.page_view = told
        visit.note(PAGE_VIEW, told)

    def _commit(self, visit: Visit) -> None:
        """Make what this visit drafted known to the process."""
        draft, live = visit.draft, visit.live
        if draft is None:
            if live is not None:
                if not live.state.is_ended:
                    live.see(visit.at)
                self.sessions.keep(live)
            return
        with self._moves:
            if live is None:
                number = -1
                live = self.sessions.find(draft.key) or Live(draft, number)
            if live.state.key != draft.key:
                live.become(draft)
            elif visit.changed and draft.is_tagged:
                live.state = draft
            live.see(visit.at)
            self.sessions.keep(live)
            visit.live, visit.draft, visit.seen_key = live, None, live.state.key

    def _cookie_line(self, visit: Visit, answer: AnswerFacts, can: bool | None) -> str | None:
        live = visit.live
        if live is None:
            return None
        is_due = visit.changed or self._differs(visit)
        if not is_due:
            if visit.arrived is not None and visit.at - visit.arrived.state.last_seen_at < self._refresh:
                return None
            if self._clock.monotonic() - visit.mono > _SLOW_RESPONSE_S:
                return None
        if can is None:
            can = admission.may_carry_cookie(visit.facts, answer)
        if not can:
            return None
        live.state = session.seen(live.state, live.last_seen_at)
        return self._cookies.line(self.codec.dumps(live.state), live.state, visit.now, is_https=visit.facts.is_https)

    def _differs(self, visit: Visit) -> bool:
        """Whether this process knows more than the browser's cookie says."""
        if visit.arrived is None or visit.live is None:
            return True
        arrived, known = visit.arrived.state, visit.live.state
        return known is not arrived and session.seen(arrived, known.last_seen_at) != session.seen(
            known, arrived.last_seen_at
        )

    def _record(self, visit: Visit, *, is_request: bool) -> None:
        if not visit.parts:
            visit.part()
        parts, visit.parts = visit.parts, []
        last = parts[-1]
        for part in parts:
            flags = STARTS if part.is_start else 0
            if part is last:
                flags |= ACTIVITY | REQUEST if is_request else ACTIVITY
            entries = part.entries if part.seal is None else [*part.entries, part.seal]
            if not flags and not entries:
                continue
            origin = self._origin(visit.facts, visit.shown_path) if part.is_start else None
            is_essential = part.is_start or part.seal is not None or any(entry.tag for entry in entries)
            kind = entries[-1].name if entries else "activity"
            self._append(
                about(part.state, visit.at, flags, tuple(entries), origin), kind=kind, is_essential=is_essential
            )

    def _append(self, record: Record, *, kind: str, is_essential: bool) -> None:
        self._sink.append(record, kind=kind, is_essential=is_essential)

    def _origin(self, facts: RequestFacts, shown_path: str) -> Origin:
        address: Any = facts.client_address()
        return Origin(
            entry_path=shown_path,
            referrer=privacy.referrer(facts.header("referer")),
            user_agent=privacy.user_agent(facts.header("user-agent")),
            client_address=privacy.masked_address(address) if self._mask_addresses else address,
            service_name=self._service.service_name,
            service_version=self._service.service_version,
            environment=self._service.environment,
        )
