"""Compares what the visitors know with what the store and the backend got, to the last event. Pure.

An event is looked for by what it says of the request that made it (its serial), not by its id, so that one which came
under two ids is seen as a duplicate. Where the truth itself is open (a pause of just about the idle timeout, a request
without a response), everything that can have happened passes, and nothing else does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sojourn.core.events import Event

from .receiver import CloudEvent
from .truth import Step

_CLOCKS_MS: Final = 5.0
"""Two readings of one clock, in two processes, around the same moment."""
_MANY: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An event in the store or at the backend."""

    id: str
    name: str
    session: str
    at: float
    attributes: Mapping[str, str | int | float | bool]


@dataclass(slots=True, kw_only=True)
class Verdict:
    """The result. `wrong` names what contradicts the visitors' account, `lost` what is missing, `twice` duplicates."""

    sessions_true: int = 0
    sessions_recorded: int = 0
    starts: int = 0
    ends: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def of_log(events: Iterable[Event]) -> list[Fact]:
    return [
        Fact(id=event.id, name=event.name, session=event.session_id, at=event.time, attributes=event.attributes)
        for event in events
    ]


def of_receiver(events: Iterable[CloudEvent]) -> list[Fact]:
    return [
        Fact(
            id=event.id,
            name=event.type,
            session=event.subject,
            at=datetime.fromisoformat(event.time).timestamp() * 1000,
            attributes=event.data,
        )
        for event in events
    ]


def judge(
    visitors: Sequence[Sequence[Step]],
    logged: Sequence[Fact],
    taken: Sequence[Fact],
    *,
    idle_ms: float,
    refused: frozenset[str] = frozenset(),
) -> Verdict:
    """The verdict. `refused`: ids that the backend will never take."""
    verdict = Verdict()
    log, backend = _Found(logged), _Found(taken)
    for place, found in (("the store", log), ("the backend", backend)):
        _judge_repetitions(found, place, verdict)
    for unknown in backend.ids - log.ids:
        verdict.wrong.append(f"the backend has an event that the store does not have: {unknown}")
    missing = log.ids - backend.ids - refused
    known = {step.serial for steps in visitors for step in steps}
    verdict.wrong += [
        f"an event of no request: {name} {serial}" for name, serial in log.of_request if serial not in known
    ]
    complete = [step for steps in visitors for step in steps if step.is_complete]
    for step in complete:
        for name in ("step", "page_view"):
            facts = log.of_request.get((name, step.serial))
            if facts is None:
                verdict.lost.append(f"{name} {step.serial} is not in the store")
            elif facts[0].id in missing:
                verdict.lost.append(f"{name} {step.serial} is not at the backend")
    for steps in visitors:
        _judge_visitor(steps, log, verdict, idle_ms)
    sessions = {session for step in complete if (session := _session_of(step, log)) is not None}
    verdict.sessions_recorded = len(sessions)
    for session in sessions:
        for name in ("session.start", "session.end"):
            ids = {fact.id for fact in log.of_session.get((session, name), ())}
            if not ids:
                verdict.lost.append(f"{name} of {session} is not in the store")
            verdict.lost += [f"{name} of {session} is not at the backend" for _ in ids & missing]
    verdict.starts = sum((session, "session.start") in backend.of_session for session in sessions)
    verdict.ends = sum((session, "session.end") in backend.of_session for session in sessions)
    return verdict


