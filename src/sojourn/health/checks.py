"""How it all stands at one moment, and what of it is not well. Pure: figures in, verdicts and a JSON document out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sojourn.backends.cloudevents import rfc3339
from sojourn.stores.operating import Outbox
from sojourn.stores.protocol import BackendState, Lease, Mark, StoreStats

from .formatting import cell, span
from .journals import Unapplied

HEARD_OF_MS = 120_000
"""A process that the recorder has looked at within this time counts as heard of, as it does for the sweeper."""
_RESTS_MS = 60_000
"""Longer than any pause of the dispatcher's own: the backend asked for it, or nothing can be sent until somebody acts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is still well. Times in milliseconds; `None`: no limit."""

    lag: int
    dead: int = 0
    backlog: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """One backend: its figures, its queue, and for how long (ms) the oldest event has waited."""

    state: BackendState
    outbox: Outbox
    lag: int | None

    @property
    def holds(self) -> bool:
        """Whether every recorded event is somewhere, once."""
        state = self.state
        return state.recorded == state.delivered + state.dead + state.skipped + state.dropped + state.backlog


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSnapshot:
    """Figures of one moment. `here`: the journals of this machine, where they are known; `is_moving`: they were moved on
    while they were read, again and again, so they do not compare with the counters."""

    now: int
    stats: StoreStats
    backlogs: tuple[Backlog, ...]
    leases: tuple[Lease, ...]
    marks: Mapping[str, Mark]
    here: Unapplied | None
    is_moving: bool = False

    @property
    def accepted(self) -> int:
        """Records accepted, as far as is known: by the store, and by the journals of this machine."""
        return self._counter("records.accepted") + (self.here.accepted if self.here else 0)

    @property
    def recorded(self) -> int:
        return self._counter("records.recorded")

    @property
    def unapplied(self) -> int:
        return self.here.records if self.here else 0

    @property
    def refused(self) -> int:
        return self._counter("records.refused")

    @property
    def holds(self) -> bool | None:
        """Whether every accepted record is recorded or still waits; `None`: it could not be seen at one moment."""
        return None if self.is_moving else self.accepted == self.recorded + self.unapplied

    @property
    def heard_of(self) -> tuple[Mark, ...]:
        """Journals that a recorder has looked at of late."""
        return tuple(mark for mark in self.marks.values() if self.now - _heard_at(mark) <= HEARD_OF_MS)

    @property
    def recorded_until(self) -> int | None:
        """When the oldest record was made that a recorder knows of and has not applied; about now if there is none."""
        return min((mark.recorded_until for mark in self.heard_of), default=None)

    @property
    def refusals(self) -> dict[str, int]:
        """Counters of what was refused, ignored or discarded."""
        names = ("ignored.", "records.")
        kept = {"records.accepted", "records.recorded"}
        counters = sorted(self.stats.counters.items())
        return {name: count for name, count in counters if name.startswith(names) and name not in kept and count}

    def _counter(self, name: str) -> int:
        return self.stats.counters.get(name, 0)


def problems(standing: HealthSnapshot, limits: Limits) -> list[str]:
    """All that is not well, in words."""
    return [
        *_of_records(standing, limits),
        *(line for each in standing.backlogs for line in _of(each, standing, limits)),
    ]


def waits(state: BackendState, now: int) -> int | None:
    """For how long (ms) the backend is not tried; `None`: it is tried now."""
    return None if state.retry_at is None or state.retry_at <= now else state.retry_at - now


def whose(lease: Lease, standing: HealthSnapshot) -> str:
    """The holder of a lease, in words."""
    place, _, journal = lease.holder.rpartition("/")
    here = standing.here
    if here is None or place != here.place:
        return f"journal {journal[:8]}, another host" if here else f"journal {journal[:8]}"
    return f"journal {journal[:8]}, this host, " + ("alive" if journal in here.living else "dead")


