"""`Settings`: every setting in one row, with its type, kind and default. What each does is said in docs/settings.md."""

# ruff: noqa: RUF009 - `setting()` returns a `dataclasses.field()`: a declaration, not a shared mutable default

from __future__ import annotations

import dataclasses
import os
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Any, Literal, Self

from sojourn.core.alerts import Thresholds
from sojourn.core.events import Event
from sojourn.core.goals import Funnel, Goal
from sojourn.core.properties import Property
from sojourn.core.rates import Rate
from sojourn.core.saved_views import NamedQuery
from sojourn.errors import SettingsError

from . import _alerts as watched
from . import _goals as measures
from . import _kinds as kinds
from . import _objects as objects
from . import _places as places
from . import _secrets as secrets
from . import _web as web
from ._rules import RULES
from ._sources import CONFIGURATION, ENVIRONMENT, arguments, from_environ, unknown
from ._table import Converted, Setting, setting
from ._warnings import warn, warn_of_minutes

Flag = Converted[bool | str, bool]
Span = Converted[float | str | timedelta, timedelta]
SpanOrNone = Converted[float | str | timedelta | None, timedelta | None]
RateOrNone = Converted[str | Rate | None, Rate | None]
Text = Converted[str | None, str | None]
Folder = Converted[str | os.PathLike[str] | None, Path | None]
Patterns = Converted[str | Iterable[str] | None, tuple[str, ...]]
Declared = Converted[Mapping[str, Property] | str | None, Mapping[str, Property] | None]
Hook = Converted[Callable[..., Any] | str | None, Callable[..., Any] | None]
Scrub = Converted[Callable[[Event], Event | None] | str | None, Callable[[Event], Event | None] | None]
Signal = Literal["ignore", "no_forward", "anonymous", "off"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """All settings, checked when built; `SettingsError` names the setting, the value and the fix.

    A value may be text, as in the environment; the attribute always has one type. Building opens and creates nothing.
    """

    secret_key: Converted[str | bytes | Sequence[str | bytes] | None, tuple[bytes, ...]] = setting(
        kinds.SECRETS, None, hidden=True
    )
    enabled: Flag = setting(kinds.FLAG, True)

    idle_timeout: Span = setting(kinds.SPAN, timedelta(minutes=30))
    max_duration: SpanOrNone = setting(kinds.optional(kinds.SPAN), timedelta(hours=24))
    heartbeat_interval: SpanOrNone = setting(kinds.optional(kinds.SPAN), timedelta(seconds=60))
    manual_max_silence: SpanOrNone = setting(kinds.optional(kinds.SPAN), timedelta(hours=24))
    automatic: Flag = setting(kinds.FLAG, True)
    session_starts: Converted[str, Literal["navigation", "any"]] = setting(
        kinds.choice("navigation", "any"), "navigation"
    )
    on_user_change: Converted[str, Literal["split", "keep"]] = setting(kinds.choice("split", "keep"), "split")
    presence: Converted[str, Literal["person", "any", "open"]] = setting(
        kinds.choice("person", "any", "open"), "person"
    )

    store: Converted[object, object] = setting(objects.STORE, "sqlite:///sojourn.db", hashed=False)
    backends: Converted[str | Iterable[object] | None, tuple[object, ...]] = setting(objects.BACKENDS, (), hashed=False)
    base_dir: Folder = setting(objects.FOLDER, None)

    journal_dir: Folder = setting(objects.FOLDER, None)
    journal_limit: Converted[int | str, int] = setting(kinds.SIZE, 64 * 1024**2)
    journal_max_age: Span = setting(kinds.SPAN, timedelta(days=7))
    journal_fsync: Flag = setting(kinds.FLAG, False)
    outbox_max: Converted[int | str | None, int | None] = setting(kinds.optional(kinds.SIZE), None)
    deliver: Converted[str, Literal["auto", "worker"]] = setting(kinds.choice("auto", "worker"), "auto")

    record_within: Span = setting(kinds.SPAN, timedelta(seconds=5))
    retention: Span = setting(kinds.SPAN, timedelta(days=395))
    sweep_interval: Span = setting(kinds.SPAN, timedelta(seconds=15))
    sweep_grace: Span = setting(kinds.SPAN_OR_ZERO, timedelta(seconds=30))
    shutdown_timeout: Span = setting(kinds.SPAN_OR_ZERO, timedelta(seconds=2))
    max_clock_lead: Span = setting(kinds.SPAN_OR_ZERO, timedelta(hours=24))

    cookie_name: Converted[str, str] = setting(web.COOKIE_NAME, "sojourn")
    cookie_domain: Text = setting(web.DOMAIN, None)
    cookie_path: Converted[str, str] = setting(web.COOKIE_PATH, "/")
    cookie_samesite: Converted[str, Literal["lax", "strict", "none"]] = setting(
        kinds.choice("lax", "strict", "none"), "lax"
    )
    cookie_secure: Converted[bool | str, Literal["auto"] | bool] = setting(kinds.SECURE, "auto")
    cookie_partitioned: Flag = setting(kinds.FLAG, False)
    cookie_max_age: Span = setting(kinds.SPAN, timedelta(days=395))
    visitor_cookie: Converted[str, Literal["persistent", "session"]] = setting(
        kinds.choice("persistent", "session"), "persistent"
    )
    cache_private: Flag = setting(kinds.FLAG, True)

    trusted_proxies: Converted[str | Iterable[object] | None, tuple[web.Network, ...]] = setting(web.NETWORKS, ())
    country_database: Folder = setting(objects.FOLDER, None)
    country_header: Text = setting(web.HEADER, None)
    browser_ids: Patterns = setting(kinds.NAMES, ())
    own_hosts: Patterns = setting(web.HOST_PATTERNS, ())
    exclude: Patterns = setting(web.PATH_PATTERNS, web.DEFAULT_EXCLUDE)
    exclude_addresses: Converted[str | Iterable[object] | None, tuple[web.Network, ...]] = setting(web.OWN_NETWORKS, ())
    exclude_users: Converted[str | Iterable[object] | None, tuple[str, ...]] = setting(kinds.USER_IDS, ())
    passive: Patterns = setting(web.PATH_PATTERNS, web.DEFAULT_PASSIVE)
    keep: Patterns = setting(web.KEEP_PATTERNS, ())
    ignore_http_clients: Flag = setting(kinds.FLAG, False)
    agents: Converted[str, Literal["verify", "count", "off"]] = setting(
        kinds.choice("verify", "count", "off"), "verify"
    )
    session_budget: RateOrNone = setting(kinds.RATE, Rate(600, 60_000))
    session_budget_total: RateOrNone = setting(kinds.RATE, Rate(12_000, 60_000))

    session_properties: Declared = setting(objects.SESSION_PROPERTIES, None, hashed=False)
    event_properties: Declared = setting(objects.EVENT_PROPERTIES, None, hashed=False)
    strict: Flag = setting(kinds.FLAG, False)

    hash_user_ids: Flag = setting(kinds.FLAG, False)
    user_hash_key: Converted[str | bytes | None, bytes | None] = setting(
        kinds.optional(kinds.HASH_KEY), None, hidden=True
    )
    mask_addresses: Flag = setting(kinds.FLAG, True)
    query_parameters: Patterns = setting(web.NAME_PATTERNS, ("utm_*",))
    exception_messages: Flag = setting(kinds.FLAG, False)
    scrub: Scrub = setting(objects.CALLABLE, None, hashed=False)

    consent_required: Flag = setting(kinds.FLAG, False)
    consent: Hook = setting(objects.CALLABLE, None, hashed=False)
    cookieless: Converted[str, Literal["off", "until_consent", "always"]] = setting(kinds.COOKIELESS, "off")
    timezone: Converted[str, str] = setting(kinds.ZONE, "UTC")
    gpc: Converted[str, Signal] = setting(kinds.SIGNAL, "no_forward")
    dnt: Converted[str, Signal] = setting(kinds.SIGNAL, "ignore")
    principal: Hook = setting(objects.CALLABLE, None, hashed=False)

    page_views: Flag = setting(kinds.FLAG, True)
    beacon_path: Text = setting(web.URL_PATH, None)
    goals: Converted[Mapping[str, str] | str | Iterable[Goal] | None, tuple[Goal, ...]] = setting(measures.GOALS, ())
    funnels: Converted[Mapping[str, str | Iterable[str]] | str | Iterable[Funnel] | None, tuple[Funnel, ...]] = setting(
        measures.FUNNELS, ()
    )
    saved_views: Converted[Mapping[str, str] | str | Iterable[NamedQuery] | None, tuple[NamedQuery, ...]] = setting(
        measures.SAVED_VIEWS, ()
    )

    alerts: Converted[Mapping[str, float | str | timedelta] | str | Thresholds | None, Thresholds | None] = setting(
        watched.THRESHOLDS, None
    )
    alert_targets: Converted[str | Iterable[str] | None, tuple[str, ...]] = setting(watched.TARGETS, (), hidden=True)
    mail_server: Text = setting(kinds.TEXT, None, hidden=True)
    mail_from: Text = setting(kinds.TEXT, None)

    service_name: Text = setting(kinds.TEXT, None)
    service_version: Text = setting(kinds.TEXT, None)
    environment: Text = setting(kinds.TEXT, None)

    origins: Mapping[str, str] | None = dataclasses.field(init=False, repr=False, compare=False, default=None)
    """Which settings the environment or a mapping set: "environment" or "configuration" by name. `None`: built by keywords."""

    def __new__(cls, *_positional: object, **values: object) -> Self:
        """Name the nearest setting for a misspelt one, where Python would only refuse it."""
        names = {row.name for row in cls.fields()}
        for name in values.keys() - names:
            raise TypeError(str(unknown(name, names)))
        return object.__new__(cls)

    def __post_init__(self) -> None:
        table = {row.name: row for row in self.fields()}
        values = {name: getattr(self, name) for name in table}
        for name, row in table.items():
            object.__setattr__(self, name, row.parse(values[name]))
        if self.enabled and not self.secret_key:
            raise SettingsError(secrets.missing_text())
        for rule in RULES:
            if not rule.holds(self):
                raise table[rule.name].error(getattr(self, rule.name), rule.fix(self))
        if self.enabled:
            warn_of_minutes("idle_timeout", values["idle_timeout"], self.idle_timeout)
        if self.country_database is not None:
            object.__setattr__(self, "country_database", places.absolute(self.country_database, self.base_dir))
        for name, place in (("base_dir", self._base), ("store", self._store), ("journal_dir", self._journal)):
            try:
                object.__setattr__(self, name, place())
            except ValueError as error:
                raise table[name].error(values[name], str(error)) from None

    def _base(self) -> Path | None:
        return None if self.base_dir is None else places.absolute(self.base_dir, None)

    def _store(self) -> object:
        store = places.placed(self.store, self.base_dir)
        # Switched off, Sojourn must not keep an app from starting, even if the folder is gone.
        if self.enabled and (path := places.store_path(store)):
            places.check_writable(path, self.base_dir)
        return store

    def _journal(self) -> Path | None:
        if self.journal_dir is None:
            return None
        folder = places.absolute(self.journal_dir, self.base_dir)
        if self.enabled:
            places.check_folder(folder)
        return folder

    def __repr__(self) -> str:
        """Show what differs from the defaults, and no secret."""
        parts = [
            f"{row.name}={row.show(getattr(self, row.name))}"
            for row in self.fields()
            if getattr(self, row.name) not in (row.default, ())
        ]
        return f"Settings({', '.join(parts)})"

    @classmethod
    def fields(cls) -> tuple[Setting, ...]:
        """The table: every setting with its name in the environment, its default, and how it is read."""
        return tuple(
            Setting(field.name, field.default, field.metadata["kind"], is_hidden=not field.repr)
            for field in dataclasses.fields(cls)
            if field.init
        )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read every `SOJOURN_*` variable. A blank one counts as not set; docs/settings.md says what an unknown one does."""
        values = from_environ(environ, cls.fields())
        return cls._built(values, dict.fromkeys(values, ENVIRONMENT))

    @classmethod
    def from_mapping(
        cls,
        mapping: Mapping[str, object],
        *,
        base_dir: str | os.PathLike[str] | None = None,
        lenient_secret: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Read the `SOJOURN_*` keys of a mapping such as Flask's `app.config`; its values may be typed, or text.

        Without `SOJOURN_SECRET_KEY`, `SECRET_KEY` signs and `SECRET_KEY_FALLBACKS` (older keys) still verify.
        `base_dir` counts unless the mapping has one. `lenient_secret` lets short keys pass with a warning: for debug
        mode and tests. `environ` has the settings that the mapping leaves out.
        """
        own = arguments(mapping, cls.fields())
        others = {} if environ is None else from_environ(environ, cls.fields())
        values = {**others, **own}
        if values.get("base_dir") is None and base_dir is not None:
            own["base_dir"] = values["base_dir"] = base_dir
        if values.get("secret_key") is None and (keys := secrets.of_framework(mapping)) is not None:
            own["secret_key"] = values["secret_key"] = keys
        if lenient_secret:
            values["secret_key"] = secrets.leniently(values.get("secret_key"))
        built = cls._built(values, dict.fromkeys(others, ENVIRONMENT) | dict.fromkeys(own, CONFIGURATION))
        if built.enabled and built.has_short_key:
            warn(f"{secrets.short_text(built.secret_key)} It passes in debug mode and tests only.")
        return built

    @classmethod
    def _built(cls, values: Mapping[str, object], origins: Mapping[str, str]) -> Self:
        # The table has checked the names; types are judged when the object is built.
        make: Callable[..., Self] = cls
        built = make(**values)
        object.__setattr__(built, "origins", origins)
        return built

    @property
    def has_short_key(self) -> bool:
        """Whether a key is too short, and passes in the debug mode or the tests of a framework only."""
        return secrets.are_short(self.secret_key)

    @property
    def source(self) -> str:
        """The CloudEvents `source` of every event."""
        return f"/sojourn/{urllib.parse.quote(self.service_name, safe='')}" if self.service_name else "/sojourn"

    @property
    def zone(self) -> tzinfo:
        """The time zone that `timezone` names."""
        return kinds.zone_of(self.timezone)

    @property
    def store_path(self) -> Path | None:
        """The database file when the store is a SQLite URL, else `None`."""
        return places.store_path(self.store)

    @property
    def journal_folder(self) -> Path | None:
        """The directory of the journals: `journal_dir`, else one beside the store; `None`: journals are in memory."""
        return places.journal_place(self.store, os.environ) if self.journal_dir is None else self.journal_dir
