"""A real server at saturation: uvicorn pinned to one core, the load generator to another. Returning visitors, SQLite.

The load comes from `wrk` where it is installed, else from a generator of our own. Variants take turns, round by round.
`Sojourn, worker` runs beside a `sojourn worker` on the core of the server, `Sojourn, worker apart` beside one on that of
the generator. `--sdks` names a Python that has the packages `sentry-sdk`, `posthog`, `starlette` and `uvicorn`, to serve the
same page with those in place of Sojourn.
"""

from __future__ import annotations

import http.client
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.request_path import BROWSER
from benchmarks.served import SECRET, store_url
from benchmarks.timing import Spread, progress, ratios
from benchmarks.vendors import _SINK, played
from sojourn.stores import open_store

ROOT: Final = Path(__file__).parent.parent
OURS: Final = ("bare", "SessionMiddleware", "Sojourn", "Sojourn, worker")
SDKS: Final = ("Sentry", "PostHog")
_HEADERS: Final = [(name.decode().title(), value.decode()) for name, value in BROWSER]
_UNITS: Final = {"us": 1.0, "ms": 1_000.0, "s": 1_000_000.0}


@dataclass(frozen=True)
class Load:
    """What one run of the generator saw."""

    requests: int
    rate: float
    p99_us: float


def measure_saturation(*, rounds: int, seconds: float, sdks: str | None) -> dict[str, Any]:
    """Requests a second at 32 connections and p99 at 1 and 32, each against bare in the same round."""
    names = (*OURS, *(SDKS if sdks else ()))
    rates: dict[str, list[float]] = {name: [] for name in names}
    tails: dict[int, dict[str, list[float]]] = {1: {name: [] for name in names}, 32: {name: [] for name in names}}
    backlogs: dict[str, int] = {}
    for number in range(rounds):
        for name in names:
            progress(f"round {number + 1} of {rounds}: {name}")
            python = sdks if sdks and name in SDKS else sys.executable
            with tempfile.TemporaryDirectory() as folder, served(name, folder, python) as port:
                cookie = cookie_of(port)
                single = load(port, cookie, connections=1, seconds=seconds)
                tails[1][name].append(single.p99_us)
                full = load(port, cookie, connections=32, seconds=seconds)
                rates[name].append(full.rate)
                tails[32][name].append(full.p99_us)
                if name.startswith("Sojourn"):
                    backlogs[name] = max(0, single.requests + full.requests - recorded(folder))
    progress("")
    return {
        name: {
            "requests_per_second": asdict(Spread.of(rates[name])),
            "rate_of_bare": asdict(Spread.of(ratios(rates[name], rates["bare"]))),
            **{
                f"p99_of_bare_at_{connections}": asdict(
                    Spread.of(ratios(tails[connections][name], tails[connections]["bare"]))
                )
                for connections in tails
            },
            "backlog": backlogs.get(name),
        }
        for name in names
    }


def load(port: int, cookie: str, *, connections: int, seconds: float) -> Load:
    """Ask for the page on so many connections at once, for this long."""
    return (_by_wrk if shutil.which("wrk") else by_sockets)(port, cookie, connections, seconds)


def _by_wrk(port: int, cookie: str, connections: int, seconds: float) -> Load:
    headers = [text for name, value in [*_HEADERS, ("Cookie", cookie)] for text in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", *headers]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    count = re.search(r"(\d+) requests in", done.stdout)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
    if rate is None or count is None or tail is None or "Non-2xx" in done.stdout:
        raise RuntimeError(done.stdout)
    return Load(int(count[1]), float(rate[1]), float(tail[1]) * _UNITS[tail[2]])


def by_sockets(port: int, cookie: str, connections: int, seconds: float) -> Load:
    """A generator of one thread: slower than `wrk`, and faster than a Python server."""
    lines = [f"{name}: {value}" for name, value in [*_HEADERS, ("Cookie", cookie)]]
    request = "\r\n".join(["GET / HTTP/1.1", *lines, "", ""]).encode()
    selector, sent_at, took = selectors.DefaultSelector(), {}, []
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, connection)
        sent_at[connection] = time.perf_counter()
        connection.sendall(request)
    began = time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        for key, _ in selector.select(1):
            connection = key.data
            received = connection.recv(65536)
            while b"</p>" not in received[-16:]:
                received += connection.recv(65536)
            now = time.perf_counter()
            took.append(now - sent_at[connection])
            sent_at[connection] = now
            connection.sendall(request)
    for key in list(selector.get_map().values()):
        key.data.close()
    selector.close()
    took.sort()
    return Load(len(took), len(took) / (now - began), took[len(took) * 99 // 100] * 1_000_000)


@contextmanager
def served(variant: str, folder: str, python: str = sys.executable) -> Iterator[int]:
    """Serve a variant on the first core, with what it needs beside it; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    cores = sorted(os.sched_getaffinity(0))
    server_core, our_core = (cores[0], cores[1]) if len(cores) > 1 else (cores[0], cores[0])
    with played(_SINK, "200 OK") as sink:
        environ = {**os.environ, "BENCH_SINK": f"http://127.0.0.1:{sink}", "PYTHONPATH": str(ROOT)}
        app, is_apart = variant.removesuffix(" apart"), variant.endswith(" apart")
        command = [python, "-W", "ignore", "-m", "benchmarks.served", app, str(port), folder, str(server_core)]
        server = subprocess.Popen(command, cwd=ROOT, env=environ)
        others: list[subprocess.Popen[bytes]] = []
        os.sched_setaffinity(0, {our_core})
        try:
            _wait_for(port, server)
            if app == "Sojourn, worker":
                cookie_of(port)  # makes the store
                settings = {
                    "SOJOURN_STORE": store_url(folder),
                    "SOJOURN_SECRET_KEY": SECRET,
                    "SOJOURN_DELIVER": "worker",
                }
                worker = [str(Path(sys.executable).with_name("sojourn")), "worker"]
                others.append(subprocess.Popen(worker, env={**environ, **settings}, stdout=subprocess.DEVNULL))
                os.sched_setaffinity(others[0].pid, {our_core if is_apart else server_core})
            yield port
        finally:
            os.sched_setaffinity(0, set(cores))
            for process in (*others, server):
                process.terminate()
                process.wait(30)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server does not come up")


def cookie_of(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/", headers=dict(_HEADERS[1:]))
    line = connection.getresponse().getheader("set-cookie") or "theme=dark"
    connection.close()
    return line.partition(";")[0]


def recorded(folder: str) -> int:
    """Records in the store, when the load has just ended."""
    store = open_store(store_url(folder))
    store.open()
    try:
        return store.stats().counters.get("records.recorded", 0)
    finally:
        store.close()
