"""Outside a request helpers say what to do; inside one, whatever it is, they are safe."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import sojourn
from sojourn import current_session, end_session, heartbeat, identify, start_session, track
from tests.doors.browser import Protocol, Site, view_of


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: identify("ada"), id="identify"),
        pytest.param(lambda: identify(None), id="identify(None)"),
        pytest.param(lambda: track("x"), id="track"),
        pytest.param(heartbeat, id="heartbeat"),
        pytest.param(start_session, id="start_session"),
        pytest.param(end_session, id="end_session"),
    ],
)
def test_outside_a_request_they_raise_and_say_what_to_do(call: Callable[[], object]) -> None:
    with pytest.raises(sojourn.NoActiveRequest, match="fake_visit"):
        call()
    assert issubclass(sojourn.NoActiveRequest, RuntimeError)


def test_outside_a_request_there_is_no_session() -> None:
    assert current_session() is None


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
def test_after_a_request_nothing_is_left_active(protocol: Protocol) -> None:
    site = Site(protocol)
    site.views["/"] = view_of(lambda: track("x"))
    site.request("GET", "/")
    assert current_session() is None
    site.close()


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
def test_a_view_of_a_session_cannot_be_changed(protocol: Protocol) -> None:
    site = Site(protocol)

    def view() -> None:
        session = current_session()
        assert session is not None
        with pytest.raises(AttributeError):
            session.id = "other"  # type: ignore[misc]

    site.views["/"] = view
    assert site.request("GET", "/").status == 200
    site.close()
