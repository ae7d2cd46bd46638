"""Run by `manage.py test` in a project of its own (see test_django_project.py): the report in a Django project."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import get_user_model  # type: ignore[import-untyped]
from django.http import HttpResponse  # type: ignore[import-untyped]
from django.test import Client, TestCase, override_settings  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]
from shop.urls import urlpatterns as of_the_shop  # type: ignore[import-not-found]

from sojourn.django import get_engine, mount_report

HEADERS = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}


async def by_header(request: Any) -> bool:
    return bool(request.headers.get("x-who") == "admin")


urlpatterns = [
    *of_the_shop,
    mount_report("/by-password", password="a password of the report"),
    mount_report("by-token/", token="a token for programs"),
    mount_report("/by-allow", allow=by_header),
    path("", lambda _request: HttpResponse("home")),
]


@override_settings(ROOT_URLCONF="shop.tests")
class ReportTests(TestCase):  # type: ignore[misc]
    def setUp(self) -> None:
        self.client = Client(headers=HEADERS)
        self.staff = get_user_model().objects.create_user("ada", is_staff=True)

    def test_staff_see_it_and_others_are_asked_to_log_in(self) -> None:
        response = self.client.get("/_sojourn/sessions?range=7d")
        self.assertRedirects(
            response, "/admin/login/?next=/_sojourn/sessions%3Frange%3D7d", fetch_redirect_response=False
        )
        self.client.force_login(get_user_model().objects.create_user("bob"))
        assert self.client.get("/_sojourn/").status_code == 302
        assert self.client.get("/_sojourn/live/sessions").status_code == 401
        self.client.force_login(self.staff)
        response = self.client.get("/_sojourn/")
        self.assertContains(response, "Sojourn")
        self.assertContains(response, 'href="/_sojourn/sessions')
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert self.client.get("/_sojourn/nowhere").status_code == 404
        assert self.client.get("/_sojourn").headers["Location"] == "/_sojourn/"

    def test_a_visit_is_shown_and_exported_and_its_reader_is_not_tracked(self) -> None:
        visitor = Client(headers=HEADERS)
        visitor.get("/buy/basil/")
        self.client.force_login(self.staff)
        get_engine().flush()
        self.assertContains(self.client.get("/_sojourn/sessions"), "/buy/basil/")
        assert b"/buy/basil/" in self.client.get("/_sojourn/sessions.csv").getvalue()
        assert "sojourn" not in self.client.cookies

    async def test_an_export_is_streamed_in_pieces_under_asgi(self) -> None:
        await self.async_client.get("/buy/basil/", headers=HEADERS)
        response = await self.async_client.get(
            "/by-token/sessions.csv", headers={"authorization": "Bearer a token for programs"}
        )
        assert response.is_async
        assert b"session_id" in b"".join([piece async for piece in response])

    def test_a_password_opens_it_without_the_projects_users(self) -> None:
        client = Client(headers=HEADERS, enforce_csrf_checks=True)
        assert client.get("/by-password").status_code == 303
        page = client.get("/by-password/login")
        token = page.content.decode().split('name="csrf" value="')[1].split('"')[0]

        def log_in(password: str) -> Any:
            form = urlencode({"csrf": token, "password": password})
            return client.post("/by-password/login", form, content_type="application/x-www-form-urlencoded")

        assert log_in("another").status_code == 403
        opened = log_in("a password of the report")
        assert (opened.status_code, opened.headers["Location"]) == (303, "/by-password/")
        self.assertContains(client.get("/by-password/"), "Sojourn")

    def test_an_own_check_may_be_async(self) -> None:
        assert self.client.get("/by-allow").status_code == 403
        self.assertContains(self.client.get("/by-allow", headers={"x-who": "admin"}), "Sojourn")
