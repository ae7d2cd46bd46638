"""The pages of goals and funnels: their figures, and who may define what on them."""

from __future__ import annotations

import json
import re

import pytest

from sojourn import track
from tests.report.conftest import MakeApp
from tests.report.harness import PASSWORD, TOKEN, App, Reader

GOALS = {"Purchase": "purchase plan=pro", "Docs": "/docs/*"}
FUNNELS = {"Checkout": ["/cart", "/checkout", "purchase"]}


@pytest.fixture
def app(make_app: MakeApp) -> App:
    return make_app(settings={"goals": GOALS, "funnels": FUNNELS}, password=PASSWORD, token=TOKEN)


def buy(app: App, *, plan: str = "pro") -> None:
    """A visit that goes all the way, and one that gives up at the check-out."""
    cookie = app.visit("/cart").header("set-cookie").partition(";")[0]
    app.clock.advance(2)
    app.visit("/checkout", cookie=cookie)
    app.clock.advance(4)
    app.view = lambda: track("purchase", {"plan": plan})
    app.visit("/done", cookie=cookie)
    app.view = lambda: None
    app.visit("/cart")


def test_goals_show_how_many_sessions_reached_them(app: App, reader: Reader) -> None:
    buy(app)
    words = reader.get("/goals").words
    assert "2 sessions of 2 visitors" in words
    assert "Purchase purchase plan=pro 1 50 % 1 50 % 1 settings" in words
    assert "Docs /docs/* 0 0.0 % 0 0.0 % 0 settings" in words


def test_a_goal_shows_where_its_sessions_came_from(app: App, reader: Reader) -> None:
    buy(app)
    words = reader.get("/goals", goal="Purchase").words
    assert "Where the sessions with Purchase came from" in words
    assert "/cart 1 · 100 %" in words
    assert "Part of this address was ignored" in reader.get("/goals", goal="Unknown").words


def test_a_funnel_shows_who_was_lost_where(app: App, reader: Reader) -> None:
    buy(app)
    words = reader.get("/funnels").words
    assert "Checkout 2 sessions in all · defined in the settings" in words
    assert "1 /cart 2 100 %" in words
    assert "50 % went on 1 did not median 2 s 2 /checkout 1 50 %" in words
    assert "100 % went on median 4 s 3 purchase 1 50 %" in words
    assert "50 % of those who began came to the end." in words


def test_steps_of_the_address_are_a_funnel(app: App, reader: Reader) -> None:
    buy(app)
    words = reader.get("/funnels", steps="/cart > purchase", by="visitor").words
    assert "Steps of this address 2 visitors in all" in words
    assert "50 % went on 1 did not median 6 s 2 purchase 1 50 %" in words
    assert "The steps cannot be read: give 2 to 8 steps" in reader.get("/funnels", steps="/cart").words
    assert "cannot be combined" in reader.get("/funnels", steps="/a > /b", funnel="Checkout").words


def test_goals_and_funnels_can_be_defined_and_removed(app: App, reader: Reader) -> None:
    buy(app, plan="free")
    reply = reader.post("/goals/add", name="Bought & paid", step=" purchase ")
    assert (reply.status, reply.header("location")) == (303, "/_sojourn/goals?goal=Bought+%26+paid")
    assert "Bought & paid purchase 1 50 %" in reader.get("/goals").words
    reader.post("/goals/add", name="Bought & paid", step="/done")
    assert "Bought & paid /done 1 50 %" in reader.get("/goals").words
    assert reader.post("/goals/remove", name="Bought & paid").status == 303
    assert "Bought" not in reader.get("/goals").words

    assert reader.post("/funnels/add", name="Short", steps="/cart>purchase").status == 303
    assert "Short 2 sessions in all" in reader.get("/funnels", funnel="Short").words
    reader.post("/funnels/remove", name="Short")
    assert "Short" not in reader.get("/funnels").words


@pytest.mark.parametrize(
    ("path", "form", "status", "message"),
    [
        pytest.param("/goals/add", {"name": "", "step": "/a"}, 400, "Give a name", id="no name"),
        pytest.param("/goals/add", {"name": "A", "step": "page_view"}, 400, "cannot be counted", id="a bad step"),
        pytest.param("/funnels/add", {"name": "A", "steps": "/a"}, 400, "Give 2 to 8 steps", id="one step"),
        pytest.param(
            "/goals/add", {"name": "Docs", "step": "/a"}, 409, "defined in the settings", id="a setting's name"
        ),
        pytest.param(
            "/funnels/add", {"name": "Checkout", "steps": "/a>/b"}, 409, "in the settings", id="a setting's funnel"
        ),
    ],
)
def test_what_cannot_be_saved_says_why(
    reader: Reader, path: str, form: dict[str, str], status: int, message: str
) -> None:
    reply = reader.post(path, fields=form)
    assert reply.status == status
    assert message in reply.words


