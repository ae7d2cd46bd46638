"""What forwarding costs: events through a vendor's encoder and the HTTP layer to its fake, beside that vendor's own SDK.

The fake runs in a process of its own, on the same machine, so the events a second are those of both together; the CPU is
this process's alone. Batches are those of a dispatcher. The SDKs are asked to send the same number of tracked events.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from sojourn.backends import Backend, backend_from_url
from sojourn.core.events import Event, Position, Scalar
from sojourn.core.ids import hashed_uuid, uuid7
from sojourn.testing.backend_contract import many_events
from sojourn.testing.vendors import FAKES, FakeVendor, make_fake

VENDORS = tuple(FAKES)
EVENTS = 20_000
BATCH = 500
GOAL_RATE = 30_000
GOAL_US = 30.0

_STARTED_AT = 1_769_860_800_000
_VISIT = 10
"""Events of a session: a start, eight page views, an end."""

# Takes everything without looking, as fast as it reads: what is measured then is the sender.
_SINK = """
import socket, sys, threading
response = b"HTTP/1.1 " + sys.argv[1].encode() + b"\\r\\ncontent-length: 2\\r\\n\\r\\n{}"
def serve(conn):
    buffer = b""
    while True:
        while b"\\r\\n\\r\\n" not in buffer:
            chunk = conn.recv(262144)
            if not chunk: return
            buffer += chunk
        head, _, buffer = buffer.partition(b"\\r\\n\\r\\n")
        lines = dict(l.lower().split(b": ", 1) for l in head.split(b"\\r\\n")[1:])
        left = int(lines.get(b"content-length", 0)) - len(buffer)
        while left > 0:
            left -= len(conn.recv(262144))
        buffer = b""
        conn.sendall(response)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
_FAKE = """
import sys
from sojourn.testing.vendors import make_fake
from sojourn.testing.vendors.serving import serve_here
fake = make_fake(sys.argv[1])
serve_here(fake.app, 0, ready=lambda address: print(fake.url(address), flush=True))
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one sender: events a second, and microseconds of this process's CPU an event."""

    rate: float
    cpu_us: float
    taken: int


def visits(count: int) -> list[Event]:
    """Return events of visits as they stand in the log: several sessions, mixed, each with what a page view knows."""
    return [_event(number) for number in range(count)]


def _event(number: int) -> Event:
    # A hundred visitors at a time, in turn.
    group, within = divmod(number, 100 * _VISIT)
    place, visitor = divmod(within, 100)
    session = group * 100 + visitor
    chance = session.to_bytes(16, "big")
    key, at = uuid7(_STARTED_AT + session, chance), _STARTED_AT + session + place * 1_000
    user = f"user-{session}"
    attributes: dict[str, Scalar] = {
        "session.id": key,
        "visitor.id": chance.hex(),
        "user.id": user,
        "service.name": "shop",
        "service.version": "1.4.0",
        "deployment.environment.name": "production",
        "session_properties.plan": "team",
    }
    name = "session.start" if place == 0 else "session.end" if place == _VISIT - 1 else "page_view"
    if name == "session.start":
        attributes |= {
            "url.path": "/",
            "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0",
            "client.address": "203.0.113.0",
        }
    elif name == "page_view":
        attributes |= {
            "http.request.method": "GET",
            "url.path": f"/products/{number % 997}",
            "http.route": "/products/{id}",
            "http.response.status_code": 200,
            "page_view.duration_ms": 11.5 + number % 7,
        }
    else:
        attributes |= {
            "session.end_reason": "idle_timeout",
            "session.duration_ms": place * 1_000,
            "session.requests": _VISIT,
            "session.page_views": _VISIT - 2,
        }
    return Event(
        id=hashed_uuid(key, name, str(place)),
        name=name,
        time=at,
        session_id=key,
        session_key=key,
        session_started_at=_STARTED_AT + session,
        visitor_id=chance.hex(),
        user_id=user,
        position=Position(number + 1),
        attributes=attributes,
    )


def deliver(backend: Backend, events: Sequence[Event], batch: int = BATCH) -> Figures:
    """Send all, as a dispatcher does while nothing fails."""
    backend.send(events[:1])  # opens the connection
    wanted = [event for event in events if backend.accepts(event)]
    began_at, cpu = time.perf_counter(), time.process_time()
    taken = 0
    for start in range(0, len(wanted), batch):
        receipt = backend.send(wanted[start : start + batch])
        taken += receipt.delivered
        if receipt.delivered < len(wanted[start : start + batch]):
            raise SystemExit(f"{backend.name} was not let through: {receipt.pause or receipt.rejected[:1]}")
    seconds, spent = time.perf_counter() - began_at, time.process_time() - cpu
    return Figures(len(wanted) / seconds, spent / len(wanted) * 1e6, taken)


