"""How many batches a second one PostgreSQL takes from recorders on other hosts, over a network with a delay.

    python -m benchmarks.fleet [--recorders 1 3 6] [--delay 20] [--batches 40] [--size 40]

Each recorder has sessions of its own and records as ours does: load the rows, write rows, events, counters and positions. A
round trip takes `--delay` ms. What limits the rate is what one recorder holds while another waits for it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from urllib.parse import urlsplit

from benchmarks.store_batches import filled, run
from sojourn.stores import open_store
from tests.postgres import Cluster


class Line:
    """A TCP relay that delivers every byte half a round trip late, in order."""

    def __init__(self, host: str, port: int, delay_s: float) -> None:
        self._target = (host, port)
        self._delay_s = delay_s

    @contextmanager
    def running(self) -> Iterator[int]:
        """Relay in a thread of its own, and yield the port."""
        ports: Future[int] = Future()
        is_over = threading.Event()
        thread = threading.Thread(target=asyncio.run, args=(self._relay(ports, is_over),))
        thread.start()
        try:
            yield ports.result()
        finally:
            is_over.set()
            thread.join()

    async def _relay(self, ports: Future[int], is_over: threading.Event) -> None:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            ports.set_result(server.sockets[0].getsockname()[1])
            await asyncio.to_thread(is_over.wait)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await source.read(1 << 20):
            loop.call_later(self._delay_s, sink.write, data)
        loop.call_later(self._delay_s, sink.close)


def main() -> None:
    parser = argparse.ArgumentParser(description="batches a second of a fleet on one PostgreSQL")
    parser.add_argument("--recorders", type=int, nargs="+", default=[1, 3, 6])
    parser.add_argument("--delay", type=float, default=20.0, help="ms of a round trip")
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--size", type=int, default=40, help="records of a batch")
    options = parser.parse_args()
    measure_fleet(options.recorders, delay_ms=options.delay, batches=options.batches, size=options.size)


def measure_fleet(
    recorders: Sequence[int] = (1, 3, 6), *, delay_ms: float = 20, batches: int = 40, size: int = 40
) -> dict[int, float]:
    """Print and return the batches a second for each number of recorders."""
    print(f"PostgreSQL, {delay_ms:g} ms a round trip, batches of {size} records", flush=True)
    rates: dict[int, float] = {}
    with Cluster() as cluster:
        for number in recorders:
            rates[number] = measured(cluster, number, delay_ms / 2000, batches, size)
            print(f"  {number} recorders  {rates[number]:6.1f} batches/s", flush=True)
    return rates


def measured(cluster: Cluster, recorders: int, delay_s: float, batches: int, size: int) -> float:
    url = cluster.fresh_database()
    parts = urlsplit(url)
    store, keys = filled(url, 200 * recorders)
    store.close()
    numbers = count()

    def record(port: int) -> None:
        number = next(numbers)
        own = keys[number * 200 :][:200]
        far = open_store(url.replace(f":{parts.port}", f":{port}"))
        far.open()
        run(far, own, batches=batches, size=size, spread=20, seed=number)
        far.close()

    with Line(parts.hostname or "", parts.port or 0, delay_s).running() as port:
        began = time.perf_counter()
        with ThreadPoolExecutor(recorders) as pool:
            for done in [pool.submit(record, port) for _ in range(recorders)]:
                done.result()
        return recorders * batches / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
