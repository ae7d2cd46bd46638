"""What is known of a path, remembered: whether it is excluded, and how it may be shown. Worked out when it is needed."""

from __future__ import annotations

from sojourn.core.bounded import Bounded

from .masking import longest_shown, masked_path, referrer
from .mounting import matches
from .route_parameters import has_secret, secret_places

_REMEMBERED = 2048
_LONGEST = 1024
_MOST_ROUTES = 64


class Paths:
    """Excludes and shows paths. `keep`: glob patterns of paths, or names of parameters, that are shown as they are.

    A pattern matches the whole path, or the path below the mount. Any thread.
    """

    def __init__(self, exclude: tuple[str, ...] = (), keep: tuple[str, ...] = ()) -> None:
        self._exclude = exclude
        self._keep = tuple(pattern for pattern in keep if pattern.startswith(("/", "*")))
        self.keep_names = frozenset(keep) - frozenset(self._keep)
        self._excluded: Bounded[tuple[str, str], bool] = Bounded(_REMEMBERED)
        self._shown: Bounded[tuple[str, str, str], str] = Bounded(_REMEMBERED)
        self._secret_routes: dict[str, None] = {}

    def is_excluded(self, path: str, mount: str = "") -> bool:
        """Whether the path has nothing to do with sessions."""
        key = (path, mount)
        known = self._excluded.young.get(key)
        if known is None and (known := self._excluded.get(key)) is None:
            known = matches(path, mount, self._exclude)
            if len(path) <= _LONGEST:
                self._excluded[key] = known
        return known

    def shown(self, path: str, mount: str = "", route: str | None = None) -> str:
        """The path as it may be kept. `route`: the template that the framework matched.

        A path without one (a page that the beacon reports, a referrer) is compared with the templates seen so far.
        """
        key = (path, mount, route or "")
        known = self._shown.young.get(key)
        if known is None and (known := self._shown.get(key)) is None:
            known = self._masked(path, mount, route)
            if len(path) <= _LONGEST:
                self._shown[key] = known
        return known

    def referrer(self, value: str) -> str | None:
        """Origin and path of a `Referer`, the path as it may be kept."""
        return referrer(value, self.shown)

    def _masked(self, path: str, mount: str, route: str | None) -> str:
        if self._keep and matches(path, mount, self._keep):
            return longest_shown(path)
        segments = path[: _LONGEST * 2].split("/")
        if route is not None:
            self._learn(route)
            return masked_path(path, secret_places(segments, route, self.keep_names))
        secret: frozenset[int] = frozenset()
        for template in list(self._secret_routes):
            secret |= secret_places(segments, template, self.keep_names, is_matched=False)
        return masked_path(path, secret)

    def _learn(self, route: str) -> None:
        """Remember a template with secret parameters; what was shown without it is worked out anew."""
        if route in self._secret_routes or len(self._secret_routes) >= _MOST_ROUTES:
            return
        if has_secret(route, self.keep_names):
            self._secret_routes[route] = None
            self._shown.clear()
