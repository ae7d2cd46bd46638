"""A vendor that recognises only whole batches takes one, and its response is lost. Through both doors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sojourn.testing.vendors import FakeMParticle
from tests.backends.vendors.connected import backend_on
from tests.doors.browser import Browser, Site

MakeSite = Callable[..., Site]


def batches(fake: FakeMParticle) -> list[tuple[str, tuple[str, ...]]]:
    """Return the batches that arrived, as id and events."""
    documents: list[Any] = [json.loads(request.body) for request in fake.requests]
    each = [batch for item in documents for batch in (item if isinstance(item, list) else [item])]
    return [
        (batch["source_request_id"], tuple(event["data"]["source_message_id"] for event in batch["events"]))
        for batch in each
    ]


@pytest.mark.parametrize("status", [429, 503])
def test_pages_after_a_lost_response_double_nothing(make_site: MakeSite, status: int) -> None:
    fake = FakeMParticle()
    site = make_site(backends=[backend_on(fake)])
    browser = Browser(site)
    browser.navigate("/a")
    site.clock.advance(5)
    browser.navigate("/b")
    fake.fail_next(status, after_taking=True)
    site.engine.flush()
    site.clock.advance(2)
    browser.navigate("/c")
    site.clock.advance(120)
    site.engine.flush()
    site.clock.advance(3_600)
    site.engine.sweep()
    site.engine.flush()
    first, again, *_ = batches(fake)
    assert first == again
    once = [event_id for _, ids in dict(batches(fake)).items() for event_id in ids]
    assert len(once) == len(set(once)) == len(fake.events()) == 5
