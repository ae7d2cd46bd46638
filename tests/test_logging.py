"""Logs and sessions: records of a request become events of its session, and other logs learn its id."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from sojourn import current_session
from sojourn.logging import SessionFilter, SojournHandler
from sojourn.testing import RecordedEvents, fake_visit


@pytest.fixture
def shop() -> Iterator[logging.Logger]:
    logger = logging.getLogger("shop.stock")
    handler = SojournHandler(logging.WARNING)
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def test_a_record_of_a_request_is_an_event_of_its_session(sojourn_events: RecordedEvents, shop: logging.Logger) -> None:
    with fake_visit():
        shop.warning("only %d left", 2)
        shop.info("below the level")
    (event,) = sojourn_events.named("log")
    attributes = {name: value for name, value in event.attributes.items() if name.startswith("log.")}
    assert attributes == {"log.body": "only 2 left", "log.severity": "WARNING", "log.logger": "shop.stock"}


@pytest.mark.parametrize(
    ("message", "arguments", "body"),
    [
        pytest.param("%d", ("no number",), "%d", id="arguments that do not fit"),
        pytest.param("a\x1b[31m\nb", (), "a\ufffd[31m\ufffdb", id="control characters"),
        pytest.param("x" * 9000, (), "x" * 5000, id="long"),
    ],
)
def test_hostile_messages(
    sojourn_events: RecordedEvents, shop: logging.Logger, message: str, arguments: tuple[object, ...], body: str
) -> None:
    with fake_visit():
        shop.handlers[0].handle(logging.makeLogRecord({"msg": message, "args": arguments, "levelno": 40, "name": "a"}))
    (event,) = sojourn_events.named("log")
    assert event.attributes["log.body"] == body


def test_a_logged_exception_is_recorded_by_type_and_stack(sojourn_events: RecordedEvents, shop: logging.Logger) -> None:
    with fake_visit():
        try:
            raise LookupError("with a secret in it")
        except LookupError:
            shop.exception("it failed")
    (event,) = sojourn_events.named("log")
    assert event.attributes["exception.type"] == "LookupError"
    assert "secret" not in str(dict(event.attributes))


def test_our_own_logger_and_records_outside_a_request_are_left_alone(
    sojourn_events: RecordedEvents, shop: logging.Logger
) -> None:
    shop.warning("no customers")
    handler = SojournHandler()
    with fake_visit():
        handler.handle(logging.makeLogRecord({"msg": "ours", "name": "sojourn.pipeline", "levelno": 40}))
        handler.handle(logging.makeLogRecord({"msg": "ours", "name": "sojourn", "levelno": 40}))
    assert sojourn_events.named("log") == []


def test_the_filter_adds_the_session_id_to_other_logs() -> None:
    inside, outside = logging.makeLogRecord({}), logging.makeLogRecord({})
    with fake_visit():
        session = current_session()
        assert SessionFilter().filter(inside)
    assert SessionFilter().filter(outside)
    assert session is not None
    assert (inside.__dict__["session_id"], outside.__dict__["session_id"]) == (session.id, "-")
