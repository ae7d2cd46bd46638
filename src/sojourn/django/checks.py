"""System checks of a project: its settings, and the place of the middleware. Each names the fix."""

from __future__ import annotations

import warnings
from typing import Any, Final

from django.conf import settings as project  # type: ignore[import-untyped]
from django.core.checks import Error, Warning  # type: ignore[import-untyped]  # noqa: A004 - Django's name

from sojourn.errors import SettingsError

from ._project import read_settings

MIDDLEWARE: Final = "sojourn.django.SojournMiddleware"
_MIDDLEWARES: Final = frozenset({MIDDLEWARE, "sojourn.django.middleware.SojournMiddleware"})


def check_project(app_configs: Any = None, **_options: Any) -> list[Any]:
    """Check that the project's settings can be used, and that the middleware is in `MIDDLEWARE`, once and first."""
    return [*_settings(), *_middleware(list(project.MIDDLEWARE or ()))]


def _settings() -> list[Any]:
    try:
        with warnings.catch_warnings(action="ignore"):  # of a short key: W001
            settings = read_settings()
    except SettingsError as error:
        return [Error(f"Sojourn's settings are invalid: {error}", id="sojourn.E001")]
    if not settings.has_short_key:
        return []
    hint = "Make SECRET_KEY longer, or give Sojourn a key of its own: `manage.py sojourn secret` prints one."
    return [
        Warning("The key that signs Sojourn's cookie is too short for DEBUG = False.", hint=hint, id="sojourn.W001")
    ]


def _middleware(entries: list[str]) -> list[Any]:
    found: list[Any] = []
    for entry in entries:
        if entry.startswith("sojourn.") and entry not in _MIDDLEWARES:
            message = f"MIDDLEWARE has {entry!r}, which is no middleware of Django."
            found.append(Error(message, hint=f"Replace it by {MIDDLEWARE!r}, as the first entry.", id="sojourn.E002"))
    places = [place for place, entry in enumerate(entries) if entry in _MIDDLEWARES]
    if not places and not found:
        hint = f"Add {MIDDLEWARE!r} as the first entry. A door around the project in wsgi.py or asgi.py needs it too."
        found.append(Warning("MIDDLEWARE lacks Sojourn, so nothing is recorded.", hint=hint, id="sojourn.W002"))
    if len(places) > 1:
        found.append(Error("MIDDLEWARE has Sojourn more than once.", hint="Keep the first entry.", id="sojourn.E003"))
    if places and places[0] > 0:
        message = f"In MIDDLEWARE {', '.join(map(repr, entries[: places[0]]))} stands before Sojourn."
        hint = (
            f"Move {MIDDLEWARE!r} to the first place: Sojourn does not see the responses of what stands before it, and a "
            "cache there would store a visitor's cookie."
        )
        found.append(Warning(message, hint=hint, id="sojourn.W003"))
    return found
