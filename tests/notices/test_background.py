"""Real engines send a real alert from their background, once together."""

from __future__ import annotations

import json
import time
from pathlib import Path

from sojourn import Settings
from sojourn.engine import Engine
from sojourn.stores import open_store
from sojourn.stores.model import Batch
from tests.stores.contract.steps import row, save

from .test_sending import http

PATIENCE_S = 30


def test_engines_that_share_a_store_send_an_alert_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = open_store(url)
    store.open()
    save(store, Batch(rows=[row("long ago", time.time_ns() // 1_000_000 - 7_200_000)]))
    with http() as server:
        engines = [
            Engine(
                Settings(
                    secret_key="a key that only these tests use",
                    store=url,
                    alerts={"nothing": "1h"},
                    alert_targets=f"webhook+http://127.0.0.1:{server.server_port}/in",
                    journal_dir=tmp_path / f"journal {number}",
                )
            )
            for number in range(3)
        ]
        for engine in engines:
            engine.start()
        deadline = time.monotonic() + PATIENCE_S
        while not server.arrived.wait(0.05) and time.monotonic() < deadline:
            pass
        while store.alerts.unsent() and time.monotonic() < deadline:
            pass
        for engine in engines:
            engine.close()
        ((_, _, body),) = server.taken
        assert json.loads(body)["alert"] == "nothing"
    assert [state.is_on for state in store.alerts.states()] == [True]
    store.close()


def test_without_alerts_nothing_watches() -> None:
    engine = Engine(Settings(secret_key="a key that only these tests use", store="memory:"))
    with engine:
        assert [step.name for step in engine.runtime._asides if step.name == "alerts"] == []
