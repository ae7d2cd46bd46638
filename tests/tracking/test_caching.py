"""A cookie never reaches a shared cache: which responses carry one, and what stands beside it."""

from __future__ import annotations

import pytest

from sojourn.tracking.caching import may_carry, with_private
from tests.tracking.plain_facts import Response


def response(headers: dict[str, str]) -> Response:
    return Response(headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        pytest.param("", "private", id="nothing"),
        pytest.param("max-age=600", "max-age=600, private", id="a lifetime"),
        pytest.param("must-revalidate", "must-revalidate, private", id="must-revalidate"),
        pytest.param("stale-while-revalidate=60", "stale-while-revalidate=60, private", id="served stale"),
        pytest.param("no-cache", "no-cache, private", id="no-cache is stored, and revalidated"),
        pytest.param('private="x-foo"', 'private="x-foo", private', id="private for one field only"),
        pytest.param('private="a, no-store"', 'private="a, no-store", private', id="a directive inside quotes is none"),
        pytest.param('no-cache="set-cookie"', 'no-cache="set-cookie", private', id="no-cache for one field only"),
        pytest.param("private=, max-age=1", "private=, max-age=1, private", id="an empty argument"),
        pytest.param("max-age=60, PRIVATE", None, id="private, whatever the case"),
        pytest.param("no-store", None, id="no-store"),
        pytest.param('private="a", private', None, id="private for one field and for all"),
    ],
)
def test_beside_a_cookie_stands_an_unqualified_private_or_no_store(value: str, sent: str | None) -> None:
    given = response({"cache_control": value} if value else {})
    assert with_private(given) == sent
    assert may_carry(given, adds_private=True)
    assert may_carry(given, adds_private=False) == (sent is None or not value)


@pytest.mark.parametrize(
    "value",
    [
        "public",
        "public, max-age=60",
        "max-age=60, PUBLIC",
        "s-maxage=60",
        "max-age=31536000, immutable",
        'private="x", public',
        'max-age=60, x="unterminated',
    ],
)
def test_what_the_app_calls_public_or_mangles_carries_none(value: str) -> None:
    assert not may_carry(response({"cache_control": value}), adds_private=True)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *(
            pytest.param(name, value, expected, id=f"{name}: {value}")
            for name in (
                "cdn-cache-control",
                "surrogate-control",
                "cloudflare-cdn-cache-control",
                "vercel-cdn-cache-control",
                "netlify-cdn-cache-control",
                "akamai-cache-control",
            )
            for value, expected in [
                ("public", False),
                ("max-age=60", False),
                ('max-age="60"', False),
                ("s-maxage=5", False),
                ("no-cache", False),
                ("max-age=0, stale-while-revalidate=60", False),
                ('private="x", max-age=60', False),
                ("max-age=0", True),
                ("no-store, max-age=60", True),
                ("private", True),
            ]
        ),
        pytest.param("edge-control", "max-age=60s", False, id="Akamai: a lifetime"),
        pytest.param("edge-control", "cache-maxage=1h", False, id="Akamai: its own lifetime"),
        pytest.param("edge-control", "!no-store", False, id="Akamai: no-store taken back"),
        pytest.param("edge-control", "no-store", True, id="Akamai: no-store"),
        pytest.param("edge-control", "cache-maxage=0s", True, id="Akamai: a lifetime of nothing"),
        pytest.param("x-accel-expires", "600", False, id="nginx: seconds"),
        pytest.param("x-accel-expires", "@1893456000", False, id="nginx: a moment"),
        pytest.param("x-accel-expires", "0", True, id="nginx: nothing"),
        pytest.param("x-accel-expires", "@0", True, id="nginx: the epoch"),
        pytest.param("x-accel-expires", "-1", True, id="nginx: less than nothing"),
        pytest.param("x-accel-expires", "off", True, id="nginx: off"),
        pytest.param("x-cache", "HIT", True, id="a header about something else"),
    ],
)
def test_a_header_for_one_cache_outranks_private(name: str, value: str, expected: bool) -> None:
    assert may_carry(response({"cache_control": "private", name: value}), adds_private=True) == expected
