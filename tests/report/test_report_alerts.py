"""The alerts' page, and what the health of an installation says of alerts."""

from __future__ import annotations

from sojourn.health.checks import Limits, document, problems
from sojourn.health.snapshot import snapshot
from tests.report.conftest import MakeApp
from tests.report.harness import PASSWORD, App, Reader

TARGET = "mailto:ops@shop.example"


def watching(make_app: MakeApp) -> tuple[App, Reader]:
    settings = {"alerts": "spike=3; drop=30%; errors=5%; nothing=2h", "mail_server": "smtp://127.0.0.1:9"}
    app = make_app(settings={**settings, "mail_from": "a@shop.example", "alert_targets": TARGET}, password=PASSWORD)
    reader = Reader(app)
    reader.log_in()
    return app, reader


def test_what_is_watched_and_what_is_on(make_app: MakeApp) -> None:
    app, reader = watching(make_app)
    words = reader.get("/alerts").words
    assert "More sessions than usual 3 times as many sessions in an hour as usual at this time of day ✓ OK" in words
    assert "Nothing is recorded no activity for 2 h ✓ OK" in words
    alerts = app.engine.store.alerts
    alerts.turn("nothing", is_on=True, at=app.clock.now(), text="<b>nothing</b>", targets=[TARGET])
    (notice,) = alerts.unsent()
    alerts.failed(notice.number, retry_at=app.clock.now() + 60_000, problem="it does not respond in time")
    words = reader.get("/alerts").words
    assert "✕ Alert" in words
    assert "<b>nothing</b>" in words
    assert "Not sent yet" in words
    assert "mailto:ops@shop.example 1 it does not respond in time" in words


def test_a_notice_that_cannot_be_sent_is_a_problem(make_app: MakeApp) -> None:
    app, _ = watching(make_app)
    store = app.engine.store
    store.alerts.turn("nothing", is_on=True, at=1, text="nothing", targets=[TARGET])
    limits = Limits(lag=60_000)
    health = snapshot(store, None, now=app.clock.now())
    assert problems(health, limits) == []
    store.alerts.failed(health.notices[0].number, retry_at=2, problem="it does not respond in time")
    health = snapshot(store, None, now=app.clock.now())
    (problem,) = problems(health, limits)
    assert (
        problem.text == "mailto:ops@shop.example: an alert could not be sent, tried once: it does not respond in time"
    )
    assert document(health, limits)["alerts"] == [
        {"name": "nothing", "is_on": True, "since": "1970-01-01T00:00:00.001Z", "text": "nothing"}
    ]


def test_nothing_is_watched_by_default(app: App, reader: Reader) -> None:
    assert app.engine.settings.alert_targets == ()
    assert "Nothing is watched" in reader.get("/alerts").words
