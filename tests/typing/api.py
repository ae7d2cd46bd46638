"""The public API as users write it, for the type checker: mypy reads this file and nothing runs it.

`assert_type` holds what comes back. A wrong use stands under an ignore that names its error: if the API came to accept
it, the ignore would be unused, and mypy (`warn_unused_ignores`) would fail.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any, Literal, assert_type

import flask
from starlette.applications import Starlette

import sojourn.asgi
import sojourn.flask
import sojourn.starlette
import sojourn.wsgi
from sojourn import (
    UNKNOWN,
    Engine,
    Event,
    NoActiveRequest,
    Property,
    Settings,
    SojournError,
    User,
    capture_exception,
    carry,
    current_session,
    end_session,
    gpc_support,
    heartbeat,
    identify,
    opt_in,
    opt_out,
    set_session_properties,
    set_session_property,
    start_session,
    track,
    track_async,
)
from sojourn.backends import Backend, Receipt, Rejection, WebhookBackend, backend_from_url
from sojourn.testing import ManualClock, MemoryBackend, fake_visit

# --- settings take what is handy, and give back one type


def scrub(event: Event) -> Event | None:
    return None if event.name == "log" else event


def principal(request: Any) -> User | None:
    return User(request.state.account.id, name="Anna", traits={"plan": "team"})


settings = Settings(
    secret_key=["an older key, of 16 bytes", "the newest key signs"],
    idle_timeout="30m",
    max_duration=None,
    heartbeat_interval=timedelta(seconds=60),
    store="sqlite:///shop.db",
    backends=[MemoryBackend(), "console:"],
    session_starts="any",
    trusted_proxies="10.0.0.0/8, 192.168.0.0/16",
    session_properties={"cart_value": Property(float, keep="first")},
    scrub=scrub,
    principal=principal,
)
assert_type(settings.idle_timeout, timedelta)
assert_type(settings.max_duration, timedelta | None)
assert_type(settings.session_starts, Literal["navigation", "any"])
assert_type(settings.exclude, tuple[str, ...])
assert_type(settings.scrub, Callable[[Event], Event | None] | None)
assert_type(settings.session_properties, Mapping[str, Property] | None)
assert_type(settings.store_path, Path | None)
assert_type(Settings.from_env(), Settings)
assert_type(Settings.from_mapping({"SOJOURN_IDLE_TIMEOUT": 60}, base_dir=Path()), Settings)

Settings("a key by position")  # type: ignore[call-arg]
Settings(secret_key="...", idle_timout="30m")  # type: ignore[call-arg]
Settings(secret_key="...", idle_timeout=None)  # type: ignore[arg-type]
Settings(secret_key="...", scrub=len)  # type: ignore[arg-type]
settings.idle_timeout = "60m"  # type: ignore[misc]
Property(list)  # type: ignore[arg-type]
Property(str, keep="newest")  # type: ignore[arg-type]

assert_type(gpc_support(date(2026, 1, 31)), dict[str, bool | str])

# --- the doors


def asgi_doors(app: sojourn.asgi.ASGIApp, site: Starlette) -> None:
    assert_type(sojourn.asgi.SojournMiddleware(app), sojourn.asgi.SojournMiddleware)
    assert_type(sojourn.asgi.SojournMiddleware(app, settings).engine, Engine)
    site.add_middleware(sojourn.asgi.SojournMiddleware, settings=settings)
    door = sojourn.starlette.Sojourn(site, settings)
    assert_type(door.engine, Engine)
    door.mount_report("/_sojourn", password="...")

    sojourn.starlette.Sojourn(flask.Flask("shop"))  # type: ignore[arg-type]
    sojourn.starlette.Sojourn(site, "a key")  # type: ignore[arg-type]
    door.mount_report("/_sojourn", "a password by position")  # type: ignore[call-arg]


def wsgi_doors(app: sojourn.wsgi.WSGIApp, site: flask.Flask, engine: Engine) -> None:
    assert_type(sojourn.wsgi.SojournMiddleware(app, engine=engine), sojourn.wsgi.SojournMiddleware)
    extension = sojourn.flask.Sojourn()
    extension.init_app(site)
    assert_type(extension.engine, Engine)
    extension.mount_report(app=site, allow=lambda request: request.remote_user == "ops")

    sojourn.flask.Sojourn(app)  # type: ignore[arg-type]
    extension.mount_report(site)  # type: ignore[arg-type]


# --- the helpers, inside a request


def view(error: ValueError) -> None:
    identify("7")
    identify(7, "Anna", traits={"plan": "team", "seats": 3})
    identify(uuid.uuid4())
    identify(None)
    track("cart.add", {"sku": "A-17", "price": 9.5, "gift": True})
    set_session_property("plan", "team")
    set_session_properties({"plan": "team", "seats": 3})
    capture_exception(error)
    heartbeat()
    start_session(1234567890)
    start_session("a-chosen-id")
    end_session()
    opt_out()
    opt_in()
    session = current_session()
    if session is not None:
        assert_type(session.id, str)
        assert_type(session.started_at, int)
        assert_type(session.is_new, bool)
        assert_type(session.user_id, str | None)
        session.user_id = "8"  # type: ignore[misc]

    print(current_session().id)  # type: ignore[union-attr]
    identify()  # type: ignore[call-arg]
    identify(b"7")  # type: ignore[arg-type]
    identify("7", {"plan": "team"})  # type: ignore[arg-type]
    track("cart.add", {"items": ["A-17"]})  # type: ignore[dict-item]
    track("cart.add", {"price": Decimal("9.50"), "id": uuid.uuid4(), "on": date(2026, 1, 1), "coupon": None})
    track("cart.add", sku="A-17")  # type: ignore[call-arg]
    set_session_property("plan", None)  # type: ignore[arg-type]
    capture_exception("no exception")  # type: ignore[arg-type]
    print(track("cart.add"))  # type: ignore[func-returns-value]


def in_a_thread(month: str) -> int:
    track("report.built", {"month": month})
    return 1


async def in_a_task(month: str) -> int:
    return in_a_thread(month)


def where_threads_start() -> None:
    assert_type(carry(in_a_thread)("2026-05"), int)
    Thread(target=carry(in_a_thread), args=("2026-05",)).start()
    carry(in_a_thread)(5)  # type: ignore[arg-type]
    carry(track("report.built"))  # type: ignore[func-returns-value, arg-type]


async def where_tasks_start() -> None:
    assert_type(await carry(in_a_task)("2026-05"), int)


def where_no_request_is() -> None:
    try:
        track("job.done")
    except NoActiveRequest as error:
        runtime_error: RuntimeError = error
        ours: SojournError = error
        print(runtime_error, ours)
    assert_type(UNKNOWN is None, bool)


async def transactions(db: sqlite3.Connection) -> None:
    track("purchase", {"total": 1}, connection=db)
    await track_async("purchase", {"total": 1}, connection=db)
    await track_async("purchase")  # type: ignore[call-arg]


# --- the engine, backends of one's own, tests


class OwnBackend:
    name = "own"
    third_party = False

    def accepts(self, event: Event) -> bool:
        return event.name != "log"

    def send(self, batch: Sequence[Event]) -> Receipt:
        refused = tuple(Rejection(event_id=event.id, reason="too late") for event in batch if event.time < 0)
        return Receipt(delivered=len(batch) - len(refused), rejected=refused, retry_after=1.5)

    def close(self) -> None:
        return None


class NoBackend:
    name = "none"
    third_party = False

    def accepts(self, event: Event) -> bool:
        return True

    def send(self, batch: Sequence[Event]) -> int:
        return len(batch)

    def close(self) -> None:
        return None


own: Backend = OwnBackend()
not_one: Backend = NoBackend()  # type: ignore[assignment]
by_url: Backend = backend_from_url("webhook+https://hooks.example.org/in")
webhook: Backend = WebhookBackend("https://hooks.example.org/in")


def engines() -> Iterator[Engine]:
    with Engine(settings, clock=ManualClock()) as engine:
        assert_type(engine, Engine)
        assert_type(engine.flush(timeout=2.0).done, bool)
        assert_type(engine.sweep(), int)
        assert_type(engine.settings, Settings)
        yield engine
    Engine()  # type: ignore[call-arg]
    engine.flush("2s")  # type: ignore[arg-type]


def test_of_a_user() -> None:
    with fake_visit(user_id="7") as events:
        assert_type(events[0], Event)
        assert_type(events[1:], list[Event])
        assert_type(events.named("cart.add"), list[Event])
    event = events[0]
    event.name = "another"  # type: ignore[misc]
