"""The one place that builds the addresses of pages that filters hold on: each keeps what the reader looks at. Pure.

What that is (filter, range, measure and interval of the chart) is the same on every page. A page adds what is its own, such as
the order of its rows, and loses it on the way to another page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from . import _ranges
from ._moments import Moments
from ._web import Request

Params = Mapping[str, str | tuple[str, ...]]
"""Parameters of an address; a tuple has the values of one that is repeated."""

RANGE: Final = ("range", "since", "until")
INTERVAL: Final = "interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Addresses around a page. `params`: what the reader looks at; `own`: what only the page at `path` knows.

    `written`: how `params` are written; those of a saved view by its name, and what differs from it.
    """

    request: Request
    path: str
    params: Params
    own: Params = field(default_factory=dict)
    written: Callable[[Params], Params] = dict

    def here(self, /, **changes: Any) -> str:
        """This page with these changes; an empty value takes a parameter away."""
        return self._url(self.path, {**self.params, **self.own, **changes})

    def to(self, path: str, /, **changes: Any) -> str:
        """Another page, with these changes."""
        return self._url(path, {**self.params, **changes})

    def without(self, /, *names: str) -> Self:
        """The same without these parameters."""
        kept = {name: value for name, value in self.params.items() if name not in names}
        return replace(self, params=kept, own={name: each for name, each in self.own.items() if name not in names})

    def looking_at(self, params: Params) -> Self:
        """The same page of something else."""
        return replace(self, params=params)

    def in_range(self, range_: _ranges.Range) -> Self:
        """The same with this range, and without an interval that does not suit it."""
        kept = {name: value for name, value in self.params.items() if name not in RANGE}
        interval = kept.get(INTERVAL)
        if isinstance(interval, str) and _ranges.named_interval(interval, range_) is None:
            del kept[INTERVAL]
        return replace(self, params={**kept, **range_.query})

    def hidden(self, /, *fields: str) -> list[tuple[str, str]]:
        """What a form on this page sends unseen, beside its own fields."""
        kept = self.without(*fields)
        return list(_pairs(self.written(_filled({**kept.params, **kept.own}))))

    @property
    def address(self) -> str:
        """What the reader looks at as a query, written out: to keep it under a name."""
        return self.request.url("/", **self.params).partition("?")[2]

    def ranges(self, range_: _ranges.Range, moments: Moments) -> dict[str, Any]:
        """What the range control of a page needs."""
        presets = [
            (name, label, self.in_range(_ranges.preset(name, moments)).here())
            for name, label in _ranges.PRESETS.items()
        ]
        return {
            "range": range_,
            "presets": presets,
            "since": _ranges.field(range_.span.since, moments),
            "until": _ranges.field(range_.span.until, moments),
        }

    def _url(self, path: str, params: Mapping[str, Any]) -> str:
        return self.request.url(path, **self.written(_filled(params)))


def _filled(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value not in {None, ""}}


def _pairs(params: Params) -> Iterable[tuple[str, str]]:
    for name, value in params.items():
        for each in (value,) if isinstance(value, str) else value:
            yield name, each
