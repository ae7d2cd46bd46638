"""Goals and funnels: those of the settings, and those that were defined on the report's pages, in any database.

Of one name that of the settings wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import msgspec

from sojourn.core.goals import Funnel, Goal, parse_step, parse_steps

from . import wire
from .database import Database
from .model import Definition

_definitions: Final = msgspec.json.Decoder(list[Definition])


GOAL: Final = "goal"
FUNNEL: Final = "funnel"
"""Kinds of definitions."""

Defined = TypeVar("Defined", Goal, Funnel)


def goals_of(stored: Iterable[Definition], settings: Sequence[Goal]) -> list[Goal]:
    """The goals of the settings, and those of the store that have other names."""
    return _merged(stored, settings, lambda name, text: Goal(name, parse_step(text)))


def funnels_of(stored: Iterable[Definition], settings: Sequence[Funnel]) -> list[Funnel]:
    """The funnels likewise."""
    return _merged(stored, settings, lambda name, text: Funnel(name, parse_steps(text)))


def _merged(
    stored: Iterable[Definition], settings: Sequence[Defined], parse: Callable[[str, str], Defined]
) -> list[Defined]:
    names = {each.name for each in settings}
    merged = list(settings)
    for each in stored:
        if each.name not in names:
            with suppress(ValueError):  # of a version that read it otherwise
                merged.append(parse(each.name, each.text))
    return merged


class SQLDefinitions:
    """The port `Definitions`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        self._all: Final = d.sql(f"""
SELECT {d.rows.format(d.array("name", "text"))} FROM (
    SELECT name, text FROM sojourn_definitions WHERE kind = :kind ORDER BY name) AS ordered
""")  # noqa: S608 - every part is written here
        self._set: Final = d.sql("""
INSERT INTO sojourn_definitions (kind, name, text) VALUES (:kind, :name, :text)
ON CONFLICT (kind, name) DO UPDATE SET text = excluded.text
""")
        self._remove: Final = d.sql("DELETE FROM sojourn_definitions WHERE kind = :kind AND name = :name")

    def of(self, kind: str) -> list[Definition]:
        return _definitions.decode(self._database.read(self._all, kind=kind)[0])

    def set(self, kind: str, name: str, text: str) -> None:
        values = {"kind": kind, "name": wire.clean(name), "text": wire.clean(text)}
        self._database.write(lambda work: work.execute(self._set, **values))

    def remove(self, kind: str, name: str) -> bool:
        values = {"kind": kind, "name": wire.clean(name)}
        (removed,) = self._database.write(lambda work: work.execute(self._remove, **values))
        return bool(removed.rows)
