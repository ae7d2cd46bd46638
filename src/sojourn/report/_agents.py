"""The agents' page: which crawlers, AI assistants and monitors read what, and whether they are who they claim to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sojourn.core.agent_hits import OTHER_PAGES
from sojourn.stores.reporting.agents_model import AgentHour, AgentLine, AgentPages
from sojourn.stores.reporting.calendar import edges
from sojourn.user_agents.agents import AgentKind
from sojourn.user_agents.published import AGENTS, KIND, published_of

from . import _ranges
from ._links import Links, Params
from ._view import View, pinned
from ._web import Response

_DEFAULT: Final = "7d"
_SHOWN: Final = 25
MOST_PAGES: Final = 1_000
_NAMED: Final = 3
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentsQuery:
    """What an address asks of the agents. `params`: its parameters, without those of the range."""

    range: _ranges.Range
    in_address: Params
    """The parameters of the range, if the address has one."""
    kind: str | None
    agent: str | None
    find: str

    @property
    def chosen(self) -> dict[str, str]:
        """The parameters that choose agents."""
        return {name: value for name, value in (("kind", self.kind), ("agent", self.agent)) if value is not None}

    @property
    def params(self) -> dict[str, str]:
        return {**self.chosen, **({"find": self.find} if self.find else {})}

    def of_every(self, lines: Sequence[AgentLine]) -> list[AgentLine]:
        """Those of the kind and the name."""
        return [line for line in lines if self.kind in {None, line.kind} and self.agent in {None, line.agent}]

    def found_in(self, lines: Sequence[AgentLine]) -> list[AgentLine]:
        """Those of them whose names have the text that is searched for."""
        text = self.find.casefold()
        return [line for line in self.of_every(lines) if text in line.agent.casefold()]

    def pages(self, view: View, limit: int) -> AgentPages:
        """The pages that they asked for, whose paths have that text."""
        return view.store.agents.pages(
            self.range.span, agent=self.agent, kind=self.kind, find=self.find, limit=min(limit, MOST_PAGES)
        )


def parse(view: View) -> AgentsQuery:
    """Read what an address asks of the agents."""
    range_ = _ranges.from_query(view.parameters, view.moments)
    return AgentsQuery(
        range=range_ or _ranges.preset(_DEFAULT, view.moments),
        in_address={} if range_ is None else range_.query,
        kind=view.parameters.one_of("kind", KINDS),
        agent=view.parameters.text("agent") or None,
        find=view.parameters.text("find"),
    )


def agents(view: View) -> Response:
    if (elsewhere := pinned(view)) is not None:
        return elsewhere
    query = parse(view)
    range_ = query.range
    every = view.store.agents.agents(range_.span)
    lists = lists_of(view)
    all_of = view.parameters.one_of("all", ("agents", "pages"))
    lines, found = query.of_every(every), query.found_in(every)
    kinds = {line.kind for line in every}
    links = Links(request=view.request, path="/agents", params=query.in_address, own=query.params)
    return view.html(
        "agents.html",
        **links.ranges(range_, view.moments),
        links=links,
        kinds={key: label for key, label in KINDS.items() if key in kinds},
        labels=KINDS,
        query=query,
        lines=lines,
        found=found if all_of == "agents" else found[:_SHOWN],
        count=len(found),
        has_any=bool(every),
        identities={line.agent: identity(line) for line in found},
        hits=sum(line.hits for line in lines),
        refused=sum(line.refused for line in lines),
        robots=sum(line.robots > 0 for line in lines),
        llms=sum(line.llms > 0 for line in lines),
        pages=query.pages(view, MOST_PAGES if all_of == "pages" else _SHOWN),
        other_pages=OTHER_PAGES,
        lists=lists,
        unlisted=_unlisted(lines, lists),
        bars=bars(view.store.agents.hours(range_.span, agent=query.agent, kind=query.kind), range_, view),
        bar_height=HEIGHT,
        exports=[(name, links.to(f"/agents.{name.lower()}", **query.params)) for name in ("CSV", "JSON")],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedList:
    """The published networks of an agent, as the store has them. `read_at` in ms; `is_fresh`: they refute, too."""

    agent: str
    networks: int
    read_at: int
    is_fresh: bool


def lists_of(view: View) -> list[PublishedList]:
    """The lists that agents are verified by, by name."""
    found = [(each.name, published_of(each.text)) for each in view.store.definitions.of(KIND)]
    return [
        PublishedList(agent=name, networks=len(each.networks), read_at=each.at, is_fresh=each.is_fresh(view.now))
        for name, each in found
        if each is not None
    ]


def _unlisted(lines: Sequence[AgentLine], lists: Sequence[PublishedList]) -> list[str]:
    """Some agents whose operators publish networks that the store does not have, and that nothing else verifies."""
    listed = {each.agent for each in lists}
    return [
        line.agent
        for line in lines
        if line.agent in AGENTS and line.agent not in listed and not line.verified and not line.refuted
    ][:_NAMED]


def identity(line: AgentLine) -> Identity:
    """What the verification of an agent's requests has found."""
    if line.hits and line.verified == line.hits:
        return Identity(
            word="verified", text="Published networks or the reverse DNS confirm every address", tone="good"
        )
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
