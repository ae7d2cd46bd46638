"""`sojourn outbox drain`: it delivers until nothing is waiting, waits for paused backends, and records nothing."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from sojourn import Settings, cli
from sojourn.core.events import Event
from sojourn.core.records import Record
from sojourn.engine import Engine
from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch, Settled, dispatcher_lease
from sojourn.testing.backends import MemoryBackend
from tests.stores.contract.steps import NOW, event, lease, row, save

MODULE = "an_app_whose_outbox_is_drained"
KEY = "a key that only tests use"


class Shop:
    """An app with a store, two backends, and five events waiting for both of them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "sojourn.db"
        self.url = f"sqlite:///{self.path}"
        self.one, self.two = MemoryBackend(name="one"), MemoryBackend(name="two")
        self.store = SQLiteStore(self.path)
        self.store.outbox.register(["one", "two"], now=NOW)
        save(self.store, Batch(rows=[row("s")], events=[event(f"e{n}") for n in range(5)]))
        self.module = ModuleType(MODULE)
        monkeypatch.setitem(sys.modules, MODULE, self.module)
        self.configure(Settings(secret_key=KEY, store=self.url, backends=[self.one, self.two]))

    def configure(self, settings: Settings) -> None:
        self.module.__dict__["app"] = SimpleNamespace(engine=Engine(settings))

    def drain(self, *arguments: str) -> int:
        return cli.main(["outbox", "drain", "--app", f"{MODULE}:app", *arguments])

    def backlogs(self) -> list[int]:
        return [self.store.delivery.state(name).backlog for name in ("one", "two")]

    def adds_up(self) -> bool:
        return all(state.recorded == state.settled + state.backlog for state in self.store.stats().backends)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    shop = Shop(tmp_path, monkeypatch)
    yield shop
    shop.store.close()


def ids(backend: MemoryBackend) -> list[str]:
    return [each.id for each in backend.events]


ALL = [f"e{n}" for n in range(5)]


