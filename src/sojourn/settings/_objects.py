"""Settings that are objects, or name one: store, backends, callables, properties, folders. Imports none by itself."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from sojourn.core.properties import EVENT_PREFIX, MAX_DECLARED, SESSION_PREFIX, Property, full_name

from . import _places
from ._kinds import listing, optional
from ._table import Kind, plain

_REFERENCE: Final = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*(?:\.[^\W\d]\w*)*)")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S*")


def load(text: str) -> object:
    """Import what `package.module:name` names; raise `ValueError` if it cannot be imported."""
    match = _REFERENCE.fullmatch(text.strip())
    if match is None:
        msg = 'give the object itself, or its name as "package.module:name"'
        raise ValueError(msg)
    module, name = match.groups()
    try:
        target: object = importlib.import_module(module)
        for part in name.split("."):
            target = getattr(target, part)
    except (ImportError, AttributeError) as error:
        msg = f'that name could not be imported ({error}); it must read "package.module:name"'
        raise ValueError(msg) from error
    return target


def _names_object(text: str) -> bool:
    # Only in a dotted module: "jsonl:events" is a URL, "shop.analytics:warehouse" an object.
    match = _REFERENCE.fullmatch(text)
    return match is not None and "." in match[1]


def _parse_backend(value: object) -> Iterable[object]:
    if isinstance(value, str):
        text = value.strip()
        if not _names_object(text):
            if not _URL.fullmatch(text):
                raise ValueError(_BACKENDS_HINT)
            return (text,)
        value = load(text)
    if not isinstance(getattr(value, "name", None), str) or not callable(getattr(value, "send", None)):
        msg = f"a backend has a name and a method send(); {_BACKENDS_HINT}"
        raise ValueError(msg)
    return (value,)


def _show_backends(value: object) -> str:
    items = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if isinstance(items, list | tuple):
        return "[" + ", ".join(_places.scheme_only(item) for item in items) + "]"
    return _places.scheme_only(items)


def _parse_store(value: object) -> object:
    return _places.parse_store(load(value) if isinstance(value, str) and _names_object(value.strip()) else value)


def _parse_callable(value: object) -> object:
    target = load(value) if isinstance(value, str) else value
    if not callable(target):
        msg = 'give a function or another callable, or its name as "package.module:name"'
        raise ValueError(msg)
    return target


def _parse_declarations(value: object, prefix: str) -> Mapping[str, Property]:
    mapping = load(value) if isinstance(value, str) else value
    if not isinstance(mapping, Mapping) or not all(isinstance(item, Property) for item in mapping.values()):
        msg = 'give a mapping such as {"cart_value": Property(float)}, or the name of one as "package.module:name"'
        raise ValueError(msg)
    declared: dict[str, Property] = {}
    for name, item in mapping.items():
        full = full_name(name if isinstance(name, str) else "", prefix)
        clashes = [other for other in declared if other.lower() == full.lower()]
        if full in declared or (
            clashes and any(declared[other].case_insensitive for other in clashes) | item.case_insensitive
        ):
            msg = f"the property {full!r} is declared twice; keep one of the two"
            raise ValueError(msg)
        declared[full] = item
    if len(declared) > MAX_DECLARED:
        msg = f"{len(declared)} properties are declared, and at most {MAX_DECLARED} can be; drop some"
        raise ValueError(msg)
    return MappingProxyType(declared)


def _show_declarations(value: object) -> str:
    return plain(list(value)) if isinstance(value, Mapping) else plain(value)


def _declarations(prefix: str) -> Kind:
    return optional(Kind(partial(_parse_declarations, prefix=prefix), _show_declarations))


_BACKENDS_HINT: Final = (
    'give a list of backend objects or of URLs, such as "console:" or "webhook+https://example.com/in"'
)

STORE: Final = Kind(_parse_store, _places.show_store)
BACKENDS: Final = listing(_parse_backend, _BACKENDS_HINT, _show_backends)
FOLDER: Final = optional(Kind(_places.parse_folder, lambda value: repr(str(value))))
CALLABLE: Final = optional(Kind(_parse_callable))
SESSION_PROPERTIES: Final = _declarations(SESSION_PREFIX)
EVENT_PROPERTIES: Final = _declarations(EVENT_PREFIX)
