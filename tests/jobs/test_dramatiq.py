"""Dramatiq, with its own broker and worker for tests."""

from __future__ import annotations

import pytest

from sojourn import track
from tests.doors.browser import Browser, Site, view_of

dramatiq = pytest.importorskip("dramatiq")


def test_a_message_is_of_the_session_that_sent_it(site: Site, browser: Browser) -> None:
    from dramatiq.brokers.stub import StubBroker

    from sojourn.dramatiq import SessionMiddleware

    broker = StubBroker(middleware=[])
    broker.add_middleware(SessionMiddleware(site.engine))

    @dramatiq.actor(broker=broker)  # type: ignore[untyped-decorator]
    def send() -> None:
        track("sent")

    @dramatiq.actor(broker=broker)  # type: ignore[untyped-decorator]
    def fail() -> None:
        track("tried")
        raise ValueError("no")

    site.views["/"] = view_of(send.send, fail.send)
    browser.navigate()
    send.send()  # by no request
    worker = dramatiq.Worker(broker, worker_timeout=100, worker_threads=1)
    worker.start()
    try:
        broker.join("default", fail_fast=False, timeout=20_000)
        worker.join()
    finally:
        worker.stop()
        broker.close()
    assert site.names() == ["session.start", "page_view", "sent", "tried"]
    assert site.ignored["not_carried"] == 1
