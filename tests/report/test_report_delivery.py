"""The delivery page: backends, dead letters with their reasons, and the forms to retry and skip them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from sojourn import Event
from sojourn.backends.protocol import Receipt, Rejection
from sojourn.engine import Engine
from sojourn.stores.model import BackendState, Batch
from sojourn.stores.reporting.model import HOUR_MS
from tests.report.conftest import MakeApp
from tests.report.harness import PASSWORD, App, Reader
from tests.stores.contract.steps import NOW, row, save


class Moody:
    """A backend that rejects page views, or asks for a pause."""

    third_party = False

    def __init__(self, name: str = "moody") -> None:
        self.name = name
        self.rejects = True
        self.reason = "<b>schema</b>: \u202e distinct_id is missing"
        self.pause_s: float | None = None
        self.received: list[str] = []

    def accepts(self, _event: Event) -> bool:
        return True

    def send(self, batch: Sequence[Event]) -> Receipt:
        if self.pause_s is not None:
            return Receipt(delivered=0, retry_after=self.pause_s)
        bad = [event for event in batch if self.rejects and event.name == "page_view"]
        self.received += [event.name for event in batch if event not in bad]
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


def test_page_lists_backends_dead_letters_and_problems(app: App, reader: Reader) -> None:
    app.visit("/one")
    words = reader.get("/delivery").words
    assert "moody" in words
    assert "second" in words
    assert words.count("Retry all 1") == 2
    assert words.count("<b>schema</b>: ⟨U+202E⟩ distinct_id is missing 400") == 2
    assert "Needs attention" in words
    assert "moody: 1 dead letters" in words


def test_page_hints_at_visits_that_fetches_keep_alive(app: App, reader: Reader) -> None:
    app.visit("/one")
    assert "more than an hour" not in reader.get("/delivery").words
    save_long_visit(app.engine)
    assert "lasted more than an hour with one page view" in reader.get("/delivery").words


def save_long_visit(engine: Engine) -> None:
    made = row("long", NOW, seen=NOW + 2 * HOUR_MS)
    made.page_views = 1
    save(engine.store, Batch(rows=[made]))


def test_dead_letters_can_be_filtered_by_backend(app: App, reader: Reader) -> None:
    app.visit("/one")
    assert reader.get("/delivery", backend="moody").words.count("distinct_id") == 1


def test_dead_letter_can_be_retried(app: App, reader: Reader, moody: Moody) -> None:
    app.visit("/one")
    app.visit("/two")
    moody.rejects = False
    event_id = re.findall(r'name="event" value="([^"]+)"', reader.get("/delivery", backend="moody").text)[0]
    reply = reader.post("/delivery/retry", backend="moody", event=event_id)
    assert (reply.status, reply.header("location")) == (303, "/_sojourn/delivery?done=retried&n=1")
    app.engine.flush()
    assert moody.received.count("page_view") == 1
    assert (state(app).dead, state(app, "second").dead) == (1, 2)
    assert "1 dead letters were requeued." in reader.get("/delivery", done="retried", n="1").words


def test_all_dead_letters_of_a_backend_can_be_retried(app: App, reader: Reader, moody: Moody) -> None:
    for number in range(3):
        app.visit(f"/{number}")
    moody.rejects = False
    reader.post("/delivery/retry", backend="moody", all="1")
    app.engine.flush()
    assert (moody.received.count("page_view"), state(app).dead, state(app, "second").dead) == (3, 0, 3)


def test_dead_letters_can_be_skipped(app: App, reader: Reader, moody: Moody) -> None:
    for number in range(3):
        app.visit(f"/{number}")
    event_id = re.findall(r'name="event" value="([^"]+)"', reader.get("/delivery", backend="moody").text)[0]
    reader.post("/delivery/skip", backend="moody", event=event_id)
    assert (state(app).dead, state(app).skipped) == (2, 1)
    reader.post("/delivery/skip", backend="moody", all="1")
    assert (state(app).dead, state(app).skipped, state(app, "second").dead) == (0, 3, 3)


@pytest.mark.parametrize("path", ["/delivery/retry", "/delivery/skip"])
def test_form_without_a_dead_letter_does_nothing(app: App, reader: Reader, path: str) -> None:
    app.visit("/one")
    assert reader.post(path, backend="moody").header("location").endswith("n=0")
    assert state(app).dead == 1


def test_pausing_backend_can_be_retried_at_once(app: App, reader: Reader, moody: Moody) -> None:
    moody.pause_s = 3600
    app.visit("/one")
    assert state(app).retry_at is not None
    moody.pause_s, moody.rejects = None, False
    assert "Retry now" in reader.get("/delivery").words
    reader.post("/delivery/try", backend="moody")
    app.engine.flush()
    assert (state(app).retry_at, state(app).backlog) == (None, 0)


@pytest.mark.parametrize("path", ["/delivery/try", "/delivery/retry", "/delivery/skip"])
def test_unknown_backend_is_not_found(reader: Reader, path: str) -> None:
    assert reader.post(path, backend="unknown", all="1").status in {303, 404}
    assert reader.get(path).status == 404


@pytest.mark.parametrize(
    "query", [{"done": "<b>"}, {"done": "retried", "n": "<b>"}, {"done": "retried", "n": "9" * 99}]
)
def test_message_ignores_forged_urls(reader: Reader, query: dict[str, str]) -> None:
    assert 'role="status">' not in reader.get("/delivery", **query).text.partition("data-live-part")[0]


def test_live_part_matches_the_page(app: App, reader: Reader, moody: Moody) -> None:
    moody.pause_s = 3600
    app.visit("/one")
    live = reader.get("/live/delivery").text
    for phrase in ("Action required", "moody: nothing was ever delivered; paused for 1 h", "Retry now", "csrf"):
        assert phrase in live


def test_the_banner_is_green_amber_or_red(make_app: MakeApp, moody: Moody) -> None:
    app = make_app(settings={"backends": [moody]}, password=PASSWORD)
    reader = Reader(app)
    assert reader.log_in().status == 303
    moody.rejects = False
    app.visit("/one")
    assert banner(reader) == ("good", "Healthy")
    moody.pause_s = 3600
    app.visit("/two")
    assert banner(reader) == ("warn", "Needs attention")
    assert "moody: paused for 1 h: it did not accept all events, and gave no reason" in reader.get("/delivery").words
    app.clock.advance(2 * 3600)
    assert banner(reader) == ("bad", "Action required")
    words = reader.get("/delivery").words
    assert "moody: 2 events wait, and no process has tried to deliver them for 2 h" in words
    assert "Everything accepted is recorded" not in words


def banner(reader: Reader) -> tuple[str, str]:
    found = re.search(
        r'class="verdict (\w+)" role="status"><h2><span[^>]*>.</span> ([^<]+)<', reader.get("/delivery").text
    )
    assert found is not None
    return found[1], found[2]
