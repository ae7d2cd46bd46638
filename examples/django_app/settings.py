"""The settings of the seed shop. Sojourn's own come from SOJOURN_* alone: the README.md beside it says how."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

BASE_DIR = Path(__file__).parent
# The log-in's own cookie, apart from Sojourn's; the same key serves both, each signs with a salt of its own.
SECRET_KEY = os.environ.get("SOJOURN_SECRET_KEY") or secrets.token_urlsafe()
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "examples.django_app.urls"
INSTALLED_APPS = ["sojourn.django"]  # `python -m examples.django_app sojourn report`
MIDDLEWARE = [
    "sojourn.django.SojournMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"  # the shop has no database of its own
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
USE_TZ = True
