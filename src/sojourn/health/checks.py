"""What is wrong with recording and delivery at one moment. Pure: figures in, problems and a JSON document out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sojourn.backends.cloudevents import rfc3339
from sojourn.stores.model import HEARD_OF_MS, AlertState, BackendState, Lease, Mark, Notice, OutboxState, StoreStats
from sojourn.stores.reporting.model import LongVisits

from .conditions import Level, Problem, condition, no_recorder, problem, waits, worst
from .formatting import cell, size, span
from .journals import Unapplied


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of what counts as healthy. Times in milliseconds; `None`: no limit."""

    lag: int
    dead: int = 0
    backlog: int | None = None
    size: int | None = None
    """Bytes of the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """One backend: its figures, its queue, and how long (ms) its oldest event has waited."""

    state: BackendState
    outbox: OutboxState
    lag: int | None

    @property
    def expires_in(self) -> int | None:
        """In how many ms the backend's oldest waiting event expires, once half of its time has passed; `None`: not soon."""
        oldest = self.state.oldest_accepted
        return None if oldest is None or self.lag is None or 2 * self.lag < oldest else max(0, oldest - self.lag)

    @property
    def holds(self) -> bool:
        """Whether the figures add up: every recorded event is accounted for once."""
        state = self.state
        return state.recorded == state.settled + state.backlog


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSnapshot:
    """Figures of one moment.

    `here` is what the journals of this machine hold, or `None` where their directory is not known. `is_moving`: a recorder
    advanced the journals during every read, so they cannot be compared with the counters.
    """

    now: int
    stats: StoreStats
    backlogs: tuple[Backlog, ...]
    leases: tuple[Lease, ...]
    marks: Mapping[str, Mark]
    here: Unapplied | None
    is_moving: bool = False
    long_visits: LongVisits | None = None
    alerts: tuple[AlertState, ...] = ()
    notices: tuple[Notice, ...] = ()
    """Of alerts, not sent yet."""

    @property
    def accepted(self) -> int:
        """Records accepted: as the store counts them, plus those that wait in the journals of this machine."""
        return self._counter("records.accepted") + (self.here.accepted if self.here else 0)

    @property
    def recorded(self) -> int:
        return self._counter("records.recorded")

    @property
    def unapplied(self) -> int:
        return self.here.records if self.here else 0

    @property
    def lost(self) -> int:
        """Records accepted whose bytes in a journal cannot be read."""
        here = self.here
        unread = here.accepted - here.records if here is not None and here.damaged.files else 0
        return self._counter("records.lost") + unread

    @property
    def refused(self) -> int:
        return self._counter("records.refused")

    @property
    def holds(self) -> bool | None:
        """Whether the figures add up: accepted = recorded + unapplied + lost. `None`: they were read while they changed."""
        return None if self.is_moving else self.accepted == self.recorded + self.unapplied + self.lost

    @property
    def heard_of(self) -> tuple[Mark, ...]:
        """Journals that a recorder has read within `HEARD_OF_MS`."""
        return tuple(mark for mark in self.marks.values() if self.now - _heard_at(mark) <= HEARD_OF_MS)

    @property
    def recorded_until(self) -> int | None:
        """When (ms) the oldest unapplied record was made, as the recorders report; about now if there is none."""
        return min((mark.recorded_until for mark in self.heard_of), default=None)

    @property
    def refusals(self) -> dict[str, int]:
        """Counters of what was refused, ignored or discarded."""
        names = ("ignored.", "records.")
        kept = {"records.accepted", "records.recorded", "ignored.prefetched_opened"}
        counters = sorted(self.stats.counters.items())
        return {name: count for name, count in counters if name.startswith(names) and name not in kept and count}

    def _counter(self, name: str) -> int:
        return self.stats.counters.get(name, 0)


def problems(health: HealthSnapshot, limits: Limits) -> list[Problem]:
    """Return the problems, the worst ones first; empty if all is well."""
    found = [
        *map(Problem, _of_size(health, limits)),
        *_of_records(health, limits),
        *(problem for each in health.backlogs for problem in _of(each, health, limits)),
        *map(Problem, _of_notices(health)),
    ]
    return sorted(found, key=lambda problem: problem.level is not Level.CRITICAL)


def whose(lease: Lease, health: HealthSnapshot) -> str:
    """Describe the holder of a lease."""
    place, _, journal = lease.holder.rpartition("/")
    here = health.here
    if here is None or place != here.place:
        return f"journal {journal[:8]}, another host" if here else f"journal {journal[:8]}"
    return f"journal {journal[:8]}, this host, " + ("alive" if journal in here.living else "dead")


