"""Outside a request helpers say what to do; inside one, whatever it is, they are safe."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import sojourn
from sojourn import (
    Property,
    capture_exception,
    current_session,
    end_session,
    heartbeat,
    identify,
    opt_in,
    opt_out,
    set_session_properties,
    set_session_property,
    start_session,
    track,
)
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
        pytest.param(opt_out, id="opt_out"),
        pytest.param(opt_in, id="opt_in"),
        pytest.param(lambda: set_session_property("a", 1), id="set_session_property"),
        pytest.param(lambda: set_session_properties({}), id="set_session_properties"),
        pytest.param(lambda: capture_exception(ValueError()), id="capture_exception"),
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


WRONG: list[Callable[[], object]] = [
    lambda: track("x", 5),  # type: ignore[arg-type]
    lambda: track("x", ["a"]),  # type: ignore[arg-type]
    lambda: track("x", {5: "a"}),  # type: ignore[dict-item]
    lambda: track(b"x"),  # type: ignore[arg-type]
    lambda: set_session_properties(None),  # type: ignore[arg-type]
    lambda: set_session_properties([("a", 1)]),  # type: ignore[arg-type]
    lambda: identify("ada", 5),  # type: ignore[arg-type]
    lambda: identify("ada", traits=5),  # type: ignore[arg-type]
    lambda: identify({"id": 1}),  # type: ignore[arg-type]
    lambda: capture_exception("it broke"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_wrong_type_is_a_type_error_that_names_the_right_one_and_changes_nothing(
    protocol: Protocol, number: int
) -> None:
    site = Site(protocol)

    def view() -> None:
        with pytest.raises(TypeError, match=r"text|mapping|string|str|exception"):
            WRONG[number]()

    site.views["/"] = view
    assert site.request("GET", "/", [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]).status == 200
    assert site.names() == ["session.start", "page_view"]
    site.close()


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
def test_bad_data_is_counted_each_time_and_warned_of_once(protocol: Protocol, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(protocol)
    site.views["/"] = view_of(*[lambda: track("x", {"a": float("inf"), "b": 1})] * 3, lambda: identify("a\x00b"))
    site.request("GET", "/")
    assert site.ignored == {"property_not_finite": 3, "bad_user_id": 1}
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2
    assert not any("a\x00b" in text for text in warnings)
    assert [event.attributes.get("event_properties.b") for event in site.named("x")] == [1, 1, 1]
    site.close()


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
def test_a_bot_is_counted_once_per_request_whatever_the_app_calls_for_it(
    protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(protocol)
    site.views["/"] = view_of(*[lambda: track("x")] * 3, lambda: identify("ada"), start_session, end_session)
    for _ in range(2):
        site.request("GET", "/", [("user-agent", "Googlebot/2.1 (+http://www.google.com/bot.html)")])
    assert site.events == []
    assert site.ignored == {"crawler": 2}
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []  # no mistake of the app
    site.close()


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
def test_declared_event_properties_are_a_closed_set(protocol: Protocol) -> None:
    site = Site(protocol, event_properties={"price": Property(float), "Item": Property(str, case_insensitive=True)})
    site.views["/"] = view_of(
        lambda: track("x", {"price": 3, "item": "tea", "other": 1, "event_properties.price": "3"})
    )
    site.request("GET", "/")
    properties = {name: value for name, value in site.named("x")[0].attributes.items() if name.startswith("event_")}
    assert properties == {"event_properties.price": 3.0, "event_properties.Item": "tea"}
    assert site.ignored == {"property_undeclared": 1, "property_wrong_type": 1}
    site.close()
