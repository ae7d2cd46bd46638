"""The one use case: a request comes in (`begin`), its response starts (`finish`), and a record of it is appended.

Both doors call the same synchronous code. It computes and appends; it never waits, and nothing of it leaves `guarded`.
"""

from __future__ import annotations

import os
from uuid import UUID

import msgspec

from sojourn.core import session
from sojourn.core.clock import Clock
from sojourn.core.events import OPT_OUT, PAGE_VIEW, Scalar
from sojourn.core.properties import Declared
from sojourn.core.records import ACTIVITY, NO_FORWARD, REQUEST, STARTS, Entry, about
from sojourn.core.records import OPT_OUT as OPTS_OUT
from sojourn.core.session import EndReason, Rules
from sojourn.core.threads import AnyLock, Lock

from . import admission
from . import masking as privacy
from .connections import Connections, Sink
from .consent import Consent, Permission
from .cookie import OPTED_OUT, CookieCodec, CookiePolicy, OptedOut, Verified
from .facts import NOTHING_KNOWN, RequestFacts, ResponseFacts
from .guard import Counters, Guard
from .identification import apply_principal
from .pages import Pages
from .principal import Resolver, User
from .privacy_signals import Signals
from .session_cache import CachedSession, SessionCache
from .visit import Choice, SessionChanges, Visit

_SLOW_RESPONSE_S = 5.0
_BY_CALL = frozenset({EndReason.RESTARTED, EndReason.USER_CHANGED})


