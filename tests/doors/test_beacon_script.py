"""The beacon's script as it is served: small, the same for everybody, cached, and fit for a strict policy."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

import pytest

from sojourn import Settings
from sojourn.beacon import interval_ms
from sojourn.engine import rules_of
from tests.doors.browser import FETCH, Browser, Reply, Site

MakeSite = Callable[..., Site]
PATH = "/-/sojourn"


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(beacon_path=PATH)


def ask(browser: Browser, method: str = "GET", **headers: str) -> Reply:
    return browser.fetch(f"{PATH}.js", method=method, **headers)


def test_it_is_under_a_kilobyte(browser: Browser) -> None:
    assert 500 < len(ask(browser).body) < 1000


def test_it_needs_nothing_that_a_strict_policy_forbids(browser: Browser) -> None:
    text = ask(browser).body.decode()
    assert (
        re.findall(r"\beval\b|\bFunction\b|innerHTML|createElement|document\.write|https?:|cookie|Storage", text) == []
    )
    assert "INTERVAL" not in text


def test_it_is_what_a_browser_runs_and_caches(browser: Browser) -> None:
    reply = ask(browser)
    assert reply.status == 200
    (etag,) = reply.header("etag")
    assert re.fullmatch(r'"[0-9a-f]{16}"', etag)
    assert sha256(reply.body).hexdigest().startswith(etag.strip('"'))
    assert reply.header("content-type") == ["text/javascript; charset=utf-8"]
    assert reply.header("content-length") == [str(len(reply.body))]
    assert reply.header("x-content-type-options") == ["nosniff"]
    assert reply.header("cache-control") == ["public, max-age=3600"]
    assert reply.cookies == []


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        pytest.param("{etag}", 304, id="the same"),
        pytest.param("W/{etag}", 304, id="weakened by a proxy"),
        pytest.param('"a", {etag} , "b"', 304, id="one of several"),
        pytest.param("*", 304, id="any"),
        pytest.param('"0123456789abcdef"', 200, id="another"),
        pytest.param("", 200, id="none"),
    ],
)
def test_a_matching_etag_gets_304(browser: Browser, tags: str, status: int) -> None:
    (etag,) = ask(browser).header("etag")
    reply = ask(browser, if_none_match=tags.format(etag=etag))
    assert (reply.status, reply.header("etag")) == (status, [etag])
    assert (reply.body == b"") is (status == 304)


def test_a_look_at_its_headers_has_no_body(browser: Browser) -> None:
    whole, head = ask(browser), ask(browser, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers == whole.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_can_only_be_read(browser: Browser, method: str) -> None:
    reply = ask(browser, method)
    assert (reply.status, reply.header("allow")) == (405, ["GET, HEAD"])


def test_other_settings_make_another_script(make_site: MakeSite) -> None:
    tags: set[str] = set()
    for interval in (30, 45):
        reply = ask(Browser(make_site(beacon_path=PATH, heartbeat_interval=interval)))
        assert f",{interval * 1000})" in reply.body.decode()
        tags.add(*reply.header("etag"))
    assert len(tags) == 2


@pytest.mark.parametrize(
    ("chosen", "seconds"),
    [
        pytest.param({}, 60, id="each slot of a heartbeat"),
        pytest.param({"heartbeat_interval": "20s"}, 20, id="each of shorter slots"),
        pytest.param({"heartbeat_interval": "1h", "idle_timeout": "2h"}, 60, id="no less than once a minute"),
        pytest.param({"heartbeat_interval": None}, 60, id="without heartbeats"),
        pytest.param({"idle_timeout": "90s"}, 30, id="well before a short idle timeout"),
        pytest.param({"heartbeat_interval": "10ms"}, 1, id="no more than once a second"),
    ],
)
def test_how_often_the_script_reports_activity(chosen: dict[str, object], seconds: int) -> None:
    rules = rules_of(
        Settings.from_mapping(
            {f"SOJOURN_{key.upper()}": value for key, value in chosen.items()}
            | {"SECRET_KEY": "a key that only these tests use", "SOJOURN_STORE": "memory:"}
        )
    )
    assert timedelta(milliseconds=interval_ms(rules)) == timedelta(seconds=seconds)


def test_a_visitor_who_only_fetches_the_script_has_no_session(site: Site, browser: Browser) -> None:
    assert browser.ask("GET", f"{PATH}.js", FETCH).status == 200
    assert (site.events, site.ignored) == ([], {})
