"""Starts the web servers that people deploy with, each on a free loopback port, and stops them whatever happens.

One `Server` type for all of them. Knows nothing of Sojourn: the application is a name such as `site:app`, importable from
the folder, and its settings are in the environment that is handed in.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.ports import free_port

_UP_S: Final = 30.0
_DOWN_S: Final = 20.0


@dataclass
class Server:
    """A server that responds; in a process group of its own, whose leader is its master."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def workers(self) -> list[int]:
        """The pids of the processes that the master has forked, oldest first (it may serve requests itself: none)."""
        try:
            text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        except OSError:
            return []
        return [pid for pid in map(int, text.split()) if _is_running(pid)]

    def stop(self, how: signal.Signals = signal.SIGTERM, *, timeout: float = _DOWN_S) -> float:
        """Send a signal to the master, as a service manager does; how many seconds until it and its workers were gone."""
        began = time.monotonic()
        members = [*self.workers(), self.process.pid]
        self.process.send_signal(how)
        self.process.wait(timeout)
        while any(map(_is_running, members)) and time.monotonic() - began < timeout:
            time.sleep(0.01)
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL the whole group: the machine's way to stop a process without asking."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(_DOWN_S)


@contextlib.contextmanager
def gunicorn(
    app: str,
    *,
    folder: Path,
    environ: Mapping[str, str],
    workers: int = 1,
    worker_class: str = "sync",
    options: Sequence[str] = (),
    python: str = sys.executable,
) -> Iterator[Server]:
    """Serve with gunicorn; more options (`--preload`, `--threads 4`) as on its command line."""
    port = free_port()
    command = [python, *_warnings(worker_class), "-m", "gunicorn", "-w", str(workers), "-k", worker_class]
    command += ["-b", f"127.0.0.1:{port}", "--no-control-socket", *options, app]
    with _served(command, port, folder=folder, environ=environ) as server:
        yield server


@contextlib.contextmanager
def uvicorn(
    app: str,
    *,
    folder: Path,
    environ: Mapping[str, str],
    workers: int = 1,
    options: Sequence[str] = (),
    python: str = sys.executable,
) -> Iterator[Server]:
    """Serve with uvicorn: one process, or its own supervisor over spawned workers."""
    port = free_port()
    command = [python, "-m", "uvicorn", "--workers", str(workers), "--port", str(port), "--log-level", "warning"]
    with _served([*command, *options, app], port, folder=folder, environ=environ) as server:
        yield server


@contextlib.contextmanager
def granian(
    app: str,
    *,
    folder: Path,
    environ: Mapping[str, str],
    interface: Literal["asgi", "wsgi"] = "asgi",
    workers: int = 2,
    options: Sequence[str] = (),
    python: str = sys.executable,
) -> Iterator[Server]:
    """Serve with granian: a supervisor over worker processes, requests on its own threads, no `atexit` at the end."""
    port = free_port()
    command = [python, "-m", "granian", "--interface", interface, "--workers", str(workers), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--no-ws", "--log-level", "warning", *options, app]
    with _served(command, port, folder=folder, environ=environ) as server:
        yield server


@contextlib.contextmanager
def uwsgi(
    app: str,
    *,
    folder: Path,
    environ: Mapping[str, str],
    workers: int = 2,
    options: Sequence[str] = (),
    python: str = sys.executable,
) -> Iterator[Server]:
    """Serve with uWSGI in its default mode: the app is loaded once and the process forked, without Python's fork hooks."""
    port = free_port()
    command = [uwsgi_program(python) or "uwsgi", "--master", "--die-on-term", "--enable-threads", "--need-app"]
    command += ["--http-socket", f"127.0.0.1:{port}", "--processes", str(workers), "--module", app]
    with _served([*command, "--disable-logging", *options], port, folder=folder, environ=environ) as server:
        yield server


def has(name: Literal["gunicorn", "uvicorn", "granian", "uwsgi"], python: str = sys.executable) -> bool:
    """Whether that Python can start this server."""
    if name == "uwsgi":
        return uwsgi_program(python) is not None
    if python == sys.executable:
        return importlib.util.find_spec(name) is not None
    return subprocess.run([python, "-c", f"import {name}"], check=False, capture_output=True).returncode == 0


def uwsgi_program(python: str = sys.executable) -> str | None:
    """The path of uWSGI's program beside a Python (the package pyuwsgi puts it there), else anywhere on the path."""
    return shutil.which("uwsgi", path=str(Path(python).parent)) or shutil.which("uwsgi")


def _warnings(worker_class: str) -> list[str]:
    """The options that let Python say nothing of a worker class that is deprecated; it works, and people use it."""
    return ["-W", "ignore::DeprecationWarning"] if worker_class.startswith("uvicorn") else []


@contextlib.contextmanager
def _served(command: Sequence[str], port: int, *, folder: Path, environ: Mapping[str, str]) -> Iterator[Server]:
    log = folder / f"server-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), environ.get("PYTHONPATH"))))},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        _await(server, port)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_DOWN_S)
        server.kill()  # also what a master that was killed has left behind


def _await(server: Server, port: int) -> None:
    """Wait until the server responds to a request that Sojourn records nothing of (an excluded path)."""
    deadline = time.monotonic() + _UP_S
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2.0) as asking:
            asking.sendall(b"GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if asking.recv(12).startswith(b"HTTP/"):
                return
        time.sleep(0.05)
    raise RuntimeError(f"the server does not respond; it said:\n{server.log.read_text(errors='replace')}")


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
