"""An app below a prefix, through both doors: patterns and the beacon count the whole path, and the path below the prefix."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sojourn.asgi import AsgiFacts
from sojourn.tracking.forwarded import Proxies
from sojourn.tracking.mounting import matches, readings
from tests.doors.browser import Browser, Protocol, Site

MakeSite = Callable[..., Site]
SAME = {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "empty", "sec-fetch-site": "same-origin"}


@pytest.mark.parametrize(
    ("mount", "pattern", "path", "is_excluded"),
    [
        pytest.param("", "/health", "/health", True, id="at the root"),
        pytest.param("/shop", "/health", "/health", True, id="below the prefix"),
        pytest.param("/shop", "/shop/health", "/health", True, id="the whole path"),
        pytest.param("/shop", "/shop/*", "/health", True, id="all of the app"),
        pytest.param("/shop", "/static/*", "/static/app.css", True, id="a default below the prefix"),
        pytest.param("/a/b", "/health", "/health", True, id="a longer prefix"),
        pytest.param("/a/b", "/b/health", "/health", False, id="half a prefix"),
        pytest.param("/shop", "/health", "/health/x", False, id="another path"),
        pytest.param("/shop", "/", "/", True, id="the front page"),
        pytest.param("/shop", "/shop/", "/", True, id="the front page, whole"),
        pytest.param("/shop", "/health", "/shop/health", False, id="the prefix twice"),
        pytest.param("/caf\u00e9", "/health", "/health", True, id="not ASCII"),
    ],
)
def test_patterns_count_the_path_and_the_path_below_the_mount(
    make_site: MakeSite, protocol: Protocol, mount: str, pattern: str, path: str, *, is_excluded: bool
) -> None:
    site = make_site(exclude=[pattern])
    site.mount = mount if protocol == "asgi" else mount.encode().decode("latin-1")
    Browser(site).navigate(path)
    assert len(site.sessions) == (not is_excluded)
    assert site.ignored == ({"excluded": 1} if is_excluded else {})


@pytest.mark.parametrize("pattern", ["/stats", "/shop/stats"])
def test_passive_paths_count_like_excluded_ones(make_site: MakeSite, pattern: str) -> None:
    site = make_site(passive=[pattern])
    site.mount = "/shop"
    browser = Browser(site)
    browser.navigate("/")
    site.clock.advance(60)
    browser.fetch("/stats")
    site.clock.advance(1800)
    site.engine.sweep()
    assert site.ends() == [("idle_timeout", 0)]


@pytest.mark.parametrize("pattern", ["/reset/*", "/shop/reset/*"])
def test_paths_that_are_shown_as_they_are_count_like_excluded_ones(make_site: MakeSite, pattern: str) -> None:
    site = make_site(keep=[pattern])
    site.mount = "/shop"
    Browser(site).navigate("/reset/0a3cbc7f2a4b4d0d8f0e6b1c2d3e4f50")
    (view,) = site.named("page_view")
    assert view.attributes["url.path"] == "/shop/reset/0a3cbc7f2a4b4d0d8f0e6b1c2d3e4f50"


def test_probes_of_a_mounted_app_are_no_sessions_by_default(site: Site) -> None:
    site.mount = "/shop"
    for path in ("/health", "/static/app.css", "/favicon.ico", "/metrics", "/.well-known/gpc.json"):
        site.request("GET", path)
    assert site.sessions == []


@pytest.mark.parametrize("beacon_path", ["/-/sojourn", "/shop/-/sojourn"])
def test_the_beacons_path_counts_like_a_pattern(make_site: MakeSite, beacon_path: str) -> None:
    site = make_site(beacon_path=beacon_path)
    site.mount = "/shop"
    browser = Browser(site)
    browser.navigate("/")
    assert site.request("GET", "/-/sojourn.js").header("content-type") == ["text/javascript; charset=utf-8"]
    body = json.dumps({"kind": "page_view", "page": "/shop/two"}).encode()
    assert browser.ask("POST", "/-/sojourn", SAME, body).status == 204
    assert [view.attributes["url.path"] for view in site.named("page_view")] == ["/shop/", "/shop/two"]


@pytest.mark.parametrize("page", ["/shop/health", "/health"])
def test_a_page_that_a_beacon_names_counts_like_a_path(make_site: MakeSite, page: str) -> None:
    """Where a proxy cuts the prefix off, the page still has it in its address."""
    site = make_site(beacon_path="/-/sojourn", exclude=["/health"])
    site.mount = "/shop"
    browser = Browser(site)
    browser.navigate("/")
    browser.ask("POST", "/-/sojourn", SAME, json.dumps({"kind": "page_view", "page": page}).encode())
    assert len(site.named("page_view")) == 1
    assert site.ignored == {"excluded": 1}


@pytest.mark.parametrize(
    ("path", "mount", "expected"),
    [
        ("/a", "", ("/a",)),
        ("/a", "/", ("/a",)),
        ("/shop/a", "/shop", ("/shop/a", "/a")),
        ("/shop/a", "/shop/", ("/shop/a", "/a")),
        ("/a", "/shop", ("/a", "/shop/a")),
        ("/shopping/a", "/shop", ("/shopping/a", "/shop/shopping/a")),
        ("/shop", "/shop", ("/shop", "/")),
        ("/shop/", "/shop", ("/shop/", "/")),
    ],
)
def test_two_ways_to_read_a_path(path: str, mount: str, expected: tuple[str, ...]) -> None:
    """Old servers leave the mount out of an ASGI path, and new ones repeat it."""
    assert readings(path, mount) == expected
    assert all(matches(path, mount, [pattern]) for pattern in expected)


def test_a_router_within_the_app_moves_no_mount(make_site: MakeSite, protocol: Protocol) -> None:
    """Starlette's `Mount` writes its own prefix into the same scope."""
    if protocol == "wsgi":
        return
    scope = {"type": "http", "path": "/shop/health", "root_path": "/shop", "headers": []}
    facts = AsgiFacts(scope, Proxies(()))
    scope["root_path"] = "/shop/health"
    assert facts.mount == "/shop"
