"""What a view starts: which threads and tasks are part of its request."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable

import pytest

from sojourn import NoActiveRequest, track
from tests.doors.browser import Browser, Site, view_of


def in_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_a_thread_is_outside_the_request_unless_it_runs_in_a_copy_of_its_context(site: Site, browser: Browser) -> None:
    raised: list[Exception] = []

    def bare() -> None:
        try:
            track("bare")
        except NoActiveRequest as error:
            raised.append(error)

    def copied() -> None:
        context = contextvars.copy_context()
        in_thread(lambda: context.run(track, "copied"))

    site.views["/"] = view_of(lambda: in_thread(bare), copied)
    browser.navigate()
    assert len(raised) == 1
    assert "copied" in site.names()
    assert "bare" not in site.names()


@pytest.mark.parametrize("start", ["task", "to_thread"])
def test_tasks_and_to_thread_are_part_of_the_request(site: Site, browser: Browser, start: str) -> None:
    async def work() -> None:
        if start == "to_thread":
            await asyncio.to_thread(track, "inside")
        else:

            async def tracked() -> None:
                track("inside")

            await asyncio.create_task(tracked())

    site.views["/"] = view_of(lambda: asyncio.run(work()))
    browser.navigate()
    assert "inside" in site.names()
