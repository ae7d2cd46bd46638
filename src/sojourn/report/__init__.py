"""The Sessions report: a web page that shows what Sojourn recorded, mounted in an app or run beside it.

Closed by default. `report(engine, ...)` is an ASGI app, `report_wsgi(engine, ...)` a WSGI one; both also come as
`mount_report()` of `sojourn.starlette.Sojourn` and `sojourn.flask.Sojourn`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sojourn.core.alerts import Thresholds
from sojourn.pipeline.shared_table import digest_of
from sojourn.tracking.forwarded import Proxies

from . import _saved_views
from ._access import Allow, mounted_access
from ._app import Report
from ._badge import Badge
from ._moments import Moments
from ._revocations import MemoryRevocations, StoreRevocations
from ._view import Source
from ._wsgi import WsgiReport
from .tokens import lookup

if TYPE_CHECKING:
    from sojourn.engine import Engine
    from sojourn.stores import Store
    from sojourn.tracking.frameworks import Framework

    from ._asgi import AsgiReport

__all__ = ["report", "report_wsgi"]


def report(
    engine: Engine, *, password: str | None = None, token: str | None = None, allow: Allow | None = None
) -> AsgiReport:
    """Make the report an ASGI app to mount: `app.mount("/_sojourn", report(engine, password=...))`.

    Set who may look: a `password` for the log-in form; a `token` for programs (`Authorization: Bearer`; the form takes
    it too); or `allow`, your own check, sync or async, which gets the framework's request (a Starlette `Request`) and
    returns a bool. Raises `SettingsError` without any of them.
    """
    from ._asgi import AsgiReport  # only the ASGI side imports Starlette

    return AsgiReport(_core(engine, password, token, allow), Proxies(engine.settings.trusted_proxies))


def report_wsgi(
    engine: Engine,
    *,
    password: str | None = None,
    token: str | None = None,
    allow: Allow | None = None,
    framework: Framework | None = None,
) -> WsgiReport:
    """Make the report a WSGI app. `allow` gets the environ, or the request that `framework` makes of it."""
    return WsgiReport(_core(engine, password, token, allow), Proxies(engine.settings.trusted_proxies), framework)


def _core(engine: Engine, password: str | None, token: str | None, allow: Allow | None) -> Report:
    settings, source = engine.settings, replace(source_of(engine), own_traffic=engine.own_traffic)
    _saved_views.check(settings.saved_views, Moments(engine.clock.now()))
    access = mounted_access(
        settings.secret_key,
        password=password,
        token=token,
        allow=allow,
        revocations=StoreRevocations(source.store) if source.is_enabled else MemoryRevocations(),
        named=lookup(source.store) if source.is_enabled else None,
        moments=lambda name: engine.shared.entry(digest_of("attempts", name)),
    )
    return Report(source, access)


def source_of(engine: Engine) -> Source:
    """The engine's store, clock and settings, for the report. The store is opened when a page first needs it."""

    def store() -> Store:
        engine.store.open()
        return engine.store

    settings = engine.settings
    return Source(
        store=store,
        now=engine.clock.now,
        journals=settings.journal_folder,
        service=settings.service_name,
        is_enabled=settings.enabled,
        goals=settings.goals,
        funnels=settings.funnels,
        saved_views=settings.saved_views,
        badge=Badge(is_inline=engine.clock.is_manual or settings.store == "memory:"),
        alerts=settings.alerts or Thresholds(),
    )