@contextmanager
def played(code: str, argument: str) -> Iterator[str]:
    """Run a receiver in a process of its own; yields the line that it prints first."""
    with subprocess.Popen([sys.executable, "-c", code, argument], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def against_fake(vendor: str, events: Sequence[Event]) -> Figures:
    with played(_FAKE, vendor) as url:
        return _measured(url, events)


def against_sink(vendor: str, events: Sequence[Event]) -> Figures:
    """Through the real wire to a receiver that only counts bytes."""
    fake = make_fake(vendor)
    with played(_SINK, _success(fake)) as port:
        return _measured(fake.url(f"http://127.0.0.1:{port}"), events)


def _success(fake: FakeVendor) -> str:
    """The status with which this vendor takes events."""
    with fake.serve() as url:
        deliver(backend_from_url(url), many_events(1))
    status = HTTPStatus(fake.requests[0].status)
    return f"{status} {status.phrase}"


def _measured(url: str, events: Sequence[Event]) -> Figures:
    backend = backend_from_url(url)
    try:
        return deliver(backend, events)
    finally:
        backend.close()


# --- the vendors' own SDKs, where they are installed


def posthog_sdk(count: int) -> Figures | None:
    try:
        from posthog import Posthog
    except ImportError:
        return None
    with played(_SINK, "200 OK") as port:
        client = Posthog("phc_key", host=f"http://127.0.0.1:{port}", gzip=True, max_queue_size=count + 1)
        began_at, cpu = time.perf_counter(), time.process_time()
        for number in range(count):
            client.capture(
                "page_view", distinct_id=f"user-{number // _VISIT}", properties={"$session_id": f"s-{number // _VISIT}"}
            )
        client.flush()
        figures = _sdk(count, began_at, cpu)
        client.shutdown()
        return figures


def mparticle_sdk(count: int) -> Figures | None:
    """One call for each visit of ten events: it has no queue, and `bulk_upload_events` takes a hundred."""
    try:
        import mparticle  # type: ignore[import-untyped]
    except ImportError:
        return None
    with played(_SINK, "202 Accepted") as port:
        configuration = mparticle.Configuration()
        configuration.api_key, configuration.api_secret = "key", "secret"
        configuration.host = f"http://127.0.0.1:{port}"
        api = mparticle.EventsApi(configuration)
        began_at, cpu = time.perf_counter(), time.process_time()
        for group in range(0, count, 100 * _VISIT):
            batches = []
            for visit in range(group, min(count, group + 100 * _VISIT), _VISIT):
                batch = mparticle.Batch()
                batch.environment = "development"
                batch.user_identities = mparticle.UserIdentities()
                batch.user_identities.customerid = f"user-{visit}"
                batch.events = [_custom(mparticle, number) for number in range(visit, visit + _VISIT)]
                batches.append(batch)
            api.bulk_upload_events(batches)
        return _sdk(count, began_at, cpu)


def _custom(mparticle: object, number: int) -> object:
    event = getattr(mparticle, "AppEvent")("page_view", "navigation")  # noqa: B009 - it ships no types
    event.timestamp_unixtime_ms = _STARTED_AT + number
    event.custom_attributes = {"path": f"/products/{number}", "status": 200}
    return event


def _sdk(count: int, began_at: float, cpu: float) -> Figures:
    seconds, spent = time.perf_counter() - began_at, time.process_time() - cpu
    return Figures(count / seconds, spent / count * 1e6, count)


SDKS: dict[str, Callable[[int], Figures | None]] = {"posthog": posthog_sdk, "mparticle": mparticle_sdk}


def main(count: int = EVENTS, only: Sequence[str] = VENDORS) -> None:
    events = visits(count)
    print(f"\n{count} events in batches of {BATCH}; goal {GOAL_RATE}/s and {GOAL_US:g} us of CPU an event\n")
    print(f"{'':<28}{'events/s':>10}{'us CPU/event':>14}")
    for vendor in only:
        _line(f"{vendor}, to its fake", against_fake(vendor, events))
        _line(f"{vendor}, to a sink", against_sink(vendor, events))
        sdk = SDKS.get(vendor)
        if sdk is not None and (figures := sdk(count)) is not None:
            _line(f"  {vendor}'s own SDK", figures)


def _line(name: str, figures: Figures) -> None:
    print(f"{name:<28}{figures.rate:>10,.0f}{figures.cpu_us:>14.1f}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("vendors", nargs="*", default=VENDORS)
    chosen = parser.parse_args()
    main(chosen.events, chosen.vendors)
