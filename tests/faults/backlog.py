"""An outage with very many events: survived in bounded memory, and caught up afterwards."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Final, Self

from .judging import Verdict
from .producer import FULL, PAGES, REFUSED
from .receiver import CloudEvent, wait_for
from .scene import Fault, Promise, Scene

_EVENTS: Final = 100_000
_FULL: Final = 1_000_000
_EACH_VISIT: Final = 2 * PAGES + 2
"""A page view and an event of each request, a start and an end."""
_FILLING: Final = 40_000
_MEMORY_MB: Final = 64.0
"""How much the worker's memory may grow in MB, however long the outage."""
_RECORDS_A_SECOND: Final = 500
"""Less is a fault of ours, on any machine."""


def outage(scene: Scene) -> None:
    """Make and record all events while the backend is down, then bring it back."""
    visits = -(-(_FULL if scene.is_full else _EVENTS) // _EACH_VISIT)
    requests = visits * PAGES
    scene.own_responses, tally = requests, _Tally(requests)
    scene.receiver.keeps = tally.keep
    scene.deployment.settings.update({"DELIVER": "worker", "JOURNAL_LIMIT": "64MiB"})
    scene.receiver.down()
    began = time.monotonic()
    producer = scene.deployment.start([sys.executable, "-m", "tests.faults.producer", str(requests)])
    with scene.deployment.worker() as worker:
        scene.deployment.await_recorder(of=worker.pid)
        with _Memory(worker.pid) as memory:
            try:
                _watch(scene, requests, memory)
            finally:
                producer.stop()
            took = time.monotonic() - began
            if producer.popen.returncode != 0:
                scene.wrong.append(f"the producer failed: {producer.log.read_text(errors='replace')[-300:]}")
            grown = memory.peak_mb - memory.first_mb
            scene.notes.append(
                f"{requests * 2:,} events and {visits:,} sessions recorded in {took:.0f} s; the worker had "
                f"{memory.first_mb:.0f} MB before and {memory.peak_mb:.0f} MB at most"
            )
            scene.receiver.up()
            scene.say("the backend is back")
            wait_for(lambda: scene.receiver.calls > 0, 90, "the backend is asked again")
            began = time.monotonic()
            scene.settle(60 + requests / _RECORDS_A_SECOND)
            took = time.monotonic() - began
        grown = memory.peak_mb - memory.first_mb
        scene.notes.append(
            f"{scene.receiver.arrived:,} events caught up with in {took:.0f} s ({scene.receiver.arrived / took:,.0f} a "
            f"second); {memory.peak_mb:.0f} MB at most"
        )
        if grown > _MEMORY_MB:
            scene.wrong.append(f"the worker's memory grew by {grown:.0f} MB, more than {_MEMORY_MB:.0f}")
    scene.verdict = tally.verdict(visits)


def journal_full(scene: Scene) -> None:
    """Record nothing until a process has no room left. What it refuses must be counted."""
    requests = _FILLING
    scene.own_responses, tally = requests + PAGES, _Tally(requests + PAGES)
    scene.receiver.keeps = tally.keep
    scene.deployment.settings.update({"DELIVER": "worker", "JOURNAL_LIMIT": "8MiB"})
    producer = scene.deployment.start([sys.executable, "-m", "tests.faults.producer", str(requests), "fill"])
    try:
        wait_for(lambda: FULL in producer.log.read_text(), 120, "the journal is full")
        scene.say("the journal is full; a worker is started")
        with scene.deployment.worker():
            wait_for(lambda: REFUSED in producer.log.read_text(), 60, "there is room again")
            scene.settle()
    finally:
        producer.stop()
    refused = int(producer.log.read_text().rpartition(REFUSED)[2])
    figures = scene.deployment.figures()
    counted = 0 if figures is None else figures.counters.get("records.refused", 0)
    scene.notes.append(f"{refused:,} of {requests + PAGES:,} records were refused, and {counted:,} counted as refused")
    verdict = tally.verdict((requests + PAGES) // PAGES)
    missing = sum(text.startswith(("step", "page_view")) for text in verdict.lost)
    if not refused or counted != refused or missing != 2 * refused:
        scene.wrong.append(f"{missing} events of requests are missing, where {refused} records have two each")
    scene.verdict = verdict


def _watch(scene: Scene, requests: int, memory: _Memory) -> None:
    """Wait until every request is recorded and every visit has ended."""
    reported_at, began = 0.0, time.monotonic()
    while True:
        figures = scene.deployment.figures()
        recorded = 0 if figures is None else figures.counters.get("records.recorded", 0)
        if figures is not None and recorded >= requests and not figures.stats.open_sessions and not figures.unread:
            return
        if time.monotonic() - began > 60 + requests / _RECORDS_A_SECOND:
            scene.wrong.append(f"{recorded} of {requests} requests were recorded in time")
            return
        if time.monotonic() - reported_at >= 5:
            reported_at = time.monotonic()
            scene.say(f"{recorded:,} of {requests:,} requests recorded; the worker has {memory.now_mb:.0f} MB")
        time.sleep(0.5)


@dataclass(slots=True)
class _Tally:
    """What arrived, too much of it to be kept: a bit for each request and a number for each id."""

    requests: int
    ids: set[int] = field(default_factory=set)
    seen: dict[str, bytearray] = field(default_factory=dict)
    sessions: dict[str, set[str]] = field(default_factory=lambda: {"session.start": set(), "session.end": set()})
    twice: list[str] = field(default_factory=list)

    def keep(self, events: Sequence[CloudEvent]) -> None:
        for event in events:
            number = hash(event.id)
            if number in self.ids:
                continue  # the same once more, which a receiver de-duplicates
            self.ids.add(number)
            if event.type in self.sessions:
                self._once(event.subject, event.type)
            elif event.type == "step":
                self._mark(event.type, int(event.data["event_properties.serial"]))
            elif event.type == "page_view":
                self._mark(event.type, int(str(event.data["url.path"]).rpartition("/")[2]))

    def verdict(self, visits: int) -> Verdict:
        starts, ends = self.sessions["session.start"], self.sessions["session.end"]
        lost = [
            f"{name} {serial} is not at the backend"
            for name in ("step", "page_view")
            for serial, is_there in enumerate(self.seen.get(name, bytearray(self.requests)), 1)
            if not is_there
        ]
        for name, there in self.sessions.items():
            lost += [f"a {name} is not at the backend" for _ in range(visits - len(there))]
        return Verdict(
            sessions_true=visits,
            sessions_recorded=len(starts | ends),
            starts=len(starts),
            ends=len(ends),
            lost=lost,
            twice=self.twice,
        )

    def _once(self, session: str, name: str) -> None:
        if session in self.sessions[name]:
            self.twice.append(f"{name} of {session}")
        self.sessions[name].add(session)

    def _mark(self, name: str, serial: int) -> None:
        seen = self.seen.setdefault(name, bytearray(self.requests))
        if seen[serial - 1]:
            self.twice.append(f"{name} {serial}")
        seen[serial - 1] = 1


class _Memory:
    """The resident memory of a process, looked at a few times a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = Signal()
        self._thread = Thread(target=self._watch, daemon=True)
        self.first_mb = self.peak_mb = self.now_mb = self._read()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.now_mb = self._read() or self.now_mb
            self.peak_mb = max(self.peak_mb, self.now_mb)

    def _read(self) -> float:
        try:
            status = Path(f"/proc/{self._pid}/status").read_text()
        except OSError:
            return 0.0
        found = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
        return int(found[0]) / 1024 if found else 0.0


FAULTS = (
    Fault(
        name="outage",
        about="the backend is down for 100,000 events (--full: 1,000,000), then comes back",
        play=outage,
        seconds=0,
    ),
    Fault(
        name="journal-full",
        about="nothing is recorded until a process's journal is full, then a worker starts",
        play=journal_full,
        seconds=0,
        promise=Promise(may_lose="a full journal refuses records, and counts each", most_lost=0.5),
    ),
)
