"""The page of an event: its properties, their values as filters, and its exports."""

from __future__ import annotations

import csv
import io
import json
import re

from sojourn import track
from tests.report.harness import App, Reader

HOSTILE = "<script>alert(1)</script>"


def bought(app: App) -> None:
    """Three visits: two buy for euros, one for dollars."""
    for amount, currency in ((10, "EUR"), (30.5, "EUR"), (7, "USD")):
        app.view = lambda amount=amount, currency=currency: track("purchase", {"amount": amount, "currency": currency})  # type: ignore[misc]
        app.visit("/cart")
    app.view = lambda: None
    app.visit("/")


def test_page_has_properties_values_and_what_they_come_to(app: App, reader: Reader) -> None:
    bought(app)
    words = reader.get("/event", name="purchase").words
    assert "3 times in 3 sessions" in words
    assert "amount sessions times Sum 47.50 Median 10 Range 7 to 30.50 10 1" in words
    assert re.search(r"currency sessions times EUR 2 [\w :]+2 USD 1", words)


def test_events_panel_opens_it(app: App, reader: Reader) -> None:
    bought(app)
    link = re.search(r'href="/_sojourn(/event\?[^"]+)"', reader.get("/panels/events").text)
    assert link
    assert link[1] == "/event?range=7d&amp;name=purchase"


def test_a_value_is_a_filter_of_overview_and_sessions(app: App, reader: Reader) -> None:
    bought(app)
    text = reader.get("/event", name="purchase").text
    assert "/_sojourn/?range=7d&amp;event=purchase&amp;event.currency=EUR" in text
    assert "/_sojourn/sessions?range=7d&amp;event=purchase&amp;event.currency=EUR" in text
    narrowed = {"event": "purchase", "event.currency": "EUR"}
    assert len(json.loads(reader.get("/sessions.json", **narrowed).text)) == 2
    page = reader.get("/event", name="purchase", **narrowed)
    assert "2 times in 2 sessions" in page.words
    assert re.search(r'href="[^"]*event\.currency=EUR[^"]*event\.amount=10"', page.text), "one filter on the other"
    other = reader.get("/event", name="purchase", event="other", **{"event.x": "1"})
    assert "event.x=1&amp;event.currency" not in other.text


def test_one_property_with_all_its_values(app: App, reader: Reader) -> None:
    for number in range(12):
        app.view = lambda number=number: track("view", {"seed": f"seed {number:02}"})  # type: ignore[misc]
        app.visit("/")
    page = reader.get("/event", name="view")
    assert "All values of seed (12)" in page.words
    assert page.text.count('class="share"') == 8
    all_of_it = reader.get("/event", name="view", property="seed")
    assert all_of_it.text.count('class="share"') == 12
    assert reader.get("/event", name="view", find="SEED 07").text.count('class="share"') == 1
    assert "No value matches" in reader.get("/event", name="view", find="tulip").words
    assert "No property with this name" in reader.get("/event", name="view", property="nothing").words


def test_exports(app: App, reader: Reader) -> None:
    bought(app)
    document = json.loads(reader.get("/event.json", name="purchase").text)
    assert (document["event"], document["events"], document["sessions"]) == ("purchase", 3, 3)
    amount, currency = document["properties"]
    assert (amount["name"], amount["sum"], amount["median"], amount["least"]) == ("amount", 47.5, 10, 7)
    assert currency["values"] == [
        {"value": "EUR", "events": 2, "sessions": 2},
        {"value": "USD", "events": 1, "sessions": 1},
    ]
    lines = list(csv.reader(io.StringIO(reader.get("/event.csv", name="purchase", property="currency").text)))
    assert lines == [
        ["property", "value", "events", "sessions"],
        ["currency", "EUR", "2", "2"],
        ["currency", "USD", "1", "1"],
    ]
    for suffix in ("json", "csv"):
        wrong = reader.get(f"/event.{suffix}")
        assert (wrong.status, "give the name of an event" in wrong.text) == (400, True)


def test_empty_pages_say_what_to_do(app: App, reader: Reader) -> None:
    app.view = lambda: track("signup")
    app.visit("/")
    assert "These events have no properties" in reader.get("/event", name="signup").words
    assert "No such event in this range" in reader.get("/event", name="nothing").words
    assert reader.get("/event").status == 303, "without a name, all events"


def test_hostile_names_and_values_are_text(app: App, reader: Reader) -> None:
    values = {"x": HOSTILE, "y": "=cmd()", "z": "\u202egnp.exe", "w": "line\none", "v": "v" * 4_000}
    app.view = lambda: track(HOSTILE, values)
    app.visit("/")
    page = reader.get("/event", name=HOSTILE)
    assert "<script>alert" not in page.text
    assert "\u202e" not in page.text
    assert "event.w=line%2A" in page.text, "what no address can hold is found by its beginning"
    for name, value in (("w", "line*"), ("v", "v" * 200 + "*"), ("x", HOSTILE)):
        narrowed = {"event": HOSTILE, f"event.{name}": value}
        assert len(json.loads(reader.get("/sessions.json", **narrowed).text)) == 1, name
    rows = list(csv.reader(io.StringIO(reader.get("/event.csv", name=HOSTILE, property="y").text)))
    assert rows[1][1] == "'=cmd()"
