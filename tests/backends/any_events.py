"""Any batches of events, drawn by Hypothesis: a vendor's fake must accept what its encoder makes of them."""

from __future__ import annotations

from hypothesis import strategies as st

from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.core.ids import hashed_uuid, uuid7

STARTED_AT = 1_769_860_800_000

_KNOWN = (
    "client.address",
    "deployment.environment.name",
    "event_properties.sku",
    "exception.escaped",
    "exception.message",
    "exception.type",
    "http.request.header.referer",
    "http.route",
    "service.name",
    "session.duration_ms",
    "session.end_reason",
    "session.late",
    "session.previous_id",
    "session_properties.Plan",
    "session_properties.plan",
    "url.path",
    "url.query",
    "user.name",
    "user.traits.plan",
    "user_agent.original",
)

_texts = st.text(st.characters(codec=None), max_size=20) | st.sampled_from([4_096, 4_097, 5_000]).map(
    lambda size: "x" * size
)
_values: st.SearchStrategy[Scalar] = _texts | st.integers() | st.floats() | st.booleans()
_names = st.sampled_from(sorted(names.RESERVED_NAMES)) | st.text("abc._ \u00fc\"'", min_size=1, max_size=20)


@st.composite
def _event(draw: st.DrawFn) -> Event:
    number = draw(st.integers(0, 3))
    key = uuid7(STARTED_AT + number, number.to_bytes(10, "big"))
    is_manual = draw(st.booleans())
    session_id = draw(st.sampled_from(["1234567890", "00000000001", "checkout-4711"])) if is_manual else key
    attributes = draw(st.dictionaries(st.sampled_from(_KNOWN), _values, max_size=5))
    return Event(
        id=hashed_uuid(key, str(draw(st.integers(0, 2**64)))),
        name=draw(_names),
        time=STARTED_AT + draw(st.integers(0, 10_000)),
        session_id=session_id,
        session_key=key,
        session_started_at=STARTED_AT + number,
        visitor_id=draw(st.sampled_from(["6b1f6c2a-3a5e-4a58-8f0f-9a1d6d0c1e77", "check-0123"])),
        is_manual=is_manual,
        user_id=draw(st.none() | _texts),
        attributes={"session.id": session_id, **attributes},
    )


def batches() -> st.SearchStrategy[list[Event]]:
    """Batches of a few sessions, with all kinds of values."""
    return st.lists(_event(), max_size=12, unique_by=lambda event: event.id)
