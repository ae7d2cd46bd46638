"""One app behind uvicorn, for `benchmarks.saturation`: `python -m benchmarks.served VARIANT PORT FOLDER CORE`.

It may run in an environment that has a vendor's SDK and not Sojourn, so each variant imports what it needs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

SECRET = "benchmark-key-of-thirty-two-characters"
PAGE = "<!doctype html><title>Hello</title><p>Hello</p>"


def store_url(folder: str) -> str:
    return f"sqlite:///{Path(folder) / 'bench.db'}"


def made(variant: str, folder: str) -> Any:
    """The app of this variant."""

    async def page(request: Request) -> HTMLResponse:
        if "session" in request.scope:
            request.session.setdefault("seen", "yes")
        return HTMLResponse(PAGE)

    app = Starlette(routes=[Route("/", page)])
    match variant:
        case "bare":
            return app
        case "SessionMiddleware":
            from starlette.middleware.sessions import SessionMiddleware

            return SessionMiddleware(app, secret_key=SECRET)
        case "Sojourn" | "Sojourn, worker":
            from sojourn import Settings
            from sojourn.asgi import SojournMiddleware

            deliver = "worker" if variant == "Sojourn, worker" else "auto"
            return SojournMiddleware(app, Settings(secret_key=SECRET, store=store_url(folder), deliver=deliver))
        case "PostHog":
            from posthog import Posthog

            client = Posthog("phc_key", host=os.environ["BENCH_SINK"])

            async def captured(request: Request) -> HTMLResponse:
                client.capture("$pageview", distinct_id="visitor", properties={"$current_url": str(request.url)})
                return HTMLResponse(PAGE)

            return Starlette(routes=[Route("/", captured)])
        case "Sentry":
            import sentry_sdk  # type: ignore[import-not-found]

            address = os.environ["BENCH_SINK"].removeprefix("http://")
            sentry_sdk.init(dsn=f"http://key@{address}/1", traces_sample_rate=1.0)
            return Starlette(routes=[Route("/", page)])
        case _:
            raise SystemExit(f"no variant {variant!r}")


def main(variant: str, port: int, folder: str, core: int) -> None:
    if core >= 0:
        os.sched_setaffinity(0, {core})
    uvicorn.run(made(variant, folder), host="127.0.0.1", port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
