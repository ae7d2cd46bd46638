"""A site behind each of the doors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from tests.doors.browser import Browser, Protocol, Site

MakeSite = Callable[..., Site]


@pytest.fixture(params=["asgi", "wsgi", "django", "django-async"])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    """Every test that uses it runs through both doors."""
    return cast("Protocol", request.param)


@pytest.fixture
def make_site(protocol: Protocol) -> Iterator[MakeSite]:
    sites: list[Site] = []

    def make(**settings: Any) -> Site:
        sites.append(Site(protocol, **settings))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


@pytest.fixture
def browser(site: Site) -> Browser:
    return Browser(site)
