"""An app with a report behind both middlewares, and a logged-in reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from tests.report.harness import PASSWORD, App, Protocol, Reader

MakeApp = Callable[..., App]


@pytest.fixture(params=["asgi", "wsgi"])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    """Run each test that uses it through ASGI and WSGI."""
    return cast("Protocol", request.param)


@pytest.fixture
def make_app(protocol: Protocol) -> Iterator[MakeApp]:
    apps: list[App] = []

    def make(**access: Any) -> App:
        apps.append(App(protocol, **access))
        return apps[-1]

    yield make
    for app in apps:
        app.close()


@pytest.fixture
def app(make_app: MakeApp) -> App:
    return make_app(password=PASSWORD)


@pytest.fixture
def reader(app: App) -> Reader:
    reader = Reader(app)
    assert reader.log_in().status == 303
    return reader
