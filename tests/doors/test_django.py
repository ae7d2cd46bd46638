"""S5 with the real Django, both protocols: a user that the app has loaded counts, and none is loaded for our sake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SITE = Path(__file__).with_name("django_site.py")


@pytest.fixture(params=["asgi", "wsgi", "django-asgi", "django-wsgi"])
def protocol(request: pytest.FixtureRequest) -> str:
    """A door of ours around the project, or our middleware alone."""
    return str(request.param)


def browse(protocol: str, folder: Path, *pages: str) -> dict[str, Any]:
    """What came of opening these pages with one browser."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SITE), protocol, str(folder / "django.db"), *pages],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def users(found: dict[str, Any]) -> list[str | None]:
    """Starts and ends in order, and who was named."""
    return [
        user if name == "user.identify" else name.removeprefix("session.")
        for name, user in found["events"]
        if name in {"session.start", "session.end", "user.identify"}
    ]


def test_a_page_that_looks_at_no_user_costs_no_query_and_gets_no_vary(protocol: str, tmp_path: Path) -> None:
    found = browse(protocol, tmp_path, "/ada", "/plain", "/looks")
    assert found["queries"][1:] == [0, 2]  # 2: Django's own, for its session and its user
    assert found["vary"][1:] == [None, "Cookie"]
    assert users(found) == ["start", "1"]
    assert found["names"] == ["ada"]
    assert found["ignored"] == {}


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        pytest.param(["/looks"], ["start"], id="anonymous"),
        pytest.param(["/plain", "/ada"], ["start", "1"], id="at the login itself, though the user was read before it"),
        pytest.param(["/ada", "/out"], ["start", "1", None], id="at the logout itself"),
        pytest.param(["/ada", "/out", "/ada"], ["start", "1", None, "1"], id="back again"),
        pytest.param(["/ada", "/bob"], ["start", "1", "end", "start", "2"], id="another user"),
        pytest.param(["/ada", "/out", "/bob"], ["start", "1", None, "end", "start", "2"], id="another after a logout"),
        pytest.param(["/ada", "/plain", "/plain"], ["start", "1"], id="a page that says nothing changes nothing"),
    ],
)
def test_logins_and_logouts(protocol: str, tmp_path: Path, pages: list[str], expected: list[str | None]) -> None:
    assert users(browse(protocol, tmp_path, *pages)) == expected


@pytest.mark.parametrize("protocol", ["asgi", "django-asgi"])
def test_a_user_loaded_by_an_async_view_counts_too(protocol: str, tmp_path: Path) -> None:
    found = browse(protocol, tmp_path, "/ada", "/out", "/ada", "/looks-async")
    assert users(found) == ["start", "1", None, "1"]
    assert found["status"] == [200] * 4


def test_an_error_that_django_handles_is_recorded_but_a_missing_page_is_none(protocol: str, tmp_path: Path) -> None:
    found = browse(protocol, tmp_path, "/fails", "/misses", "/plain")
    assert found["status"] == [500, 404, 200]
    assert found["errors"] == ["RuntimeError"]
    assert users(found) == ["start"]
    assert found["ignored"] == {}


def test_a_request_counts_once_and_has_its_route(protocol: str, tmp_path: Path) -> None:
    found = browse(protocol, tmp_path, "/items/7/", "/old/seeds/", "/plain", "/nowhere")
    assert found["routes"] == ["/items/<int:number>/", "/old/<slug>/", "/plain", None]
    assert users(found) == ["start"]
    assert found["ignored"] == {}
