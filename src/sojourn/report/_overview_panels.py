"""The panels of the overview: which tab of each group is shown, its first lines, and the addresses around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sojourn.stores.reporting.model import Breakdowns

from ._columns import Column, Line
from ._links import Links, Params
from ._panels import GROUPS, PANELS, Panel, chosen
from ._view import View

SHOWN: Final = 8
_DEFAULTS: Final = {group.panels[0].name for group in GROUPS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A panel that can be shown in the same place."""

    panel: Panel
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A panel as the overview shows it. `links`: with the range; `count`: how many values there are."""

    panel: Panel
    label: str
    tabs: Sequence[Tab]
    lines: Sequence[Line]
    count: int
    most: int
    beside: Column | None
    data: Breakdowns
    links: Links


def names_in(view: View) -> tuple[str, ...]:
    """The panels that the address names, as in `tabs=exits,campaigns`."""
    fix = f"use some of {', '.join(PANELS)}, with commas"
    return view.parameters.parsed("tabs", _names, fix) or ()


def own_params(names: Sequence[str]) -> Params:
    """The parameter of these tabs; those that are shown anyway are left out."""
    return {"tabs": ",".join(name for name in names if name not in _DEFAULTS)}


def shown(names: Sequence[str], data: Breakdowns, links: Links) -> list[Shown]:
    """The panels, each with its first lines."""
    found = []
    for group, panel in chosen(names):
        others = [name for name in names if name not in {each.name for each in group.panels}]
        lines = panel.lines(data)
        found.append(
            Shown(
                panel=panel,
                label=group.label,
                tabs=[
                    Tab(
                        panel=each,
                        url=links.here(**own_params([*others, each.name])) + f"#panel-{each.name}",
                    )
                    for place, each in enumerate(group.panels)
                    if place < group.tabs or each is panel
                ],
                lines=lines[:SHOWN],
                count=len(lines),
                most=max((line.counts.sums[0] for line in lines[:SHOWN]), default=1),
                beside=None if panel.beside is None else panel.column(panel.beside),
                data=data,
                links=links,
            )
        )
    return found


def panels_of(names: Sequence[str]) -> list[Panel]:
    return [panel for _, panel in chosen(names)]


def _names(text: str) -> tuple[str, ...] | None:
    names = tuple(text.split(","))
    return names if all(name in PANELS for name in names) else None
