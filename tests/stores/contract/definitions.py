"""What every store must keep to for what is defined on pages: a name is taken once, and what is gone stays gone."""

from __future__ import annotations

import pytest

from sojourn.stores.protocol import Store

HOSTILE = 'it\'s; "DROP" %s :name ? \u202e \U0001f600'


def texts(store: Store, kind: str = "view") -> dict[str, str]:
    return {each.name: each.text for each in store.definitions.of(kind)}


class DefinitionsContract:
    """Part of `StoreContract`, which has the fixture."""

    def test_definition_is_added_once(self, store: Store) -> None:
        assert store.definitions.add("view", "a", "1")
        assert not store.definitions.add("view", "a", "2")
        assert store.definitions.add("goal", "a", "3")
        assert (texts(store), texts(store, "goal")) == ({"a": "1"}, {"a": "3"})

    def test_only_what_is_there_changes(self, store: Store) -> None:
        store.definitions.set("view", "a", "1")
        assert store.definitions.change("view", "a", "2")
        assert not store.definitions.change("view", "b", "2")
        assert store.definitions.remove("view", "a")
        assert not store.definitions.change("view", "a", "3")
        assert not store.definitions.remove("view", "a")
        assert texts(store) == {}

    def test_another_name_takes_no_other_ones_place(self, store: Store) -> None:
        for kind, name in (("view", "a"), ("view", "b"), ("goal", "c")):
            store.definitions.set(kind, name, name)
        assert not store.definitions.rename("view", "a", "b")
        assert not store.definitions.rename("view", "x", "y")
        assert store.definitions.rename("view", "a", "c")
        assert (texts(store), texts(store, "goal")) == ({"b": "b", "c": "a"}, {"c": "c"})

    @pytest.mark.parametrize("text", ["", HOSTILE, "x" * 5_000])
    def test_any_text_stays_as_it_is(self, store: Store, text: str) -> None:
        assert store.definitions.add("view", text, text)
        assert store.definitions.rename("view", text, f"{text}2")
        assert store.definitions.change("view", f"{text}2", f"{text}3")
        assert texts(store) == {f"{text}2": f"{text}3"}
