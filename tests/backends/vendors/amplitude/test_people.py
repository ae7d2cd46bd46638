"""Amplitude: on a shared device nobody's actions become another person's, as with its own script and `amplitude.reset()`."""

from __future__ import annotations

import pytest

from sojourn.testing.vendors import FakeAmplitude
from tests.backends.vendors.connected import backend_on
from tests.backends.vendors.shared_browser import LOGOUTS, share_a_browser
from tests.doors.browser import Protocol


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
@pytest.mark.parametrize("way", LOGOUTS)
def test_strangers_at_a_shared_browser_are_not_the_former_user(protocol: Protocol, way: str) -> None:
    fake = FakeAmplitude(is_strict=True)
    share_a_browser(protocol, backend_on(fake), way)
    path = "[Amplitude] Page Path"
    person = {event.attributes[path]: fake.user_of(event) for event in fake.events() if path in event.attributes}
    assert person["/before"] == person["/hers"] == "anna"
    assert person["/stranger"] == person["/his"] == "ben", "who logs in next is who browsed since the logout"
    assert person["/last"] is None


@pytest.mark.parametrize("way", ["end_session()", "both"])
def test_each_session_belongs_to_one_person(way: str) -> None:
    """`identify(None)` alone keeps the session: then Amplitude shows it once for each of them."""
    fake = FakeAmplitude(is_strict=True)
    share_a_browser("asgi", backend_on(fake), way)
    assert [session.user_id for session in fake.sessions()] == ["anna", "ben", None]
