"""Which requests may start a session or are page views, and which responses may carry a cookie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.tracking.admission import (
    intent_of,
    is_cross_site_post,
    is_marked_fetch,
    is_navigation,
    is_page_view,
    is_prefetch,
    may_carry_cookie,
    refusal_to_start,
)
from sojourn.tracking.presence import Sign, sign_of
from sojourn.tracking.privacy_signals import PrivacyLevel, PrivacySignals
from tests.tracking.plain_facts import Request, Response

NAVIGATE = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FETCH = {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        pytest.param("GET", {}, True, id="no Fetch Metadata"),
        pytest.param("POST", {}, True, id="a form without it"),
        pytest.param("GET", NAVIGATE, True, id="a page"),
        pytest.param("POST", NAVIGATE, True, id="a form"),
        pytest.param("GET", {"sec-fetch-mode": "navigate"}, True, id="no destination said"),
        pytest.param("GET", {**NAVIGATE, "sec-fetch-dest": "iframe"}, False, id="a frame"),
        pytest.param("GET", FETCH, False, id="a fetch"),
        pytest.param("GET", {**FETCH, "hx-boosted": "true"}, True, id="htmx, boosted"),
        pytest.param("GET", {**FETCH, "hx-request": "true"}, False, id="htmx, a fragment"),
        pytest.param("GET", {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, False, id="an image"),
        pytest.param("GET", {"sec-fetch-mode": "websocket"}, False, id="a socket"),
        pytest.param("HEAD", NAVIGATE, False, id="HEAD"),
        pytest.param("OPTIONS", {}, False, id="OPTIONS"),
        pytest.param("PUT", {}, False, id="PUT"),
        pytest.param("DELETE", {"sec-fetch-mode": "cors", "hx-boosted": "true"}, False, id="DELETE"),
    ],
)
def test_navigation(method: str, headers: dict[str, str], expected: bool) -> None:
    assert is_navigation(Request(method, headers)) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, False, id="a plain request"),
        pytest.param({"sec-purpose": "prefetch"}, True, id="prefetch"),
        pytest.param({"sec-purpose": "prefetch;prerender"}, True, id="prerender"),
        pytest.param({"sec-purpose": "prefetch;anonymous-client-ip"}, True, id="through a proxy"),
        pytest.param({"purpose": "prefetch"}, True, id="the old header"),
        pytest.param({"purpose": "Prerender"}, True, id="whatever the case"),
        pytest.param({"x-moz": "prefetch"}, True, id="Firefox"),
        pytest.param({"x-purpose": "preview"}, True, id="Safari's top sites"),
        pytest.param({"purpose": "payment"}, False, id="another purpose"),
    ],
)
def test_prefetch(headers: dict[str, str], expected: bool) -> None:
    assert is_prefetch(Request("GET", headers)) == expected


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        pytest.param("GET", {"sec-fetch-site": "cross-site"}, False, id="a link from elsewhere is no POST"),
        pytest.param("POST", {"sec-fetch-site": "cross-site"}, True, id="another site's form"),
        pytest.param("POST", {"sec-fetch-site": "same-site"}, False, id="our sister"),
        pytest.param("POST", {"sec-fetch-site": "same-origin"}, False, id="our own"),
        pytest.param("POST", {"sec-fetch-site": "none"}, False, id="the browser itself"),
        pytest.param("POST", {}, False, id="no browser"),
        pytest.param("POST", {"origin": "https://a.example", "host": "a.example"}, False, id="by origin: our own"),
        pytest.param("POST", {"origin": "https://A.example", "host": "a.Example"}, False, id="hosts have no case"),
        pytest.param("POST", {"origin": "https://b.example", "host": "a.example"}, True, id="by origin: another"),
        pytest.param("POST", {"origin": "http://a.example:81", "host": "a.example"}, True, id="another port"),
        pytest.param("POST", {"origin": "null", "host": "a.example"}, True, id="an origin that is hidden"),
        pytest.param("POST", {"origin": "http://[", "host": "a.example"}, True, id="a hostile origin"),
        pytest.param(
            "POST",
            {"sec-fetch-site": "same-origin", "origin": "https://b.example", "host": "a.example"},
            False,
            id="the browser's word outranks a rewritten host",
        ),
    ],
)
def test_cross_site_post(method: str, headers: dict[str, str], expected: bool) -> None:
    assert is_cross_site_post(Request(method, headers)) == expected


@given(origin=st.text(), host=st.text())
def test_no_origin_raises(origin: str, host: str) -> None:
    assert is_cross_site_post(Request("POST", {"origin": origin, "host": host})) in {True, False}


CROSS = {"sec-fetch-site": "cross-site"}
PREFETCH = {"sec-purpose": "prefetch"}


@pytest.mark.parametrize(
    ("method", "headers", "automatic", "any_request", "by_helper"),
    [
        pytest.param("GET", NAVIGATE, None, None, None, id="a page"),
        pytest.param("GET", {}, None, None, None, id="curl"),
        pytest.param("GET", FETCH, "not_a_navigation", None, None, id="a fetch"),
        pytest.param("POST", FETCH, "not_a_navigation", None, None, id="a fetch that posts"),
        pytest.param("POST", {}, None, None, None, id="a form"),
        pytest.param("POST", {**NAVIGATE, **CROSS}, *["cross_site_post"] * 3, id="another site's form"),
        pytest.param("GET", {**NAVIGATE, **CROSS}, None, None, None, id="a link from another site"),
        pytest.param("GET", {**NAVIGATE, **PREFETCH}, "prefetch", "prefetch", None, id="a prefetch"),
        pytest.param("HEAD", {}, "method", "method", None, id="HEAD"),
        pytest.param("OPTIONS", {}, "method", "method", None, id="OPTIONS"),
        pytest.param("PUT", {}, "method", "method", None, id="PUT"),
    ],
)
def test_what_starts_a_session_out_of_nothing(
    method: str, headers: dict[str, str], automatic: str | None, any_request: str | None, by_helper: str | None
) -> None:
    request = Request(method, headers)
    assert refusal_to_start(request, any_request=False, by_helper=False) == automatic
    assert refusal_to_start(request, any_request=True, by_helper=False) == any_request
    assert refusal_to_start(request, any_request=False, by_helper=True) == by_helper


@pytest.mark.parametrize(
    ("method", "status", "headers", "expected"),
    [
        pytest.param("GET", 200, {}, True, id="a response"),
        pytest.param("POST", 303, {}, True, id="a redirect"),
        pytest.param("GET", 500, {}, True, id="an error"),
        pytest.param("GET", 304, {}, False, id="not modified"),
        pytest.param("HEAD", 200, {}, False, id="HEAD"),
        pytest.param("OPTIONS", 204, {}, False, id="OPTIONS"),
        pytest.param("GET", 200, {"cache-control": "private, max-age=60"}, True, id="private"),
        pytest.param("GET", 200, {"cache-control": "max-age=60"}, True, id="a lifetime alone is the browser's too"),
        pytest.param("GET", 200, {"cache-control": "no-store"}, True, id="no-store"),
        pytest.param("GET", 200, {"cache-control": "public, max-age=60"}, False, id="public"),
        pytest.param("GET", 200, {"cache-control": "max-age=60, PUBLIC"}, False, id="whatever the case"),
        pytest.param("GET", 200, {"cache-control": "s-maxage=60"}, False, id="s-maxage"),
        pytest.param("GET", 200, {"cache-control": "max-age=31536000, immutable"}, False, id="immutable"),
        pytest.param("GET", 200, {"cache-control": "x-public"}, True, id="another directive"),
    ],
)
def test_which_responses_may_carry_a_cookie(method: str, status: int, headers: dict[str, str], expected: bool) -> None:
    assert may_carry_cookie(Request(method), Response(status, headers)) == expected


FRAME = {**NAVIGATE, "sec-fetch-dest": "iframe"}
PREFETCH = {**NAVIGATE, "sec-purpose": "prefetch"}
JSON = {"content-type": "application/json"}
TEXT = {"content-type": "text/plain; charset=utf-8"}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
HTML = {"content-type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("request_", "response", "expected"),
    [
        pytest.param(Request("GET", NAVIGATE), Response(200, HTML), True, id="a page"),
        pytest.param(Request(), Response(200, {"content-type": "Text/HTML"}), True, id="whatever the case"),
        pytest.param(Request(), Response(200, {"content-type": "application/xhtml+xml"}), True, id="XHTML"),
        pytest.param(Request("POST"), Response(422, HTML), True, id="a form that failed"),
        pytest.param(Request(), Response(404, HTML), True, id="not found"),
        pytest.param(Request(), Response(500, HTML), True, id="an error page"),
        pytest.param(Request(), Response(302, HTML), False, id="a redirect is on the way to one"),
        pytest.param(Request(), Response(200, {"content-type": "application/json"}), False, id="data"),
        pytest.param(Request(), Response(204), False, id="nothing"),
        pytest.param(Request("GET", FETCH), Response(200, HTML), False, id="a fragment"),
        pytest.param(Request("GET", NAVIGATE), Response(404, JSON), True, id="not found, as JSON"),
        pytest.param(Request("GET", NAVIGATE), Response(500, TEXT), True, id="an error, as text"),
        pytest.param(Request("GET", NAVIGATE), Response(503), True, id="an error of no type"),
        pytest.param(Request("POST", NAVIGATE), Response(422, JSON), True, id="a form that failed, as JSON"),
        pytest.param(
            Request("GET", {**FETCH, "hx-boosted": "true"}), Response(404, JSON), True, id="a page swap that failed"
        ),
        pytest.param(Request("GET", FETCH), Response(404, JSON), False, id="a fetch that failed"),
        pytest.param(
            Request("GET", FRAME),
            Response(404, JSON),
            False,
            id="a frame that failed",
        ),
        pytest.param(Request("GET", PREFETCH), Response(404, JSON), False, id="a failed prefetch"),
        pytest.param(Request("HEAD", NAVIGATE), Response(404, JSON), False, id="a HEAD that failed"),
        pytest.param(Request("GET", {"accept": BROWSER}), Response(404, JSON), True, id="unmarked, but wants HTML"),
        pytest.param(Request("GET", {"accept": "*/*"}), Response(404, JSON), False, id="unmarked, wants anything"),
        pytest.param(
            Request("GET", {"accept": "application/json"}), Response(500, JSON), False, id="unmarked, wants JSON"
        ),
        pytest.param(Request(), Response(404, TEXT), False, id="unmarked, says nothing"),
        pytest.param(Request("GET", {"accept": BROWSER}), Response(200, JSON), False, id="data that a browser opens"),
        pytest.param(Request("HEAD"), Response(200, HTML), False, id="HEAD"),
    ],
)
def test_page_views(request_: Request, response: Response, expected: bool) -> None:
    assert is_page_view(intent_of(request_), request_, response) == expected


_VALUES = st.sampled_from(["", "navigate", "cors", "document", "empty", "iframe", "prefetch", "true", "1", "body"])
_NAMES = st.sampled_from([
    *("sec-fetch-mode", "sec-fetch-dest", "sec-purpose", "purpose", "hx-boosted", "x-pjax", "x-turbo-request-id"),
    *("turbo-frame", "x-up-target", "sec-gpc", "dnt", "accept", "range"),
])  # fmt: skip


@given(
    st.sampled_from(["GET", "POST", "HEAD", "PUT"]),
    st.lists(st.dictionaries(_NAMES, _VALUES, max_size=5), min_size=1, max_size=5),
)
def test_remembered_intent_is_what_a_request_says_itself(method: str, all_headers: list[dict[str, str]]) -> None:
    for headers in all_headers:
        request = Request(method, headers)
        intent = intent_of(request)
        assert intent.is_navigation == is_navigation(request)
        assert intent.is_prefetch == is_prefetch(request)
        assert intent.is_marked == bool(headers.get("sec-fetch-mode"))
        if intent.is_document:
            sign = sign_of(request, is_fetch=is_marked_fetch, is_passive_path=lambda *_: True)
            assert sign is Sign.PERSON
        if intent.is_plain:
            assert PrivacySignals("off", "off").of(request) is PrivacyLevel.UNRESTRICTED
