"""The one use case: a request comes in (`begin`), its response starts (`finish`), and a record of it is appended.

Both doors call the same synchronous code. It computes and appends; it never waits. The doors call it under `Guard`.

See P1 in docs/internals.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from sojourn.core import session
from sojourn.core.clock import Clock
from sojourn.core.events import PAGE_VIEW
from sojourn.core.failures import SERVER_ERROR
from sojourn.core.records import ACTIVITY, NO_FORWARD, REQUEST, Entry, about
from sojourn.core.session import EndReason
from sojourn.core.threads import AnyLock, Lock

from . import admission
from .agents import Agents
from .binding import DISPUTED, OPTED_OUT, Choice, SessionBinding, recognised
from .browser_ids import BrowserIds
from .budget import SessionBudget
from .connections import Connections
from .consent import ConsentGate
from .cookie import CookieCodec, Verified
from .cookie_layout import Disputed, OptedOut
from .cookie_policy import CookiePolicy
from .facts import NOTHING_KNOWN, RequestFacts, ResponseFacts
from .guard import Guard
from .identification import apply_principal, drop_user, read_principal
from .memory import Memory
from .options import TrackingOptions
from .own_traffic import OWN_ADDRESS, OWN_BROWSER, Mark, OwnTraffic
from .pages import Pages
from .paths import Paths
from .prefetched import PrefetchedPages
from .presence_judge import Presence
from .principal import UNKNOWN, Resolver, User
from .recording import Recording, Sink
from .response_cookies import ResponseCookies
from .session_cache import CachedSession, SessionCache, Shared
from .starts import Starts
from .tickets import TicketCodec
from .transactions import Inbox
from .visit import Visit
from .visit_context import History, VisitContext
from .without_cookie import Cookieless


class Tracker:
    """Makes sessions of requests. One per engine; every method may be called by any thread."""

    def __init__(
        self,
        options: TrackingOptions,
        *,
        guard: Guard,
        sink: Sink,
        codec: CookieCodec,
        cookies: CookiePolicy,
        clock: Clock,
        paths: Paths,
        pages: Pages,
        consent: ConsentGate,
        shared: Shared,
        budget: SessionBudget,
        passive: Paths,
        inbox: Inbox,
        tickets: TicketCodec,
        principal: Resolver | None = None,
        agents: Agents | None = None,
        browser_ids: BrowserIds | None = None,
        cookieless: Cookieless | None = None,
        own_traffic: OwnTraffic,
        history: History,
    ) -> None:
        self.codec = codec
        self._options = options
        self._guard = guard
        self._clock = clock
        self._paths = paths
        self._presence = Presence(passive, is_heeded=options.presence_person)
        self._pages = pages
        self._consent = consent
        self._principal = principal
        self._agents = agents
        self._browser_ids = browser_ids
        self._cookieless = cookieless
        self._own = own_traffic
        self._policy = cookies
        self._cookie_names = (cookies.name(is_https=False), cookies.name(is_https=True))
        self._starts = Starts(guard, budget, cookie_names=self._cookie_names, requires_consent=consent.is_required)
        self._refresh = options.rules.refresh
        self._slot = options.rules.heartbeat_interval
        self._has_page_views = options.page_views
        self._sink = sink
        self._sessions = SessionCache(shared)
        self.prefetched = PrefetchedPages(
            shared, guard=guard, pages=pages, presence=self._presence, has_page_views=options.page_views
        )
        memory = Memory()
        self._recording = Recording(sink, pages=pages, sessions=self._sessions, memory=memory)
        self._cookies = ResponseCookies(
            cookies, options, codec=codec, sessions=self._sessions, clock=clock, cookieless=cookieless
        )
        self.context = VisitContext(
            options=options,
            guard=guard,
            codec=codec,
            sessions=self._sessions,
            clock=clock,
            recorder=self._recording,
            paths=paths,
            inbox=inbox,
            tickets=tickets,
            own_traffic=own_traffic,
            memory=memory,
            history=history,
            cookieless=cookieless,
        )
        self.connections = Connections(options, clock=clock, sink=sink, guard=guard)
        self.on_response: Callable[[Visit], None] | None = None
        """Called when a response starts, for integrations that name the session elsewhere."""
        self._pid = os.getpid()
        self._fork_locks: dict[int, AnyLock] = {}

    def after_fork(self) -> None:
        """In a child: take locks that no thread of the parent holds, and drop its counts. Only the first call does."""
        with self._fork_locks.setdefault(os.getpid(), Lock()):
            if self._pid == os.getpid():
                return
            self._guard.after_fork()
            self._sessions.after_fork()
            self.connections.after_fork()
            self._pid = os.getpid()

    # --- one request ---------------------------------------------------------------------------------------------

    def begin(self, facts: RequestFacts, *, is_beacon: bool = False) -> Visit:
        """The Visit of a request that just arrived. `is_beacon`: one of ours, about its page."""
        clock = self._clock
        visit = Visit(self.context, facts, clock.now())
        if not self._options.is_enabled:
            visit.refuse("disabled")
            return visit
        if os.getpid() != self._pid:
            self.after_fork()
        visit.mono = clock.monotonic()
        if self._paths.is_excluded(facts.path, facts.mount):
            self._refuse(visit, "excluded")
        elif self._own.has_networks and self._own.is_own_address(facts):
            self._refuse(visit, OWN_ADDRESS)
        elif facts.cookie and self._own.names[facts.is_https] in facts.cookie and (mark := self._own.mark_of(facts)):
            visit.own_mark = visit.own_mark_after = mark
            self._refuse(visit, OWN_BROWSER)
        elif facts.cookie:
            self._read_cookie(visit, facts)
        if self._agents is not None and visit.binding.live is None and not is_beacon:
            visit.agent = self._agents.recognise(facts, has_cookie=self._cookie_names[facts.is_https] in facts.cookie)
        consent = self._consent
        if (consent.is_required or not visit.intent.is_plain) and visit.binding.refused is None:
            consent.check(visit)
        if self._cookieless is not None and visit.binding.refused is None and visit.agent is None:
            self._cookieless.begin(visit, self._recognise)
        if self.prefetched.look(visit.now) and not is_beacon:
            self.prefetched.confirm(visit)
        visit.browser = None if self._browser_ids is None else self._browser_ids.of(visit)
        return visit

    def failed(self, error: Exception, work: str) -> Visit:
        """A fault of ours, caught at a door: counted, and an empty Visit in place of the missing one."""
        self._guard.report(error, work)
        return self.nothing()

    def nothing(self) -> Visit:
        """An empty Visit, where a fault of ours left a request without one: helpers are safe all the same."""
        visit = Visit(self.context, NOTHING_KNOWN, 0)
        visit.refuse("fault")
        return visit

    def read_ahead(self, visit: Visit) -> None:
        """Read the user now, for a response that is settled later, when the framework's context may be gone."""
        if visit.principal is None and not visit.responded and self._wants_principal(visit):
            visit.principal = (read_principal(visit, self._principal),)

    def finish(self, visit: Visit, response: ResponseFacts) -> str | None:
        """The response starts: settle the session, append the record, return the `Set-Cookie` line if one is due."""
        if visit.carrier is not None and not visit.carrier.is_settling:
            self.read_ahead(
                visit
            )  # it may run code of the app, which may wait for a thread that the request is carried into
            return visit.carrier.settled(self.finish, visit, response)
        visit.response = response
        if visit.responded:  # WSGI: an error's headers replace those that were not sent yet
            carries = visit.cookie_line is not None and self._cookies.carries(visit, response)
            return visit.cookie_line if carries else None
        try:
            binding = visit.binding
            if binding.refused is not None:
                return self._part(visit, response)
            live = binding.live
            is_plain = (
                live is not None and live.state is binding.home and not visit.changes and not live.ended_elsewhere
            )
            if live is not None and is_plain:
                self._apply_principal(visit, response)
                if visit.binding.refused is not None:
                    return self._part(visit, response)
                if not visit.changes and not visit.is_cookie_due:
                    return self._continue(visit, live, response)
            return self._finish(visit, response, has_principal=is_plain)
        finally:
            visit.responded = True
            if self.on_response is not None:
                self._guard.guarded(None, self.on_response, visit)

    def abandon(self, visit: Visit) -> None:
        """The app raised and no response start ever passed: what is sure is recorded, what needed a cookie is not."""
        if visit.carrier is not None and not visit.carrier.is_settling:
            visit.carrier.settled(self.abandon, visit)
            return
        if visit.responded:
            return
        try:
            if visit.agent is not None and self._agents is not None:
                self._agents.note(visit, visit.agent, SERVER_ERROR)
            if visit.binding.choice is Choice.OUT:
                self._recording.record_opt_out(visit)
            elif visit.refused is None:
                self._abandon(visit)
        finally:
            visit.responded = True

    def record_beacon(self, visit: Visit, response: ResponseFacts) -> str | None:
        """Record what a page reported, starting nothing; the `Set-Cookie` line if one is due."""
        if visit.refused is not None:
            return self._part(visit, response)
        visit.is_passive = False  # the script reports a person, however often it sends the same
        self._recording.record_late(visit)
        return self._cookies.session_line(visit, response)

    # --- steps of begin and finish ---------------------------------------------------------------------------------

    def _read_cookie(self, visit: Visit, facts: RequestFacts) -> None:
        read = self.codec.read(facts.cookie, self._cookie_names[facts.is_https])
        if read is None:
            return
        if isinstance(read, OptedOut):
            self._refuse(visit, OPTED_OUT)
        elif isinstance(read, Disputed):
            self._refuse(visit, DISPUTED)
        elif self._cookieless is not None and self._cookieless.is_always:
            visit.drops_cookie = True
        else:
            self._recognise(visit, read)

    def _refuse(self, visit: Visit, reason: str) -> None:
        visit.refuse(reason)
        self._guard.count(reason)

    def _recognise(self, visit: Visit, read: Verified) -> None:
        state, now = read.state, visit.now
        if state.last_seen_at > now and session.clamped(state, self._options.rules, now) is None:
            self._guard.count("clock_lead")
            return
        if self._policy.has_expired(state, now):
            return
        sessions = self._sessions
        if sessions.has_opt_outs and sessions.has_opted_out(self.codec.hash_user(state.visitor_id)):
            visit.binding = SessionBinding(arrived=read)
            self._refuse(visit, OPTED_OUT)
            return
        live = sessions.get_or_add(state, read.key_number)
        if live.ended_elsewhere is EndReason.OPTED_OUT:
            visit.binding = SessionBinding(arrived=read)
            self._refuse(visit, OPTED_OUT)
            return
        visit.at = at = max(now, live.last_seen_at)
        over = visit.over(live, at)
        if over is None and live.ended_elsewhere is not None and visit.intent.is_navigation:
            over = EndReason.ENDED  # the browser is still there; what else it sent may be older than its new cookie
        visit.binding = recognised(read, live, over)
        if visit.intent.is_prefetch:
            visit.is_passive = True
            self._guard.count("prefetched")
        elif self._options.presence_person and not visit.intent.is_document:
            self._presence.judge(visit, live)

    def _finish(self, visit: Visit, response: ResponseFacts, *, has_principal: bool) -> str | None:
        visit.follow()
        if visit.refused is not None:
            return self._part(visit, response)
        self._cookies.settle_who_keeps(visit, response)
        is_page = admission.is_page_view(visit.intent, visit.facts, response)
        self._look_at_page(visit, response, is_page=is_page)
        if not visit.is_left_behind():
            if (
                visit.binding.arrived is None
                and visit.is_automatic
                and not admission.may_start_at(visit.intent, response)
            ):
                self._guard.count("failed_response")
                visit.drop_drafts()
                return self._part(visit, response)
            if visit.state is None and not visit.changes:  # with changes, the app itself ended it in this request
                if visit.is_passive:
                    self._guard.count("passive")
                    return self._part(visit, response)
                if self._cookies.is_redirected_out_of_reach(visit, response):
                    self._guard.count("redirected")
                    return self._part(visit, response)
                visit.enter(by_helper=False)
            if not has_principal:  # the app's own callable is called once
                self._apply_principal(visit, response)
            if visit.binding.draft is not None and not self._cookies.may_keep(visit, response):
                self._starts.drop_undeliverable(visit)
            if visit.starts_from_nothing:
                self._starts.check(visit, is_page=is_page)
            if visit.state is None and not visit.changes:
                return self._part(visit, response)
        if self._has_page_views and is_page:
            self._note_page_view(visit, response)
        self._recording.commit(visit)
        if is_page and self.prefetched.is_used:
            self.prefetched.view(visit)
        visit.cookie_line = self._cookies.session_line(visit, response)
        self._recording.record(visit, is_request=True)
        return visit.cookie_line

    def _look_at_page(self, visit: Visit, response: ResponseFacts, *, is_page: bool) -> None:
        if visit.intent.is_prefetch:
            self.prefetched.note(visit, response)
        elif is_page and visit.live is not None:
            self._presence.turn_to_page(visit, visit.live)

    def _part(self, visit: Visit, response: ResponseFacts) -> str | None:
        """The response of a visit without a session."""
        if visit.agent is not None and self._agents is not None:
            self._agents.note(visit, visit.agent, response.status)
        if visit.own_mark is not None or visit.own_mark_after is not None:
            return self._own.parting_line(
                visit,
                lambda: read_principal(visit, self._principal) if visit.principal is None else visit.principal[0],
                lambda: self._cookies.may_carry(visit, response),
            )
        if self._options.is_enabled:
            self._guard.guarded(None, self._sink.wake)
        if visit.binding.choice is Choice.OUT:
            self._recording.record_opt_out(visit)
        return self._cookies.parting_line(visit, response)

    def _continue(self, visit: Visit, live: CachedSession, response: ResponseFacts) -> str | None:
        """The everyday request: a running session goes on, and no helper was called. The same steps, without the detours."""
        entries: tuple[Entry, ...] = ()
        kind = "activity"
        at = visit.at
        if admission.is_page_view(visit.intent, visit.facts, response):
            self._presence.turn_to_page(visit, live)
            if self.prefetched.is_used:
                self.prefetched.view(visit)
            if self._has_page_views:
                took_s = self._clock.monotonic() - visit.mono
                visit.page_view = self._pages.view(visit.facts, response, took_s)
                entries, kind = (Entry(PAGE_VIEW, at, visit.page_view),), PAGE_VIEW
                if response.status >= SERVER_ERROR:
                    visit.failed_view = (live.state.key, at)
        if visit.is_passive:
            if visit.intent.is_prefetch:
                self.prefetched.note(visit, response)
            self._continue_passive(visit, live)
            return None
        state, arrived = live.state, visit.binding.arrived
        path = visit.shown_path if not entries and self._begins_slot(live, at) else None
        live.see(at)
        if arrived is None or state is not arrived.state or at - state.last_seen_at >= self._refresh:
            visit.cookie_line = self._cookies.session_line(visit, response)
        flags = ACTIVITY | REQUEST | NO_FORWARD if visit.no_forward else ACTIVITY | REQUEST
        record = about(live.state, at, flags, entries, None, None, path, visit.browser)
        self._sink.append(record, kind=kind, is_essential=False)
        return visit.cookie_line

    def _begins_slot(self, live: CachedSession, at: int) -> bool:
        """Whether activity now may make a heartbeat: the first in its slot, as far as this process has seen."""
        slot, started_at = self._slot, live.state.started_at
        return slot is not None and (at - started_at) // slot > (live.last_seen_at - started_at) // slot

    def _continue_passive(self, visit: Visit, live: CachedSession) -> None:
        """What the page does by itself: a request of the session, and nothing else."""
        if visit.is_counted:
            flags = REQUEST | NO_FORWARD if visit.no_forward else REQUEST
            self._sink.append(about(live.state, visit.at, flags), kind="passive", is_essential=False)

    def _abandon(self, visit: Visit) -> None:
        visit.follow()
        if visit.refused is not None:
            return
        if visit.binding.draft is not None:
            self._starts.drop_undeliverable(visit)
        if not visit.is_left_behind() and visit.state is None and not visit.changes:
            if visit.binding.pending is not None:
                self._guard.count("over")
            return
        self._recording.commit(visit)
        self._recording.record(visit, is_request=True)

    def _apply_principal(self, visit: Visit, response: ResponseFacts) -> None:
        if visit.is_anonymous:
            drop_user(visit)
        elif not visit.is_named:
            if visit.principal is None:
                visit.principal = (read_principal(visit, self._principal),)
            principal = visit.principal[0]
            if isinstance(principal, User) and self._own.name_user(visit, principal.id, Mark.PRINCIPAL):
                return
            if principal is not UNKNOWN:
                apply_principal(visit, principal, lambda: self._cookies.may_keep(visit, response))

    def _wants_principal(self, visit: Visit) -> bool:
        """Whether the principal may come to be applied, as far as that is certain before the response is."""
        if visit.own_mark is Mark.PRINCIPAL:
            return True
        if visit.binding.refused is not None or visit.is_named or visit.is_anonymous:
            return False
        if self._principal is None or visit.state is not None:
            return True
        # The app's own callable may be costly: it is spared requests that can have no session.
        if visit.is_passive or not self._options.rules.automatic:
            return False
        return visit.binding.pending is not None or visit.refusal(by_helper=False) is None

    def _note_page_view(self, visit: Visit, response: ResponseFacts) -> None:
        visit.page_view = self._pages.view(visit.facts, response, self._clock.monotonic() - visit.mono)
        binding = visit.binding
        is_ended = binding.live is not None and binding.live.state.is_ended and binding.draft is None
        visit.note(PAGE_VIEW, visit.page_view, of=binding.home if is_ended else None)