def document(standing: HealthSnapshot, limits: Limits) -> dict[str, object]:
    """The same for programs. Times as text, spans in milliseconds."""
    stats, here, now = standing.stats, standing.here, standing.now
    until, wrong = standing.recorded_until, problems(standing, limits)
    return {
        "at": rfc3339(now),
        "is_healthy": not wrong,
        "problems": wrong,
        "sessions": stats.sessions,
        "open_sessions": stats.open_sessions,
        "events": stats.events,
        "records": {
            "accepted": standing.accepted,
            "recorded": standing.recorded,
            "unapplied": standing.unapplied if here else None,
            "refused": standing.refused,
            "holds": standing.holds,
        },
        "journals": {
            "known": len(standing.marks),
            "heard_of": len(standing.heard_of),
            "recorded_until": None if until is None else rfc3339(until),
            "behind_ms": None if until is None else max(0, now - until),
            "here": None
            if here is None
            else {
                "path": str(here.path),
                "living": len(here.living),
                "dead": here.dead,
                "oldest_unapplied_ms": None if here.oldest_at is None else max(0, now - here.oldest_at),
            },
        },
        "backends": [_backend(each, now) for each in standing.backlogs],
        "leases": [
            {"name": lease.name, "holder": lease.holder, "is_over": lease.until <= now, "until": rfc3339(lease.until)}
            for lease in standing.leases
        ],
        "counters": dict(sorted(stats.counters.items())),
    }


def figures(state: BackendState) -> dict[str, int]:
    """What a backend's events came to: they add up to `recorded`."""
    names = ("recorded", "delivered", "dead", "skipped", "dropped", "backlog")
    return {name: getattr(state, name) for name in names}


def _backend(each: Backlog, now: int) -> dict[str, object]:
    state, wait = each.state, waits(each.state, now)
    return {
        "name": state.name,
        **figures(state),
        "retried": state.retried,
        "holds": each.holds,
        "lag_ms": each.lag,
        "cursor": state.cursor,
        "failures": state.failures,
        "retry_in_ms": wait,
        "problem": state.problem,
        "dead_letters": each.outbox.letters,
        "requeued": each.outbox.requeued,
        "in_use_at": rfc3339(each.outbox.in_use_at),
    }


def _heard_at(mark: Mark) -> int:
    return mark.recorded_until if mark.heard_at is None else mark.heard_at


def _of_records(standing: HealthSnapshot, limits: Limits) -> Iterator[str]:
    if standing.holds is False:
        yield (
            f"records do not add up: {standing.accepted:,} accepted, but {standing.recorded:,} recorded and "
            f"{standing.unapplied:,} unapplied"
        )
    here = standing.here
    if here is not None and here.oldest_at is not None and standing.now - here.oldest_at > limits.lag:
        yield (
            f"{here.records:,} records wait in {here.path}, the oldest for {span(standing.now - here.oldest_at)}: is a "
            "recorder running?"
        )


def _of(each: Backlog, standing: HealthSnapshot, limits: Limits) -> Iterator[str]:
    state, name = each.state, cell(each.state.name)
    if not each.holds:
        somewhere = state.delivered + state.dead + state.skipped + state.dropped + state.backlog
        yield f"{name}: {state.recorded:,} events were recorded, but {somewhere:,} are somewhere"
    if each.lag is not None and each.lag > limits.lag:
        yield f"{name}: the oldest of {state.backlog:,} events has waited for {span(each.lag)}"
    if limits.backlog is not None and state.backlog > limits.backlog:
        yield f"{name}: {state.backlog:,} events wait"
    wait = waits(state, standing.now)
    if wait is not None and wait > _RESTS_MS:
        yield f"{name}: rests for {span(wait)}: {cell(state.problem or 'it asked for it')}"
    if each.outbox.letters > limits.dead:
        yield f"{name}: {each.outbox.letters:,} dead letters; see `sojourn outbox list {name}`"
