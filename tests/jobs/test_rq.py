"""RQ, with its own worker over a Redis in memory."""

from __future__ import annotations

from typing import Any

import pytest

from sojourn import track
from tests.doors.browser import Browser, Site, view_of

rq = pytest.importorskip("rq")
fakeredis = pytest.importorskip("fakeredis")


def send() -> None:
    track("sent")


@pytest.mark.usefixtures("kept_handlers")  # RQ's worker takes the signals
def test_a_job_is_of_the_session_that_enqueued_it(site: Site, browser: Browser) -> None:
    from sojourn.rq import job_class

    kind = job_class(site.engine)
    redis = fakeredis.FakeStrictRedis(server=fakeredis.FakeServer())
    queue = rq.Queue(connection=redis, job_class=kind)
    jobs: list[Any] = []
    site.views["/"] = view_of(lambda: jobs.append(queue.enqueue(send, meta={"own": 1})))
    browser.navigate()
    queue.enqueue(send)  # by no request
    worker = rq.SimpleWorker([queue], connection=redis, job_class=kind)
    worker.work(burst=True, logging_level="ERROR")
    assert jobs[0].meta["own"] == 1
    assert site.names() == ["session.start", "page_view", "sent"]
    assert site.ignored["not_carried"] == 1
    redis.close()


def test_a_job_that_the_request_runs_itself_is_part_of_it(site: Site, browser: Browser) -> None:
    from sojourn.rq import job_class

    redis = fakeredis.FakeStrictRedis(server=fakeredis.FakeServer())
    queue = rq.Queue(connection=redis, job_class=job_class(site.engine), is_async=False)
    site.views["/"] = view_of(lambda: queue.enqueue(send))
    browser.navigate()
    assert site.names() == ["session.start", "sent", "page_view"]
    redis.close()
