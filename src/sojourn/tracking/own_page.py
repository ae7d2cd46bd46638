"""Which page of this origin sent a request, by its `Referer`. Pure.

A browser says where a request comes from, unless a `Referrer-Policy` forbids it. Of another origin it says no path.
"""

from __future__ import annotations

from urllib.parse import unquote

from .facts import RequestFacts


def own_page(request: RequestFacts) -> tuple[str, str] | None:
    """Path and query of the page of this origin that sent the request, the path decoded as servers do; `None`: unknown."""
    referrer = request.header("referer")
    if not referrer:
        return None
    host, _, page = referrer.partition("://")[2].partition("/")
    site = request.header("sec-fetch-site")
    if site != "same-origin" if site else host.lower() not in _hosts(request):
        return None
    path, _, query = page.partition("#")[0].partition("?")
    return f"/{unquote(path, errors='replace')}", query


def page_of(path: str, query: str) -> str:
    """A page as one text."""
    return f"{path}?{query}" if query else path


def _hosts(request: RequestFacts) -> set[str]:
    """The host as the browser names it, or a proxy says that it does. Who lies about it learns nothing here."""
    names = request.header("host"), request.header("x-forwarded-host").partition(",")[0].strip()
    return {name.lower() for name in names if name}
