"""Whether a browser keeps our cookie, and sends it back: what decides where a session may start."""

from __future__ import annotations

import pytest

from sojourn.tracking.cookie_policy import CookiePolicy
from sojourn.tracking.reach import keeps, leads_out_of_reach, parent_domains
from tests.tracking.plain_facts import Request, Response

PLAIN, SHARED, NONE = CookiePolicy(), CookiePolicy(domain="shop.test"), CookiePolicy(samesite="none", secure=True)
SECURE = CookiePolicy(secure=True)


def request(headers: dict[str, str] | None = None, *, is_https: bool = False) -> Request:
    named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
    made = Request(headers={"host": "shop.test", **named})
    made.is_https = is_https
    return made


@pytest.mark.parametrize(
    ("location", "policy", "is_https", "expected"),
    [
        pytest.param("https://shop.test/", PLAIN, False, True, id="to https"),
        pytest.param("https://SHOP.test:8443/", PLAIN, False, True, id="to https, another port"),
        pytest.param("//www.shop.test/", PLAIN, False, True, id="to www, the same scheme"),
        pytest.param("http://www.shop.test/", PLAIN, False, True, id="to a child"),
        pytest.param("https://test/", PLAIN, True, True, id="to a parent"),
        pytest.param("http://shop.test/", PLAIN, True, True, id="to http"),
        pytest.param("https://www.shop.test/", SHARED, True, False, id="to a child that the domain covers"),
        pytest.param("https://shop.test/", SHARED, False, False, id="to https, with a name that both read"),
        pytest.param("http://www.shop.test/", SHARED, True, True, id="covered, but a Secure cookie over http"),
        pytest.param("/next", PLAIN, False, False, id="a path"),
        pytest.param("https://shop.test/next", PLAIN, True, False, id="the same origin"),
        pytest.param("https://pay.example/", PLAIN, True, False, id="a payment provider"),
        pytest.param("https://othershop.test/", PLAIN, True, False, id="another site whose name ends alike"),
        pytest.param("", PLAIN, False, False, id="no target"),
        pytest.param("https://[broken/", PLAIN, False, False, id="a target that is none"),
    ],
)
def test_redirects_out_of_the_cookies_reach(
    location: str, policy: CookiePolicy, is_https: bool, expected: bool
) -> None:
    response = Response(307, {"location": location})
    assert leads_out_of_reach(request(is_https=is_https), response, policy) == expected
    response.status = 200
    assert not leads_out_of_reach(request(is_https=is_https), response, policy)


CROSS = {"sec_fetch_site": "cross-site"}


@pytest.mark.parametrize(
    ("headers", "response", "policy", "expected"),
    [
        pytest.param({}, {}, PLAIN, True, id="no Fetch Metadata"),
        pytest.param(
            {**CROSS, "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}, {}, PLAIN, True, id="a link"
        ),
        pytest.param(
            {**CROSS, "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}, {}, PLAIN, False, id="a frame"
        ),
        pytest.param(
            {**CROSS, "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}, {}, PLAIN, False, id="a picture"
        ),
        pytest.param(
            {**CROSS, "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}, {}, NONE, True, id="SameSite=None"
        ),
        pytest.param({**CROSS, "sec_fetch_mode": "cors"}, {}, PLAIN, False, id="a fetch"),
        pytest.param({**CROSS, "sec_fetch_mode": "cors"}, {}, NONE, False, id="a fetch without credentials"),
        pytest.param(
            {**CROSS, "sec_fetch_mode": "cors"},
            {"access_control_allow_credentials": "true"},
            NONE,
            True,
            id="a fetch with credentials",
        ),
        pytest.param(
            {"sec_fetch_site": "same-site", "sec_fetch_mode": "cors"}, {}, PLAIN, False, id="from a subdomain"
        ),
        pytest.param({"sec_fetch_site": "same-origin", "sec_fetch_mode": "cors"}, {}, PLAIN, True, id="same origin"),
        pytest.param({"sec_purpose": "prefetch"}, {}, PLAIN, False, id="a prefetch"),
        pytest.param({}, {}, SECURE, False, id="Secure over http"),
        pytest.param({"sec_fetch_site": "none"}, {}, SECURE, True, id="Secure, and a proxy that ended TLS"),
        pytest.param({"host": "localhost:8000"}, {}, SECURE, True, id="Secure on localhost"),
    ],
)
def test_what_a_browser_keeps(
    headers: dict[str, str], response: dict[str, str], policy: CookiePolicy, expected: bool
) -> None:
    assert (
        keeps(
            request(headers),
            Response(headers={name.replace("_", "-"): value for name, value in response.items()}),
            policy,
            has_cookie=False,
        )
        == expected
    )
    assert keeps(
        request(headers),
        Response(headers={name.replace("_", "-"): value for name, value in response.items()}),
        policy,
        has_cookie=True,
    )


@pytest.mark.parametrize(
    ("host", "domains"),
    [
        ("app.shop.test:80", ["app.shop.test", "shop.test"]),
        ("shop.test", ["shop.test"]),
        ("localhost", []),
        ("192.0.2.7:8000", []),
        ("[2001:db8::1]:80", []),
        ("", []),
        ("a]b", []),
    ],
)
def test_where_copies_of_our_cookie_may_have_been_set(host: str, domains: list[str]) -> None:
    assert parent_domains(request({"host": host})) == domains
