"""The report served by two processes, and by the processes after a restart."""

from __future__ import annotations

import re

import httpx
import pytest

from .conftest import Place, Start

pytestmark = pytest.mark.slow

PASSWORD = "a password of these tests"
APP = f"""
import os
from sojourn.report import report_wsgi
from sojourn.wsgi import SojournMiddleware


def plain(environ, start_response):
    if environ["PATH_INFO"].startswith("/_sojourn/"):
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/_sojourn", environ["PATH_INFO"][9:]
        return page(environ, lambda status, headers: start_response(status, [*headers, ("X-Pid", str(os.getpid()))]))
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<p>ok</p>"]


wsgi = SojournMiddleware(plain)
page = report_wsgi(wsgi.engine, password={PASSWORD!r})
"""


@pytest.fixture
def place(place: Place) -> Place:
    (place.folder / "site_under_test.py").write_text(APP)
    return place


def log_in(url: str, password: str = PASSWORD) -> tuple[int, dict[str, str]]:
    """Log in with a new browser; the status and its cookies."""
    with httpx.Client(base_url=url, timeout=30) as browser:
        token = re.findall(r'name="csrf" value="([0-9a-f]+)"', browser.get("/_sojourn/login").text)[0]
        reply = browser.post("/_sojourn/login", data={"csrf": token, "password": password})
        return reply.status_code, dict(browser.cookies)


def pages(url: str, cookies: dict[str, str]) -> set[int]:
    """Ask with these cookies until both processes have responded; their statuses."""
    statuses: set[int] = set()
    pids: set[str] = set()
    for _ in range(500):
        reply = httpx.get(f"{url}/_sojourn/", cookies=cookies, timeout=30)
        statuses.add(reply.status_code)
        pids.add(reply.headers["x-pid"])
        if len(pids) == 2:
            return statuses
    raise AssertionError(f"one process took every request: {pids}")


def test_log_out_and_guesses_hold_at_both_processes_and_after_a_restart(serve: Start) -> None:
    server = serve("gunicorn", workers=2)
    status, cookies = log_in(server.url)
    assert (status, pages(server.url, cookies)) == (303, {200})
    with httpx.Client(base_url=server.url, cookies=cookies, timeout=30) as browser:
        token = re.findall(r'name="csrf" value="([0-9a-f]+)"', browser.get("/_sojourn/").text)[0]
        assert browser.post("/_sojourn/logout", data={"csrf": token}).status_code == 303
    assert pages(server.url, cookies) == {303}
    assert sorted(log_in(server.url, "a wrong guess")[0] for _ in range(9)) == [403] * 5 + [429] * 4
    server.process.terminate()
    server.process.wait(15)
    again = serve("gunicorn", workers=2)
    assert pages(again.url, cookies) == {303}
    assert log_in(again.url)[0] == 429
