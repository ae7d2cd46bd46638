"""The app's scrub sees every event before the store, and cannot break what an event is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from sojourn.core.events import Event
from sojourn.engine import Engine
from sojourn.pipeline.record.scrubbing import Scrubber
from sojourn.settings import Settings
from sojourn.testing import FakeVisits, ManualClock, MemoryBackend

EVENT = Event(
    id="1",
    name="purchase",
    time=1,
    session_id="s",
    session_key="s",
    session_started_at=1,
    visitor_id="v",
    user_id="anna",
    attributes={"session.id": "s", "visitor.id": "v", "user.id": "anna", "event_properties.card": "4111"},
)


def without(name: str) -> Callable[[Event], Event]:
    def scrub(event: Event) -> Event:
        kept = {key: value for key, value in event.attributes.items() if key != name}
        return msgspec.structs.replace(event, attributes=kept)

    return scrub


def failing(_event: Event) -> Event:
    raise RuntimeError("no")


@pytest.mark.parametrize(
    ("scrub", "kept", "counted"),
    [
        pytest.param(lambda event: event, EVENT.attributes, {}, id="as it is"),
        pytest.param(lambda _event: None, None, {"events.scrubbed": 1}, id="dropped"),
        pytest.param(failing, None, {"events.scrub_failed": 1}, id="an error drops it"),
        pytest.param(lambda _event: "text", None, {"events.scrub_failed": 1}, id="no event"),
        pytest.param(
            without("event_properties.card"),
            {"session.id": "s", "visitor.id": "v", "user.id": "anna"},
            {},
            id="an attribute removed",
        ),
        pytest.param(
            lambda event: msgspec.structs.replace(event, id="2", attributes={"a": [1], "b": float("nan"), "c": 2**70}),
            {"session.id": "s", "visitor.id": "v"},
            {},
            id="what no event can hold is left out, and whose it is stays",
        ),
    ],
)
def test_scrub(scrub: Callable[[Event], Event | None], kept: object, counted: dict[str, int]) -> None:
    counts: Counter[str] = Counter()
    events = Scrubber(scrub).scrubbed([EVENT], counts)
    assert dict(counts) == counted
    assert [event.attributes for event in events] == ([] if kept is None else [kept])
    assert all(event.id == "1" for event in events)


def test_scrubbed_values_reach_neither_store_nor_backend() -> None:
    visits = FakeVisits(scrub=without("user.id"))
    with visits.visit("anna") as events:
        assert "user.identify" in events.names
        assert all(event.user_id is None for event in events)
    visits.close()


@pytest.mark.parametrize(
    ("third_party", "allowed", "is_shown"),
    [
        pytest.param(True, False, False, id="hidden from third parties"),
        pytest.param(True, True, True, id="shown to them where the app allows it"),
        pytest.param(False, False, True, id="ours to see"),
    ],
)
def test_exception_messages(third_party: bool, allowed: bool, is_shown: bool) -> None:
    from sojourn import capture_exception
    from sojourn.testing.visits import _Request, _Response
    from sojourn.tracking.visit import active_visit

    backend = MemoryBackend(third_party=third_party)
    settings = Settings(
        secret_key="a key that only tests use", store="memory:", backends=[backend], exception_messages=allowed
    )
    engine = Engine(settings, clock=ManualClock())
    visit = engine.tracker.begin(_Request())
    token = active_visit.set(visit)
    engine.tracker.finish(visit, _Response())
    capture_exception(LookupError("card 4111"))
    active_visit.reset(token)
    engine.flush()
    engine.close()
    (event,) = backend.named("exception")
    assert ("exception.message" in event.attributes) is is_shown
    assert event.attributes["exception.type"] == "LookupError"
