"""The report for staff users: `path("_sojourn/", include("sojourn.django.urls"))`."""

from __future__ import annotations

from django.urls import re_path  # type: ignore[import-untyped]

from .report import report_view

app_name = "sojourn"
urlpatterns = [re_path(r"^(?P<path>.*)$", report_view(), name="report")]