class Tracker(Guard):
    """Tells sessions from requests. One per engine; every method may be called by any thread."""

    def __init__(
        self,
        *,
        rules: Rules,
        codec: CookieCodec,
        cookies: CookiePolicy,
        clock: Clock,
        sink: Sink,
        counters: Counters,
        paths: privacy.Paths,
        pages: Pages,
        principal: Resolver | None = None,
        page_views: bool = True,
        adds_private: bool = True,
        starts_on_any_request: bool = False,
        presence_open: bool = False,
        strict: bool = False,
        is_enabled: bool = True,
        refuses_programs: bool = False,
        signals: Signals | None = None,
        consent: Consent | None = None,
        is_consent_required: bool = False,
        declared: Declared | None = None,
        user_hash_key: bytes | None = None,
    ) -> None:
        super().__init__(counters, strict=strict)
        self.rules = rules
        self.codec = codec
        self.sessions = SessionCache()
        self.starts_on_any_request = starts_on_any_request
        self.is_enabled = is_enabled
        self.refuses_programs = refuses_programs
        self.declared = declared or Declared()
        self.permission = Permission(self, signals=signals, consent=consent, is_consent_required=is_consent_required)
        self._user_hash_key = user_hash_key
        self.moves = Lock()
        self._cookies = cookies
        self._cookie_names = (cookies.name(is_https=False), cookies.name(is_https=True))
        self._clock = clock
        self._sink = sink
        self._paths = paths
        self._pages = pages
        self._principal = principal
        self._page_views = page_views
        self._adds_private = adds_private
        self._refresh = rules.refresh
        self.connections = Connections(
            rules=rules,
            clock=clock,
            sink=sink,
            count=self.count,
            is_told=page_views,
            open_is_activity=presence_open,
        )
        self._pid = os.getpid()
        self._forks: dict[int, AnyLock] = {}

    def after_fork(self) -> None:
        """In a child: locks that no thread of the parent holds, and none of its counts. Once, whoever notices first."""
        with self._forks.setdefault(os.getpid(), Lock()):
            if self._pid == os.getpid():
                return
            super().after_fork()
            self.moves = Lock()
            self.sessions.after_fork()
            self.connections.after_fork()
            self._pid = os.getpid()

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
            self.count("excluded")
        elif facts.cookie:
            read = self.codec.read(facts.cookie, self._cookie_names[facts.is_https])
            if isinstance(read, OptedOut):
                visit.refused = "opted_out"
                self.count("opted_out")
            elif read is not None:
                self._recognise(visit, read)
        if visit.refused is None:
            self.permission.ask(visit)
        return visit

    def failed(self, error: Exception, work: str) -> Visit:
        """A fault of ours, caught at a door: counted, and an empty Visit in place of the one that is missing."""
        self._report(error, work)
        return self.nothing()

    def nothing(self) -> Visit:
        """An empty Visit, where a fault of ours left a request without one: helpers are safe all the same."""
        visit = Visit(self, NOTHING_KNOWN, 0)
        visit.refused = "fault"
        return visit

    def finish(self, visit: Visit, answer: ResponseFacts) -> str | None:
        """The response starts: settle the session, append the record, return the `Set-Cookie` line if one is due."""
        if visit.responded:  # WSGI: an error's headers replace those that were not sent yet
            return visit.cookie_line if visit.cookie_line is not None and self._carries(visit, answer) else None
        try:
            if visit.refused is not None:
                return self._parting_line(visit, answer)
            live = visit.live
            is_plain = live is not None and live.state is visit.home and not visit.parts
            if live is not None and is_plain:
                self._meet_principal(visit, answer)
                if not visit.parts and not visit.changed:
                    return self._continue(visit, live, answer)
            return self._finish(visit, answer, has_met=is_plain)
        finally:
            visit.responded = True

    def abandon(self, visit: Visit) -> None:
        """The app raised and no response start ever passed: what is sure is recorded, what needed a cookie is not."""
        if visit.responded:
            return
        try:
            if visit.choice is Choice.OUT:
                self.record_opt_out(visit)
            elif visit.refused is None:
                self._abandon(visit)
        finally:
            visit.responded = True

    def touch_open(self) -> None:
        """Activity for every connection that is open (called by the background now and then)."""
        self.connections.touch_open()

    # --- what a Visit needs (visit.Host) ---------------------------------------------------------------------------

    def now(self) -> int:
        return self._clock.now()

    def chance(self) -> bytes:
        return os.urandom(10)

    def new_visitor_id(self) -> str:
        return str(UUID(bytes=os.urandom(16), version=4))

    def shown_user(self, user: User) -> User:
        """The user as it is kept: with `hash_user_ids` by a keyed hash, whose key is not rotated."""
        if self._user_hash_key is None:
            return user
        # A framework's name for a user is often the id in other words, so none goes with a hash.
        traits = {name: value for name, value in (user.traits or {}).items() if str(value) != user.id}
        return User(privacy.pseudonym(user.id, self._user_hash_key), None, traits)

    def forget(self, live: CachedSession) -> None:
        """The visitor opted out: drop what this process knows, but for what keeps it so."""
        self.permission.note_left(self.codec.hash_user(live.state.visitor_id))
        self.sessions.forget(live)

    def record_opt_out(self, visit: Visit) -> None:
        """Tell the opt-out, at once: the recorder enforces it wherever the next request goes."""
        parts, visit.parts = visit.parts, []
        for part in parts:
            record = about(part.state, visit.at, OPTS_OUT, part.entries_in_order())
            self._sink.append(record, kind=OPT_OUT, is_essential=True)

    def record_late(self, visit: Visit) -> None:
        """A helper was called after the response had started: a record of its own, at once."""
        self._commit(visit)
        self._record(visit, is_request=False)

    def refreshed(self, visit: Visit, answer: ResponseFacts) -> str | None:
        """The `Set-Cookie` line that an answer of our own owes this visit, by the rule of all answers; it starts nothing."""
        return self._cookie_line(visit, answer) if visit.refused is None else self._parting_line(visit, answer)

    # --- steps of begin and finish ---------------------------------------------------------------------------------

    def _recognise(self, visit: Visit, read: Verified) -> None:
        state, now = read.state, visit.now
        if state.last_seen_at > now and session.clamped(state, self.rules, now) is None:
            self.count("clock_lead")
            return
        if self._cookies.has_expired(state, now):
            return
        if self.permission.somebody_left and self.permission.has_left(self.codec.hash_user(state.visitor_id)):
            visit.arrived, visit.refused = read, "opted_out"
            self.count("opted_out")
            return
        live = self.sessions.get_or_add(state, read.key_number)
        visit.arrived, visit.live, visit.seen_key = read, live, live.state.key
        visit.at = max(now, live.last_seen_at)
        visit.succession = visit.over(visit.at)
        if visit.succession is None:
            visit.home = live.state

    def _finish(self, visit: Visit, answer: ResponseFacts, *, has_met: bool) -> str | None:
        visit.follow()
        if visit.refused is not None:
            return self._parting_line(visit, answer)
        is_behind = visit.is_left_behind()
        if not is_behind:
            if visit.state is None and not visit.parts:  # with parts, the app itself ended it in this request
                visit.enter(by_helper=False)
            if not has_met:  # the app's own callable is asked once
                self._meet_principal(visit, answer)
            if visit.draft is not None and not self._may_carry(visit, answer):
                self._drop_undeliverable(visit)
            if visit.state is None and not visit.parts:
                return self._parting_line(visit, answer)
        if self._page_views and admission.is_page_view(visit.facts, answer):
            self._note_page_view(visit, answer)
        self._commit(visit)
        visit.cookie_line = self._cookie_line(visit, answer)
        self._record(visit, is_request=True)
        return visit.cookie_line

    def _parting_line(self, visit: Visit, answer: ResponseFacts) -> str | None:
        """The cookie of an answer without a session: the opt-out, or nothing in place of what consent no longer covers."""
        if visit.choice is Choice.OUT:
            self.record_opt_out(visit)
        is_out = visit.refused == "opted_out" and (visit.choice is Choice.OUT or visit.arrived is not None)
        is_to_go = visit.choice is Choice.IN or (visit.refused == "no_consent" and visit.arrived is not None)
        if not (is_out or is_to_go) or not self._may_carry(visit, answer):
            return None
        is_https = visit.facts.is_https
        if is_out:
            return self._cookies.opt_out_line(self.codec.dumps(OPTED_OUT), is_https=is_https)
        return self._cookies.removal(is_https=is_https)

    def _continue(self, visit: Visit, live: CachedSession, answer: ResponseFacts) -> str | None:
        """The everyday request: a running session goes on, and no helper was called. The same steps, without the detours."""
        entries: tuple[Entry, ...] = ()
        kind = "activity"
        if self._page_views and admission.is_page_view(visit.facts, answer):
            visit.page_view = self._page_view(visit, answer)
            entries, kind = (Entry(PAGE_VIEW, visit.at, visit.page_view),), PAGE_VIEW
        at, state, arrived = visit.at, live.state, visit.arrived
        live.last_seen_at = max(live.last_seen_at, at)
        if arrived is None or state is not arrived.state or at - state.last_seen_at >= self._refresh:
            visit.cookie_line = self._cookie_line(visit, answer)
        flags = ACTIVITY | REQUEST | NO_FORWARD if visit.no_forward else ACTIVITY | REQUEST
        self._sink.append(about(live.state, at, flags, entries), kind=kind, is_essential=False)
        return visit.cookie_line

    def _abandon(self, visit: Visit) -> None:
        visit.follow()
        if visit.refused is not None:
            return
        if visit.draft is not None:
            self._drop_undeliverable(visit)
        if not visit.is_left_behind() and visit.state is None and not visit.parts:
            if visit.pending() is not None:
                self.count("over")
            return
        self._commit(visit)
        self._record(visit, is_request=True)

    def _may_carry(self, visit: Visit, answer: ResponseFacts) -> bool:
        if visit.can_carry is None:
            visit.can_carry = self._carries(visit, answer)
        return visit.can_carry

    def _carries(self, visit: Visit, answer: ResponseFacts) -> bool:
        return admission.may_carry_cookie(visit.facts, answer, adds_private=self._adds_private)

    def _meet_principal(self, visit: Visit, answer: ResponseFacts) -> None:
        if not visit.is_named or visit.is_anonymous:
            apply_principal(visit, self._principal, lambda: self._may_carry(visit, answer))

    def _drop_undeliverable(self, visit: Visit) -> None:
        """Nothing of a session whose cookie cannot be delivered may remain.

        A restart or a user change by the app's call stays: the row is the authority, the next answer mends the cookie.
        """
        parts = visit.parts
        first = next((n for n, part in enumerate(parts) if part.is_start and part.reason not in _BY_CALL), None)
        if first is None:
            return
        calls = sum(len(part.entries) + part.state.is_manual for part in parts[first:])
        self.count("undeliverable" if parts[first].reason is None else "over")
        if calls:
            self.count("no_session", calls)
            self.warn_once("undeliverable", "helper calls were dropped: that answer cannot carry the session's cookie")
        del parts[first:]
        visit.draft = parts[-1].state if parts and parts[-1].is_start else None
        visit.begun_key = "" if visit.draft is None else visit.draft.key
        if visit.draft is None:
            visit.succession = visit.over(visit.at)
            visit.changed = bool(parts)

    def _page_view(self, visit: Visit, answer: ResponseFacts) -> dict[str, Scalar]:
        return self._pages.view(visit.facts, answer, visit.shown_path, self._clock.monotonic() - visit.mono)

    def _note_page_view(self, visit: Visit, answer: ResponseFacts) -> None:
        visit.page_view = told = self._page_view(visit, answer)
        is_ended = visit.live is not None and visit.live.state.is_ended and visit.draft is None
        visit.note(PAGE_VIEW, told, of=visit.home if is_ended else None)

    def _commit(self, visit: Visit) -> None:
        """Make what this visit drafted known to the process."""
        draft, live = visit.draft, visit.live
        if draft is None:
            if live is not None and not live.state.is_ended:
                live.see(visit.at)
            return
        with self.moves:
            known = self.sessions.find(draft.key)
            if live is None or (known is not None and known.state.key == draft.key):
                live = known or CachedSession(draft, -1)
            if known is None:
                live.become(draft)
            elif live.state.key == draft.key:  # a parallel request derived the same session, and was quicker
                live.state = msgspec.structs.replace(draft, started_at=min(draft.started_at, live.started_at))
                live.is_ahead = True
            if live.state.key == draft.key:
                live.see(visit.at)
            self.sessions.keep(live)
            visit.live, visit.draft, visit.seen_key = live, None, live.state.key

    def _cookie_line(self, visit: Visit, answer: ResponseFacts) -> str | None:
        live = visit.live
        if live is None:
            return None
        arrived = visit.arrived
        if arrived is not None and not (visit.changed or live.differs_from(arrived.state)):
            if visit.at - arrived.state.last_seen_at < self._refresh:
                return None
            if self._clock.monotonic() - visit.mono > _SLOW_RESPONSE_S:
                return None
        if not self._may_carry(visit, answer):
            return None
        with self.moves:
            live.state = state = session.seen(live.state, live.last_seen_at)
            live.is_ahead = False
        return self._cookies.line(self.codec.dumps(state), state, visit.now, is_https=visit.facts.is_https)

    def _record(self, visit: Visit, *, is_request: bool) -> None:
        credited = self._credited(visit, is_request=is_request)
        parts, visit.parts = visit.parts, []
        for part in parts:
            flags = (STARTS if part.is_start else 0) | (NO_FORWARD if visit.no_forward else 0)
            if part is credited:
                flags |= ACTIVITY | REQUEST if is_request else ACTIVITY
            entries = part.entries_in_order()
            if not flags & ~NO_FORWARD and not entries:
                continue
            origin = None
            if part.is_start:
                origin = self._pages.origin(visit.facts, visit.shown_path, is_anonymous=visit.is_anonymous)
            is_essential = part.is_start or part.seal is not None or any(entry.tag for entry in entries)
            kind = entries[-1].name if entries else "activity"
            self._sink.append(about(part.state, visit.at, flags, entries, origin), kind=kind, is_essential=is_essential)

    @staticmethod
    def _credited(visit: Visit, *, is_request: bool) -> SessionChanges:
        """Whose activity this is: of the session that the request arrived with, unless it began another itself."""
        if is_request and visit.home is not None and not visit.begun_key:
            return visit.part(visit.home)
        return visit.parts[-1] if visit.parts else visit.part()
