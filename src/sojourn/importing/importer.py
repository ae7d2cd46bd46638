"""Import lines into a store: some thousand at a time, each time one transaction with what says that they were imported.

See P42 in docs/internals.md.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sojourn.core.ids import uuid7
from sojourn.core.records import SERVICE_ATTRIBUTES, STARTS, Origin, Record
from sojourn.core.session import EndReason
from sojourn.engine import rules_of
from sojourn.errors import SojournError
from sojourn.pipeline.record.batch_rows import BatchRows
from sojourn.pipeline.record.fold import Folded, Numbered, close, fold, set_exit_pages
from sojourn.pipeline.record.scrubbing import Scrubber
from sojourn.settings import Settings
from sojourn.stores.model import Batch, TryAgain
from sojourn.stores.protocol import Store
from sojourn.tracking.cookie_policy import CookiePolicy
from sojourn.tracking.countries import Countries
from sojourn.tracking.country_file import CountryFile
from sojourn.tracking.forwarded import Proxies
from sojourn.tracking.own_hosts import OwnHosts
from sojourn.tracking.own_traffic import OwnTraffic
from sojourn.tracking.pages import Pages
from sojourn.tracking.paths import Paths

from .files import LoggedLine
from .formats import Line
from .ledger import Ledger
from .sessions import Admission, Admitted, LoggedSessions

LEASE: Final = "import"
_LEASE_MS: Final = 60_000
_AT_ONCE: Final = 2_000
_READ_AT_ONCE: Final = 20_000
_DAY_MS: Final = 24 * 3_600_000
_REPEATED: Final = "imported_before"
_OLD, _EARLY, _LATE, _AHEAD, _RECORDED = "too_old", "before_since", "after_until", "in_the_future", "recorded_since"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The times (ms) of the lines that are imported, from `since` until before `until`; why each border stands."""

    since: int
    until: int
    now: int
    reason_before: str = _EARLY
    reason_after: str = _LATE


@dataclass(slots=True)
class Imported:
    """What was imported. `left_out`: lines, by the reason that they made no part of a session."""

    requests: int = 0
    page_views: int = 0
    sessions: int = 0
    first_at: int | None = None
    last_at: int | None = None
    left_out: Counter[str] = field(default_factory=Counter)


def span_of(settings: Settings, *, now: int, since: int | None, until: int | None, first_recorded: int | None) -> Span:
    """What is imported: by default what is not too old to be kept, and from before the first recorded session."""
    oldest = now - round(settings.retention.total_seconds() * 1000)
    starts = oldest if since is None else max(since, oldest)
    is_cut = until is None and first_recorded is not None and first_recorded < now
    return Span(
        since=starts,
        until=min(first_recorded if is_cut and first_recorded is not None else now if until is None else until, now),
        now=now,
        reason_before=_OLD if starts == oldest else _EARLY,
        reason_after=_RECORDED if is_cut else _AHEAD if until is None else _LATE,
    )


