"""What a fault is and what it runs on: visitors, a deployment, a receiver, and the wait until all is settled."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sojourn.errors import StoreError

from . import judging
from .deployment import BACKEND, Deployment, Figures
from .judging import Verdict
from .receiver import Receiver
from .servers import Server
from .truth import Truth
from .visitors import Crowd, Host, Manners

IDLE_S: Final = 4.0
_SLOW_MS: Final = 1_000.0
_SETTLED_WITHIN_S: Final = 150.0
_SETTINGS: Final = {
    "IDLE_TIMEOUT": f"{IDLE_S:g}s",
    "MAX_DURATION": "1h",
    "SWEEP_INTERVAL": "0.5",
    "SWEEP_GRACE": "0.2",
}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Which figures may differ from zero after this fault, and why. Any other difference is a failure."""

    cuts_requests: bool = False
    """It takes web processes away: a request may get no response, or wait for a process to start."""
    may_lose: str = ""
    """Why events may be missing (see docs/reliability.md); empty: none may."""
    most_lost: float = 0.0
    """Which share of all events may be missing, where some may."""
    may_split: str = ""
    """Why a visit may be recorded as two; empty: none may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: what it is called, what it does, and for how long by default."""

    name: str
    about: str
    play: Callable[[Scene], None]
    seconds: float
    promise: Promise = field(default_factory=Promise)
    missing: Callable[[], str] = lambda: ""
    """Say why it cannot run here; empty: it can."""


@dataclass(slots=True, kw_only=True)
class Row:
    """The figures of one fault."""

    fault: str
    responses: int = 0
    sessions_true: int = 0
    sessions_recorded: int = 0
    starts: int = 0
    ends: int = 0
    lost: int = 0
    duplicates: int = 0
    harmed: int = 0
    errors: int = 0
    """Of the harmed, those that got an error or no response; the others had to wait."""
    wrong: int = 0
    cut: int = 0
    resent: int = 0
    refused: int = 0
    seconds: float = 0.0
    skipped: str = ""
    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_kept: bool = True


@dataclass(slots=True, kw_only=True)
class Scene:
    """What a fault works with. It starts what it needs, breaks it, and ends with `settle()`."""

    deployment: Deployment
    receiver: Receiver
    truth: Truth
    seconds: float
    say: Say
    stack: contextlib.ExitStack
    """Closed after the judgement: for what the store lies on."""
    is_full: bool = False
    idle_s: float = IDLE_S
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    """Set by a fault that keeps the account itself, because its events are too many."""
    own_responses: int = 0
    """Responses to the requests that such a fault made itself."""
    threads: int = 16

    @property
    def folder(self) -> Path:
        return self.deployment.folder

    def visitors(
        self, *sites: Server | Host, manners: Manners | None = None, threads: int | None = None, seed: int = 1
    ) -> Crowd:
        """Visitors of these sites, who may go from one to the other at each page."""
        hosts = [site if isinstance(site, Host) else Host.at(site.url) for site in sites]
        return Crowd(
            self.truth,
            hosts,
            manners=manners or Manners(rests_s=(self.idle_s * 1.05, self.idle_s * 1.3)),
            threads=threads or self.threads,
            seed=seed,
        )

    def ticks(self, every: float, seconds: float | None = None) -> Iterator[int]:
        """A number at each tick, as long as the fault lasts."""
        began, number = time.monotonic(), 0
        lasts = self.seconds if seconds is None else seconds
        while (now := time.monotonic()) - began < lasts:
            number += 1
            next_at = began + number * every
            time.sleep(max(0.0, next_at - now))
            yield number

    def wait(self, seconds: float) -> None:
        """Let the visitors browse on."""
        time.sleep(seconds)

    def settle(self, within: float = _SETTLED_WITHIN_S) -> None:
        """Wait until every record is applied, every session is over, and every event is delivered."""
        self.say(
            f"{self.truth.responses() + self.own_responses:,} responses received; waiting until all is recorded and delivered"
        )
        began = reported_at = time.monotonic()
        while True:
            figures = self.deployment.figures()
            state = self.deployment.trouble if figures is None else _unsettled(figures)
            now = time.monotonic()
            if not state:
                self.say(f"settled after {now - began:.1f} s")
                return
            if now - began > within:
                self.wrong.append(f"not settled within {within:.0f} s: {state}")
                return
            if now - reported_at >= 5:
                reported_at = now
                self.say(state)
            time.sleep(0.2)


def _unsettled(figures: Figures) -> str:
    backlog = sum(state.backlog for state in figures.stats.backends)
    parts = []
    if figures.unread:
        parts.append(f"{figures.unread} journals have unread records")
    if figures.stats.open_sessions:
        parts.append(f"{figures.stats.open_sessions} sessions are open")
    if backlog or not figures.stats.backends:
        parts.append(f"{backlog} events wait for the backend")
    return ", ".join(parts)


