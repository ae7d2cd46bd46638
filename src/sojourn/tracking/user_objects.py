"""The id of an app's own user object, read without running any code of it: no query, no property, no `__getattr__`.

A row of an ORM that has expired, or that is detached from its database session, would query or raise for any other look.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final

ID_KEYS: Final = ("id", "user_id", "sub")
NAME_KEYS: Final = ("name", "username", "display_name")

_MISSING: Final = object()


def values_of(user: object) -> dict[str, Any]:
    """What an object holds under the names of ids and names: in its `__dict__`, its slots, or its row's identity."""
    held = _dict_of(user)
    values = {key: held[key] for key in (*ID_KEYS, *NAME_KEYS, "is_authenticated") if key in held}
    data = held.get("__data__")  # Peewee keeps the columns of a row here
    if type(data) is dict:
        values = {**data, **values}
    for key in (*ID_KEYS, *NAME_KEYS):
        if key not in values and (value := _slot(user, key)) is not _MISSING:
            values[key] = value
    if "id" not in values and (identity := _row_identity(user, held)) is not None:
        values["id"] = identity
    return values


def _dict_of(value: object) -> Mapping[str, Any]:
    """`vars(value)`, unless its class computes that, as a proxy does."""
    descriptor = _in_class(value, "__dict__")
    if not isinstance(descriptor, GetSetDescriptorType | MemberDescriptorType):
        return {}
    held: dict[str, Any] = descriptor.__get__(value, type(value))
    return held


def _slot(value: object, name: str) -> object:
    """What stands in a slot; `_MISSING` for an empty one, and for what is none."""
    slot = _in_class(value, name)
    if not isinstance(slot, MemberDescriptorType):
        return _MISSING
    try:
        return slot.__get__(value, type(value))
    except AttributeError:
        return _MISSING


def _in_class(value: object, name: str) -> object:
    """What a class says of a name, its bases included; nothing of it is called."""
    for base in type.__getattribute__(type(value), "__mro__"):
        namespace = type.__getattribute__(base, "__dict__")
        if name in namespace:
            return namespace[name]
    return None


def _row_identity(user: object, held: Mapping[str, Any]) -> object:
    """The primary key of a row of SQLAlchemy whose `id` has expired (after a commit), if `id` is that key.

    SQLAlchemy keeps it beside the row, and drops the values. What is not as we know it is as if there were no key.
    """
    state = held.get("_sa_instance_state")
    key = None if state is None else _dict_of(state).get("key")
    if not isinstance(key, tuple) or len(key) < 2 or not isinstance(key[1], tuple) or len(key[1]) != 1:
        return None
    mapper = _dict_of(_in_class(user, "__mapper__"))
    columns, properties = mapper.get("primary_key"), mapper.get("_columntoproperty")
    if not isinstance(columns, tuple) or len(columns) != 1 or not isinstance(properties, dict):
        return None
    column = dict.get(properties, columns[0])
    name = _dict_of(column).get("key", _slot(column, "key"))  # one or the other, as SQLAlchemy's versions have it
    return key[1][0] if name == "id" else None
