"""Goals and funnels: what a session must contain, as text that people write and as values. Pure.

A step is a path (`/checkout`, or `/seeds/*` for all paths that begin so) or the name of an event (`purchase`), optionally
with a property of that event (`purchase plan=pro`). A goal is one step; a funnel has 2 to 8, written with `>` between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .events import EXCEPTION, PAGE_VIEW, RESERVED_NAMES, USER_IDENTIFY
from .properties import EVENT_PREFIX, full_name

MOST_STEPS: Final = 8
FEWEST_STEPS: Final = 2
LONGEST_NAME: Final = 80
_LONGEST_STEP: Final = 400
_LONGEST_VALUE: Final = 200
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

EXCLUDED: Final = RESERVED_NAMES - {USER_IDENTIFY, EXCEPTION}
"""Events that are no step by their name: they are not what a visitor set out to do, or, for a page view, have a path."""


@dataclass(frozen=True, slots=True)
class Step:
    """A page view of a path, or an event. `value` ends with `*` where it is the beginning of a path or a name."""

    is_path: bool
    value: str
    condition: tuple[str, str] | None = None
    """The full name of a property of the event, and its value as text: `true`, `42`, `pro`."""

    @property
    def text(self) -> str:
        """As people write it."""
        if self.condition is None:
            return self.value
        name, value = self.condition
        return f"{self.value} {name.removeprefix(EVENT_PREFIX)}={value}"


@dataclass(frozen=True, slots=True)
class Goal:
    """A step that is worth counting."""

    name: str
    step: Step


@dataclass(frozen=True, slots=True)
class Funnel:
    """Steps, in the order in which they are counted."""

    name: str
    steps: tuple[Step, ...]

    @property
    def text(self) -> str:
        return " > ".join(step.text for step in self.steps)


def parse_name(text: str) -> str:
    """Return a name without blanks around it. Raises `ValueError` with the fix."""
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or _CONTROL.search(name):
        msg = f"give a name of 1 to {LONGEST_NAME} characters, without control characters"
        raise ValueError(msg)
    return name


def parse_step(text: str) -> Step:
    """Read a step as people write it. Raises `ValueError` with the fix."""
    clean = text.strip()
    if not clean or len(clean) > _LONGEST_STEP or _CONTROL.search(clean):
        msg = f'give a path such as "/checkout" or "/seeds/*", or the name of an event such as "purchase"; got {clean[:40]!r}'
        raise ValueError(msg)
    if clean.startswith("/"):
        return Step(is_path=True, value=clean)
    name, _, rest = clean.partition(" ")
    if name in EXCLUDED:
        fix = 'give a path such as "/checkout"' if name == PAGE_VIEW else "track an event of your own"
        msg = f"{name} cannot be counted by its name; {fix}"
        raise ValueError(msg)
    return Step(is_path=False, value=name, condition=_condition(rest.strip()) if rest else None)


def parse_steps(texts: str | Iterable[str]) -> tuple[Step, ...]:
    """Read the steps of a funnel, one text with `>` between them or several texts. Raises `ValueError` with the fix."""
    parts = texts.split(">") if isinstance(texts, str) else list(texts)
    if not FEWEST_STEPS <= len(parts) <= MOST_STEPS:
        msg = f'give {FEWEST_STEPS} to {MOST_STEPS} steps, such as "/cart > /checkout > purchase"; got {len(parts)}'
        raise ValueError(msg)
    return tuple(parse_step(part) for part in parts)


def value_text(value: object) -> str:
    """Return a property's value as a condition has it: `true`, `42`, `pro`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _condition(text: str) -> tuple[str, str]:
    name, is_there, value = text.partition("=")
    if not is_there or not value.strip() or len(value) > _LONGEST_VALUE:
        msg = f'give a property as name=value, such as "purchase plan=pro"; got {text[:40]!r}'
        raise ValueError(msg)
    return full_name(name.strip(), EVENT_PREFIX), value.strip()
