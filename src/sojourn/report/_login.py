"""The log-in form, where it leads, and the choice of the theme."""

from __future__ import annotations

from dataclasses import replace

from sojourn.tracking.cookie_policy import set_cookie

from ._view import THEME_COOKIE, THEMES, View
from ._web import Request, Response, redirect

_YEAR_S = 365 * 86_400


def form(view: View, *, problem: bool | float | None = None) -> Response:
    """`problem`: False: the password is wrong; a number: too many attempts, retry after so many seconds."""
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


def next_url(request: Request) -> str:
    """The page that the reader asked for before the log-in, else the overview."""
    return local_url(request, request.form.get("next", "")) or request.url("/")


def theme(view: View) -> Response:
    """Store the theme in a cookie, and go back."""
    request = view.request
    name = request.form.get("theme", "")
    back = local_url(request, request.form.get("next", "")) or request.url("/")
    if name not in THEMES:
        return redirect(back)
    # No HttpOnly: our script switches the theme without a reload.
    line = set_cookie(
        THEME_COOKIE,
        name,
        path=request.base or "/",
        samesite="strict",
        is_secure=request.facts.is_https,
        max_age=_YEAR_S,
    ).replace("; HttpOnly", "")
    return redirect(back, cookies=(line,))


def local_url(request: Request, path: str) -> str | None:
    """The URL of a path below the mount; `None` for `//x` and `/\\x`, which browsers take for another host."""
    is_path = path.startswith("/") and path[1:2] not in {"/", "\\"}
    if not is_path or not path.isascii() or not path.isprintable() or "\\" in path or " " in path:
        return None
    return f"{request.base}{path}"
