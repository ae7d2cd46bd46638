"""Run by `manage.py test` in a project of its own: Django REST framework's views name their user."""

from __future__ import annotations

import importlib
import unittest
from importlib.util import find_spec
from typing import Any

from django.contrib.auth import get_user_model  # type: ignore[import-untyped]
from django.http import HttpResponse  # type: ignore[import-untyped]
from django.test import Client, TestCase, override_settings  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

from sojourn import Settings
from sojourn.django import set_engine
from sojourn.engine import Engine
from sojourn.testing import ManualClock, MemoryBackend

HEADERS = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "accept": "text/html",
}
HAS_REST = find_spec("rest_framework") is not None
urlpatterns: list[Any] = []


@unittest.skipUnless(HAS_REST, "`pip install djangorestframework` runs this")
@override_settings(ROOT_URLCONF="shop.tests")
class RestTests(TestCase):  # type: ignore[misc]
    def setUp(self) -> None:
        self.backend = MemoryBackend()
        settings = Settings(secret_key="a key that only these tests use", store="memory:", backends=[self.backend])
        self.engine = Engine(settings, clock=ManualClock())
        set_engine(self.engine)
        user = get_user_model().objects.create_user("ada")
        decorators = importlib.import_module("rest_framework.decorators")
        authentication = importlib.import_module("rest_framework.authentication")

        class ByHeader(authentication.BaseAuthentication):  # type: ignore[misc,name-defined]
            def authenticate(self, request: Any) -> Any:
                return (user, None) if request.headers.get("authorization") else None

        def view(request: Any, number: int) -> Any:
            if request.GET.get("fail"):
                raise RuntimeError
            return HttpResponse(f"<h1>{number}, {request.user}</h1>")

        authenticated = decorators.authentication_classes([ByHeader])
        open_to_all = decorators.permission_classes([])
        urlpatterns[:] = [path("api/<int:number>/", decorators.api_view(["GET"])(authenticated(open_to_all(view))))]
        importlib.import_module("django.urls").clear_url_caches()

    def tearDown(self) -> None:
        set_engine(None)
        self.engine.close()

    def test_the_user_that_rest_framework_authenticated_is_named(self) -> None:
        client = Client(headers=HEADERS, raise_request_exception=False)
        for headers in ({}, {"authorization": "x"}):
            assert client.get("/api/7/", headers=headers).status_code == 200
        assert client.get("/api/7/?fail=1").status_code == 500
        self.engine.flush()
        views = self.backend.named("page_view")
        assert [event.user_id for event in views][:2] == [None, str(get_user_model().objects.get().pk)]
        assert views[0].attributes["http.route"] == "/api/<int:number>/"
        assert len(self.backend.named("exception")) == 1
