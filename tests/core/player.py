"""One visitor's browser and the servers it meets, reduced to the pure core: the laws of sessions and folding play it.

Each step is one request. The server knows nothing but the cookie, as on a host that the visitor never met; a lost
response leaves the browser with its old cookie, as a parallel request or a closed tab does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from hypothesis import strategies as st

from sojourn.core import identity, session
from sojourn.core.events import PAGE_VIEW, SESSION_END, USER_IDENTIFY
from sojourn.core.ids import uuid7
from sojourn.core.records import ACTIVITY, REQUEST, STARTS, Entry, Seal, Tag, about
from sojourn.core.session import EndReason, Rules, SessionState
from sojourn.pipeline.record.fold import Numbered
from sojourn.tracking.cookie import CookieCodec, Verified

Action = Literal[
    "visit", "page", "track", "end", "restart", "identify", "forget", "principal", "nobody", "stream", "late"
]
ACTIONS: tuple[Action, ...] = (
    "visit",
    "page",
    "track",
    "end",
    "restart",
    "identify",
    "forget",
    "principal",
    "nobody",
    "stream",
    "late",
)

IDLE, LONG, BEAT, SILENCE = 1_000, 4_000, 100, 3_000
RULES = Rules(idle_timeout=IDLE, max_duration=LONG, heartbeat_interval=BEAT, manual_max_silence=SILENCE)
EPOCH = 1_700_000_000_000
SERVICE = {"service.name": "shop"}


@dataclass(frozen=True, slots=True)
class Step:
    """One request: how long after the one before (clocks may run back), what the app does, if its response is lost."""

    gap: int
    action: Action = "visit"
    user: str = "ada"
    is_lost: bool = False


@dataclass(slots=True)
class Span:
    """What a model of one session knows: its life, as the requests lived it."""

    started_at: int
    last_seen_at: int
    reason: EndReason | None = None
    ended_at: int | None = None


@dataclass(slots=True)
class SessionChanges:
    state: SessionState
    flags: int = 0
    entries: list[Entry] = field(default_factory=list)


class Visitor:
    """Plays steps; keeps the records that the servers appended, and the states they sent."""

    def __init__(self, rules: Rules = RULES, keys: Sequence[bytes] = (b"k" * 16,)) -> None:
        self.rules = rules
        self.codec = CookieCodec(keys)
        self.now = EPOCH
        self.cookie: bytes | None = None
        self.records: list[Numbered] = []
        self.states: list[SessionState] = []
        self.spans: dict[str, Span] = {}
        self._chance = 0
        self._parts: list[SessionChanges] = []
        self._number = -1
        self._arrived = ""

    def play(self, steps: Sequence[Step]) -> Visitor:
        for step in steps:
            self.request(step)
        return self

    def request(self, step: Step) -> SessionState:
        """One request, from its cookie to the cookie of its response."""
        self.now = max(EPOCH, self.now + step.gap)
        read = self.codec.loads(self.cookie) if self.cookie is not None else None
        at = None
        if isinstance(read, Verified):
            at = session.clamped(read.state, self.rules, self.now)
        if at is None or not isinstance(read, Verified):
            at, self._arrived = self.now, f"{len(self.records)}"
            state = self._begin(at)
        else:
            state, self._number = read.state, read.key_number
            self._arrived = (
                f"{state.owner!r}{state.principal!r}{state.is_tagged}{state.is_explicit}{state.last_seen_at}"
            )
            reason = EndReason.ENDED if state.is_ended else session.over(state, self.rules, at)
            if reason is not None:
                state = self._succeed(state, reason, at)
            else:
                self._parts.append(SessionChanges(state))
        state = session.seen(self._act(state, step, at), at)
        self._tell(at, is_activity=step.action != "stream", is_request=step.action not in {"stream", "late"})
        self.states.append(state)
        if not step.is_lost:
            self.cookie = self.codec.dumps(state).encode()
        return state

    def _act(self, state: SessionState, step: Step, at: int) -> SessionState:
        entries = self._parts[-1].entries
        match step.action:
            case "visit" | "late":
                return state
            case "page":
                entries.append(Entry(PAGE_VIEW, at, {"http.response.status_code": 200 + 300 * (len(step.user) % 2)}))
                return state
            case "track" | "stream":
                entries.append(Entry("bought", at, {"by": step.user}))
                return state
            case "end":
                entries.append(Entry(SESSION_END, at, seal=Seal(EndReason.ENDED, at)))
                self._ended(state, EndReason.ENDED, at)
                return session.end(session.seen(state, at))
            case "restart":
                return self._succeed(session.seen(state, at), EndReason.RESTARTED, at, is_manual=True)
            case "identify":
                return self._identify(state, step.user, at)
            case "forget":
                if identity.on_explicit_none(state) is identity.Verdict.NOTHING:
                    return state
                self._tag(Tag(None), at)
                return identity.untagged(state)
            case "principal":
                return self._principal(state, step.user, at)
            case "nobody":
                if identity.on_anonymous(state) is identity.Verdict.UNTAG:
                    self._tag(Tag(None, is_explicit=False), at)
                return identity.left(state)

    def _identify(self, state: SessionState, user: str, at: int) -> SessionState:
        verdict = identity.on_explicit(state, is_owner=self.codec.is_user(user, state.owner))
        if verdict is identity.Verdict.NOTHING:
            return state
        if verdict is identity.Verdict.CHANGE and self.rules.split_on_user_change:
            state = self._succeed(state, EndReason.USER_CHANGED, at, user=user, is_manual=state.is_manual)
        self._tag(Tag(user, name=user.title()), at)
        return identity.tagged(state, self.codec.hash_user(user))

    def _principal(self, state: SessionState, user: str, at: int) -> SessionState:
        verdict = identity.on_principal(state, is_bound=self.codec.is_user(user, state.principal))
        if verdict is identity.Verdict.CHANGE:
            if self.rules.split_on_user_change:
                state = self._succeed(state, EndReason.USER_CHANGED, at, user=user, is_manual=state.is_manual)
            else:
                state = identity.principal_changed(state)
        moved = identity.bound(state, self.codec.hash_user(user))
        if moved.is_tagged and not moved.is_explicit and moved is not state:
            self._tag(Tag(user, is_explicit=False), at)
        return moved

    def _tag(self, tag: Tag, at: int) -> None:
        entries = self._parts[-1].entries
        entries.append(Entry(USER_IDENTIFY, at, tag=msgspec.structs.replace(tag, before=self._arrived)))

    def _begin(self, at: int) -> SessionState:
        self._chance += 1
        key = uuid7(at, self._chance.to_bytes(10, "big"))
        visitor_id = f"00000000-0000-4000-8000-{self._chance:012x}"
        state = session.begin(visitor_id=visitor_id, visitor_since=at, key=key, now=at)
        self._parts.append(SessionChanges(state, STARTS))
        self._live(state)
        return state

    def _succeed(
        self, old: SessionState, reason: EndReason, at: int, *, user: str | None = None, is_manual: bool = False
    ) -> SessionState:
        steps = session.steps_since(old.last_seen_at, self.rules, at)
        chance = self.codec.derive(self._number, old.key, reason.value, str(steps), user or "", str(is_manual))
        key = uuid7(old.last_seen_at + steps * self.rules.idle_timeout, chance)
        state = session.succeed(old, reason, key=key, now=at, is_manual=is_manual)
        self._parts.append(SessionChanges(state, STARTS))
        self._ended(old, reason, old.last_seen_at)
        self._live(state)
        return state

    def _live(self, state: SessionState) -> None:
        self.spans.setdefault(state.key, Span(state.started_at, state.last_seen_at))

    def _ended(self, state: SessionState, reason: EndReason, at: int) -> None:
        span = self.spans.setdefault(state.key, Span(state.started_at, state.last_seen_at))
        if span.ended_at is None:
            span.last_seen_at = max(span.last_seen_at, at)
            span.ended_at, span.reason = span.last_seen_at, reason

    def _tell(self, at: int, *, is_activity: bool, is_request: bool) -> None:
        parts, self._parts = self._parts, []
        for part in parts:
            flags = part.flags
            if part is parts[-1]:
                flags |= ACTIVITY * is_activity | REQUEST * is_request
                span = self.spans[part.state.key]
                if is_activity and span.ended_at is None:
                    span.last_seen_at = max(span.last_seen_at, at)
            if not flags and not part.entries:
                continue
            origin = {"url.path": f"/{at}", "service.name": "shop"} if part.flags & STARTS else None
            record = about(part.state, at, flags, tuple(part.entries), origin)
            self.records.append(Numbered(f"j:{len(self.records):06d}", record))


def steps(*, max_size: int, is_lossy: bool = False, runs_back: bool = True) -> st.SearchStrategy[list[Step]]:
    """Requests whose gaps lie on and around every limit."""
    edges = [0, 1, BEAT - 1, BEAT, 3 * BEAT, IDLE - 1, IDLE, IDLE + 1, 2 * IDLE, SILENCE - 1, SILENCE, LONG]
    gaps = st.sampled_from(edges) | st.integers(-2 * IDLE if runs_back else 0, LONG + IDLE)
    lost = st.booleans() if is_lossy else st.just(value=False)
    one = st.builds(Step, gap=gaps, action=st.sampled_from(ACTIONS), user=st.sampled_from(["ada", "bo"]), is_lost=lost)
    return st.lists(one, min_size=1, max_size=max_size)
