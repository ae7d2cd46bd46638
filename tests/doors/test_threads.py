"""What a view starts: which threads and tasks are part of its request by themselves. `test_carry.py` has the others."""

from __future__ import annotations

import asyncio

import pytest

from sojourn import track
from tests.doors.browser import Browser, Site, view_of


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
