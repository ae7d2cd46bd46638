"""Encode the parameters of the outbox's statements, and decode their results. No SQL."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from sojourn.core.events import Event
from sojourn.core.in_flight import InFlight

from . import wire
from .model import Lease, OutboxState, Resettled, Settled

_outboxes: Final = msgspec.json.Decoder(tuple[OutboxState, ...])
_leases: Final = msgspec.json.Decoder(list[tuple[str, str, int, int]])
_in_flight: Final = msgspec.json.Decoder(InFlight)
_events: Final = msgspec.json.Decoder(tuple[Event, ...])


def decode_outboxes(text: str) -> tuple[OutboxState, ...]:
    return _outboxes.decode(text)


def decode_leases(text: str) -> tuple[Lease, ...]:
    return tuple(
        Lease(name=name, holder=holder, token=token, until=until) for name, holder, token, until in _leases.decode(text)
    )


def decode_whole_events(text: str) -> tuple[Event, ...]:
    """Decode events of dead letters, which have all their fields."""
    return _events.decode(text)


def encode_in_flight(in_flight: InFlight) -> str | None:
    """Encode batches that are not confirmed; `None` for none."""
    return wire.encode(in_flight) if in_flight else None


def decode_in_flight(text: str) -> InFlight:
    return _in_flight.decode(text)


def held(lease: Lease) -> dict[str, object]:
    """Return a lease as the parameters of a statement that checks whether it is still held."""
    return {"lease": lease.name, "holder": lease.holder, "token": lease.token}


def some_ids(event_ids: Collection[str] | None) -> str | None:
    """Encode ids of events as one parameter; `None` stays `None` and means all."""
    return None if event_ids is None else wire.encode(list(event_ids))


def figures(settled: Settled) -> dict[str, object]:
    """Return what became of claimed events, as the parameters of a statement."""
    return {
        "upto": None if settled.upto is None else settled.upto.stored,
        "delivered": settled.delivered,
        "skipped": settled.skipped,
        "dropped": settled.dropped,
        "expired": settled.expired,
        "dead": len(settled.dead),
        "sent": encode_in_flight(settled.in_flight),
        "total": settled.delivered + settled.skipped + settled.dropped + settled.expired + len(settled.dead),
        **_again(settled),
    }


def refigures(settled: Resettled, *, delivered: int, skipped: int, expired: int) -> dict[str, object]:
    """Return what became of requeued letters likewise. The counts are of letters that were still there."""
    return {"delivered": delivered, "skipped": skipped, "expired": expired, **_again(settled)}


def _again(settled: Settled | Resettled) -> dict[str, object]:
    return {
        "retried": settled.retried,
        "retry_at": settled.retry_at,
        "failures": settled.failures,
        "problem": None if settled.problem is None else wire.clean(settled.problem),
    }
