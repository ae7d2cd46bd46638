"""Sojourn for Django: a middleware, settings in `settings.py`, system checks, `manage.py sojourn`, and the report.

MIDDLEWARE = ["sojourn.django.SojournMiddleware", ...]
INSTALLED_APPS = [..., "sojourn.django"]
"""

from __future__ import annotations

try:
    import django as _django  # type: ignore[import-untyped]  # noqa: F401 - absolute: the framework
except ImportError as missing:  # pragma: no cover - the message is tested in a bare environment
    from sojourn.errors import MissingExtraError

    raise MissingExtraError("sojourn.django needs Django: pip install sojourn[django]") from missing

from typing import TYPE_CHECKING, Any

from sojourn.tracking.wrong_doors import guessed

from ._project import get_engine, set_engine
from .middleware import SojournMiddleware

__all__ = ["SojournMiddleware", "get_engine", "mount_report", "set_engine"]
if not TYPE_CHECKING:
    __getattr__ = guessed(__name__, 'put "sojourn.django.SojournMiddleware" into MIDDLEWARE, as its first entry')


def mount_report(path: str = "/_sojourn", **access: Any) -> Any:
    """The URL pattern of the report at `path`, for `urlpatterns`. Without `password`, `token` or `allow`: staff users."""
    from .report import mount_report  # loads templates: only where the report is used

    return mount_report(path, **access)
