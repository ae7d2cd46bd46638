"""What a link shows to a reader without a log-in: the figures, the chart and the panels of one saved view, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from sojourn.stores.reporting.model import Bucket, Overview

from . import _charts, _figures, _overview, _panel_pages, _ranges, shares
from ._links import INTERVAL
from ._measures import MEASURES
from ._panels import PANELS
from ._saved_views import SavedView
from ._view import View, error_page
from ._web import Response, document

_ROWS: Final = 8
_SHOWN: Final = ("pages", "entries", "sources", "campaigns", "events", "browsers", "devices")
_PANELS: Final = tuple(PANELS[name] for name in _SHOWN)


def page(view: View, secret: str) -> Response:
    """The shared view, whoever asks; 404 where the link shows none."""
    saved = shares.find(view.store, secret, view.now, view.saved_views)
    if isinstance(saved, str):
        return error_page(view, 404, "Nothing to show", saved, is_shared=True)
    range_, bucket, data = _read(view, saved)
    which = saved.selection
    # The reader may look at another figure of the same view, at nothing beside it.
    measure = view.parameters.one_of("measure", MEASURES) or which.measure or "sessions"
    tables = _panel_pages.load(view, range_.span, _PANELS, which.filter)
    return view.html(
        "share.html",
        name=saved.name,
        range=range_,
        chips=which.chips,
        cards=[
            replace(card, url=view.request.url(view.request.path, measure=card.measure.name))
            for card in _overview.cards(data)
        ],
        data=data,
        bucket=bucket,
        measures=MEASURES.values(),
        chart=_charts.chart(
            data.series,
            range_.span,
            bucket,
            view.moments,
            measure=MEASURES[measure],
            before=data.series_before,
            releases=view.store.report.releases(range_.span),
        ),
        chart_height=_charts.HEIGHT,
        panels=[(panel, panel.lines(tables)[:_ROWS]) for panel in _PANELS],
    )


def as_json(view: View, secret: str) -> Response:
    """The same for a program."""
    saved = shares.find(view.store, secret, view.now, view.saved_views)
    if isinstance(saved, str):
        return replace(document({"errors": [{"parameter": "", "message": saved}]}), status=404)
    range_, bucket, data = _read(view, saved)
    tables = _panel_pages.load(view, range_.span, _PANELS, saved.selection.filter)
    panels: dict[str, Any] = {
        panel.name: [_panel_pages.fields(panel, line) for line in panel.lines(tables)[:_ROWS]] for panel in _PANELS
    }
    return document({"name": saved.name, **_figures.content(range_, bucket, data), "panels": panels})


def _read(view: View, saved: SavedView) -> tuple[_ranges.Range, Bucket, Overview]:
    """The view's range, the width of its bars, and its figures."""
    which = saved.selection
    range_ = which.range or _ranges.preset(_overview.DEFAULT, view.moments)
    if which.range is not None and (name := which.params.get("range")) is not None:
        range_ = _ranges.preset(str(name), view.moments)  # "today" is that of the reader
    bucket = _ranges.named_interval(str(which.params.get(INTERVAL, "")), range_) or range_.bucket
    return range_, bucket, _overview.load(view, range_, which.filter, bucket)
