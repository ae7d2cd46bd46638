"""A site whose view enqueues a job, and an engine whose events are at hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doors.browser import Browser, Site


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site("wsgi")
    yield site
    site.close()


@pytest.fixture
def browser(site: Site) -> Browser:
    return Browser(site)
