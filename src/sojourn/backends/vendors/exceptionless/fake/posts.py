"""Read events as Exceptionless's parser does: missing types, unknown names, texts that are too long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sojourn.testing.vendors.instants import ms_of
from sojourn.testing.vendors.model import Value, VendorEvent

from .fold import Document, is_identifier

ROOT: Final = frozenset(
    {"type", "source", "date", "tags", "message", "geo", "value", "count", "data", "reference_id", "id"}
)
"""The fields of an event beside `data`; every other name goes into `data`."""

_LONGEST: Final = 2_000
_LONGEST_TYPE: Final = 100
_TAGS: Final = 50


def document_of(event: object, now: int) -> Document:
    """Return an event as it is stored; raise `ValueError` for one that discards its call."""
    if not isinstance(event, dict):
        raise ValueError("an event is a JSON object")
    data_field = event.get("data")
    if data_field is not None and not isinstance(data_field, dict):
        raise ValueError("data is a JSON object")
    data = {**(data_field or {}), **{name: value for name, value in event.items() if name not in ROOT}}
    has_error = "@error" in data or "@simple_error" in data
    kind = event.get("type") or ("error" if has_error else "log")
    if not isinstance(kind, str) or len(kind) > _LONGEST_TYPE:
        raise ValueError("type is a text of at most 100 characters")
    date = now if event.get("date") is None else ms_of(event["date"])
    if date is None:
        raise ValueError("date is a timestamp")
    reference = event.get("reference_id") or event.get("id")
    if reference is not None and not is_identifier(reference):
        data["InvalidReferenceId"] = reference
        reference = "invalid-reference-id"
    return Document(
        type=kind,
        date=date,
        reference_id=reference,
        source=_short(event, "source"),
        message=_short(event, "message"),
        geo=_short(event, "geo"),
        tags=_tags(event.get("tags")),
        data=data,
    )


def shown(own_id: str, doc: Document) -> VendorEvent:
    """Return a stored event for a test."""
    attributes: Mapping[str, Value] = {
        name: value for name, value in doc.data.items() if value is None or isinstance(value, str | int | float | bool)
    }
    if doc.source is not None:
        attributes = {"source": doc.source, **attributes}
    visitor = doc.data.get("visitor.id")
    return VendorEvent(
        id=own_id,
        name=doc.type,
        at=doc.date,
        session_id=str(doc.session_id or ""),
        visitor_id=None if visitor is None else str(visitor),
        user_id=doc.identity or None,
        attributes=attributes,
    )


def _short(event: Mapping[str, Any], name: str) -> str | None:
    value = event.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is a text")
    return value[:_LONGEST] if value else None


def _tags(value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise ValueError("tags is a list of texts")
    return [tag for tag in value if tag and len(tag) <= _LONGEST_TYPE][:_TAGS]
