"""The page about delivery: what each backend got, what it refused and why, and the buttons that do something about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from sojourn import Event
from sojourn.backends.protocol import Receipt, Rejection
from sojourn.stores.protocol import BackendState
from tests.report.conftest import MakeApp
from tests.report.harness import PASSWORD, App, Reader


class Moody:
    """A backend that refuses page views, or rests."""

    third_party = False

    def __init__(self, name: str = "moody") -> None:
        self.name = name
        self.refuses = True
        self.reason = "<b>schema</b>: \u202e distinct_id is missing"
        self.rests: float | None = None
        self.got: list[str] = []

    def accepts(self, _event: Event) -> bool:
        return True

    def send(self, batch: Sequence[Event]) -> Receipt:
        if self.rests is not None:
            return Receipt(delivered=0, retry_after=self.rests)
        bad = [event for event in batch if self.refuses and event.name == "page_view"]
        self.got += [event.name for event in batch if event not in bad]
        rejected = tuple(Rejection(event_id=event.id, reason=self.reason, status=400) for event in bad)
        return Receipt(delivered=len(batch) - len(bad), rejected=rejected)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture
def app(make_app: MakeApp, moody: Moody) -> App:
    return make_app(settings={"backends": [moody, Moody("second")]}, password=PASSWORD)


def state(app: App, name: str = "moody") -> BackendState:
    return next(each for each in app.engine.stats().store.backends if each.name == name)


def test_it_tells_what_each_backend_got_and_refused(app: App, reader: Reader) -> None:
    app.visit("/one")
    words = reader.get("/delivery").words
    assert "moody" in words
    assert "second" in words
    assert words.count("Retry all 1") == 2
    assert words.count("<b>schema</b>: ⟨U+202E⟩ distinct_id is missing 400") == 2
    assert "Needs attention" in words
    assert "moody: 1 dead letters" in words


def test_one_backends_letters_can_be_looked_at_alone(app: App, reader: Reader) -> None:
    app.visit("/one")
    assert reader.get("/delivery", backend="moody").words.count("distinct_id") == 1


def test_a_letter_is_sent_once_more(app: App, reader: Reader, moody: Moody) -> None:
    app.visit("/one")
    app.visit("/two")
    moody.refuses = False
    event_id = re.findall(r'name="event" value="([^"]+)"', reader.get("/delivery", backend="moody").text)[0]
    answer = reader.post("/delivery/retry", backend="moody", event=event_id)
    assert (answer.status, answer.header("location")) == (303, "/_sojourn/delivery?done=retried&n=1")
    app.engine.flush()
    assert moody.got.count("page_view") == 1
    assert (state(app).dead, state(app, "second").dead) == (1, 2)
    assert "1 dead letters were requeued." in reader.get("/delivery", done="retried", n="1").words


def test_all_letters_of_a_backend_are_sent_once_more(app: App, reader: Reader, moody: Moody) -> None:
    for number in range(3):
        app.visit(f"/{number}")
    moody.refuses = False
    reader.post("/delivery/retry", backend="moody", all="1")
    app.engine.flush()
    assert (moody.got.count("page_view"), state(app).dead, state(app, "second").dead) == (3, 0, 3)


def test_letters_are_given_up(app: App, reader: Reader, moody: Moody) -> None:
    for number in range(3):
        app.visit(f"/{number}")
    event_id = re.findall(r'name="event" value="([^"]+)"', reader.get("/delivery", backend="moody").text)[0]
    reader.post("/delivery/skip", backend="moody", event=event_id)
    assert (state(app).dead, state(app).skipped) == (2, 1)
    reader.post("/delivery/skip", backend="moody", all="1")
    assert (state(app).dead, state(app).skipped, state(app, "second").dead) == (0, 3, 3)


@pytest.mark.parametrize("path", ["/delivery/retry", "/delivery/skip"])
def test_a_form_that_names_no_letter_does_nothing(app: App, reader: Reader, path: str) -> None:
    app.visit("/one")
    assert reader.post(path, backend="moody").header("location").endswith("n=0")
    assert state(app).dead == 1


def test_a_backend_that_rests_is_tried_at_once(app: App, reader: Reader, moody: Moody) -> None:
    moody.rests = 3600
    app.visit("/one")
    assert state(app).retry_at is not None
    moody.rests, moody.refuses = None, False
    assert "Retry now" in reader.get("/delivery").words
    reader.post("/delivery/try", backend="moody")
    app.engine.flush()
    assert (state(app).retry_at, state(app).backlog) == (None, 0)


@pytest.mark.parametrize("path", ["/delivery/try", "/delivery/retry", "/delivery/skip"])
def test_a_backend_that_nobody_knows_is_said(reader: Reader, path: str) -> None:
    assert reader.post(path, backend="nobody", all="1").status in {303, 404}
    assert reader.get(path).status == 404


@pytest.mark.parametrize(
    "query", [{"done": "<b>"}, {"done": "retried", "n": "<b>"}, {"done": "retried", "n": "9" * 99}]
)
def test_what_was_done_is_told_in_our_own_words_only(reader: Reader, query: dict[str, str]) -> None:
    assert 'role="status">' not in reader.get("/delivery", **query).text.partition("data-live-part")[0]


def test_the_part_that_is_live_is_that_of_the_page(app: App, reader: Reader, moody: Moody) -> None:
    moody.rests = 3600
    app.visit("/one")
    live = reader.get("/live/delivery").text
    for told in ("Needs attention", "paused for 1 h", "Retry now", "csrf"):
        assert told in live