class Importer:
    """Imports into an open store. One at a time: it holds a lease. Blocks; raises `SojournError`."""

    def __init__(self, store: Store, settings: Settings, span: Span, *, host: str = "", is_dry: bool = False) -> None:
        self._store = store
        self._span = span
        self._is_dry = is_dry
        self._rules = rules_of(settings)
        self._service: Origin = {
            name: value
            for name, value in zip(SERVICE_ATTRIBUTES, (settings.service_name, None, settings.environment), strict=True)
            if value is not None
        }
        self._scrubber = None if settings.scrub is None else Scrubber(settings.scrub)
        key = store.imports.visitor_key()
        self._ledger = Ledger(store.imports, key)
        self._sessions = LoggedSessions(
            admission_of(settings, self._service, key, host), lambda at: uuid7(at, os.urandom(10))
        )
        self._reach = max(self._rules.idle_timeout, _DAY_MS)
        self._holder = f"import/{secrets.token_hex(8)}"
        self.done = Imported()

    def run(self, lines: Iterable[LoggedLine]) -> Iterator[None]:
        """Import the lines; yields now and then, so that progress can be shown."""
        source = iter(lines)
        try:
            while part := list(islice(source, _READ_AT_ONCE)):
                self._hold()
                for start in range(0, len(part), _AT_ONCE):
                    self._take(part[start : start + _AT_ONCE])
                    yield
        finally:
            self._store.leases.release(self._holder)

    def _hold(self) -> None:
        now = self._store.time() or self._clock()
        if not self._is_dry and self._store.leases.acquire(LEASE, self._holder, now=now, until=now + _LEASE_MS) is None:
            raise SojournError(f"another import into {self._store.name} is at work; try again when it is done")

    @staticmethod
    def _clock() -> int:
        from sojourn.core.clock import SYSTEM_CLOCK

        return SYSTEM_CLOCK.now()

    def _take(self, lines: Sequence[LoggedLine]) -> None:
        admitted: list[tuple[LoggedLine, bytes, Admitted]] = []
        for line in lines:
            judged = self._judge(line)
            if isinstance(judged, str):
                self.done.left_out[judged] += 1
                continue
            name = self._ledger.id_of(line)
            if self._ledger.is_new(line, name):
                admitted.append((line, name, judged))
            else:
                self.done.left_out[_REPEATED] += 1
        if not admitted:
            return
        self._look_up(admitted)
        records: list[Numbered] = []
        for line, name, each in admitted:
            if not self._ledger.is_new(line, name):  # twice in what is read at once: of two files with the same lines
                self.done.left_out[_REPEATED] += 1
                continue
            self._ledger.add(line, name)  # whatever becomes of it: what its session is by now must not change that
            record = self._sessions.take(each)
            if isinstance(record, str):
                self.done.left_out[record] += 1
                continue
            self._count(record)
            records.append(Numbered(f"import:{name.hex()}", record))
        imported = self._ledger.taken()
        if imported and not self._is_dry:
            self._save(records, imported)
        self._sessions.forget(min(line.at for line in lines) - self._reach)

    def _judge(self, line: LoggedLine) -> Admitted | str:
        span = self._span
        if line.at < span.since:
            return span.reason_before
        if line.at >= span.until:
            return _AHEAD if line.at > span.now else span.reason_after
        return self._sessions.admit(line.line)

    def _look_up(self, admitted: Sequence[tuple[LoggedLine, bytes, Admitted]]) -> None:
        """Ask the store for the sessions of visitors that are new in this run."""
        visitors = {each.visitor_id for _, _, each in admitted if not self._sessions.is_known(each.visitor_id)}
        since = min(line.at for line, _, _ in admitted) - self._reach
        until = max(line.at for line, _, _ in admitted) + self._reach
        self._sessions.know(visitors, self._store.imports.sessions_of(visitors, since=since, until=until))

    def _count(self, record: Record) -> None:
        done = self.done
        done.requests += 1
        done.page_views += bool(record.entries)
        done.sessions += bool(record.flags & STARTS) and record.at == record.started_at
        done.first_at = record.at if done.first_at is None else min(done.first_at, record.at)
        done.last_at = record.at if done.last_at is None else max(done.last_at, record.at)

    def _save(self, records: Sequence[Numbered], imported: Sequence[tuple[int, str, str]]) -> None:
        while True:
            try:
                with self._store.records.recording() as transaction:
                    stored = BatchRows(transaction, self._rules, has_others=False, waits=False)
                    loaded = stored.load(records)
                    stored.complete(loaded)
                    out = fold(
                        loaded,
                        stored.rows,
                        self._rules,
                        defaults=self._service,
                        unread=stored.unread,
                        suppression=stored.suppression,
                    )
                    transaction.save(self._batch(out, imported))
                return
            except TryAgain:
                continue

    def _batch(self, out: Folded, imported: Sequence[tuple[int, str, str]]) -> Batch:
        """Make what is saved. Each session is closed: no later request of a visitor comes but by another import."""
        for key in sorted(out.changed):
            close(out.rows[key], EndReason.IDLE_TIMEOUT, out)
        events = out.events if self._scrubber is None else self._scrubber.scrubbed(out.events, out.counts)
        set_exit_pages(out.rows, events)
        return Batch(
            rows=[out.rows[key] for key in out.changed],
            events=events,
            withdrawn=out.withdrawn,
            is_local=True,
            imported=imported,
        )


def admission_of(settings: Settings, service: Origin, key: bytes, host: str) -> Admission:
    """What the settings say of which lines count, and of how they are described."""
    paths = Paths(settings.exclude, settings.keep)
    database = settings.country_database
    proxies = Proxies(settings.trusted_proxies)
    own = OwnTraffic(CookiePolicy(base_name=settings.cookie_name), (key,), networks=settings.exclude_addresses)

    def client_of(line: Line) -> str:
        return proxies.client(line.address, "", line.forwarded) or ""

    return Admission(
        rules=rules_of(settings),
        pages=Pages(
            service=service,
            mask_addresses=settings.mask_addresses,
            query_parameters=settings.query_parameters,
            countries=Countries(None, None if database is None else CountryFile(database)),
            own_hosts=OwnHosts(settings.own_hosts, settings.cookie_domain),
            paths=paths,
        ),
        paths=paths,
        passive=Paths(settings.passive),
        client_of=client_of,
        is_own=own.is_own_address if own.has_networks else lambda _request: False,
        visitor_key=key,
        host=host,
        mask_addresses=settings.mask_addresses,
        any_request=settings.session_starts == "any",
        refuses_programs=settings.ignore_http_clients,
        has_page_views=settings.page_views,
        heeds_presence=settings.presence == "person",
    )