def document(health: HealthSnapshot, limits: Limits) -> dict[str, object]:
    """Return the snapshot and its problems as a JSON document. Times are RFC 3339 text, spans are milliseconds."""
    stats, here, now = health.stats, health.here, health.now
    until, found = health.recorded_until, problems(health, limits)
    return {
        "at": rfc3339(now),
        "is_healthy": not found,
        "level": worst(found).value,
        "problems": [problem.text for problem in found],
        "sessions": stats.sessions,
        "open_sessions": stats.open_sessions,
        "events": stats.events,
        "size_bytes": stats.size,
        "records": {
            "accepted": health.accepted,
            "recorded": health.recorded,
            "unapplied": health.unapplied if here else None,
            "refused": health.refused,
            "holds": health.holds,
        },
        "journals": {
            "known": len(health.marks),
            "heard_of": len(health.heard_of),
            "lost_records": health.lost,
            "recorded_until": None if until is None else rfc3339(until),
            "behind_ms": None if until is None else max(0, now - until),
            "here": None
            if here is None
            else {
                "path": str(here.path),
                "living": len(here.living),
                "dead": here.dead,
                "oldest_unapplied_ms": None if here.oldest_at is None else max(0, now - here.oldest_at),
                "damaged": {
                    "files": here.damaged.files,
                    "ranges": here.damaged.ranges,
                    "bytes": here.damaged.size,
                },
            },
        },
        "backends": [_backend(each, health) for each in health.backlogs],
        "leases": [
            {"name": lease.name, "holder": lease.holder, "is_over": lease.until <= now, "until": rfc3339(lease.until)}
            for lease in health.leases
        ],
        "alerts": [
            {"name": each.name, "is_on": each.is_on, "since": rfc3339(each.since), "text": each.text}
            for each in health.alerts
        ],
        "counters": dict(sorted(stats.counters.items())),
    }


def figures(state: BackendState) -> dict[str, int]:
    """Count a backend's events by what became of them; all but `recorded` add up to `recorded`."""
    names = ("recorded", "delivered", "dead", "skipped", "dropped", "expired", "backlog")
    return {name: getattr(state, name) for name in names}


def _backend(each: Backlog, health: HealthSnapshot) -> dict[str, object]:
    state, wait = each.state, waits(each.state, health.now)
    return {
        "name": state.name,
        "condition": condition(each, health).value,
        **figures(state),
        "retries": state.retried,
        "oldest_accepted_ms": state.oldest_accepted,
        "expires_in_ms": each.expires_in,
        "holds": each.holds,
        "lag_ms": each.lag,
        "cursor": str(state.cursor),
        "failures": state.failures,
        "retry_in_ms": wait,
        "problem": state.problem,
        "dead_letters": each.outbox.letters,
        "requeued": each.outbox.requeued,
        "in_use_at": rfc3339(each.outbox.in_use_at),
    }


def _heard_at(mark: Mark) -> int:
    return mark.recorded_until if mark.heard_at is None else mark.heard_at


def _of_size(health: HealthSnapshot, limits: Limits) -> Iterator[str]:
    stats = health.stats
    if limits.size is not None and stats.size is not None and stats.size > limits.size:
        yield f"the store takes {size(stats.size)}; lower `retention`, or see `ignored.flood` for a flood of new sessions"


def _of_records(health: HealthSnapshot, limits: Limits) -> Iterator[Problem]:
    if health.holds is False:
        yield Problem(
            f"records do not add up: {health.accepted:,} accepted, but {health.recorded:,} recorded and "
            f"{health.unapplied:,} unapplied" + (f", {health.lost:,} lost" if health.lost else "")
        )
    here = health.here
    if here is not None and here.damaged.files:
        damaged = here.damaged
        yield Problem(
            f"{damaged.files:,} damaged {'segments' if damaged.files > 1 else 'segment'} of journals in {here.path}: "
            f"{size(damaged.size)} in {damaged.ranges:,} {'places' if damaged.ranges > 1 else 'place'} cannot be read; "
            "check the disk, then delete the files that end in .damaged"
        )
    if here is not None and here.oldest_at is not None:
        waited = health.now - here.oldest_at
        text = f"{here.records:,} records wait in {here.path}, the oldest for {span(waited)}; "
        if no_recorder(health) and waited > HEARD_OF_MS:
            yield Problem(f"{text}no process records them: start the app or `sojourn worker`", Level.CRITICAL)
        elif waited > limits.lag:
            yield Problem(f"{text}check that a recorder is running")


def _of(each: Backlog, health: HealthSnapshot, limits: Limits) -> Iterator[Problem]:
    state, name = each.state, cell(each.state.name)
    if not each.holds:
        accounted = state.settled + state.backlog
        yield Problem(f"{name}: {state.recorded:,} events were recorded, but {accounted:,} are accounted for")
    if (delivery := problem(each, health)) is not None:
        yield delivery
    if each.lag is not None and each.lag > limits.lag:
        yield Problem(f"{name}: the oldest of {state.backlog:,} events has waited {span(each.lag)}")
    if each.expires_in is not None:
        yield Problem(_of_expiry(each, each.expires_in))
    if limits.backlog is not None and state.backlog > limits.backlog:
        yield Problem(f"{name}: {state.backlog:,} events wait")
    if each.outbox.letters > limits.dead:
        yield Problem(f"{name}: {each.outbox.letters:,} dead letters; see `sojourn outbox list {name}`")


def _of_notices(health: HealthSnapshot) -> Iterator[str]:
    """One problem for each target that could not be reached."""
    failed = {notice.target: notice for notice in reversed(health.notices) if notice.attempts}
    for notice in failed.values():
        times = "once" if notice.attempts == 1 else f"{notice.attempts:,} times"
        yield f"{cell(notice.target)}: an alert could not be sent, tried {times}: {notice.problem}"


def _of_expiry(each: Backlog, expires_in: int) -> str:
    state, name = each.state, cell(each.state.name)
    when = f"in {span(expires_in)}" if expires_in else "now"
    return (
        f"{name}: the oldest of {state.backlog:,} waiting events expires {when}, because the backend accepts none older than "
        f"{span(state.oldest_accepted or 0)}"
    )
