"""The report over a read replica: a PostgreSQL server that takes no writes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from sojourn.core.clock import SystemClock
from sojourn.report.serving import ReportServer, Source
from sojourn.stores import Store, open_store
from tests.postgres import Cluster
from tests.stores.test_views import fill


@pytest.fixture
def standby() -> Iterator[Store]:
    with Cluster() as cluster:
        url = cluster.fresh_database()
        fill(url)
        cluster.become_standby()
        store = open_store(url)
        store.open()
        yield store
        store.close()


def test_every_page_is_there(standby: Store) -> None:
    printed: list[str] = []
    source = Source(store=lambda: standby, now=SystemClock.now)
    with (
        ReportServer(source, host="127.0.0.1", port=0, on_link=printed.append),
        httpx.Client(follow_redirects=True) as reader,
    ):
        first = reader.get(printed[0])
        links = {link.replace("&amp;", "&") for link in re.findall(r'href="([^"#]+)"', first.text)}
        pages = {first.url.join(link) for link in links} | {first.url.join("/sessions/id-k")}
        assert len(pages) > 20
        assert {reader.get(page).status_code for page in pages if page.host == first.url.host} == {200}
