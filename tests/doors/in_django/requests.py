"""Run by `manage.py test` in a project of its own: Django's handlers, its test clients, and a live server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from django.http import FileResponse, HttpResponse, StreamingHttpResponse  # type: ignore[import-untyped]
from django.test import (  # type: ignore[import-untyped]
    AsyncClient,
    Client,
    LiveServerTestCase,
    RequestFactory,
    TestCase,
    override_settings,
)
from django.urls import path  # type: ignore[import-untyped]

from sojourn import Settings, capture_exception, opt_out, set_session_property, track
from sojourn.django import SojournMiddleware, get_engine, set_engine
from sojourn.engine import Engine
from sojourn.testing import ManualClock, MemoryBackend

HEADERS = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
FILE = Path(tempfile.mkdtemp()) / "seeds.txt"
FILE.write_bytes(b"basil, tomato")


def page(_request: Any) -> Any:
    track("sync view")
    return HttpResponse("page")


async def async_page(_request: Any) -> Any:
    await asyncio.sleep(0)
    track("async view")
    return HttpResponse("page")


def stream(_request: Any) -> Any:
    def pieces() -> Iterator[str]:
        for number in range(3):
            track(f"piece {number}")
            yield str(number)

    return StreamingHttpResponse(pieces())


async def async_stream(_request: Any) -> Any:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            await asyncio.sleep(0)
            track(f"piece {number}")
            yield str(number)

    return StreamingHttpResponse(pieces())


def fails_in_stream(_request: Any) -> Any:
    def pieces() -> Iterator[str]:
        yield "a"
        raise RuntimeError

    return StreamingHttpResponse(pieces())


def leaves(_request: Any) -> Any:
    opt_out()
    return HttpResponse("out")


def handles(_request: Any) -> Any:
    try:
        raise LookupError
    except LookupError as error:
        capture_exception(error)
    set_session_property("shelf", "empty")
    return HttpResponse("handled")


def fails(_request: Any) -> Any:
    raise RuntimeError


urlpatterns = [
    path("page/", page),
    path("async/", async_page),
    path("stream/", stream),
    path("async-stream/", async_stream),
    path("fails-in-stream/", fails_in_stream),
    path("file/", lambda _request: FileResponse(FILE.open("rb"))),
    path("out/", leaves),
    path("handles/", handles),
    path("fails/", fails),
]


class Case:
    """An engine whose clock the test moves, and what it forwarded."""

    def setUp(self) -> None:
        self.backend = MemoryBackend()
        settings = Settings(
            secret_key="a key that only these tests use",
            store="memory:",
            backends=[self.backend],
        )
        self.engine = Engine(settings, clock=ManualClock())
        set_engine(self.engine)

    def tearDown(self) -> None:
        set_engine(None)
        self.engine.close()

    def names(self) -> list[str]:
        self.engine.flush()
        return [event.name for event in self.backend.events]


@override_settings(ROOT_URLCONF="shop.tests")
class ClientTests(Case, TestCase):  # type: ignore[misc]
    def test_a_visit_of_the_test_client_is_one_session(self) -> None:
        client = Client(headers=HEADERS)
        first = client.get("/page/")
        assert client.get("/async/").status_code == 200
        assert self.names() == ["session.start", "sync view", "page_view", "async view", "page_view"]
        assert first.cookies["sojourn"]["httponly"]
        assert (first.headers["Cache-Control"], first.headers.get("Vary")) == ("private", None)

    async def test_a_visit_of_the_async_test_client_is_one_session(self) -> None:
        client = AsyncClient()
        for address in ("/page/", "/async/"):
            assert (await client.get(address, headers=HEADERS)).status_code == 200
        assert self.names() == ["session.start", "sync view", "page_view", "async view", "page_view"]

    def test_pieces_of_a_stream_belong_to_the_visit(self) -> None:
        assert Client().get("/stream/", headers=HEADERS).getvalue() == b"012"
        assert self.names() == ["session.start", "page_view", "piece 0", "piece 1", "piece 2"]

    async def test_pieces_of_an_async_stream_belong_to_the_visit(self) -> None:
        response = await AsyncClient().get("/async-stream/", headers=HEADERS)
        assert b"".join([piece async for piece in response]) == b"012"
        assert self.names() == ["session.start", "page_view", "piece 0", "piece 1", "piece 2"]

    def test_an_error_in_a_stream_is_recorded(self) -> None:
        response = Client().get("/fails-in-stream/", headers=HEADERS)
        with pytest.raises(RuntimeError):
            response.getvalue()
        assert self.names() == ["session.start", "page_view", "exception"]

    def test_a_file_is_left_as_it_is(self) -> None:
        request = RequestFactory().get("/file/")
        response = SojournMiddleware(lambda _request: FileResponse(FILE.open("rb")))(request)
        assert response.file_to_stream is not None
        assert b"".join(response) == b"basil, tomato"
        response.close()

    def test_errors_are_recorded_once_whether_the_client_raises_them_or_not(self) -> None:
        with pytest.raises(RuntimeError):
            Client(headers=HEADERS).get("/fails/")
        client = Client(headers=HEADERS, raise_request_exception=False)
        assert client.get("/fails/").status_code == 500
        with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True), pytest.raises(RuntimeError):
            client.get("/fails/")
        assert self.names().count("exception") == 3
        assert client.get("/handles/").status_code == 200
        assert self.names().count("exception") == 4

    def test_an_opt_out_is_remembered(self) -> None:
        client = Client(headers=HEADERS)
        client.get("/page/")
        before = self.names()
        client.get("/out/")
        client.get("/page/")
        assert "page_view" not in self.names()[len(before) :]
        assert "opt_out" in self.names()

    def test_a_proxy_that_django_trusts_makes_a_request_secure(self) -> None:
        with override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https")):
            response = Client(headers={**HEADERS, "x-forwarded-proto": "https"}).get("/page/")
        assert "__Host-sojourn" in response.cookies

    def test_a_request_that_no_server_made_passes(self) -> None:
        from django.http import HttpRequest

        assert SojournMiddleware(lambda _request: HttpResponse("as it was"))(HttpRequest()).content == b"as it was"


@override_settings(ROOT_URLCONF="shop.tests")
class LiveTests(Case, LiveServerTestCase):  # type: ignore[misc]
    def test_a_live_server_records(self) -> None:
        with urlopen(f"{self.live_server_url}/page/") as response:
            assert response.headers["Set-Cookie"].startswith("sojourn=")
        assert self.names() == ["session.start", "sync view", "page_view"]


@override_settings(ROOT_URLCONF="shop.tests")
class EngineTests(TestCase):  # type: ignore[misc]
    def test_the_cookies_line_is_sent_as_it_was_written(self) -> None:
        ours = {"cookie_samesite": "none", "cookie_partitioned": True, "cookie_secure": True}
        with override_settings(SOJOURN=ours):
            (cookie,) = Client().get("/page/", headers=HEADERS, secure=True).cookies.values()
        assert {"Partitioned", "Secure", "HttpOnly", "SameSite=None"} <= set(cookie.OutputString().split("; "))
        assert cookie.key == "__Host-sojourn"

    def test_the_engine_follows_the_settings(self) -> None:
        before = get_engine()
        with override_settings(SOJOURN={"idle_timeout": "5m"}):
            assert get_engine().settings.idle_timeout.total_seconds() == 300
            assert get_engine().settings.store == "memory:"
        assert get_engine() is not before
        assert get_engine().settings.idle_timeout.total_seconds() == 1800
