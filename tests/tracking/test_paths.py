"""Which paths are excluded, and how paths are shown."""

from __future__ import annotations

import pytest

from sojourn.tracking.paths import Paths


def test_paths_are_cached() -> None:
    paths = Paths(("/static/*", "/health", "*.ico"))
    for _ in range(2):
        assert paths.is_excluded("/static/3T8QmzPp0xLr9bWcVnKd2E.js")
        assert paths.is_excluded("/health")
        assert not paths.is_excluded("/healthy")
        assert paths.is_excluded("/favicon.ico")
        assert paths.shown("/reset/3T8QmzPp0xLr9bWcVnKd2E") == "/reset/*"
        assert paths.shown("/" + "ab/" * 900) == ("/" + "ab/" * 900)[:1024], "too long to be worth remembering"


@pytest.mark.parametrize(
    ("path", "route", "shown"),
    [
        pytest.param("/r/anna", "/r/{token}", "/r/*", id="Starlette"),
        pytest.param("/r/anna/", "/r/{token}", "/r/*/", id="a slash at the end"),
        pytest.param("/r/anna", "/r/<code>", "/r/*", id="Flask"),
        pytest.param("/r/anna/b", "/r/<string(length=4):secret>/b", "/r/*/b", id="Flask, with a converter"),
        pytest.param("/r/anna", "/r/{token:str}", "/r/*", id="Litestar"),
        pytest.param("/r/7/anna", "/r/{id:int}/{reset_token}", "/r/7/*", id="a suffix"),
        pytest.param("/r/anna", "/r/{resetToken}", "/r/*", id="in camel case"),
        pytest.param("/r/anna", "/r/{API_SECRET}", "/r/*", id="in capitals"),
        pytest.param("/r/v-anna.html", "/r/v-{key}.html", "/r/*", id="part of a segment"),
        pytest.param("/shop/r/anna", "/r/<hash>", "/shop/r/*", id="below a mount"),
        pytest.param("/r/a/b/c/edit", "/r/{token:path}/edit", "/r/*/*/*/edit", id="several segments"),
        pytest.param("/r/a/b/c", "/r/<path:token>", "/r/*/*/*", id="several segments in Flask"),
        pytest.param("/r/a/b/c/anna", "/r/{rest:path}/{email}", "/r/a/b/c/*", id="behind several segments"),
        pytest.param("/r/anna", "/r/{tokens}", "/r/anna", id="another name"),
        pytest.param("/r/anna", "/r/{keyword}", "/r/anna", id="a name that begins so"),
        pytest.param("/r/de", "/r/{country_code}", "/r/de", id="a name that ends in code"),
        pytest.param("/r/de", "/r/{kept_token}", "/r/de", id="a name to keep"),
        pytest.param("/anna", "/r/x/{token}", "/anna", id="a route that is longer than the path"),
        pytest.param("/r//x", "/r/{token}/x", "/r//x", id="nothing there"),
    ],
)
def test_parameters_of_the_route(path: str, route: str, shown: str) -> None:
    assert Paths(keep=("kept_token",)).shown(path, route=route) == shown


def test_a_path_without_a_route_is_masked_as_the_routes_seen_so_far() -> None:
    """Of a page that the beacon reports, and of a referrer, no door knows the route."""
    paths = Paths()
    assert paths.shown("/r/anna/edit") == "/r/anna/edit"
    assert paths.shown("/r/ben/edit", route="/r/{token}/edit") == "/r/*/edit"
    assert paths.shown("/r/anna/edit") == "/r/*/edit"
    assert paths.referrer("https://shop.example/r/anna/edit?x=1") == "https://shop.example/r/*/edit"
    assert paths.shown("/q/anna/edit") == "/q/anna/edit"
    assert paths.shown("/r/anna") == "/r/anna"
    assert paths.shown("/files/a/b") == "/files/a/b"
    paths.shown("/files/a/b", route="/files/{key:path}")
    assert paths.shown("/files/a/b/c") == "/files/*/*/*"
    for number in range(100):
        paths.shown(f"/{number}/x", route=f"/{number}/{{token}}")
    assert paths.shown("/1/x") == "/1/*"
    assert paths.shown("/99/x") == "/99/x", "no app has so many: the number of templates is bounded"


@pytest.mark.parametrize(
    ("keep", "path", "mount", "shown"),
    [
        pytest.param("/verify/*", "/verify/482913", "", "/verify/482913", id="a pattern"),
        pytest.param("/verify/*", "/shop/verify/482913", "/shop", "/shop/verify/482913", id="below the mount"),
        pytest.param("/shop/verify/*", "/shop/verify/482913", "/shop", "/shop/verify/482913", id="the whole path"),
        pytest.param("*", "/a\nb", "", "/a\ufffdb", id="still printable"),
        pytest.param("/other/*", "/verify/482913", "", "/verify/*", id="another pattern"),
    ],
)
def test_what_is_kept(keep: str, path: str, mount: str, shown: str) -> None:
    assert Paths(keep=(keep,)).shown(path, mount) == shown
