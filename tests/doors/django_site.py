"""A Django site, run as a process of its own: Django's settings are global. Prints JSON.

`asgi`, `wsgi`: behind that door, with the middleware inside; `django-asgi`, `django-wsgi`: with the middleware alone.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from typing import Any

import httpx
from django.conf import settings  # type: ignore[import-untyped]

protocol, database = sys.argv[1:3]
settings.configure(
    SECRET_KEY="a key that only these tests use, and longer than Django asks for",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    LOGGING_CONFIG=None,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIGRATION_MODULES={"auth": None, "contenttypes": None, "sessions": None},
    MIDDLEWARE=[
        "sojourn.django.SojournMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
)

import django  # type: ignore[import-untyped]  # noqa: E402

django.setup()

from django.contrib.auth import get_user_model, login, logout  # type: ignore[import-untyped]  # noqa: E402
from django.core.management import call_command  # type: ignore[import-untyped]  # noqa: E402
from django.db.backends.utils import CursorWrapper  # type: ignore[import-untyped]  # noqa: E402
from django.http import Http404, HttpResponse  # type: ignore[import-untyped]  # noqa: E402
from django.urls import path, re_path  # type: ignore[import-untyped]  # noqa: E402

from sojourn import Settings  # noqa: E402
from sojourn.asgi import SojournMiddleware as AsgiDoor  # noqa: E402
from sojourn.django import set_engine  # noqa: E402
from sojourn.engine import Engine  # noqa: E402
from sojourn.testing import ManualClock, MemoryBackend  # noqa: E402
from sojourn.wsgi import SojournMiddleware as WsgiDoor  # noqa: E402

call_command("migrate", run_syncdb=True, verbosity=0)
for name in ("ada", "bob"):
    get_user_model().objects.create_user(name)


def signs_in(name: str) -> Any:
    def view(request: Any) -> Any:
        assert not request.user.is_authenticated or name == "bob"  # a read of the user before the login
        user = get_user_model().objects.get(username=name)
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return HttpResponse("in")

    return view


def signs_out(request: Any) -> Any:
    logout(request)
    return HttpResponse("out")


def looks(request: Any) -> Any:
    return HttpResponse(request.user.username)


async def looks_async(request: Any) -> Any:
    return HttpResponse((await request.auser()).username)


def fails(_request: Any) -> Any:
    msg = "of the view"
    raise RuntimeError(msg)


def misses(_request: Any) -> Any:
    raise Http404


urlpatterns = [
    path("ada", signs_in("ada")),
    path("bob", signs_in("bob")),
    path("out", signs_out),
    path("plain", lambda _request: HttpResponse("plain")),
    path("looks", looks),
    path("looks-async", looks_async),
    path("fails", fails),
    path("misses", misses),
    path("items/<int:number>/", lambda _request, number: HttpResponse(str(number))),
    re_path(r"^old/(?P<slug>[a-z]+)/$", lambda _request, slug: HttpResponse(slug)),
]

queries = 0
executed = CursorWrapper.execute


def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
    global queries  # noqa: PLW0603 - Django runs them in threads of its own
    queries += 1
    return executed(self, *args, **kwargs)


CursorWrapper.execute = execute

backend = MemoryBackend()
engine = Engine(
    Settings(secret_key="a key that only these tests use", store="memory:", backends=[backend]), clock=ManualClock()
)
set_engine(engine)


async def ask_asgi(app: Any, pages: list[str]) -> list[httpx.Response]:
    responses: list[httpx.Response] = []
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://site.test") as client:
        for page in pages:
            responses.append(await client.get(page))
            responses[-1].extensions["queries"] = queries
    return responses


def ask_wsgi(app: Any, pages: list[str]) -> list[httpx.Response]:
    responses: list[httpx.Response] = []
    transport = httpx.WSGITransport(app, raise_app_exceptions=False)
    with httpx.Client(transport=transport, base_url="http://site.test") as client:
        for page in pages:
            responses.append(client.get(page))
            responses[-1].extensions["queries"] = queries
    return responses


def open_pages(pages: list[str]) -> list[httpx.Response]:
    if protocol.endswith("asgi"):
        from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]

        project = get_asgi_application()
        return asyncio.run(ask_asgi(AsgiDoor(project, engine=engine) if protocol == "asgi" else project, pages))
    from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]

    project = get_wsgi_application()
    return ask_wsgi(WsgiDoor(project, engine=engine) if protocol == "wsgi" else project, pages)


responses = open_pages(sys.argv[3:])
engine.flush()
counts = [0, *(response.extensions["queries"] for response in responses)]
sys.stdout.write(
    json.dumps(
        {
            "queries": [after - before for before, after in itertools.pairwise(counts)],
            "vary": [response.headers.get("vary") for response in responses],
            "status": [response.status_code for response in responses],
            "events": [[event.name, event.user_id] for event in backend.events],
            "errors": [event.attributes["exception.type"] for event in backend.named("exception")],
            "names": [event.attributes.get("user.name") for event in backend.named("user.identify")],
            "routes": [event.attributes.get("http.route") for event in backend.named("page_view")],
            "ignored": engine.guard.counters(),
        }
    )
)
