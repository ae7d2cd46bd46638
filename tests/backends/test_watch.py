"""The thread that shuts a connection down at its deadline: one for all calls, and never after the call."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from sojourn.backends._watch import Watch


class Stream:
    """As far as the watch looks at what httpx made."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def get_extra_info(self, name: str) -> object:
        return {"socket": self.connection}.get(name)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        theirs.settimeout(5)
        yield ours, theirs


@pytest.fixture
def watch(pair: tuple[socket.socket, socket.socket]) -> Iterator[Watch]:
    watch = Watch()
    watch.trace("connection.connect_tcp.started", {"host": "h"})
    watch.trace("connection.connect_tcp.complete", {"return_value": Stream(pair[0])})
    watch.trace("http11.send_request_headers.complete", {"return_value": None})
    yield watch
    watch.stop()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sojourn-deadline"]


def test_connection_is_shut_down_at_its_deadline(watch: Watch, pair: tuple[socket.socket, socket.socket]) -> None:
    with watch.within(0.05):
        assert pair[0].recv(1) == b""  # or it waits its five seconds, and fails
    with watch.within(0.05):
        pass


def is_silent_for(seconds: float, connection: socket.socket) -> bool:
    """Wait on the connection, so that the thread gets to sleep meanwhile."""
    connection.settimeout(seconds)
    try:
        return connection.recv(1) is None
    except TimeoutError:
        return True
    finally:
        connection.settimeout(5)


def test_short_deadline_wakes_a_thread_that_sleeps_longer(
    watch: Watch, pair: tuple[socket.socket, socket.socket]
) -> None:
    with watch.within(60):
        assert is_silent_for(0.1, pair[0])
    with watch.within(0.05):
        assert pair[0].recv(1) == b""


def test_short_deadline_holds_after_the_thread_slept_again(
    watch: Watch, pair: tuple[socket.socket, socket.socket]
) -> None:
    with watch.within(0.05):
        pass
    with watch.within(60):
        assert is_silent_for(0.2, pair[0])
    with watch.within(0.05):
        assert pair[0].recv(1) == b""


def test_connection_is_left_alone_after_the_call(watch: Watch, pair: tuple[socket.socket, socket.socket]) -> None:
    with watch.within(0.2):
        assert is_silent_for(0.05, pair[0])
        (thread,) = threads()
    thread.join(timeout=5)
    assert not thread.is_alive()
    pair[1].sendall(b"x")
    assert pair[0].recv(1) == b"x"


def test_many_calls_share_one_thread(watch: Watch) -> None:
    with watch.within(60):
        first = threads()
    for _ in range(50):
        with watch.within(60):
            assert threads() == first
    watch.stop()
    assert threads() == []


def test_stop_before_the_first_call_and_reuse(watch: Watch, pair: tuple[socket.socket, socket.socket]) -> None:
    watch.stop()
    with watch.within(60):
        assert len(threads()) == 1
    watch.stop()
    watch.stop()
    watch.trace("connection.connect_tcp.complete", {"return_value": Stream(pair[0])})
    with watch.within(0.05):
        assert pair[0].recv(1) == b""


def test_a_call_at_the_interpreters_end_is_made_without_a_thread(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python 3.12 on none can be started then: the last delivery of a process is a call like others."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with watch.within(5):
            pass
    with watch.within(5):
        assert len(threads()) == 1


GEVENT = """
from gevent import monkey
monkey.patch_all()
from sojourn.backends._watch import Watch
from sojourn.core.threads import Worker
watch = Watch()
def call():
    with watch.within(60):
        pass
worker = Worker(call, name="dispatcher")
worker.start()
assert worker.join(10)
watch.stop()
print("stopped")
"""


def test_stops_under_gevent_after_the_thread_that_called_has_ended() -> None:
    done = subprocess.run([sys.executable, "-c", GEVENT], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr
