"""The page of a user (over all devices) or of a visitor (one browser)."""

from __future__ import annotations

from sojourn.stores.model import USER, VISITOR, DataSubject

from . import _sessions
from ._view import View, error_page, pinned
from ._web import Response


def user(view: View) -> Response:
    return _profile(view, DataSubject(USER, view.parameters.exact("id")))


def visitor(view: View) -> Response:
    return _profile(view, DataSubject(VISITOR, view.parameters.exact("id")))


def _profile(view: View, subject: DataSubject) -> Response:
    if (elsewhere := pinned(view)) is not None:
        return elsewhere
    detail = view.store.report.person(subject) if subject.id else None
    if detail is None:
        text = f"This {subject.kind} has no sessions. They may have been erased, or deleted after their `retention`."
        return error_page(view, 404, f"No such {subject.kind}", text)
    query, page = _sessions.of_subject(view, subject)
    links = view.links(query.which, {**query.own, "id": subject.id})
    return view.html(
        "profile.html",
        detail=detail,
        subject=subject,
        **_sessions.table(view, query, page, links, subject=subject),
        all_sessions=view.request.url("/sessions", **{subject.kind: subject.id}),
    )
