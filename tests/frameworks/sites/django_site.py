"""The site of these tests in Django: its settings, its URLs, and an app that the in-process tests call."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings  # type: ignore[import-untyped]
from django.test import override_settings  # type: ignore[import-untyped]

from sojourn import Engine

TOKEN = "a token that only these tests use"

SECRET_KEY = "a key that only these tests use, and longer than Django asks for"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.frameworks.sites.django_urls"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
LOGGING_CONFIG = None
USE_TZ = True
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("SITE_DATABASE", ":memory:")},
}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "sojourn.django",
]
STATIC_URL = "static/"
MIGRATION_MODULES = {"auth": None, "contenttypes": None, "sessions": None}
MIDDLEWARE = [
    "sojourn.django.SojournMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
_OWN = {name: value for name, value in globals().items() if name.isupper() and name not in {"TOKEN", "DATABASES"}}


class Site:
    """The project as one WSGI app. Its settings hold while it is called, since other tests have settings of their own."""

    def __init__(self, engine: Engine) -> None:
        import django  # type: ignore[import-untyped]

        if not settings.configured:
            settings.configure(SECRET_KEY=SECRET_KEY, LOGGING_CONFIG=None)
        settings.DATABASES = DATABASES
        django.setup()
        self.engine = engine

    def __call__(self, environ: Any, start_response: Any) -> Any:
        from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]

        with self.active():
            return list(get_wsgi_application()(environ, start_response))

    def active(self) -> Any:
        return _Active(self.engine)


class _Active:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._settings = override_settings(**_OWN)

    def __enter__(self) -> None:
        from django.core.management import call_command  # type: ignore[import-untyped]

        from sojourn.django import set_engine

        self._settings.enable()
        set_engine(self._engine)
        call_command("migrate", run_syncdb=True, verbosity=0)

    def __exit__(self, *_error: object) -> None:
        from django.db import connections  # type: ignore[import-untyped]

        from sojourn.django import set_engine

        database = connections["default"]
        if database.connection is not None:  # Django itself never closes one in memory
            database.connection.close()
            database.connection = None
        set_engine(None)
        self._settings.disable()


def make(engine: Engine) -> Site:
    return Site(engine)
