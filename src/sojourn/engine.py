"""The composition root: the one place where real parts are put together from the settings.

See P2 in docs/internals.md.
"""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Self, cast

from .backends import registry
from .backends.protocol import Backend
from .beacon import Beacon, Receiver, Script, interval_ms
from .core.alerts import Thresholds
from .core.browser_sessions import attribute_of
from .core.clock import Clock, SystemClock
from .core.history import StoredSession
from .core.properties import Declared
from .core.records import SERVICE_ATTRIBUTES, Origin
from .core.session import Rules
from .notices.targets import targets_of
from .notices.watch import Watch
from .pipeline.agent_checks import AgentChecks, lists_of
from .pipeline.flushing import FlushReport
from .pipeline.inbox import DirectInbox, Inbox
from .pipeline.intake import Intake, append_hit_to
from .pipeline.journal import SYSTEM_FILES, Files, JournalReader, JournalStats
from .pipeline.memory_workers import MemoryWorker
from .pipeline.record.recorder import Recorder
from .pipeline.runtime import Plan, Runtime
from .pipeline.salts import DailySalts
from .pipeline.scheduling import InlineScheduler, Scheduler, ThreadScheduler
from .pipeline.shared_table import SharedTable, digest_of, in_memory
from .pipeline.visitor_table import VisitorTable
from .pipeline.visitor_table import in_memory as visitors_in_memory
from .settings import Settings
from .stores.model import Lease, StoreStats
from .stores.protocol import Store
from .tracking.agents import Agents
from .tracking.browser_ids import BrowserIds
from .tracking.budget import SessionBudget
from .tracking.consent import ConsentGate
from .tracking.cookie import CookieCodec
from .tracking.cookie_policy import CookiePolicy
from .tracking.countries import Countries
from .tracking.country_file import CountryFile
from .tracking.exceptions import MESSAGE
from .tracking.guard import Counters, Guard
from .tracking.options import TrackingOptions
from .tracking.own_hosts import OwnHosts
from .tracking.own_traffic import OwnTraffic
from .tracking.pages import Pages
from .tracking.paths import Paths
from .tracking.privacy_signals import PrivacySignals
from .tracking.tickets import TicketCodec
from .tracking.tracker import Tracker
from .tracking.without_cookie import Cookieless, grace_of
from .user_agents.kinds import kind_of

log = logging.getLogger("sojourn")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """The journal and the refusals of this process, and the counters of the store."""

    journal: JournalStats | None
    ignored: Mapping[str, int]
    is_recorder: bool
    store: StoreStats


