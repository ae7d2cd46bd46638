"""How long an append to the journal takes: mapped, written, in memory.

Run: python benchmarks/journal_append.py DIR
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

from sojourn.pipeline.journal import FileJournal, JournalDirectory, MemoryJournal

ROUNDS = 7
APPENDS = 50_000
PAYLOAD = b"x" * 300
LIMIT = 1024 * 1024 * 1024


def measure(journal: FileJournal | MemoryJournal) -> float:
    """Return the microseconds of one append (the best round), with a thread beside it that prepares segments."""
    stop = threading.Event()

    def keep_ready() -> None:
        while not stop.wait(0.02):
            journal.prepare()

    journal.prepare()
    thread = threading.Thread(target=keep_ready)
    thread.start()
    best = float("inf")
    wall = time.time_ns() // 1_000_000
    for _ in range(ROUNDS):
        append, payload = journal.append, PAYLOAD
        began = time.perf_counter_ns()
        for _ in range(APPENDS):
            append(payload, kind="activity", essential=False, wall=wall)
        best = min(best, (time.perf_counter_ns() - began) / APPENDS / 1000)
    stop.set()
    thread.join()
    if journal.stats().refused:
        raise SystemExit(f"{journal.stats().refused} appends were refused")
    return best


def main() -> None:
    place = sys.argv[1] if len(sys.argv) > 1 else None
    for name, may_map in (("mapped", True), ("written", False)):
        with tempfile.TemporaryDirectory(dir=place) as folder:
            journal = FileJournal(Path(folder), limit=LIMIT, may_map=may_map)
            print(f"{name:12} {measure(journal):6.2f} us an append")
            if may_map:
                report_reading(Path(folder), journal)
            journal.close()
    print(f"{'memory':12} {measure(MemoryJournal(limit=LIMIT)):6.2f} us an append")


def report_reading(folder: Path, journal: FileJournal) -> None:
    directory = JournalDirectory(folder)
    position = frames = 0
    began = time.perf_counter()
    while found := directory.read({journal.id: position}, before=time.monotonic_ns(), limit=500).frames:
        frames += len(found)
        position = found[-1].end
    spent = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(1000):
        directory.read({journal.id: position}, before=time.monotonic_ns(), limit=500)
    idle = (time.perf_counter() - began) * 1000
    directory.close()
    print(f"{'read':12} {spent / frames * 1e6:6.2f} us a frame, {idle:.0f} us a pass with nothing new")


if __name__ == "__main__":
    main()
