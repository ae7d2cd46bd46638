"""The log-in form, where it leads, and the choice of colours."""

from __future__ import annotations

from dataclasses import replace

from sojourn.tracking.cookie import set_cookie

from ._view import THEME_COOKIE, THEMES, View
from ._web import Request, Response, redirect

_YEAR_S = 365 * 86_400


def form(view: View, *, problem: bool | float | None = None) -> Response:
    """`problem`: False, it was wrong; a number, for how many seconds nobody may try."""
    request = view.request
    next_path = (request.form if request.method == "POST" else request.query).get("next", "")
    wait = problem if isinstance(problem, float) else None
    response = view.html(
        "login.html",
        next_path=next_path,
        is_wrong=problem is False,
        wait=None if wait is None else max(1, round(wait)),
    )
    if problem is None:
        return response
    if wait is None:
        return replace(response, status=403)
    return replace(response, status=429, headers=(("Retry-After", str(max(1, round(wait)))),))


def way_on(request: Request) -> str:
    """Where the reader wanted to go: a path of ours, or the start."""
    return _own(request, request.form.get("next", "")) or request.url("/")


def theme(view: View) -> Response:
    """Remember the colours, and go back."""
    request = view.request
    chosen = request.form.get("theme", "")
    back = _own(request, request.form.get("next", "")) or request.url("/")
    if chosen not in THEMES:
        return redirect(back)
    # Not hidden from scripts: ours changes it without a reload.
    line = set_cookie(
        THEME_COOKIE,
        chosen,
        path=request.base or "/",
        samesite="strict",
        is_secure=request.facts.is_https,
        max_age=_YEAR_S,
    ).replace("; HttpOnly", "")
    return redirect(back, cookies=(line,))


def _own(request: Request, path: str) -> str | None:
    """A path and query below the mount, as `Request.here` gave it; a browser takes `//x` and `/\\x` for another host."""
    is_path = path.startswith("/") and path[1:2] not in {"/", "\\"}
    if not is_path or not path.isascii() or not path.isprintable() or "\\" in path or " " in path:
        return None
    return f"{request.base}{path}"
