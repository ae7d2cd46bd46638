"""The settings of Django's own tests, with our middleware before whatever a test puts into `MIDDLEWARE`."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings  # type: ignore[import-untyped]
from django.core.handlers import base  # type: ignore[import-untyped]

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}, "other": {"ENGINE": "django.db.backends.sqlite3"}}
SECRET_KEY = "a key that only these tests use"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
SOJOURN = {"secret_key": SECRET_KEY}  # some tests take the project's key away

OURS: Final = "sojourn.django.SojournMiddleware"


class WithSojourn:
    """The settings as Django's handlers see them."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(settings, name)
        return [OURS, *value] if name == "MIDDLEWARE" else value


base.settings = WithSojourn()
