"""A beacon's body at each door: small ones are read, however they come; of longer ones no more than 2 kB."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from sojourn.asgi import Message
from sojourn.beacon import LONGEST_BODY
from tests.doors.asgi_calls import scope
from tests.doors.browser import Browser, Protocol, Site, run

PATH = "/-/sojourn"
BODY = json.dumps({"kind": "page_view", "page": "/two"}).encode()
FULL = BODY[:-2] + b"x" * (LONGEST_BODY - len(BODY)) + BODY[-2:]


def visited(protocol: Protocol) -> tuple[Site, str]:
    """A site with a session, and that session's cookie."""
    site = Site(protocol, beacon_path=PATH)
    browser = Browser(site)
    browser.navigate()
    return site, "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def views(site: Site) -> int:
    return len(site.named("page_view")) - 1


def message(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("declared", "pieces", "heard", "reads"),
    [
        pytest.param(len(BODY), [message(BODY)], 1, 1, id="one piece"),
        pytest.param(None, [message(BODY[:9], more=True), message(BODY[9:])], 1, 2, id="chunked"),
        pytest.param(None, [message(FULL)], 1, 1, id="as long as may be"),
        pytest.param(None, [{"type": "http.request"}], 0, 1, id="no body"),
        pytest.param(None, [message(BODY[:9], more=True), {"type": "http.disconnect"}], 0, 2, id="gone in the middle"),
        pytest.param(LONGEST_BODY + 1, [], 0, 0, id="said to be longer"),
        pytest.param("9" * 30, [], 0, 0, id="said to be endless"),
        pytest.param("-1", [], 0, 0, id="said nonsense"),
        pytest.param(9, [message(b"x" * 2000, more=True), message(b"x" * 49, more=True)], 0, 2, id="longer than said"),
    ],
)
def test_at_the_asgi_door(declared: object, pieces: list[Message], heard: int, reads: int) -> None:
    """A read beyond those that are listed would fail: there is nothing left to pop."""
    site, cookie = visited("asgi")
    waiting, sent = list(pieces), []

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"shop.example"), (b"cookie", cookie.encode()), (b"sec-fetch-site", b"same-origin")]
    if declared is not None:
        headers.append((b"content-length", str(declared).encode()))
    run(site.door(scope(method="POST", path=PATH, headers=headers), receive, send))
    assert [each.get("status") for each in sent] == [204, None]
    assert (views(site), len(pieces) - len(waiting)) == (heard, reads)
    assert "fault" not in site.ignored
    site.close()


class Input(BytesIO):
    """A body on the wire: counts what was taken; some servers give less than was asked for, and some break off."""

    taken = 0

    def __init__(self, body: bytes, *, at_once: int = 10_000, breaks: bool = False) -> None:
        super().__init__(body)
        self._at_once = at_once
        self._breaks = breaks

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert 0 < size <= LONGEST_BODY
        if self._breaks and self.taken:
            raise OSError("connection reset")
        piece = super().read(min(size, self._at_once))
        self.taken += len(piece)
        return piece


@pytest.mark.parametrize(
    ("environ", "body", "heard", "taken"),
    [
        pytest.param({"CONTENT_LENGTH": str(len(BODY))}, Input(BODY), 1, len(BODY), id="one piece"),
        pytest.param({"CONTENT_LENGTH": str(len(BODY))}, Input(BODY, at_once=9), 1, len(BODY), id="in pieces"),
        pytest.param(
            {"CONTENT_LENGTH": str(len(BODY))}, Input(BODY + b"GET /"), 1, len(BODY), id="not the next request"
        ),
        pytest.param({"CONTENT_LENGTH": str(len(FULL))}, Input(FULL), 1, LONGEST_BODY, id="as long as may be"),
        pytest.param({"wsgi.input_terminated": True}, Input(BODY), 1, len(BODY), id="chunked"),
        pytest.param({"wsgi.input_terminated": True}, Input(FULL + FULL), 0, LONGEST_BODY, id="chunked without end"),
        pytest.param({}, Input(BODY), 0, 0, id="where nobody knows its end"),
        pytest.param({"CONTENT_LENGTH": "2049"}, Input(b"x" * 2049), 0, 0, id="said to be longer"),
        pytest.param({"CONTENT_LENGTH": "9" * 30}, Input(BODY), 0, 0, id="said to be endless"),
        pytest.param({"CONTENT_LENGTH": "-1"}, Input(BODY), 0, 0, id="said nonsense"),
        pytest.param(
            {"CONTENT_LENGTH": str(len(BODY))}, Input(BODY, at_once=9, breaks=True), 0, 9, id="gone in the middle"
        ),
    ],
)
def test_at_the_wsgi_door(environ: dict[str, Any], body: Input, heard: int, taken: int) -> None:
    site, cookie = visited("wsgi")
    asked = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": PATH,
        "HTTP_HOST": "shop.example",
        "HTTP_COOKIE": cookie,
        "HTTP_SEC_FETCH_SITE": "same-origin",
        "wsgi.input": body,
        **environ,
    }
    started: list[str] = []
    response = site.door(asked, lambda status, _headers: started.append(status))
    assert (started, list(response)) == (["204 No Content"], [b""])
    assert (views(site), body.taken) == (heard, taken)
    assert "fault" not in site.ignored
    site.close()


@pytest.mark.parametrize(
    ("root", "path", "is_ours"),
    [
        pytest.param("", PATH, True, id="at the root"),
        pytest.param("/shop", f"/shop{PATH}", True, id="of an app that is mounted"),
        pytest.param("/shop", PATH, True, id="of a server that leaves the mount out"),
        pytest.param("", f"/shop{PATH}", False, id="elsewhere"),
        pytest.param("", f"{PATH}/", False, id="below"),
    ],
)
def test_which_paths_the_asgi_door_serves_itself(root: str, path: str, is_ours: bool) -> None:
    site, _ = visited("asgi")
    sent: list[Message] = []

    async def receive() -> Message:
        return message(b"")

    async def send(message: Message) -> None:
        sent.append(message)

    run(site.door(scope(method="POST", path=path, root_path=root, headers=[(b"host", b"a")]), receive, send))
    assert (sent[0]["status"] == 204) is is_ours
    site.close()


@pytest.mark.parametrize("mount", ["", "/shop"])
def test_which_paths_the_wsgi_door_serves_itself(mount: str) -> None:
    site, _ = visited("wsgi")
    asked = {"REQUEST_METHOD": "POST", "SCRIPT_NAME": mount, "PATH_INFO": PATH, "HTTP_HOST": "a", "CONTENT_LENGTH": ""}
    started: list[str] = []
    list(site.door(asked, lambda status, _headers: started.append(status)))
    assert started == ["204 No Content"]
    site.close()
