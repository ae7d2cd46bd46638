"""Settings that are goals, funnels and saved views: a mapping of names to what people write, or one text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from sojourn.core.goals import Funnel, Goal, parse_name, parse_step, parse_steps
from sojourn.core.saved_views import NamedQuery, parse_query

from ._kinds import is_nothing
from ._table import Kind

_MOST: Final = 100
_SEPARATOR: Final = re.compile(r"[;\n]")


def _entries(value: object, example: str) -> list[tuple[str, object]]:
    if isinstance(value, Mapping):
        pairs: list[tuple[object, object]] = list(value.items())
    elif isinstance(value, str):
        parts = [part.partition("=") for part in _SEPARATOR.split(value) if part.strip()]
        pairs = [(name, text if is_there else "") for name, is_there, text in parts]
    else:
        raise ValueError(example)
    entries = [(parse_name(name), entry) for name, entry in pairs if isinstance(name, str)]
    if len(entries) < len(pairs):
        raise ValueError(example)
    if len(entries) > _MOST:
        msg = f"give at most {_MOST}; got {len(entries)}"
        raise ValueError(msg)
    names = [name for name, _ in entries]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        msg = f"the name {doubled!r} is there twice; keep one of the two"
        raise ValueError(msg)
    return entries


def _parse_goals(value: object) -> tuple[Goal, ...]:
    if value is None or is_nothing(value):
        return ()
    if isinstance(value, tuple) and all(isinstance(each, Goal) for each in value):
        return value
    goals = []
    for name, text in _entries(value, _GOALS_HINT):
        if not isinstance(text, str):
            raise ValueError(_GOALS_HINT)
        goals.append(Goal(name, parse_step(text)))
    return tuple(goals)


def _parse_funnels(value: object) -> tuple[Funnel, ...]:
    if value is None or is_nothing(value):
        return ()
    if isinstance(value, tuple) and all(isinstance(each, Funnel) for each in value):
        return value
    funnels = []
    for name, steps in _entries(value, _FUNNELS_HINT):
        if isinstance(steps, str):
            funnels.append(Funnel(name, parse_steps(steps)))
            continue
        listed = list(steps) if isinstance(steps, Iterable) else []
        texts = [text for text in listed if isinstance(text, str)]
        if not texts or len(texts) < len(listed):
            raise ValueError(_FUNNELS_HINT)
        funnels.append(Funnel(name, parse_steps(texts)))
    return tuple(funnels)


def _parse_saved_views(value: object) -> tuple[NamedQuery, ...]:
    if value is None or is_nothing(value):
        return ()
    if isinstance(value, tuple) and all(isinstance(each, NamedQuery) for each in value):
        return value
    views = []
    for name, text in _entries(value, _VIEWS_HINT):
        if not isinstance(text, str):
            raise ValueError(_VIEWS_HINT)
        views.append(NamedQuery(name, parse_query(text)))
    return tuple(views)


_VIEWS_HINT: Final = (
    'give a mapping such as {"Spring": "range=30d&campaign=spring"}, in text "Spring=range=30d&campaign=spring"'
)
_GOALS_HINT: Final = (
    'give a mapping such as {"Purchase": "purchase", "Sign-up": "/welcome"}, '
    'in text "Purchase=purchase; Sign-up=/welcome"'
)
_FUNNELS_HINT: Final = (
    'give a mapping such as {"Checkout": ["/cart", "/checkout", "purchase"]}, '
    'in text "Checkout=/cart > /checkout > purchase"'
)

GOALS: Final = Kind(_parse_goals)
FUNNELS: Final = Kind(_parse_funnels)
SAVED_VIEWS: Final = Kind(_parse_saved_views)
