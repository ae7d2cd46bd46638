"""A process that has threads, a journal and connections of ours forks: the child makes its own, and neither loses a thing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from .conftest import Place
from .crowd import Kept, Truth, assert_sound, assert_true, kept

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]

CHILDREN = 3
PAGES = 12

COMMON = (
    f"PAGES = {PAGES}\n"
    """
import ctypes, os, sys, threading
from wsgiref.util import setup_testing_defaults
from sojourn import current_session, track
from sojourn.wsgi import SojournMiddleware


def page(environ, start_response):
    track(f"seen-{environ['PATH_INFO'].strip('/').replace('/', '-')}")
    environ["on_response"](current_session().id)
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<p>ok</p>"]


door = SojournMiddleware(page)  # settings from the environment
responses = os.open("responses.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def ask(name, count=PAGES):
    for number in range(count):
        sessions = []
        environ = {"PATH_INFO": f"/{name}/{number}", "HTTP_ACCEPT": "text/html", "on_response": sessions.append}
        setup_testing_defaults(environ)
        door(environ, lambda status, headers: None)
        os.write(responses, f"/{name}/{number} {sessions[0]}\\n".encode())


def child(name, end="return"):
    ask(name)
    if end == "flush":
        assert door.engine.flush(20).done
    elif end == "_exit":
        os._exit(0)
    elif end == "exit":
        sys.exit(0)


def ended_well(pids):
    for pid in pids:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def forked(fork, names, end):
    pids = []
    for name in names:
        pid = fork()
        if pid == 0:
            try:
                child(name, end)
                sys.exit(0)
            except Exception:
                os._exit(1)
        pids.append(pid)
    return pids


def silent_fork():
    \"\"\"As servers written in C do it: Python's fork hooks are not called.\"\"\"
    return ctypes.PyDLL(None).fork()
"""
)

NAMES = [f"child-{number}" for number in range(CHILDREN)]


def played(place: Place, script: str, **settings: str) -> Truth:
    """Run a script beside COMMON in a process of its own; return what its clients know."""
    (place.folder / "children.py").write_text(COMMON)
    main = f"from children import *\nif __name__ == '__main__':\n    names = {NAMES}\n"
    (place.folder / "main.py").write_text(main + "".join(f"    {line}\n" for line in script.strip().splitlines()))
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "main.py"],
        cwd=place.folder,
        env=place.environ(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # children, too, that it left behind
    assert (process.returncode, said) == (0, "")
    truth = Truth()
    for line in (place.folder / "responses.txt").read_text().splitlines():
        path, session = line.split()
        truth.succeeded(path, session, 0.0, event=f"seen-{path.strip('/').replace('/', '-')}", user=None)
    return truth


def agreed(place: Place, truth: Truth) -> Kept:
    found = kept(place.store, truth)
    assert_true(found, truth)
    assert_sound(place.store)
    return found


@pytest.mark.parametrize("end", ["exit", "_exit", "flush"])
@pytest.mark.parametrize(
    ("fork", "is_used"),
    [
        pytest.param("os.fork", True, id="after first use"),
        pytest.param("os.fork", False, id="before first use"),
        # With threads of the parent waiting at that moment, the interpreter itself would hang in such a child.
        pytest.param("silent_fork", False, id="without fork hooks, before first use"),
    ],
)
def test_fork(place: Place, fork: str, end: str, *, is_used: bool) -> None:
    before = "ask('parent-before')" if is_used else ""
    truth = played(place, f"{before}\npids = forked({fork}, names, {end!r})\nask('parent-beside')\nended_well(pids)\n")
    assert len(truth.pages) == (CHILDREN + 1 + is_used) * PAGES
    agreed(place, truth)


def test_a_child_that_uses_nothing_changes_nothing_when_it_exits(place: Place) -> None:
    script = """
ask("parent-before")
for number in range(8):
    pid = os.fork()
    if pid == 0:
        sys.exit(0)
    ended_well([pid])
    ask(f"parent-after-{number}", 5)
"""
    truth = played(place, script)
    assert len(truth.pages) == PAGES + 40
    agreed(place, truth)


@pytest.mark.parametrize(
    ("beside", "outcome"),
    [
        pytest.param("nullcontext()", "0 sessions", id="idle"),
        pytest.param("store.records.recording()", "the store .* was in use when this process was forked", id="in use"),
    ],
)
def test_a_store_open_at_a_fork_without_hooks_is_used_only_if_safe(place: Place, beside: str, outcome: str) -> None:
    script = f"""
from contextlib import nullcontext
from pathlib import Path
from sojourn.errors import StoreError
from sojourn.stores import open_store
store = open_store({place.store!r})
def sessions_in_store():
    try:
        return f"{{store.stats().sessions}} sessions"
    except StoreError as error:
        return str(error)
assert sessions_in_store() == "0 sessions"
with {beside}:
    pid = silent_fork()
    if pid == 0:
        Path("said.txt").write_text(sessions_in_store() + "\\n" + sessions_in_store())
        store.close()
        os._exit(0)
    ended_well([pid])
assert sessions_in_store() == "0 sessions"
store.close()
"""
    played(place, script)
    first, second = (place.folder / "said.txt").read_text().splitlines()
    assert re.match(outcome, first)
    assert first == second


def test_forks_in_the_middle_of_recording_neither_hang_nor_break_the_store(place: Place) -> None:
    """Threads of ours are inside SQLite nearly all the time here: a child must find none of its locks held."""
    script = """
stop = threading.Event()
def load():
    number = 0
    while not stop.is_set():
        number += 1
        ask(f"load-{number}", 40)
        door.engine.flush(20)  # or the backlog would be what the children wait for
thread = threading.Thread(target=load, daemon=True)
ask("parent-before")
thread.start()
for number in range(6):
    ended_well(forked(os.fork, [f"child-{number}"], "flush"))
stop.set()
thread.join()
"""
    truth = played(place, script)
    assert sum(path.startswith("/child-") for path in truth.pages) == 6 * PAGES
    agreed(place, truth)


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("pool", ["Process", "ProcessPoolExecutor"])
def test_multiprocessing(place: Place, way: str, pool: str) -> None:
    script = f"""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
ask("parent-before")
context = multiprocessing.get_context({way!r})
"""
    if pool == "Process":
        script += """
children = [context.Process(target=child, args=(name,)) for name in names]
for each in children:
    each.start()
ask("parent-beside")
for each in children:
    each.join()
assert [each.exitcode for each in children] == [0] * len(children)
"""
    else:
        script += """
with ProcessPoolExecutor(2, mp_context=context) as executor:
    list(executor.map(child, names))
    ask("parent-beside")
"""
    truth = played(place, script)
    assert len(truth.pages) == (CHILDREN + 2) * PAGES
    agreed(place, truth)


def test_a_parent_that_dies_leaves_its_children_their_own_journals(place: Place) -> None:
    script = """
ask("parent-before")
pids = forked(os.fork, names, "exit")
ask("parent-beside")
ended_well(pids)
os._exit(0)
"""
    agreed(place, played(place, script))


def test_a_child_reports_only_its_own_counters(place: Place) -> None:
    script = """
def ignored(times):
    for _ in range(times):
        environ = {"PATH_INFO": "/favicon.ico", "HTTP_ACCEPT": "*/*"}
        setup_testing_defaults(environ)
        excluded(environ, lambda status, headers: None)
excluded = SojournMiddleware(lambda environ, start: (start("200 OK", []), [b""])[1], engine=door.engine)
ignored(5)
ask("parent-before", 1)
for name in names:
    pid = os.fork()
    if pid == 0:
        ignored(1)
        child(name, "flush")
        os._exit(0)
    ended_well([pid])
assert door.engine.flush(20).done
"""
    found = agreed(place, played(place, script))
    assert found.stats.counters["ignored.excluded"] == 5 + CHILDREN


def test_each_process_writes_one_journal_of_its_own(place: Place) -> None:
    """With no recorder, the journals stay: one of the parent, one of each child, and no frame in the wrong one."""
    script = """
ask("parent-before")
pids = forked(os.fork, names, "_exit")
ask("parent-beside")
ended_well(pids)
os._exit(0)
"""
    truth = played(place, script, deliver="worker")
    journals = Path(f"{place.folder / 'sojourn.db'}.d")
    assert len(list(journals.glob("*.lock"))) == 1 + CHILDREN
    found = agreed(place, truth)
    assert Counter(path.split("/")[1] for path in truth.pages) == {
        **dict.fromkeys(NAMES, PAGES),
        "parent-before": PAGES,
        "parent-beside": PAGES,
    }
    assert found.stats.counters["records.accepted"] == len(truth.pages)


def test_a_child_does_not_keep_its_parents_open_connections_alive(place: Place) -> None:
    """With `presence="open"` an open stream is activity, reported by the process that serves it, for as long as it does."""
    script = f"""
from sojourn import Engine, Settings
from sojourn.testing import ManualClock
clock = ManualClock()
engine = Engine(Settings(secret_key="a key of this test only", store={place.store!r}, presence="open"), clock=clock)
environ = {{"PATH_INFO": "/stream", "HTTP_ACCEPT": "text/html"}}
setup_testing_defaults(environ)
pieces = lambda environ, start: (start("200 OK", [("Content-Type", "text/html")]), iter([b"1", b"2", b"3"]))[1]
body = iter(SojournMiddleware(pieces, engine=engine)(environ, lambda status, headers: None))
next(body), next(body)
def seen():
    engine.flush()
    return [row.last_seen_at for row in engine.store.sessions.latest(limit=9)]
at_first = seen()
clock.advance(600)
pid = os.fork()
if pid == 0:
    os._exit(0 if seen() == at_first else 1)
ended_well([pid])
assert seen() == [at_first[0] + 600_000]
engine.close()
"""
    played(place, script)