def test_drain_delivers_waiting_events_in_order(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert shop.drain() == 0
    assert (ids(shop.one), ids(shop.two), shop.backlogs()) == (ALL, ALL, [0, 0])
    assert capsys.readouterr().out.splitlines()[-1] == "sojourn outbox drain: nothing is waiting"
    assert shop.adds_up()


def test_drain_of_one_backend(shop: Shop) -> None:
    assert shop.drain("two") == 0
    assert (ids(shop.one), ids(shop.two), shop.backlogs()) == ([], ALL, [5, 0])


def test_drain_waits_for_a_failing_backend(shop: Shop) -> None:
    shop.one.fail(2, error=OSError("down"))
    assert shop.drain() == 0
    assert (ids(shop.one), ids(shop.two)) == (ALL, ALL)
    assert shop.store.delivery.state("one").retried == 2
    assert shop.adds_up()


def test_drain_sends_requeued_dead_letters(shop: Shop) -> None:
    held = lease(shop.store, dispatcher_lease("one"), now=NOW)
    claimed = shop.store.delivery.claim("one", held, until=NOW, limit=2, now=NOW).events
    settled = Settled(upto=claimed[-1].position, dead=[(each, "no", 422) for each in claimed])
    shop.store.delivery.settle("one", held, settled, now=NOW)
    shop.store.outbox.requeue("one", event_ids=["e1"], limit=9, now=NOW)
    assert shop.drain("one") == 0
    assert sorted(ids(shop.one)) == ["e1", "e2", "e3", "e4"]
    state = shop.store.delivery.state("one")
    assert (state.delivered, state.dead, shop.adds_up()) == (4, 1, True)


def test_drain_reports_what_is_left_after_the_timeout(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.one.pause("the key is wrong; check it")
    began = time.monotonic()
    assert shop.drain("--timeout", "500ms", "--json") == 1
    assert time.monotonic() - began < 10
    *_, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert last.pop("at")
    assert 0 < last.pop("paused_for") <= 300_000
    assert last == {
        "what": "left",
        "message": "one: 5 events left: the key is wrong; check it",
        "name": "one",
        "waiting": 5,
        "problem": "the key is wrong; check it",
    }
    assert (shop.backlogs(), ids(shop.two)) == ([5, 0], ALL)


def test_drain_of_an_empty_outbox(shop: Shop) -> None:
    for name in ("one", "two"):
        shop.store.outbox.skip_waiting(name, upto=shop.store.log.head(), limit=9)
    assert shop.drain("--timeout", "0s") == 0
    assert ids(shop.one) == []


def test_drain_releases_its_leases(shop: Shop) -> None:
    assert shop.drain() == 0
    assert shop.store.leases.held() == ()


def test_drain_watches_another_dispatcher(shop: Shop) -> None:
    """Another live process holds the lease, so it delivers."""
    now = time.time_ns() // 1_000_000
    assert shop.store.leases.acquire(dispatcher_lease("one"), "somewhere/else", now=now, until=now + 60_000) is not None
    assert shop.drain("--timeout", "500ms") == 1
    assert (ids(shop.one), ids(shop.two)) == ([], ALL)


def test_drain_records_nothing_and_ends_no_session(shop: Shop) -> None:
    settings = Settings(secret_key=KEY, store=shop.url, backends=[shop.one, shop.two], deliver="worker")
    with Engine(settings) as web:
        assert web.intake.append(Record(NOW, "", "", NOW, 0), kind="request", is_essential=True)
    assert shop.drain() == 0
    stats = shop.store.stats()
    assert (stats.open_sessions, stats.counters.get("records.recorded", 0)) == (1, 0)


def test_third_parties_get_no_exception_messages(shop: Shop) -> None:
    shop.two.third_party = True
    wrong = event("wrong")
    wrong = Event(
        **{**{n: getattr(wrong, n) for n in wrong.__struct_fields__}, "attributes": {"exception.message": "x"}}
    )
    save(shop.store, Batch(events=[wrong]))
    assert shop.drain() == 0
    assert [("exception.message" in backend.events[-1].attributes) for backend in (shop.one, shop.two)] == [True, False]


# --- errors


def test_drain_of_a_store_uses_the_backends_of_the_environment(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOJOURN_BACKENDS", f"jsonl:{tmp_path / 'out.jsonl'}?name=one")
    monkeypatch.delenv("SOJOURN_SECRET_KEY", raising=False)
    assert cli.main(["outbox", "drain", "one", "--store", shop.url]) == 0
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ALL


def test_no_backends_is_an_error_with_the_fix(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["outbox", "drain", "--store", shop.url]) == 1
    assert "SOJOURN_BACKENDS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "events are waiting for two, which is not configured here", id="all backends"),
        pytest.param(["two"], "no backend 'two' is configured; choose one of one", id="the unconfigured one"),
    ],
)
def test_unconfigured_backend_with_waiting_events_is_an_error(
    arguments: list[str], message: str, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.configure(Settings(secret_key=KEY, store=shop.url, backends=[shop.one]))
    assert shop.drain(*arguments) == 1
    assert message in capsys.readouterr().err
    assert shop.backlogs() == [5, 5]


def test_disabled_settings_deliver_nothing(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.configure(Settings(enabled=False, store=shop.url, backends=[shop.one]))
    assert shop.drain() == 1
    assert "enabled=False" in capsys.readouterr().err
    assert ids(shop.one) == []


# --- the bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_shows_a_progress_bar(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for backend in (shop.one, shop.two):  # so that all ten are waiting at first, even on a slow host
        backend.fail(1, retry_after=1)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert shop.drain() == 0
    shown = terminal.getvalue().split("\r\x1b[K")
    assert any("of 10" in text for text in shown)
    assert terminal.getvalue().endswith("\r\x1b[K")
