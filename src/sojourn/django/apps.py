"""`INSTALLED_APPS += ["sojourn.django"]`: the system checks and `manage.py sojourn`. It has no models."""

from __future__ import annotations

from django.apps import AppConfig  # type: ignore[import-untyped]
from django.core.checks import register  # type: ignore[import-untyped]

from .checks import check_project


class SojournConfig(AppConfig):  # type: ignore[misc]
    """Sojourn as an app of a Django project."""

    name = "sojourn.django"
    label = "sojourn"
    verbose_name = "Sojourn"

    def ready(self) -> None:
        register(check_project, "sojourn")
