"""A user over all devices, or a visitor: one browser."""

from __future__ import annotations

from sojourn.stores.tombstones import USER, VISITOR, DataSubject

from . import _sessions
from ._view import View, error_page
from ._web import Response


def user(view: View) -> Response:
    return _person(view, DataSubject(USER, view.request.query.get("id", "")))


def visitor(view: View) -> Response:
    return _person(view, DataSubject(VISITOR, view.request.query.get("id", "")))


def _person(view: View, person: DataSubject) -> Response:
    detail = view.store.person_detail(person) if person.id else None
    if detail is None:
        text = "Nobody of this id has a session here. It may have been erased, or its time is over (see `retention`)."
        return error_page(view, 404, f"No such {person.kind}", text)
    wanted, found = _sessions.of_person(view, person)
    return view.html(
        "profile.html",
        detail=detail,
        person=person,
        **_sessions.table(view, wanted, found, f"/{person.kind}s", of=person),
        all_sessions=view.request.url("/sessions", **{person.kind: person.id}),
    )
