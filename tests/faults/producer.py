"""Makes very many requests in a process of its own, through the WSGI door and without a network.

`python -m tests.faults.producer N [fill]`: N requests; its visitors are known by arithmetic, request n is page
`(n - 1) % PAGES` of visitor `(n - 1) // PAGES`. It waits for the recorder where its journal gets full, or with `fill` does
not: then it waits after the last one, and makes one more visit when there is room again. It prints what it was refused,
and ends with 0 if every request got a response, and recorded by its journal unless that was filled.
"""

from __future__ import annotations

import sys
import time
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from sojourn.engine import Engine

PAGES: Final = 10
FULL: Final = "the journal is full"
REFUSED: Final = "refused: "
_AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_FULL: Final = 0.5
"""The share of the journal's limit at which it waits for the recorder."""


def main(requests: int, *, fills: bool) -> int:
    from . import site  # makes its engine of the environment of this process

    engine = site.engine
    engine.start()
    is_well = True
    for first in range(1, requests + 1, PAGES):
        if not fills:
            _wait_for_room(engine)
        is_well &= _visit(site.wsgi, first)
    if fills:
        print(FULL, flush=True)
        _wait_for_room(engine)
        is_well &= _visit(site.wsgi, requests + 1)
    stats = engine.stats().journal
    refused = 0 if stats is None else stats.refused
    print(f"{REFUSED}{refused}", flush=True)
    engine.close()
    return 0 if is_well and (fills or not refused) else 1


def _visit(app: Callable[..., Any], first: int) -> bool:
    """The pages of one visitor; whether each got a response and saw a session."""
    cookie, is_well = "", True
    for serial in range(first, first + PAGES):
        heard: dict[str, str] = {}

        def start_response(status: str, headers: list[tuple[str, str]], heard: dict[str, str] = heard) -> None:
            heard.update({"status": status, **dict(headers)})

        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": f"/page/{serial}",
            "QUERY_STRING": "",
            "HTTP_USER_AGENT": _AGENT,
            "HTTP_HOST": "localhost",
            "wsgi.url_scheme": "http",
            **({"HTTP_COOKIE": cookie} if cookie else {}),
        }
        body = app(environ, start_response)
        b"".join(body)
        getattr(body, "close", lambda: None)()
        is_well &= heard["status"].startswith("200") and bool(heard["X-Session"])
        for morsel in SimpleCookie(heard.get("Set-Cookie", "")).values():
            cookie = f"{morsel.key}={morsel.coded_value}"
    return is_well


def _wait_for_room(engine: Engine) -> None:
    runtime = engine.intake.runtime
    while runtime is not None and (stats := runtime.journal.stats()).bytes_used > stats.limit * _FULL:
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), fills="fill" in sys.argv[2:]))
