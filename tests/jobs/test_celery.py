"""Celery, with its own broker in memory and its own worker in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sojourn import current_session, identify, track
from tests.doors.browser import Browser, Site, view_of

celery = pytest.importorskip("celery")


@pytest.fixture
def app(site: Site) -> Iterator[Any]:
    from celery import signals  # type: ignore[import-untyped]

    import sojourn.celery

    places = (signals.before_task_publish, signals.task_prerun, signals.task_postrun)
    before = [[*signal.receivers] for signal in places]
    for signal in places:  # other tests, such as those of the docs, may have connected engines of their own
        signal.receivers = []
        signal.sender_receivers_cache.clear()
    sojourn.celery.connect(site.engine)
    app = celery.Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.task_store_eager_result = False
    yield app
    for signal, receivers in zip(places, before, strict=True):
        signal.receivers = receivers
        signal.sender_receivers_cache.clear()
    app.close()


def worked_off(app: Any, results: list[Any]) -> None:
    """Let a worker do what is in the queue."""
    from celery.contrib.testing.worker import start_worker  # type: ignore[import-untyped]

    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=20, loglevel="ERROR"):
        for result in results:
            result.get(timeout=20)


def test_a_task_is_of_the_session_that_sent_it(site: Site, browser: Browser, app: Any) -> None:
    seen: list[Any] = []

    @app.task(name="shop.send")  # type: ignore[untyped-decorator]
    def send() -> None:
        track("sent")
        identify("ada")
        seen.append(current_session())

    @app.task(name="shop.nightly")  # type: ignore[untyped-decorator]
    def nightly() -> None:
        track("nightly")

    results: list[Any] = []
    site.views["/"] = view_of(lambda: results.append(send.delay()))
    browser.navigate()
    results.append(nightly.delay())  # by no request
    worked_off(app, results)
    assert site.names() == ["session.start", "page_view", "sent", "user.identify"]
    assert {event.session_id for event in site.events} == {seen[0].id}
    assert site.ignored["not_carried"] == 1


def test_a_task_that_fails_leaves_no_session_behind(site: Site, browser: Browser, app: Any) -> None:
    @app.task(name="shop.fail")  # type: ignore[untyped-decorator]
    def fail() -> None:
        track("tried")
        raise ValueError("no")

    @app.task(name="shop.after")  # type: ignore[untyped-decorator]
    def after() -> None:
        track("after")

    results: list[Any] = []
    site.views["/"] = view_of(lambda: results.append(fail.delay()))
    browser.navigate()
    with pytest.raises(ValueError, match="no"):
        worked_off(app, results)
    worked_off(app, [after.delay()])
    assert site.names() == ["session.start", "page_view", "tried"]


def test_a_task_that_the_request_runs_itself_is_part_of_it(site: Site, browser: Browser, app: Any) -> None:
    app.conf.task_always_eager = True

    @app.task(name="shop.eager")  # type: ignore[untyped-decorator]
    def send() -> None:
        track("sent")

    site.views["/"] = view_of(send.delay, lambda: track("after"))
    browser.navigate()
    assert site.names() == ["session.start", "sent", "after", "page_view"]
