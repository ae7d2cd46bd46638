"""What is defined on the report's pages, in any database: goals, funnels, saved views, tokens and links.

Of one name a goal or funnel of the settings wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from sojourn.core.goals import Funnel, Goal, parse_step, parse_steps

from . import wire
from .database import Database
from .model import DataSubject, Definition

_definitions: Final = msgspec.json.Decoder(list[Definition])


GOAL: Final = "goal"
FUNNEL: Final = "funnel"
VIEW: Final = "view"
"""Kinds of definitions."""

Defined = TypeVar("Defined", Goal, Funnel)


class StoredView(msgspec.Struct, frozen=True):
    """The text of a saved view. `id` is what links point at: it outlives another name, and nothing else has it again."""

    id: str
    query: str


_view: Final = msgspec.json.Decoder(StoredView)


def view_of(definition: Definition) -> StoredView:
    """Read a saved view."""
    return _view.decode(definition.text)


def views_naming(stored: Iterable[Definition], person: DataSubject) -> list[str]:
    """The names of the saved views with a filter of this person, which hold the ID."""
    found = []
    for each in stored:
        pairs = parse_qsl(view_of(each).query)
        if any(name.rstrip("!~") in {person.kind, "q"} and value == person.id for name, value in pairs):
            found.append(each.name)
    return found


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
        self._add: Final = d.sql("""
INSERT INTO sojourn_definitions (kind, name, text) VALUES (:kind, :name, :text) ON CONFLICT (kind, name) DO NOTHING
""")
        self._change: Final = d.sql("UPDATE sojourn_definitions SET text = :text WHERE kind = :kind AND name = :name")
        self._rename: Final = d.sql("""
UPDATE sojourn_definitions SET name = :new WHERE kind = :kind AND name = :name
AND NOT EXISTS (SELECT 1 FROM sojourn_definitions AS other WHERE other.kind = :kind AND other.name = :new)
""")
        self._remove: Final = d.sql("DELETE FROM sojourn_definitions WHERE kind = :kind AND name = :name")

    def of(self, kind: str) -> list[Definition]:
        return _definitions.decode(self._database.read(self._all, kind=kind)[0])

    def set(self, kind: str, name: str, text: str) -> None:
        values = {"kind": kind, "name": wire.clean(name), "text": wire.clean(text)}
        self._database.write(lambda work: work.execute(self._set, **values))

    def add(self, kind: str, name: str, text: str) -> bool:
        return self._did(self._add, kind=kind, name=wire.clean(name), text=wire.clean(text))

    def change(self, kind: str, name: str, text: str) -> bool:
        return self._did(self._change, kind=kind, name=wire.clean(name), text=wire.clean(text))

    def rename(self, kind: str, name: str, new: str) -> bool:
        return self._did(self._rename, kind=kind, name=wire.clean(name), new=wire.clean(new))

    def remove(self, kind: str, name: str) -> bool:
        return self._did(self._remove, kind=kind, name=wire.clean(name))

    def _did(self, statement: str, **values: str) -> bool:
        """Whether a statement changed anything."""
        (done,) = self._database.write(lambda work: work.execute(statement, **values))
        return bool(done.rows)
