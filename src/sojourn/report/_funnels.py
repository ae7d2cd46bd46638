"""The funnels' page: how many came to each step, how many were lost, and how long a step took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sojourn.core.goals import Funnel, parse_steps
from sojourn.stores.definitions import FUNNEL
from sojourn.stores.reporting.conversions_model import FunnelFigures

from . import _definitions, _filters, _ranges
from ._view import View, pinned
from ._web import Response

_DEFAULT: Final = "30d"
_WAYS: Final = {"session": "In one session", "visitor": "By visitor"}
_UNSAVED: Final = "Steps of this address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A step with its figures. `share`: of those at the first step; `kept`: of those at the step before."""

    number: int
    text: str
    count: int
    share: float | None
    kept: float | None
    lost: int
    median_ms: int | None


def funnels(view: View) -> Response:
    if (elsewhere := pinned(view)) is not None:
        return elsewhere
    which = _filters.parse_filter(view.parameters, view.moments)
    range_ = which.range or _ranges.preset(_DEFAULT, view.moments)
    defined = _definitions.funnels(view)
    way = view.parameters.one_of("by", _WAYS) or "session"
    name = view.parameters.one_of("funnel", [each.value.name for each in defined])
    text = view.parameters.text("steps")
    funnel, problem = _chosen(text, [each.value for each in defined], name)
    if text and name is not None:
        view.parameters.reject("funnel", "cannot be combined with steps; give one of them")
    figures = None
    if funnel is not None:
        figures = view.store.conversions.funnel(
            range_.span, funnel.steps, by_visitor=way == "visitor", where=which.filter
        )
    own = next((each for each in defined if each.value is funnel), None)
    chosen = {} if funnel is None else {"steps": text} if own is None else {"funnel": funnel.name}
    links = view.links(which, {**chosen, "by": "" if way == "session" else way})
    return view.html(
        "funnels.html",
        **links.ranges(range_, view.moments),
        links=links,
        defined=defined,
        funnel=funnel,
        own=own,
        problem=problem,
        which=which,
        way=way,
        ways=_WAYS,
        figures=figures,
        has_cookieless=view.store.report.has_cookieless(range_.span),
        stages=[] if funnel is None or figures is None else _stages(funnel, figures),
    )


def _chosen(text: str, defined: list[Funnel], name: str | None) -> tuple[Funnel | None, str | None]:
    """The funnel to show, and what is wrong with the steps of the address."""
    if text:
        try:
            return Funnel(_UNSAVED, parse_steps(text)), None
        except ValueError as error:
            return None, str(error)
    return next((each for each in defined if each.name == name), defined[0] if defined else None), None


def _stages(funnel: Funnel, figures: FunnelFigures) -> list[Stage]:
    stages: list[Stage] = []
    first = before = None
    for number, (step, each) in enumerate(zip(funnel.steps, figures.steps, strict=True), 1):
        first = each.count if first is None else first
        stages.append(
            Stage(
                number=number,
                text=step.text,
                count=each.count,
                share=each.count / first if first else None,
                kept=each.count / before if before else None,
                lost=0 if before is None else before - each.count,
                median_ms=each.median_ms,
            )
        )
        before = each.count
    return stages


def add(view: View) -> Response:
    return _definitions.add(view, FUNNEL, "/funnels", "steps", lambda text: Funnel("", parse_steps(text)).text)


def remove(view: View) -> Response:
    return _definitions.remove(view, FUNNEL, "/funnels")
