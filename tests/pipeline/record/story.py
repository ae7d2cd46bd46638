"""Records folded one by one, for the tables of what they come to."""

from __future__ import annotations

import msgspec

from sojourn.core.events import SESSION_END, USER_IDENTIFY, Event
from sojourn.core.records import ACTIVITY, REQUEST, Entry, Origin, Seal, Tag, about
from sojourn.core.session import EndReason, Rules, SessionState, begin, succeed
from sojourn.pipeline.record.fold import Folded, Numbered, fold, sweep
from sojourn.stores.rows import SessionRow

IDLE, BEAT = 1_000, 100
RULES = Rules(idle_timeout=IDLE, max_duration=5_000, heartbeat_interval=BEAT, manual_max_silence=2_000)
SERVICE = {"service.name": "shop", "service.version": "2", "deployment.environment.name": "prod"}
ORIGIN = {
    "url.path": "/in",
    "http.request.header.referer": "https://a.example/b",
    "user_agent.original": "UA",
    "client.address": "192.0.2.0",
    **SERVICE,
}

FIRST = begin(visitor_id="v", visitor_since=0, key="k1", now=0)
SECOND = succeed(FIRST, EndReason.IDLE_TIMEOUT, key="k2", now=2_000)
THIRD = succeed(SECOND, EndReason.IDLE_TIMEOUT, key="k3", now=4_000)

SEAL = Entry(SESSION_END, 50, seal=Seal(EndReason.ENDED, 50))


class Story:
    """Records in the order they are folded; each batch finds what the ones before left."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.rows: dict[str, SessionRow] = {}
        self.events: list[Event] = []
        self.last = Folded({})
        self._count = 0

    def record(
        self,
        state: SessionState,
        at: int,
        *entries: Entry,
        flags: int = ACTIVITY | REQUEST,
        origin: Origin | None = None,
        unread: frozenset[str] = frozenset(),
    ) -> Story:
        self._count += 1
        return self.fold([Numbered(f"j:{self._count:04d}", about(state, at, flags, entries, origin))], unread)

    def fold(self, records: list[Numbered], unread: frozenset[str] = frozenset()) -> Story:
        self.last = fold(records, self.rows, self.rules, defaults=SERVICE, unread=unread)
        self.rows = self.last.rows
        self.events += self.last.events
        return self

    def sweep(self, as_of: int) -> Folded:
        self.last = sweep(self.rows.values(), self.rules, as_of=as_of)
        self.events += self.last.events
        return self.last

    def names(self, key: str = "k1") -> list[str]:
        return [event.name for event in self.events if event.session_key == key]

    def named(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]


def user(user_id: str | None, at: int, **more: object) -> Entry:
    return Entry(USER_IDENTIFY, at, tag=msgspec.structs.replace(Tag(user_id), **more))
