"""`identified()` around the dependencies that FastAPI's users have: the tutorial's JWT, fastapi-users, and one of their own."""

# ruff: noqa: B008 - annotations are text here, and FastAPI cannot look up the local names in them

from __future__ import annotations

import asyncio
import importlib
import uuid
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import HTMLResponse
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel

from sojourn import Settings, User
from sojourn.engine import Engine
from sojourn.starlette import Sojourn, identified
from sojourn.testing import ManualClock, MemoryBackend

KEY = "a key that only these tests use, long enough"


class Account(BaseModel):
    id: int
    username: str


class Watch:
    def __init__(self) -> None:
        self.backend = MemoryBackend()
        self.engine = Engine(Settings(secret_key=KEY, store="memory:", backends=[self.backend]), clock=ManualClock())

    def app(self, **options: Any) -> FastAPI:
        app = FastAPI(default_response_class=HTMLResponse, **options)
        Sojourn(app, engine=self.engine)
        return app

    def users(self) -> list[str | None]:
        """The user of each page view."""
        self.engine.flush()
        return [event.user_id for event in self.backend.named("page_view")]


@pytest.fixture
def watch() -> Iterator[Watch]:
    made = Watch()
    yield made
    made.engine.close()


def browse(app: FastAPI, *headers: dict[str, str], path: str = "/me") -> list[int]:
    async def run() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://site.test") as client:
            return [(await client.get(path, headers=own)).status_code for own in headers]

    return asyncio.run(run())


def test_jwt_as_in_the_tutorial(watch: Watch) -> None:
    jwt = pytest.importorskip("jwt", reason="PyJWT is not installed here; `pip install PyJWT` runs this")
    app = watch.app()
    scheme = OAuth2PasswordBearer(tokenUrl="token")
    calls: list[str] = []

    def get_current_user(token: str = Depends(scheme)) -> Account:
        calls.append(token)
        try:
            claims = jwt.decode(token, KEY, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            raise HTTPException(401) from None
        return Account(id=claims["sub"], username="ada")

    @app.get("/me", dependencies=[Depends(get_current_user)])
    def me(account: Account = Depends(identified(get_current_user))) -> str:
        return f"<h1>{account.username}</h1>"

    bearer = {"authorization": f"Bearer {jwt.encode({'sub': '7'}, KEY, 'HS256')}"}
    assert browse(app, bearer, {"authorization": "Bearer forged"}, bearer) == [200, 401, 200]
    assert watch.users() == ["7", "7"]
    assert len(calls) == 3, "the app's own dependency runs once for each request"
    assert watch.backend.named("user.identify")[0].attributes["user.name"] == "ada"


def test_fastapi_users(watch: Watch) -> None:
    package = pytest.importorskip("fastapi_users", reason="`pip install fastapi-users` runs this")
    tokens = importlib.import_module("fastapi_users.authentication")
    ada = SimpleNamespace(id=uuid.UUID(int=7), email="ada@example.com", is_active=True, is_verified=True)
    manager = type("Manager", (package.UUIDIDMixin, package.BaseUserManager), {})

    async def get_manager() -> AsyncIterator[Any]:
        async def get(user_id: Any) -> Any:
            return ada if user_id == ada.id else None

        yield manager(SimpleNamespace(get=get))

    def strategy() -> Any:
        return tokens.JWTStrategy(secret=KEY, lifetime_seconds=60)

    transport = tokens.BearerTransport(tokenUrl="login")
    backend = tokens.AuthenticationBackend("jwt", transport=transport, get_strategy=strategy)
    users: Any = package.FastAPIUsers(get_manager, [backend])
    app = watch.app()

    @app.get("/me")
    async def me(user: Any = Depends(identified(users.current_user(optional=True)))) -> str:
        return f"<h1>{user.email if user else 'nobody'}</h1>"

    bearer = {"authorization": f"Bearer {asyncio.run(strategy().write_token(ada))}"}
    assert browse(app, {}, bearer, {}) == [200] * 3
    assert watch.users() == [None, str(ada.id), None], "an optional user that is missing is an anonymous visitor"


def test_a_user_without_an_id_is_named_by_an_own_function(watch: Watch) -> None:
    def get_account(x_user: Annotated[str, Header()] = "") -> Any:
        return {"number": x_user, "full_name": "Ada"} if x_user else None

    def named(account: Any) -> User:
        return User(account["number"], account["full_name"])

    app = watch.app(dependencies=[Depends(identified(get_account, user=named))])

    @app.get("/me")
    def me() -> str:
        return "<h1>Hello</h1>"

    assert browse(app, {"x-user": "7"}, {}) == [200, 200]
    assert watch.users() == ["7", None]


def test_a_fault_in_the_own_function_changes_no_response(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    app = watch.app()

    def broken(_account: Any) -> str:
        raise KeyError

    @app.get("/me")
    def me(_account: Any = Depends(identified(object, user=broken))) -> str:
        return "<h1>Hello</h1>"

    @app.get("/other")
    def other(_account: Any = Depends(identified(object))) -> str:
        return "<h1>Hello</h1>"

    assert browse(app, {}) + browse(app, {}, path="/other") == [200, 200]
    assert watch.users() == [None, None]
    assert "pass user=, which returns its id" in caplog.text


def test_without_sojourn_the_dependency_does_nothing() -> None:
    app = FastAPI()

    @app.get("/me")
    def me(_request: Request, account: str = Depends(identified(lambda: "ada"))) -> str:
        return account

    assert browse(app, {}) == [200]
