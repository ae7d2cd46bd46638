"""The context of a page: the store, the time, and the reader's time zone and theme."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

from sojourn.core.alerts import Thresholds
from sojourn.core.goals import Funnel, Goal
from sojourn.core.saved_views import NamedQuery
from sojourn.health.conditions import Level
from sojourn.stores.definitions import GOAL
from sojourn.stores.model import Definition
from sojourn.stores.reporting.model import SessionLine
from sojourn.tracking.own_traffic import Mark

from . import _filters, _ranges, _rendering, _saved_views
from ._badge import Badge, read_level
from ._filters import Selection
from ._links import Links, Params
from ._moments import Moments, zone_named
from ._parameters import Parameters
from ._rates import Rates
from ._saved_views import SavedView
from ._web import Request, Response, document, page, redirect

if TYPE_CHECKING:
    from sojourn.stores import Store
    from sojourn.tracking.own_traffic import OwnTraffic

ONLINE_MS: Final = 5 * 60_000
"""A session that is open and was active within this time is online."""
THEMES: Final = ("auto", "light", "dark")
THEME_COOKIE: Final = "sojourn_report_theme"
ZONE_COOKIE: Final = "sojourn_report_zone"


@dataclass(frozen=True, kw_only=True)
class Source:
    """What the report reads. `journals` is the folder of this host's journals, where that is known."""

    store: Callable[[], Store]
    now: Callable[[], int]
    journals: Path | None = None
    service: str | None = None
    is_enabled: bool = True
    goals: tuple[Goal, ...] = ()
    funnels: tuple[Funnel, ...] = ()
    saved_views: tuple[NamedQuery, ...] = ()
    alerts: Thresholds = field(default_factory=Thresholds)
    rates: Rates = field(default_factory=Rates)
    own_traffic: OwnTraffic | None = None
    """What marks a browser as one of your own; `None` where the report is not served by the app itself."""
    badge: Badge = field(default_factory=Badge)


@dataclass(frozen=True, kw_only=True)
class View:
    """One request and what its page needs."""

    request: Request
    source: Source
    now: int
    form_token: str
    can_log_out: bool
    """Whether to show the log-out button: with `allow` the app has its own."""
    has_links: bool = True
    """Whether a link can show a view without a log-in: not where the app's own check decides."""
    may_write: bool = False
    """Whether the reader may define what others see: who logged in with the password, or opened a link of the terminal."""

    @cached_property
    def store(self) -> Store:
        return self.source.store()

    @cached_property
    def moments(self) -> Moments:
        """The reader's clock: our script stores the name of its time zone in a cookie; without one, UTC."""
        for value in self.request.cookies(ZONE_COOKIE):
            if (zone := zone_named(value)) is not None:
                return Moments(self.now, zone)
        return Moments(self.now)

    @cached_property
    def saved_views(self) -> list[SavedView]:
        return _saved_views.all_of(self.store, self.source.saved_views, self.now)

    @cached_property
    def stored_goals(self) -> list[Definition]:
        """The goals that are defined on pages; those of the settings stand beside them."""
        return self.store.definitions.of(GOAL)

    @cached_property
    def _opened(self) -> tuple[Parameters, SavedView | None]:
        return _saved_views.opened(self.request.facts.query, lambda: self.saved_views)

    @property
    def parameters(self) -> Parameters:
        """Those of the address, and of the saved view that it names."""
        return self._opened[0]

    @property
    def is_about_one(self) -> bool:
        """Whether the filter that the address asks for can find one person: also one of a saved view, or of a form.

        Asking counts as reading no parameter: what the page itself does not read is a problem still.
        """
        fresh, _ = _saved_views.opened(self.request.facts.query, lambda: self.saved_views)
        return _filters.is_about_one(_filters.parse_filter(fresh, self.moments).filter)

    @property
    def saved(self) -> SavedView | None:
        """The saved view that the address names."""
        return self._opened[1]

    def links(self, which: Selection, own: Params | None = None) -> Links:
        """The addresses around this page, which keep what it looks at. `own`: what only this page knows."""
        links = Links(request=self.request, path=self.request.path, params=which.params, own=own or {})
        if self.saved is None:
            return links
        name, params = self.saved.name, self.saved.selection.params
        return replace(links, written=lambda wanted: {"view": name, **_saved_views.beside(params, wanted)})

    @property
    def is_left_out(self) -> bool | None:
        """Whether visits by this browser are not counted; `None` where the report cannot change that."""
        own = self.source.own_traffic
        return None if own is None else own.mark_of(self.request.facts) is Mark.HAND

    @property
    def theme(self) -> str:
        return next((value for value in self.request.cookies(THEME_COOKIE) if value in THEMES), "auto")

    @property
    def online_since(self) -> int:
        return self.now - ONLINE_MS

    def is_online(self, line: SessionLine) -> bool:
        return line.is_open and line.last_seen_at >= self.online_since

    @cached_property
    def level(self) -> Level | None:
        """How well recording and delivery go, for the menu; `None` while that is not known."""
        source = self.source
        return source.badge.level(self.now, lambda: read_level(source.store(), source.journals, self.now))

    def html(self, template: str, /, **context: Any) -> Response:
        return page(_rendering.render(template, **self.context(), **context, ignored=self.parameters.problems()))

    def part(self, template: str, macro: str, *arguments: Any) -> str:
        return _rendering.render_part(template, macro, *arguments, **self.context())

    def context(self) -> dict[str, Any]:
        return {"view": self, "url": self.request.url, "at": self.moments, "now": self.now}


def pinned(view: View) -> Response | None:
    """A redirect to the same page at an address whose times have an offset, where they lack one.

    The browser's date fields send none. A shared link must mean the same moments to everybody.
    """
    times = _ranges.pinned(view.parameters, view.moments)
    if not times:
        return None
    pairs = parse_qsl(view.request.facts.query, keep_blank_values=True, errors="replace")
    query = urlencode([(name, times.get(name, value)) for name, value in pairs], errors="replace")
    return redirect(f"{view.request.url(view.request.path)}?{query}")


def canonical(view: View, links: Links) -> Response | None:
    """A redirect to the address of a filter that a form has just added to; `None` if there was no such form."""
    if "field" not in view.request.query or view.parameters.has_problem("field", "op", "is"):
        return None
    return redirect(links.here())


def bad_request(view: View) -> Response | None:
    """The error of an address that a program asks for, if anything is wrong with it: 400, and what to write instead."""
    problems = view.parameters.problems()
    if not problems:
        return None
    if view.request.path.endswith(".csv"):
        lines = "".join(f"{problem.parameter}: {problem.message}\n" for problem in problems)
        return Response(body=lines.encode("utf-8", "replace"), status=400, kind="text/plain; charset=utf-8")
    listed = [{"parameter": problem.parameter, "message": problem.message} for problem in problems]
    return replace(document({"errors": listed}), status=400)


def error_page(
    view: View,
    status: int,
    title: str,
    text: str,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    is_shared: bool = False,
) -> Response:
    """A page that says what is wrong and what to do. `is_shared`: for a reader without access, with no way into the report."""
    body = _rendering.render("error.html", **view.context(), title=title, text=text, is_shared=is_shared)
    return Response(body=body.encode("utf-8", "replace"), status=status, headers=headers)


def form_error(view: View, status: int, title: str, problem: str) -> Response:
    """The page for a form that cannot be accepted as it is: what is wrong with it, and the way back to it."""
    return error_page(view, status, title, f"{problem[:1].upper()}{problem[1:]}. Go back and try again.")
