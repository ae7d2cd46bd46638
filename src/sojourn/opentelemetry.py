"""OpenTelemetry: `session.id` on the spans of a request, so that traces are found by session.

For events as OpenTelemetry logs, use the backend `otel://` instead; the two go well together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import MissingExtraError, SojournError
from .tracking.travelling import correlation
from .tracking.visit import Visit, active_visit

try:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import SpanProcessor
except ImportError as error:
    msg = "sojourn.opentelemetry needs OpenTelemetry: pip install opentelemetry-sdk"
    raise MissingExtraError(msg) from error

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

    from .engine import Engine

__all__ = ["SessionSpanProcessor", "connect"]


class SessionSpanProcessor(SpanProcessor):
    """Sets `session.id` on every span that starts in a request or a job; with `user_id=True` also `user.id`, where known."""

    def __init__(self, *, user_id: bool = False) -> None:
        self._has_user = user_id

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        visit = active_visit.get()
        if visit is not None and span.is_recording():
            visit.guard.guarded(None, _describe, span, visit, self._has_user)


def connect(engine: Engine, provider: Any = None, *, user_id: bool = False) -> None:
    """Set `session.id` on the spans of this provider, or of the global one.

    Spans that start within a request get it when they start. The span around the request, which starts before the session is
    known, gets it when the response starts. Raises `SojournError` if there is no provider of OpenTelemetry's SDK yet.
    """
    provider = trace.get_tracer_provider() if provider is None else provider
    if not hasattr(provider, "add_span_processor"):
        msg = "sojourn.opentelemetry.connect(): set a TracerProvider of opentelemetry-sdk first, or pass it as provider"
        raise SojournError(msg)
    provider.add_span_processor(SessionSpanProcessor(user_id=user_id))

    def on_response(visit: Visit) -> None:
        span = trace.get_current_span()
        if span.is_recording():
            _describe(span, visit, user_id)

    engine.tracker.on_response = on_response


def _describe(span: Any, visit: Visit, has_user: bool) -> None:  # noqa: FBT001 - called through the guard
    for name, value in correlation(visit, has_user=has_user).items():
        span.set_attribute(name, value)
