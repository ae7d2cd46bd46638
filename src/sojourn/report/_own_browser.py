"""The switch in the foot of each page: whether visits by this browser to the site are counted."""

from __future__ import annotations

from sojourn.tracking.own_traffic import Mark

from ._login import local_url
from ._view import View
from ._web import Response, redirect


def switch(view: View) -> Response:
    """Set the mark of this browser, or remove it, and go back."""
    request, own = view.request, view.source.own_traffic
    back = local_url(request, request.form.get("next", "")) or request.url("/")
    if own is None:
        return redirect(back)
    mark = Mark.HAND if request.form.get("count") == "no" else None
    return redirect(back, cookies=(own.line(mark, is_https=request.facts.is_https),))