@contextlib.contextmanager
def _staged(fault: Fault, seconds: float, say: Say, *, is_full: bool) -> Iterator[Scene]:
    with contextlib.ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="sojourn-fault-", ignore_cleanup_errors=True))
        )
        receiver = stack.enter_context(Receiver())
        deployment = Deployment(
            folder=folder,
            store=f"sqlite:///{folder / 'sojourn.db'}",
            settings={**_SETTINGS, "BACKENDS": f"webhook+{receiver.url}?timeout=3"},
            journals=[folder / "journals"],
        )
        stack.callback(deployment.close)
        yield Scene(
            deployment=deployment,
            receiver=receiver,
            truth=Truth(),
            seconds=seconds,
            say=say,
            is_full=is_full,
            stack=stack,
        )


def run(fault: Fault, say: Say, *, seconds: float | None = None, is_full: bool = False) -> Row:
    """Run one fault and judge it."""
    row = Row(fault=fault.name)
    if reason := fault.missing():
        row.skipped = reason
        return row
    began = time.monotonic()
    with _staged(fault, fault.seconds if seconds is None else seconds, say, is_full=is_full) as scene:
        try:
            fault.play(scene)
        except Exception as error:  # noqa: BLE001 - the others are to be played all the same
            scene.wrong.append(f"the fault could not be played: {type(error).__name__}: {error}")
        try:
            _judge(fault, scene, row)
        except StoreError as error:
            row.complaints, row.is_kept = [*scene.wrong, f"the store cannot be read: {error}"], False
    row.seconds = time.monotonic() - began
    return row


def _judge(fault: Fault, scene: Scene, row: Row) -> None:
    promise, receiver = fault.promise, scene.receiver
    steps = scene.truth.steps
    figures = scene.deployment.figures()
    dead = {letter.event.id for letter in scene.deployment.opened().outbox.letters(BACKEND, after=0, limit=100_000)}
    verdict = scene.verdict
    if verdict is None:
        verdict = judging.judge(
            scene.truth.by_visitor(),
            judging.of_log(scene.deployment.log_of_events()),
            judging.of_receiver(receiver.taken.values()),
            idle_ms=scene.idle_s * 1000,
            refused=frozenset(receiver.refused),
        )
    wrong = [*scene.wrong, *verdict.wrong, *(f"two contents under one id: {id_}" for id_ in receiver.contradicted)]
    if dead != receiver.refused.keys():
        wrong.append(f"{len(dead)} dead letters, and the backend rejected {len(receiver.refused)} events for good")
    share = len(verdict.lost) / max(1, 2 * (scene.truth.responses() + scene.own_responses))
    if promise.may_lose and share > promise.most_lost:
        wrong.append(f"{share:.1%} of the events are lost; at most {promise.most_lost:.1%} may be")
    wrong += _sums(figures) if figures is not None else [scene.deployment.trouble]
    slow = [step for step in steps if step.took_ms > _SLOW_MS or step.status >= 500]
    incomplete = [step for step in steps if not step.is_complete and step.status < 500]
    late = [step for step in steps if (step.responded_at or 0) - step.sent_at > _SLOW_MS and step not in slow]
    if verdict.sessions_true != verdict.sessions_recorded and not (promise.may_split or promise.may_lose):
        wrong.append(f"{verdict.sessions_true} sessions were recorded as {verdict.sessions_recorded}")
    harmed = slow if promise.cuts_requests else [*slow, *incomplete, *late]
    row.responses = scene.truth.responses() + scene.own_responses
    row.sessions_true, row.sessions_recorded = verdict.sessions_true, verdict.sessions_recorded
    row.starts, row.ends = verdict.starts, verdict.ends
    row.lost, row.duplicates, row.harmed, row.wrong = len(verdict.lost), len(verdict.twice), len(harmed), len(wrong)
    row.errors = sum(not step.is_complete for step in harmed)
    row.cut = len(incomplete) if promise.cuts_requests else 0
    row.resent = receiver.arrived - len(receiver.taken) if receiver.keeps is None else 0
    row.refused = 0 if figures is None else figures.counters.get("records.refused", 0)
    row.notes = [
        *scene.notes,
        *(reason for reason in (promise.may_lose, promise.may_split) if reason),
    ]
    harm = [f"request {step.serial}: status {step.status}, {step.took_ms:.0f} ms in the server" for step in harmed]
    row.complaints = [*judging.few(wrong), *judging.few(verdict.twice), *judging.few(harm)]
    if not promise.may_lose:
        row.complaints += judging.few(verdict.lost)
    row.is_kept = not (wrong or verdict.twice or harmed or (verdict.lost and not promise.may_lose))


def _sums(figures: Figures) -> Sequence[str]:
    """Check the two equations that hold after every fault."""
    wrong = []
    counters = figures.counters
    accepted, recorded = counters.get("records.accepted", 0), counters.get("records.recorded", 0)
    lost = counters.get("records.lost", 0)
    if accepted != recorded + lost:
        wrong.append(f"{accepted} records were accepted, {recorded} recorded and {lost} lost")
    for state in figures.stats.backends:
        done = state.settled
        if state.recorded != done + state.backlog:
            wrong.append(f"of {state.recorded} events for the backend {done} are settled and {state.backlog} wait")
    return wrong
