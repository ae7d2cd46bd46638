"""Two people and two strangers at one browser, who log in and out, through a real app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import sojourn
from sojourn.backends import Backend
from tests.doors.browser import Browser, Protocol, Site, view_of

LOGOUTS: Final[dict[str, tuple[Callable[[], object], ...]]] = {
    "identify(None)": (lambda: sojourn.identify(None),),
    "end_session()": (sojourn.end_session,),
    "both": (lambda: sojourn.identify(None), sojourn.end_session),
}
_STEPS: Final = (
    "/before",
    "/login/anna",
    "/hers",
    "/logout",
    "/stranger",
    "/login/ben",
    "/his",
    "/logout",
    "/last",
)


def share_a_browser(protocol: Protocol, backend: Backend, logout: str) -> None:
    """Play it into a backend, until all is delivered."""
    site = Site(protocol, backends=[backend])
    for user in ("anna", "ben"):
        site.views[f"/login/{user}"] = view_of(lambda user=user: sojourn.identify(user))  # type: ignore[misc]
    site.views["/logout"] = view_of(*LOGOUTS[logout])
    browser = Browser(site)
    try:
        for path in _STEPS:
            site.clock.advance(5)
            browser.navigate(path)
            site.engine.flush()
        site.clock.advance(3_600)
        site.engine.sweep()
        site.engine.flush()
    finally:
        site.close()
