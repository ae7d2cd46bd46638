"""Faults between the commit of an application's transaction and the recorder's move of its event."""

from __future__ import annotations

import contextlib
import os
import random
import signal

from sojourn.stores import open_store

from . import orders
from .receiver import wait_for
from .scene import Fault, Promise, Scene
from .stores import no_postgres, use_postgres

_THREADS = 6
"""Visitors at a time: SQLite has one writer, and each of them is one."""


def sqlite_inbox(scene: Scene) -> None:
    """Kill web processes, one of which records, while they write orders and events in one transaction."""
    _kill_between(scene)


def postgres_inbox(scene: Scene) -> None:
    """The same on PostgreSQL, where the transactions of several processes overlap."""
    use_postgres(scene)
    _kill_between(scene)


def _kill_between(scene: Scene) -> None:
    deployment, chance = scene.deployment, random.Random(4)
    killed = between = 0
    store = open_store(deployment.store)
    store.open()
    store.close()
    orders.create(deployment.store)
    with deployment.gunicorn(workers=3, ORDERS=deployment.store) as server:
        with scene.visitors(server, threads=_THREADS):
            for tick in scene.ticks(1.0):
                recorder, workers = deployment.recorder_pid(), server.workers()
                if workers:
                    victim = recorder if tick % 2 and recorder in workers else chance.choice(workers)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
                        killed += 1
                    between += orders.waiting(deployment.store) > 0
        scene.settle()
        wait_for(lambda: not deployment.opened().records.has_inbox(), 60, "the inbox is empty")
        scene.settle()
    placed = orders.placed(deployment.store)
    events = sorted(
        int(event.attributes["event_properties.serial"]) for event in deployment.log_of_events() if event.name == "step"
    )
    missing, unplaced = set(placed) - set(events), set(events) - set(placed)
    scene.wrong += [f"order {serial} was committed, and its event is not there" for serial in sorted(missing)]
    scene.wrong += [f"the event of order {serial} is there, and it was not committed" for serial in sorted(unplaced)]
    if len(events) != len(set(events)):
        scene.wrong.append(f"{len(events)} events of {len(set(events))} orders")
    if not between:
        scene.wrong.append("no event was between its commit and its move at any kill: the fault did not happen")
    scene.notes.append(f"{killed} processes killed, {between} times with events in the inbox; {len(placed)} orders")


FAULTS = (
    Fault(
        name="inbox-sqlite",
        about="SIGKILL of app and recorder between the app's commit and the recorder's move, SQLite",
        play=sqlite_inbox,
        seconds=20,
        promise=Promise(cuts_requests=True),
    ),
    Fault(
        name="inbox-postgres",
        about="SIGKILL of app and recorder between the app's commit and the recorder's move, PostgreSQL",
        play=postgres_inbox,
        seconds=20,
        promise=Promise(cuts_requests=True),
        missing=no_postgres,
    ),
)
