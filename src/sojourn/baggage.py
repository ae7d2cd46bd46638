"""W3C baggage on calls to your own services: `session.id`, so that they see which session a call belongs to.

Nothing is sent anywhere unless you name the origin. See https://www.w3.org/TR/baggage/.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote, urlsplit

from .errors import SettingsError
from .tracking.travelling import correlation
from .tracking.visit import active_visit

__all__ = ["SessionBaggage"]

_PORTS: Final = {"http": 80, "https": 443}
_MAX_BYTES: Final = 8192
_ADDED: Final = "sojourn.baggage"


class SessionBaggage:
    """A request hook of httpx that adds `session.id` to the baggage of calls to these origins, and to no others.

    `httpx.Client(event_hooks={"request": [baggage]})`, `httpx.AsyncClient(event_hooks={"request": [baggage.hook_async]})`.
    `propagate_to`: origins such as `"https://api.example"`. `user_id=True` also sends `user.id`, where it is known. A redirect
    to another origin takes nothing along. Raises `SettingsError` for what is no origin.
    """

    def __init__(self, propagate_to: Iterable[str] = (), *, user_id: bool = False) -> None:
        if isinstance(propagate_to, str):
            propagate_to = (propagate_to,)
        self._origins = frozenset(map(_origin, propagate_to))
        self._has_user = user_id

    def __call__(self, request: Any) -> None:
        """Add the baggage to a request of httpx."""
        visit = active_visit.get()
        if visit is not None:
            visit.guard.guarded(None, self._add, request, visit)
        elif _ADDED in request.extensions:
            _remove(request)

    async def hook_async(self, request: Any) -> None:
        """The same for `httpx.AsyncClient`, which awaits its hooks."""
        self(request)

    def _add(self, request: Any, visit: Any) -> None:
        if _ADDED in request.extensions:
            _remove(request)  # httpx copies headers to where a redirect leads
        url = request.url
        port = url.port or _PORTS.get(url.scheme)
        if (url.scheme, url.raw_host.decode("ascii").lower(), port) not in self._origins:
            return
        members = [f"{name}={quote(value)}" for name, value in correlation(visit, has_user=self._has_user).items()]
        baggage = ",".join([*filter(None, [request.headers.get("baggage", "")]), *members])
        if members and len(baggage) <= _MAX_BYTES:
            request.headers["baggage"] = baggage
            request.extensions[_ADDED] = members


def _remove(request: Any) -> None:
    added = request.extensions.pop(_ADDED)
    rest = [member for member in request.headers.get("baggage", "").split(",") if member.strip() not in added]
    if rest and rest != [""]:
        request.headers["baggage"] = ",".join(rest)
    else:
        request.headers.pop("baggage", None)


def _origin(text: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(text)
        port, host = parts.port, (parts.hostname or "").encode("idna").decode("ascii")
    except (ValueError, AttributeError):
        port, host, parts = None, "", urlsplit("")
    is_origin = parts.scheme in _PORTS and host and not (parts.query or parts.fragment or parts.username)
    if not is_origin or parts.path not in {"", "/"} or "*" in host:
        msg = f'propagate_to: {str(text)[:80]!r} is no origin; write it as "https://api.example"'
        raise SettingsError(msg)
    return parts.scheme, host.lower(), port or _PORTS[parts.scheme]