class Engine:
    """Everything behind the middleware. Building it opens nothing; the first record, or `start()`, does.

    `clock` is for tests: with `sojourn.testing.ManualClock` no thread runs, and `flush()` and `sweep()` do the work.
    `files` and `scheduler` are for simulations, which run the processes of several hosts in one thread.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        files: Files = SYSTEM_FILES,
        scheduler: Callable[[], Scheduler] | None = None,
    ) -> None:
        if not isinstance(settings, Settings):
            msg = f"settings must be a sojourn.Settings(...), not {type(settings).__name__}"
            raise TypeError(msg)
        self.settings = settings
        self._files = files
        self.clock: Clock = clock if clock is not None else SystemClock()
        self._make_scheduler = scheduler or (InlineScheduler if self.clock.is_manual else ThreadScheduler)
        values = (settings.service_name, settings.service_version, settings.environment)
        self._service: Origin = {
            name: value for name, value in zip(SERVICE_ATTRIBUTES, values, strict=True) if value is not None
        }
        self._rules = rules_of(settings)
        self._backends = _backends(settings)
        self._alert_targets = targets_of(settings) if settings.enabled else ()
        # Opened later, but made here: its library takes a fifth of a second to load, which no request must wait for.
        self._store: Store | None = _store(settings) if settings.enabled else None
        counters = Counters(self.clock.now)
        self.guard = Guard(counters, strict=settings.strict)
        paths = Paths(settings.exclude, settings.keep)
        database = settings.country_database if settings.enabled else None
        self._countries = Countries(settings.country_header, None if database is None else CountryFile(database))
        self._pages = Pages(
            service=self._service,
            mask_addresses=settings.mask_addresses,
            query_parameters=settings.query_parameters,
            countries=self._countries,
            own_hosts=OwnHosts(settings.own_hosts, settings.cookie_domain),
            paths=paths,
        )
        self.intake = Intake(self._make_runtime, counters, after_fork=self._after_fork)
        self._shared = self._shared_table()
        self._visitors = self._visitor_table()
        self.agent_checks: AgentChecks | None = None
        """Who verifies agents; `None` if they are not to be verified. With a manual clock, call its `step()`."""
        if settings.agents == "verify":
            self.agent_checks = AgentChecks(
                self.clock.monotonic, now=self.clock.now, read_lists=lambda: lists_of(self.store)
            )
        keys = settings.secret_key or (os.urandom(32),)
        is_in_memory = settings.store == "memory:" and not self.clock.is_manual
        self._memory_worker = MemoryWorker(keys[-1]) if is_in_memory else None
        self.own_traffic = OwnTraffic(
            _policy(settings),
            keys,
            networks=settings.exclude_addresses,
            users=settings.exclude_users,
        )
        """Who is left out, and the mark of a browser of your own."""
        self.tracker = Tracker(
            TrackingOptions(
                rules=self._rules,
                is_enabled=settings.enabled,
                starts_on_any_request=settings.session_starts == "any",
                refuses_programs=settings.ignore_http_clients,
                page_views=settings.page_views,
                presence_person=settings.presence == "person",
                presence_open=settings.presence == "open",
                adds_private=settings.cache_private,
                declared=Declared(settings.session_properties, settings.event_properties),
                user_hash_key=settings.user_hash_key if settings.hash_user_ids else None,
            ),
            guard=self.guard,
            sink=self.intake,
            codec=CookieCodec(keys, settings.cookie_name),
            tickets=TicketCodec(keys, settings.cookie_name),
            cookies=_policy(settings),
            clock=self.clock,
            paths=paths,
            pages=self._pages,
            consent=ConsentGate(
                self.guard,
                signals=PrivacySignals(settings.gpc, settings.dnt),
                consent=settings.consent,
                is_required=settings.consent_required,
                goes_on_without=settings.cookieless == "until_consent",
            ),
            shared=self._shared.session,
            budget=SessionBudget(
                lambda name, window: self._shared.count(digest_of("network", name), window),
                network=settings.session_budget,
                host=settings.session_budget_total,
            ),
            passive=Paths(settings.passive),
            inbox=DirectInbox(self.intake)
            if self.clock.is_manual and settings.store == "memory:"
            else Inbox(lambda: self.store),
            principal=settings.principal,
            own_traffic=self.own_traffic,
            agents=None if settings.agents == "off" else self._agents(),
            browser_ids=_browser_ids(settings),
            cookieless=self._cookieless(keys[-1]),
            history=self._history,
        )
        self.beacon = None if settings.beacon_path is None else self._beacon(settings.beacon_path)
        """The endpoints at `beacon_path`; `None` without that setting."""

    # --- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open what the process needs (a journal, the threads). Idempotent; never raises: what fails is tried again later."""
        if self.settings.enabled:
            kind_of("loads the library of user agents here, not in a visitor's first request")
            self.guard.guarded(None, self.intake.running)

    def prepare_store(self) -> None:
        """Create the store's tables if they are missing. Blocks. For apps whose transactions write to the store's database.

        Raises `StoreError`.
        """
        if self.settings.enabled:
            store = self.store.recreate()
            store.open()
            store.close()

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """Apply this process's records and deliver what is due, within `timeout` seconds.

        Never sweeps, and never waits for a backend's retry time. Raises `StoreError` when the store cannot be opened.
        """
        if not self.settings.enabled:
            return FlushReport(recorded=0, delivered=0, waiting=0, done=True)
        return self.intake.running().flush(timeout)

    def sweep(self) -> int:
        """Apply the journal, end the sessions that are over, and return how many. Raises `StoreError`."""
        return self.intake.running().sweep() if self.settings.enabled else 0

    def stats(self) -> EngineStats:
        """Counters of this process and of the store. Raises `StoreError` when the store cannot be opened."""
        if not self.settings.enabled:
            nothing = StoreStats(counters={}, sessions=0, open_sessions=0, events=0, backends=())
            return EngineStats(journal=None, ignored={}, is_recorder=False, store=nothing)
        runtime = self.intake.runtime
        store = self.store
        store.open()
        return EngineStats(
            journal=runtime.journal.stats() if runtime is not None else None,
            ignored=self.guard.counters(),
            is_recorder=runtime is not None and runtime.is_recorder,
            store=store.stats(),
        )

    def close(self) -> None:
        """Record and deliver what is due, within `shutdown_timeout`, then release every file. Idempotent.

        What is left stays in the journal and the store for another process. A later request opens anew.
        """
        _open_engines.discard(self)
        with self.intake.lock():
            if self.intake.is_inherited:
                return  # in a child that has not used the engine, everything belongs to the parent
            runtime = self.intake.detach()
            store, self._store = self._store, None
        if runtime is not None:
            runtime.close(self.settings.shutdown_timeout.total_seconds())
        if store is not None:
            store.close()
        if self._memory_worker is not None:
            self._memory_worker.leave()
        self._shared.close()
        if self._visitors is not None:
            self._visitors.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- parts ---------------------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The store, made on first use. Open it before you use it."""
        if self._store is None:
            self._store = _store(self.settings)
        return self._store

    @property
    def backends(self) -> Sequence[Backend]:
        return self._backends

    @property
    def shared(self) -> SharedTable:
        """The table that the processes of this host share."""
        return self._shared

    @property
    def runtime(self) -> Runtime:
        """The runtime of this process, started if it was not."""
        return self.intake.running()

    def _shared_table(self) -> SharedTable:
        folder = self.settings.journal_folder if self.settings.enabled else None
        return in_memory(folder) if self.clock.is_manual else SharedTable(folder, files=self._files)

    def _visitor_table(self) -> VisitorTable | None:
        settings = self.settings
        if settings.cookieless == "off" or not settings.enabled:
            return None
        folder = settings.journal_folder
        return visitors_in_memory(folder) if self.clock.is_manual else VisitorTable(folder, files=self._files)

    def _cookieless(self, secret: bytes) -> Cookieless | None:
        settings = self.settings
        if self._visitors is None:
            return None
        return Cookieless(
            self._visitors,
            self.guard,
            secret=secret,
            zone=settings.zone,
            idle_timeout=self._rules.idle_timeout,
            policy=_policy(settings),
            mask_addresses=settings.mask_addresses,
            is_always=settings.cookieless == "always",
        )

    def _daily_salts(self) -> DailySalts | None:
        if self._visitors is None:
            return None
        return DailySalts(self.store, self._visitors, zone=self.settings.zone, grace=grace_of(self._rules.idle_timeout))

    def _make_runtime(self) -> Runtime:
        settings = self.settings
        directory = None if self.clock.is_manual else settings.journal_folder
        _open_engines.add(self)
        if self._memory_worker is not None:
            self._memory_worker.arrive()
        return Runtime(
            Plan(
                directory=directory,
                journal_limit=settings.journal_limit,
                journal_fsync=settings.journal_fsync,
                records=settings.deliver == "auto",
                idle_timeout=self._rules.idle_timeout,
                sweep_interval=_ms(settings.sweep_interval),
                record_within=_ms(settings.record_within),
                sweep_grace=self._grace,
                retention=_ms(settings.retention),
                outbox_max=settings.outbox_max,
                hidden_from_others=frozenset() if settings.exception_messages else frozenset({MESSAGE}),
                hidden_from_others_than={attribute_of(vendor): vendor for vendor in registry.browser_vendors()},
            ),
            store=self.store,
            backends=self._backends,
            clock=self.clock,
            files=self._files,
            scheduler=self._make_scheduler(),
            recorder=self._recorder,
            keep=self._keep,
            shared=self._shared.session,
            check_agents=None if self.agent_checks is None else partial(_check_agents, self.agent_checks),
            watch=self._watch if settings.alerts else None,
            salts=self._daily_salts(),
        )

    def _agents(self) -> Agents:
        return Agents(self.intake, with_programs=self.settings.ignore_http_clients, verification=self.agent_checks)

    def _watch(self, acquire: Callable[[str, int], Lease | None]) -> Callable[[int], None]:
        settings = self.settings
        return Watch(
            self.store,
            settings.alerts or Thresholds(),
            self._alert_targets,
            acquire=acquire,
            service=settings.service_name,
        ).turn

    def _beacon(self, path: str) -> Beacon:
        settings = self.settings
        receiver = Receiver(self.tracker, self.guard, has_page_views=settings.page_views, query=self._pages.query)
        return Beacon(path, script=Script(interval_ms(self._rules)), receiver=receiver)

    def _recorder(self, reader: JournalReader) -> Recorder:
        return Recorder(
            self.store.records,
            reader,
            rules=self._rules,
            service=self._service,
            sweep_interval=_ms(self.settings.sweep_interval),
            sweep_grace=self._grace,
            max_age=_ms(self.settings.journal_max_age),
            scrub=self.settings.scrub,
            monotonic_ns=self.clock.monotonic_ns,
        )

    @property
    def _grace(self) -> int:
        return 0 if self.clock.is_manual else _ms(self.settings.sweep_grace)

    def _history(self, visitor_id: str, limit: int) -> Sequence[StoredSession]:
        if not self.settings.enabled:
            return ()
        store = self.store
        store.open()
        return store.history.of_visitor(visitor_id, limit=limit)

    def _keep(self, runtime: Runtime) -> None:
        """Record what no request does: activity of connections that are merely open, and counters."""
        self.tracker.connections.touch_open()
        self._countries.turn(self.clock.monotonic())
        self.intake.append_counters(runtime, self.clock.now())

    def _after_fork(self) -> None:
        if self.agent_checks is not None:
            self.agent_checks.after_fork()
        self.tracker.after_fork()


def _check_agents(checks: AgentChecks, runtime: Runtime) -> float:
    return checks.step(partial(append_hit_to, runtime))


def _browser_ids(settings: Settings) -> BrowserIds | None:
    sdks = {vendor: registry.browser_session(vendor) for vendor in settings.browser_ids}
    return BrowserIds(sdks) if sdks else None


def rules_of(settings: Settings) -> Rules:
    """The rules that these settings make."""
    return Rules(
        idle_timeout=_ms(settings.idle_timeout),
        max_duration=_ms_or_none(settings.max_duration),
        heartbeat_interval=_ms_or_none(settings.heartbeat_interval),
        manual_max_silence=_ms_or_none(settings.manual_max_silence),
        max_clock_lead=_ms(settings.max_clock_lead),
        automatic=settings.automatic,
        split_on_user_change=settings.on_user_change == "split",
        keep_first=frozenset(name for name, own in (settings.session_properties or {}).items() if own.keep == "first"),
    )


def _policy(settings: Settings) -> CookiePolicy:
    return CookiePolicy(
        base_name=settings.cookie_name,
        path=settings.cookie_path,
        domain=settings.cookie_domain,
        samesite=settings.cookie_samesite,
        is_partitioned=settings.cookie_partitioned,
        secure=None if settings.cookie_secure == "auto" else settings.cookie_secure,
        max_age=int(settings.cookie_max_age.total_seconds()),
        is_persistent=settings.visitor_cookie == "persistent",
    )


def _backends(settings: Settings) -> tuple[Backend, ...]:
    from .backends.urls import backend_from_url, check_unique_names  # loads httpx only where it is used

    backends = tuple(
        backend_from_url(backend) if isinstance(backend, str) else cast("Backend", backend)
        for backend in settings.backends
    )
    check_unique_names(backends)
    return backends


def _store(settings: Settings) -> Store:
    from .stores import open_store

    return open_store(settings.store) if isinstance(settings.store, str) else cast("Store", settings.store)


def _ms(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)


def _ms_or_none(span: timedelta | None) -> int | None:
    return None if span is None else _ms(span)


_open_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for engine in list(_open_engines):
        engine.close()
