"""What is masked, through both doors: paths, referrers, beacons and campaigns; and that refused requests pay nothing for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from sojourn.flask import Sojourn as FlaskSojourn
from sojourn.starlette import Sojourn as StarletteSojourn
from sojourn.tracking import paths
from tests.doors.browser import FETCH, NAVIGATE, Browser, Response, Site, view_of
from tests.doors.test_frameworks import Behind, open_pages

MakeSite = Callable[..., Site]
SAME = {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "empty", "sec-fetch-site": "same-origin"}
PATHS = [
    pytest.param("/reset/uK3nQ0v_SsOe1cZy0mQ4yA", "/reset/*", id="token_urlsafe(16)"),
    pytest.param("/d/Zk3TqL9xVb2RnW7c", "/d/*", id="base62 of 16"),
    pytest.param("/d/qwXkzLpRtvBnmJhG", "/d/*", id="letters alone"),
    pytest.param("/d/9f86d081884c", "/d/*", id="12 hex digits"),
    pytest.param("/verify/482913", "/verify/*", id="a code of six digits"),
    pytest.param("/m/anna@localhost", "/m/*", id="a host without a dot"),
    pytest.param("/tel/+4915112345678", "/tel/*", id="a phone number"),
    pytest.param("/blog/how-to-grow-tomatoes-2026", "/blog/how-to-grow-tomatoes-2026", id="a slug"),
    pytest.param("/orders/482913", "/orders/482913", id="a number"),
]


@pytest.mark.parametrize(("path", "shown"), PATHS)
def test_a_path_is_masked_wherever_it_is_kept(make_site: MakeSite, path: str, shown: str) -> None:
    site = make_site(beacon_path="/-/sojourn")
    browser = Browser(site)
    browser.ask(
        "GET", f"{path}?utm_source=anna@example.org&utm_term=tomatoes", {**NAVIGATE, "referer": f"http://a.test{path}"}
    )
    body = json.dumps({"kind": "page_view", "page": f"{path}?utm_source=anna%40example.org"})
    browser.ask("POST", "/-/sojourn", SAME, body.encode())
    (start,) = site.named("session.start")
    assert start.attributes["url.path"] == shown
    assert start.attributes["http.request.header.referer"] == f"http://a.test{shown}"
    assert start.attributes["url.query"] == "utm_source=*&utm_term=tomatoes"
    assert [(view.attributes["url.path"], view.attributes["url.query"]) for view in site.named("page_view")] == [
        (shown, "utm_source=*&utm_term=tomatoes"),
        (shown, "utm_source=*"),
    ]
    assert "anna@" not in repr(site.events)


def test_a_stream_is_masked(site: Site, browser: Browser) -> None:
    site.views["/verify/482913"] = view_of(
        response=Response(pieces=(b"a", b"b"), between=lambda: site.clock.advance(1))
    )
    browser.navigate("/verify/482913")
    (end,) = site.named("connection.end")
    assert end.attributes["url.path"] == "/verify/*"


def test_keep_leaves_paths_and_parameters_readable(make_site: MakeSite) -> None:
    site = make_site(keep=["/share/*", "utm_id"])
    browser = Browser(site)
    browser.navigate("/share/482913?utm_id=3T8QmzPp0xLr9bWcVnKd2E&utm_term=3T8QmzPp0xLr9bWcVnKd2E")
    browser.navigate("/verify/482913")
    views = [(view.attributes["url.path"], view.attributes.get("url.query")) for view in site.named("page_view")]
    assert views == [("/share/482913", "utm_id=3T8QmzPp0xLr9bWcVnKd2E&utm_term=*"), ("/verify/*", None)]


def count_maskings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    masked: list[str] = []

    def masked_path(path: str, *_: object) -> str:
        masked.append(path)
        return "/"

    monkeypatch.setattr(paths, "masked_path", masked_path)
    return masked


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        pytest.param("/static/{}", NAVIGATE, id="excluded"),
        pytest.param(
            "/{}", {**NAVIGATE, "user-agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"}, id="a crawler"
        ),
        pytest.param("/{}", FETCH, id="a fetch"),
        pytest.param("/{}", {**NAVIGATE, "sec-purpose": "prefetch"}, id="a prefetch"),
        pytest.param("/{}", {**NAVIGATE, "sec-gpc": "1"}, id="switched off by the browser"),
    ],
)
def test_a_refused_request_pays_for_no_masking(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, path: str, headers: dict[str, str]
) -> None:
    site = make_site(gpc="off")
    masked = count_maskings(monkeypatch)
    site.request("GET", path.format("a" * 500 + "@" + "." * 522), list(headers.items()))
    assert site.events == []
    assert masked == []


def test_a_request_of_which_no_path_is_kept_is_not_masked(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.navigate()
    masked = count_maskings(monkeypatch)
    browser.fetch("/api/" + "a" * 500)
    assert masked == []


def starlette_app(behind: Behind) -> Any:
    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse("x")

    inner = [Route("/join/{code}", page)]
    app = Starlette(routes=[Route("/r/{token}", page), Route("/c/{country_code}", page), Mount("/shop", routes=inner)])
    StarletteSojourn(app, engine=behind.engine)
    return app


@pytest.fixture
def behind() -> Iterator[Behind]:
    made = Behind(beacon_path="/-/sojourn")
    yield made
    made.engine.close()


ROUTED = [("/r/anna", "/r/*"), ("/c/de", "/c/de"), ("/shop/join/ab", "/shop/join/*"), ("/x/anna", "/x/anna")]


def test_parameters_of_starlettes_route_are_masked_by_name(behind: Behind) -> None:
    open_pages(starlette_app(behind), *(path for path, _ in ROUTED), headers=NAVIGATE)
    shown = [view.attributes["url.path"] for view in behind.events("page_view")]
    assert shown[:3] == [shown for _, shown in ROUTED[:3]]  # Starlette's 404 is plain text
    assert behind.events("session.start")[0].attributes["url.path"] == "/r/*"


def test_parameters_of_flasks_route_are_masked_by_name(behind: Behind) -> None:
    app = flask.Flask(__name__)
    app.add_url_rule("/r/<token>", "token", lambda token: "x")
    app.add_url_rule("/c/<country_code>", "country", lambda country_code: "x")
    app.add_url_rule("/shop/join/<string(length=2):code>", "code", lambda code: "x")
    FlaskSojourn(app, engine=behind.engine)
    client = app.test_client()
    for path, _ in ROUTED:
        client.get(path, headers=NAVIGATE)
    assert [view.attributes["url.path"] for view in behind.events("page_view")] == [shown for _, shown in ROUTED]
    # What the beacon reports, and what a referrer names, no route was matched for; but it was seen.
    body = json.dumps({"kind": "page_view", "page": "/r/carl"})
    client.post("/-/sojourn", data=body, headers={"sec-fetch-site": "same-origin"})
    assert behind.events("page_view")[-1].attributes["url.path"] == "/r/*"
    client.delete_cookie("sojourn")
    client.get("/c/de", headers={**NAVIGATE, "referer": "http://localhost/r/ben"})
    assert behind.events("session.start")[1].attributes["http.request.header.referer"] == "http://localhost/r/*"
