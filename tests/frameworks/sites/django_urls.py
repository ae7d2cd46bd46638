"""The URLs and views of the site of these tests in Django."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model, login  # type: ignore[import-untyped]
from django.http import HttpResponse  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

from sojourn.django import mount_report

from .django_site import TOKEN


def home(_request: Any, number: int = 0) -> Any:
    return HttpResponse(f"<h1>{number}</h1>")


def log_in(request: Any) -> Any:
    account, _ = get_user_model().objects.get_or_create(pk=7, username="ada-7")
    login(request, account, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse("<h1>Ada</h1>")


def fails(_request: Any) -> Any:
    raise ZeroDivisionError


urlpatterns = [
    path("", home),
    path("items/<int:number>", home),
    path("login", log_in),
    path("fails", fails),
    mount_report("/_sojourn", token=TOKEN),
]
