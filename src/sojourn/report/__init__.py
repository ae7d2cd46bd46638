"""The Sessions report: a page to look at what Sojourn recorded, mounted in an app or run beside it.

Closed by default. `report(engine, ...)` is an ASGI app, `report_wsgi(engine, ...)` a WSGI one; both also come as
`mount_report()` of `sojourn.starlette.Sojourn` and `sojourn.flask.Sojourn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sojourn.tracking.forwarded import Proxies

from ._access import Allow, mounted_access
from ._app import Report
from ._view import Source
from ._wsgi import WsgiReport

if TYPE_CHECKING:
    from sojourn.engine import Engine
    from sojourn.stores import Database
    from sojourn.wsgi import Framework

    from ._asgi import AsgiReport

__all__ = ["report", "report_wsgi"]


def report(
    engine: Engine, *, password: str | None = None, token: str | None = None, allow: Allow | None = None
) -> AsgiReport:
    """The report as an ASGI app to mount: `app.mount("/_sojourn", report(engine, password=...))`.

    One of the three says who may look: a `password` to log in with, a `token` for programs (`Authorization: Bearer`;
    it also logs in), or `allow`, the app's own check, plain or async, which gets the framework's request (a Starlette
    `Request`) and answers True or False. `SettingsError` without any.
    """
    from ._asgi import AsgiReport  # Starlette is for this side alone

    return AsgiReport(_core(engine, password, token, allow), Proxies(engine.settings.trusted_proxies))


def report_wsgi(
    engine: Engine,
    *,
    password: str | None = None,
    token: str | None = None,
    allow: Allow | None = None,
    framework: Framework | None = None,
) -> WsgiReport:
    """The same as a WSGI app. `allow` gets the environ, or what `framework` makes of it."""
    return WsgiReport(_core(engine, password, token, allow), Proxies(engine.settings.trusted_proxies), framework)


def _core(engine: Engine, password: str | None, token: str | None, allow: Allow | None) -> Report:
    settings = engine.settings
    access = mounted_access(settings.secret_key, password=password, token=token, allow=allow)
    return Report(source_of(engine), access)


def source_of(engine: Engine) -> Source:
    """What the report reads of an engine: its store, opened when a page needs it."""

    def store() -> Database:
        # All that is read; the engine itself needs less of a store than that.
        found = cast("Database", engine.store)
        found.open()
        return found

    settings = engine.settings
    return Source(
        store=store,
        now=engine.tracker.now,
        journals=settings.journal_folder,
        service=settings.service_name,
        is_enabled=settings.enabled,
    )
