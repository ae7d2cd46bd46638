"""The agents' page: which crawlers, AI assistants and monitors read what, and whether they are who they claim to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sojourn.core.agent_hits import OTHER_PAGES
from sojourn.stores.reporting.agents_model import AgentHour, AgentLine
from sojourn.stores.reporting.calendar import edges
from sojourn.user_agents.agents import AgentKind

from . import _ranges
from ._links import Links
from ._view import View, pinned
from ._web import Response

_DEFAULT: Final = "7d"
_PAGES: Final = 25
_MOST_PAGES: Final = 1_000
HEIGHT: Final = 72

KINDS: Final = {
    AgentKind.AI_ASSISTANT.value: "AI assistants",
    AgentKind.AI_TRAINING.value: "AI training",
    AgentKind.SEARCH.value: "Search",
    AgentKind.PREVIEW.value: "Link previews",
    AgentKind.MONITOR.value: "Monitors",
    AgentKind.TOOL.value: "Tools",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whether an agent is who it claims to be: in a word, in a sentence, and the class of its badge."""

    word: str
    text: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bucket of the chart: `x` and `width` in percent, `height` and `refused` in its pixels."""

    x: float
    width: float
    height: float
    refused: float
    label: str


def agents(view: View) -> Response:
    if (elsewhere := pinned(view)) is not None:
        return elsewhere
    in_address = _ranges.from_query(view.parameters, view.moments)
    range_ = in_address or _ranges.preset(_DEFAULT, view.moments)
    every = view.store.agents.agents(range_.span)
    kinds = {line.kind for line in every}
    kind = view.parameters.one_of("kind", KINDS)
    name = view.parameters.text("agent") or None
    shows_all = view.parameters.one_of("pages", ("all",)) is not None
    lines = [line for line in every if kind in {None, line.kind} and name in {None, line.agent}]
    pages = view.store.agents.pages(range_.span, agent=name, kind=kind, limit=_MOST_PAGES if shows_all else _PAGES)
    chosen = {key: value for key, value in (("kind", kind), ("agent", name)) if value is not None}
    links = Links(
        request=view.request, path="/agents", params={} if in_address is None else in_address.query, own=chosen
    )
    return view.html(
        "agents.html",
        **links.ranges(range_, view.moments),
        links=links,
        kinds={key: label for key, label in KINDS.items() if key in kinds},
        labels=KINDS,
        kind=kind,
        agent=name,
        chosen=chosen,
        lines=lines,
        most=max((line.hits for line in lines), default=1),
        has_any=bool(every),
        identities={line.agent: identity(line) for line in lines},
        hits=sum(line.hits for line in lines),
        refused=sum(line.refused for line in lines),
        robots=sum(line.robots > 0 for line in lines),
        llms=sum(line.llms > 0 for line in lines),
        pages=pages,
        shows_all=shows_all,
        other_pages=OTHER_PAGES,
        bars=bars(view.store.agents.hours(range_.span, agent=name, kind=kind), range_, view),
        bar_height=HEIGHT,
    )


def identity(line: AgentLine) -> Identity:
    """What the verification of an agent's requests has found."""
    if line.hits and line.verified == line.hits:
        return Identity(word="verified", text="The reverse DNS confirms every address", tone="good")
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (line.verified, "verified"),
            (line.refuted, "false"),
            (line.hits - line.verified - line.refuted, "not verified"),
        )
        if count
    ]
    text = f"Of {line.hits:,} requests: {', '.join(parts)}"
    if line.refuted:
        share = line.refuted / max(1, line.hits)
        return Identity(word="false" if share == 1 else f"{share:.0%} false", text=text, tone="bad")
    if line.verified:
        return Identity(word="partly verified", text=text, tone="good")
    return Identity(word="claims to be", text="Nothing confirms or contradicts it", tone="soft")


def bars(hours: Sequence[AgentHour], range_: _ranges.Range, view: View) -> list[Bar]:
    """The bars of a chart of requests; none where there are no requests. Each hour is in the bucket where it begins."""
    if not hours:
        return []
    starts = edges(range_.span, range_.bucket, view.moments.zone)
    sums = [[0, 0] for _ in starts[1:]]
    place = 0
    for hour in hours:
        while place + 1 < len(sums) and hour.at >= starts[place + 1]:
            place += 1
        sums[place][0] += hour.hits
        sums[place][1] += hour.refused
    most = max(hits for hits, _ in sums)
    each = 100 / len(sums)
    return [
        Bar(
            x=round(number * each + each * 0.1, 3),
            width=round(each * 0.8, 3),
            height=round(HEIGHT * hits / most, 1),
            refused=round(HEIGHT * refused / most, 1),
            label=f"{view.moments.full(start)}: {hits:,} requests, {refused:,} refused",
        )
        for number, (start, (hits, refused)) in enumerate(zip(starts, sums, strict=False))
    ]
