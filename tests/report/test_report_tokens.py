"""`overview.json`, and the named tokens with which programs read it: made on the page, kept as hashes, revoked at once."""

from __future__ import annotations

import json
import re

import pytest

from sojourn import identify
from sojourn.report import tokens
from sojourn.stores import SQLiteStore
from tests.report.conftest import MakeApp
from tests.report.harness import PASSWORD, TOKEN, App, Reader, Reply
from tests.report.test_report_pages import visit

BEARER = "authorization"


def bearing(app: App, token: str, path: str, *, method: str = "GET", **query: str) -> Reply:
    return Reader(app).request(method, path, query=query, headers={BEARER: f"Bearer {token}"})


def made(app: App, name: str = "dashboard", *, reads_people: bool = False) -> str:
    return tokens.make(app.engine.store, name, now=app.clock.now(), reads_people=reads_people)


def test_overview_as_json_has_the_figures_of_the_page(app: App, reader: Reader) -> None:
    visit(app, "/one", lambda: identify("anna"))
    app.status = 500
    visit(app, "/two")
    overview = json.loads(reader.get("/overview.json", range="24h").text)
    figures = overview["figures"]
    assert (figures["sessions"], figures["visitors"], figures["users"], figures["page_views"]) == (2, 2, 1, 2)
    assert (figures["error_sessions"], figures["returning_visitors"]) == (1, 0)
    assert overview["before"]["sessions"] == 0
    assert (overview["bucket"], len(overview["series"])) == ("hour", 24)
    assert sum(point["sessions"] for point in overview["series"]) == 2
    assert overview["since"].endswith("Z")


def test_overview_as_json_takes_filters(app: App, reader: Reader) -> None:
    visit(app, "/one", lambda: identify("anna"))
    visit(app, "/two")
    figures = json.loads(reader.get("/overview.json", entry="/two").text)["figures"]
    assert (figures["sessions"], figures["users"]) == (1, 0)


def test_overview_as_json_rejects_what_it_cannot_read(reader: Reader) -> None:
    reply = reader.get("/overview.json", rangex="24h")
    assert reply.status == 400
    (error,) = json.loads(reply.text)["errors"]
    assert (error["parameter"], error["message"]) == ("rangex", "unknown parameter; did you mean range?")


def test_token_is_made_on_the_page_and_shown_once(app: App, reader: Reader) -> None:
    page = reader.post("/tokens/add", name="dashboard")
    (token,) = re.findall(r"sjn_[\w-]{40,}", page.words)
    assert bearing(app, token, "/overview.json").status == 200
    again = reader.get("/tokens")
    assert "dashboard figures" in again.words
    assert token not in again.text


def test_store_has_no_token_in_plain_text(app: App) -> None:
    token = made(app)
    (definition,) = app.engine.store.definitions.of(tokens.KIND)
    assert token not in definition.text
    assert token.removeprefix(tokens.PREFIX) not in definition.text


def test_token_survives_a_restart_and_is_revoked_at_once(app: App, reader: Reader) -> None:
    token = made(app)
    app.clock.advance(400 * 86_400)
    assert bearing(app, token, "/overview.json").status == 200
    assert reader.log_in().status == 303
    assert reader.post("/tokens/revoke", name="dashboard").status == 303
    reply = bearing(app, token, "/overview.json")
    assert (reply.status, reply.header("www-authenticate")) == (401, "Bearer")


@pytest.mark.parametrize(
    ("path", "query", "of_figures", "of_people"),
    [
        pytest.param("/overview.json", {}, 200, 200, id="figures"),
        pytest.param("/sessions.json", {}, 403, 200, id="a list of sessions"),
        pytest.param("/sessions.csv", {}, 403, 200, id="the same as CSV"),
        pytest.param("/overview.json", {"user!": "anna"}, 403, 200, id="figures of one person"),
        pytest.param("/", {}, 403, 403, id="a page"),
        pytest.param("/sessions", {}, 403, 403, id="the page of people"),
        pytest.param("/tokens", {}, 403, 403, id="the page of tokens"),
        pytest.param("/delivery", {}, 403, 403, id="the system page"),
    ],
)
def test_what_a_token_reads(app: App, path: str, query: dict[str, str], of_figures: int, of_people: int) -> None:
    assert bearing(app, made(app, "a"), path, **query).status == of_figures
    assert bearing(app, made(app, "b", reads_people=True), path, **query).status == of_people


def test_token_sends_no_form(app: App) -> None:
    for path in ("/tokens/add", "/tokens/revoke", "/delivery/retry", "/overview.json"):
        assert bearing(app, made(app, path, reads_people=True), path, method="POST").status == 403


@pytest.mark.parametrize("token", ["sjn_", "sjn_" + "a" * 43, "", "x", "sjn_é"])
def test_wrong_token_is_refused(app: App, token: str) -> None:
    made(app)
    assert bearing(app, token, "/overview.json").status == 401


def test_only_a_reader_with_the_password_makes_tokens(make_app: MakeApp) -> None:
    app = make_app(password=PASSWORD, token=TOKEN)
    program = Reader(app)
    assert program.log_in(TOKEN).status == 303
    assert program.post("/tokens/add", name="mine").status == 403
    assert program.post("/tokens/revoke", name="mine").status == 403
    assert tokens.listed(app.engine.store) == []


def test_forms_of_tokens_need_the_token_of_the_page(app: App, reader: Reader) -> None:
    assert reader.post("/tokens/add", token="0" * 64, name="mine").status == 403
    assert tokens.listed(app.engine.store) == []


def test_own_check_of_an_app_decides_alone(make_app: MakeApp) -> None:
    app = make_app(allow=lambda _request: False)
    assert bearing(app, made(app), "/overview.json").status == 403


def test_names_are_unique_and_limited(app: App) -> None:
    made(app)
    for name in ("dashboard", "", "x" * 81, "a\x00b"):
        with pytest.raises(ValueError, match="name"):
            made(app, name)


def test_number_of_tokens_is_limited() -> None:
    store = SQLiteStore(None)
    for number in range(tokens.MOST):
        tokens.make(store, str(number), now=0, reads_people=False)
    with pytest.raises(ValueError, match="revoke one first"):
        tokens.make(store, "one more", now=0, reads_people=False)
    store.close()


def test_hostile_name_is_only_text(app: App, reader: Reader) -> None:
    made(app, "<script>alert(1)</script>\u202e")
    assert "<script>alert" not in reader.get("/tokens").text
    assert "\u202e" not in re.sub(r'value="[^"]*"', "", reader.get("/tokens").text)