class _Found:
    """The facts of one place, by what they say."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.ids = {fact.id for fact in facts}
        self.of_request: dict[tuple[str, int], list[Fact]] = {}
        self.of_session: dict[tuple[str, str], list[Fact]] = {}
        for fact in facts:
            serial = _serial(fact)
            if serial is not None:
                self.of_request.setdefault((fact.name, serial), []).append(fact)
            self.of_session.setdefault((fact.session, fact.name), []).append(fact)

    def end_of(self, session: str) -> Fact | None:
        """The last word about the end of a session."""
        return max(self.of_session.get((session, "session.end"), ()), key=_revision, default=None)


def _serial(fact: Fact) -> int | None:
    if fact.name == "step":
        return int(fact.attributes["event_properties.serial"])
    if fact.name == "page_view":
        return int(str(fact.attributes["url.path"]).rpartition("/")[2])
    return None


def _revision(fact: Fact) -> int:
    return int(fact.attributes.get("session.end_revision", 0))


def _session_of(step: Step, log: _Found) -> str | None:
    facts = log.of_request.get(("step", step.serial))
    return facts[0].session if facts else None


def _judge_repetitions(found: _Found, place: str, verdict: Verdict) -> None:
    for (name, serial), facts in found.of_request.items():
        verdict.twice += [f"{name} {serial} is {len(facts)} times in {place}" for _ in facts[1:]]
    for (session, name), facts in found.of_session.items():
        if name == "session.start":
            verdict.twice += [f"{session} starts {len(facts)} times in {place}" for _ in facts[1:]]
        elif name == "session.end":
            revisions = Counter(map(_revision, facts))
            verdict.twice += [f"{session} ends twice in {place}" for _ in range(len(facts) - len(revisions))]
        elif name == "user.identify":
            users = Counter((fact.attributes.get("user.id"), fact.at) for fact in facts)
            verdict.twice += [
                f"a user.identify of {session} is twice in {place}" for _ in range(len(facts) - len(users))
            ]


# --- what a visitor knows


def _judge_visitor(steps: Sequence[Step], log: _Found, verdict: Verdict, idle_ms: float) -> None:
    """The visits of one browser: where one has to end and the next to begin, and what each amounts to."""
    visits: list[list[Step]] = []
    user: str | None = None
    seen = unsure_seen = float("-inf")  # the latest activity: surely until then, perhaps until then
    was_ended = is_unsure = False
    last_skew = 0
    for step in steps:
        is_unsure = is_unsure or step.is_between_clocks
        at, until = step.sent_at + step.skew_ms, (step.responded_at or step.sent_at) + step.skew_ms
        if not step.is_complete:
            is_unsure, unsure_seen = True, max(unsure_seen, until)
            continue
        session = _session_of(step, log) or step.session
        if session is None:
            verdict.wrong.append(f"request {step.serial} saw no session")
            continue
        changes_user = step.user is not None and user is not None and step.user != user
        is_silent = at - max(seen, unsure_seen) >= idle_ms + _CLOCKS_MS and not step.is_between_clocks
        must_split = not visits or was_ended or changes_user or is_silent
        may_split = must_split or is_unsure or until - (seen if visits else 0) >= idle_ms * 0.9 - _CLOCKS_MS
        does_split = bool(visits) and session != (_session_of(visits[-1][-1], log) or visits[-1][-1].session)
        if must_split and visits and not does_split:
            verdict.wrong.append(f"request {step.serial} should have started a session but continued {session}")
        elif does_split and not may_split:
            verdict.wrong.append(f"request {step.serial} should have continued its session but started {session}")
        if must_split or does_split:
            visits.append([])
            if was_ended or changes_user:
                user = None
        visits[-1].append(step)
        if step.user is not None and step.user != user:  # else no event is due: the user is known, or was carried over
            named = log.of_session.get((session, "user.identify"), ())
            if step.user not in {fact.attributes.get("user.id") for fact in named}:
                verdict.lost.append(f"user.identify of {session} as {step.user}")
        user = step.user or user
        # Where only the hosts' clocks say that the visitor was silent, it is one visit all the same.
        is_by_clocks = step.skew_ms != last_skew and not (was_ended or changes_user or len(visits) == 1)
        verdict.sessions_true += (must_split or (does_split and may_split)) and not is_by_clocks
        last_skew = step.skew_ms
        seen, unsure_seen = max(at, seen), max(until, unsure_seen)
        was_ended, is_unsure = step.ends, step.is_between_clocks
    for number, visit in enumerate(visits):
        _judge_visit(visit, steps, number == len(visits) - 1, log, verdict)


def _judge_visit(visit: Sequence[Step], steps: Sequence[Step], is_last: bool, log: _Found, verdict: Verdict) -> None:
    """What the end says of the whole visit: how long it was, whose, and with which property."""
    session = _session_of(visit[-1], log)
    end = None if session is None else log.end_of(session)
    if session is None or end is None:
        return  # lost, and reported as lost
    if any(step.is_complete and _session_of(step, log) is None for step in steps) or any(
        step.skew_ms for step in steps
    ):
        return  # a part is lost, and reported as lost, and the rest may be without its session; or it has several clocks' times
    # A request without a response may have begun this visit: the next one would derive the same session.
    before = max((step.sent_at for step in steps if step.is_complete and step.sent_at < visit[0].sent_at), default=0.0)
    unsure = [step for step in steps if not step.is_complete and step.sent_at > before]
    if unsure:
        return  # what those did to the session is unknown
    page_views = int(end.attributes["session.page_views"])
    if page_views != len(visit):
        verdict.wrong.append(f"{session} had {len(visit)} pages, but its end says {page_views}")
    users = [step.user for step in visit if step.user]
    if users and end.attributes.get("user.id") != users[-1]:
        verdict.wrong.append(f"the end of {session} names another user")
    carts = [step.cart for step in visit if step.cart]
    if carts and end.attributes.get("session_properties.cart") != carts[-1]:
        verdict.wrong.append(f"the end of {session} has another cart")
    reason = str(end.attributes["session.end_reason"])
    wanted = "ended" if visit[-1].ends else "idle_timeout" if is_last else None
    if wanted not in (None, reason):
        verdict.wrong.append(f"{session} ended as {reason}, expected {wanted}")
    first, last = visit[0], visit[-1]
    if not last.sent_at - _CLOCKS_MS <= end.at <= (last.responded_at or 0) + _CLOCKS_MS:
        verdict.wrong.append(f"{session} ended {end.at - last.sent_at:+.0f} ms after its last request was sent")
    duration = float(end.attributes["session.duration_ms"])
    least = last.sent_at - (first.responded_at or 0) - _CLOCKS_MS
    most = (last.responded_at or 0) - first.sent_at + _CLOCKS_MS
    if len(visit) > 1 and not least <= duration <= most:
        verdict.wrong.append(f"{session} lasted {least:.0f} to {most:.0f} ms, but its end says {duration:.0f}")


def few(complaints: Sequence[str]) -> list[str]:
    """As many as a reader wants to see."""
    rest = len(complaints) - _MANY
    return [*complaints[:_MANY], *([f"and {rest} more"] if rest > 0 else [])]