def test_a_setting_cannot_be_removed_or_changed_on_the_page(app: App, reader: Reader) -> None:
    app.engine.store.definitions.set("goal", "Docs", "/elsewhere")  # by a version before it became a setting
    reader.post("/goals/remove", name="Docs")
    assert "Docs /docs/* 0 — 0 — 0" in reader.get("/goals").words


def test_a_form_of_another_site_defines_nothing(app: App, reader: Reader) -> None:
    for sent in ({"token": "0" * 64}, {"headers": {"sec-fetch-site": "cross-site"}}):
        assert reader.post("/goals/add", name="Planted", step="/a", **sent).status == 403
    assert app.engine.store.definitions.of("goal") == []


def test_the_token_only_reads(app: App, reader: Reader) -> None:
    by_token = Reader(app)
    assert by_token.log_in(TOKEN).status == 303
    assert "Add a goal" not in by_token.get("/goals").words
    assert by_token.post("/goals/add", name="Planted", step="/a").status == 403
    bearer = {"authorization": f"Bearer {TOKEN}"}
    for cookies in ({}, reader.cookies):
        program = Reader(app, cookies=dict(cookies))
        reply = program.request("POST", "/goals/add", headers=bearer, body=b"name=Planted&step=/a")
        assert reply.status == 403
    assert app.engine.store.definitions.of("goal") == []


def test_a_reader_whom_the_app_lets_in_only_reads(make_app: MakeApp) -> None:
    app = make_app(allow=lambda _request: True)
    reader = Reader(app)
    assert "Add a goal" not in reader.get("/goals").words
    assert reader.post("/goals/add", name="Planted", step="/a").status == 403


def test_hostile_text_stays_text(app: App, reader: Reader) -> None:
    hostile = "<script>alert(1)</script>\u202e"
    reader.post("/goals/add", name=hostile, step=f"/{hostile}")
    reader.post("/funnels/add", name=hostile, steps="/<b>x</b>\u202e > /b")
    for page in (reader.get("/goals", goal=hostile), reader.get("/funnels", funnel=hostile)):
        assert "<script>alert" not in page.text
        assert "\u202e" not in re.sub(r'value="[^"]*"', "", page.text)


def test_an_empty_store_says_what_a_goal_is(make_app: MakeApp) -> None:
    app = make_app(password=PASSWORD)
    reader = Reader(app)
    reader.log_in()
    assert "No goal yet" in reader.get("/goals").words
    assert "No funnel yet" in reader.get("/funnels").words


def test_a_filter_of_the_address_chooses_the_sessions(app: App, reader: Reader) -> None:
    buy(app)
    app.visit("/cart", user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Safari/604.1")
    words = reader.get("/goals", **{"device!": "phone"}).words
    assert "2 sessions of 2 visitors" in words
    assert "Device is not phone" in words
    page = reader.get("/funnels", device="phone", entry="/cart")
    assert "Checkout 1 sessions in all" in page.words
    assert 'href="/_sojourn/funnels?entry=%2Fcart&amp;funnel=Checkout"' in page.text, "a chip removes its filter"
    assert re.search(r'href="[^"]*device=phone[^"]*by=visitor', page.text), "links keep the filter"
    assert "1 All weeks" not in reader.get("/retention", device="phone").words
    assert "13 Nov so far 1" in reader.get("/retention", device="phone").words
    assert "Part of this address was ignored" in reader.get("/goals", devise="phone").words


def test_any_panel_shows_the_conversion_of_its_rows(app: App, reader: Reader) -> None:
    buy(app)
    words = reader.get("/panels/entries", goal="Purchase").words
    assert "Purchase" in words
    assert "Conversion" in words
    rows = json.loads(reader.get("/panels/entries.json", goal="Purchase", range="24h").text)["rows"]
    assert [(row["value"], row["sessions"], row["goal_sessions"], row["goal_rate"]) for row in rows] == [
        ("/cart", 2, 1, 0.5)
    ]
    rows = json.loads(reader.get("/panels/pages.json", goal="Purchase", sort="goal_rate", range="24h").text)["rows"]
    assert {row["value"]: row["goal_rate"] for row in rows} == {"/cart": 0.5, "/checkout": 1.0, "/done": 1.0}
    assert "Part of this address was ignored" in reader.get("/panels/entries", goal="Unknown").words
    assert reader.get("/panels/entries.json", goal="Purchase", event="purchase").status == 400
