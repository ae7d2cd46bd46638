"""`sojourn recompute`: the past by other timeouts is what they would have recorded, and nothing changes by the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sojourn import cli
from sojourn.core.events import START, Event
from sojourn.demo.history import write_history
from sojourn.stores import open_store
from sojourn.stores.protocol import Store
from tests.importing.logs import FIREFOX, contents, line, minutes_of, run, sessions, write
from tests.importing.stores import store
from tests.stores.contract.steps import assert_adds_up

__all__ = ["store"]

SINCE = ("--since", "60d")
HOME = "https://shop.example/"


def recompute(store: Store, *options: str) -> int:
    return cli.main(["recompute", "--store", store.name, *SINCE, *options])


def pages(*minutes: float, agent: str = FIREFOX) -> list[str]:
    return [line(each, f"/{number}", referer=HOME, agent=agent) for number, each in enumerate(minutes)]


def dump(store: Store) -> tuple[list[object], list[Event]]:
    return [*sessions(store)], store.log.after(START, limit=100_000)


def shown(store: Store) -> list[tuple[object, ...]]:
    """What there is, but for the revisions of ends."""
    return [(*each[1:8], *each[9:]) for each in contents(store)]


def by_rules(folder: Path, name: str, lines: Sequence[str], timeout: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A new store with the sessions that these lines make by this timeout."""
    store = open_store(f"sqlite:///{folder / name}.db")
    store.open()
    with monkeypatch.context() as environment:
        environment.setenv("SOJOURN_IDLE_TIMEOUT", timeout)
        run(store, write(folder / f"{name}.log", lines))
    return store


def test_a_shorter_timeout_divides(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(store, write(tmp_path / "access.log", pages(0, 5, 25, 26, 46)))
    (whole,) = sessions(store)
    capsys.readouterr()
    before = dump(store)
    assert recompute(store, "--idle-timeout", "15m") == 0
    assert dump(store) == before
    out = capsys.readouterr().out
    assert "1 sessions would change; --apply changes them" in out
    assert recompute(store, "--idle-timeout", "15m", "--apply") == 0
    one, two, three = sessions(store)
    assert [minutes_of(each) for each in (one, two, three)] == [(0, 5), (25, 26), (46, 46)]
    assert three.key == whole.key, "a browser's cookie may name it"
    assert (two.previous_key, three.previous_key) == (one.key, two.key)
    assert [each.page_views for each in (one, two, three)] == [2, 2, 1]
    assert [each.end_revision for each in (one, two, three)] == [0, 0, 1]
    names = [event.name for event in store.log.of_session(one.key)]
    assert names == ["session.start", "page_view", "session.heartbeat", "page_view", "session.end"]
    assert_adds_up(store)


def test_a_longer_timeout_joins_and_the_former_one_divides_again(store: Store, tmp_path: Path) -> None:
    run(store, write(tmp_path / "access.log", pages(0, 5, 50, 51, 200)))
    before = shown(store)
    assert [minutes_of(each) for each in sessions(store)] == [(0, 5), (50, 51), (200, 200)]
    recompute(store, "--idle-timeout", "60m", "--apply")
    joined, other = sessions(store)
    assert [minutes_of(each) for each in (joined, other)] == [(0, 51), (200, 200)]
    assert other.previous_key == joined.key
    assert (joined.page_views, joined.requests, joined.entry_path, joined.exit_path) == (4, 4, "/0", "/3")
    assert len({event.id for event in store.log.after(START, limit=99)}) == store.stats().events
    recompute(store, "--idle-timeout", "30m", "--apply")
    assert shown(store) == before


def test_a_maximum_duration(store: Store, tmp_path: Path) -> None:
    run(store, write(tmp_path / "access.log", pages(*range(0, 100, 10))))
    recompute(store, "--max-duration", "35m", "--apply")
    assert [(minutes_of(each), str(each.end_reason)) for each in sessions(store)] == [
        ((0, 30), "max_duration"),
        ((40, 70), "max_duration"),
        ((80, 90), "idle_timeout"),
    ]
    recompute(store, "--max-duration", "off", "--apply")
    assert [minutes_of(each) for each in sessions(store)] == [(0, 90)]


def test_what_is_finer_than_the_log_stays(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pause of a little more than the timeout: a fetch in the minute after the first page would have left no event."""
    run(store, write(tmp_path / "access.log", pages(0, 15.5, 40)))
    before = dump(store)
    assert recompute(store, "--idle-timeout", "15m", "--apply") == 0
    assert dump(store) == before
    out = capsys.readouterr().out
    assert "  1 left as they are: whose activity is finer than the log, where that decides\nnothing changes\n" in out


@pytest.mark.parametrize(
    ("options", "error"),
    [
        pytest.param(
            ["--idle-timeout", "30s"], "--idle-timeout must be at least 60 s (heartbeat_interval)", id="too short"
        ),
        pytest.param(["--max-duration", "10m"], "--max-duration must be at least --idle-timeout", id="contradictory"),
    ],
)
def test_what_the_log_cannot_show_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], error: str
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'sojourn.db'}")
    store.open()
    assert recompute(store, *options) == 1
    assert error in capsys.readouterr().err
    store.close()


def test_without_heartbeats_it_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOJOURN_HEARTBEAT_INTERVAL", "off")
    assert recompute(store, "--idle-timeout", "15m") == 1
    assert "heartbeat_interval is off" in capsys.readouterr().err


def test_the_same_rules_change_nothing_of_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_history(tmp_path / "sojourn.db")
    store = open_store(f"sqlite:///{tmp_path / 'sojourn.db'}")
    before = dump(store)
    assert recompute(store, "--apply") == 0
    assert dump(store) == before
    assert "nothing changes" in capsys.readouterr().out
    recompute(store, "--idle-timeout", "5m", "--apply")
    is_longer, (_, log) = len(sessions(store)) > len(before[0]), dump(store)
    length = store.stats().events
    store.close()
    assert (is_longer, length) == (True, len(log))


@st.composite
def any_visits(draw: st.DrawFn, gaps: Sequence[float], paths: Sequence[str]) -> list[str]:
    minutes, lines = 0.0, []
    for _ in range(draw(st.integers(1, 20))):
        minutes += draw(st.sampled_from(gaps))
        address = draw(st.sampled_from(("192.0.2.7", "198.51.100.9")))
        lines.append(line(minutes, draw(st.sampled_from(paths)), address=address, referer=HOME))
    return lines


CLEAR = (0, 7, 14, 28, 42, 70, 399)
"""Pauses in minutes that are clear of each of the timeouts, and so are sums of them: a visitor pauses while others come.

Not clear is a pause of the timeout and up to a heartbeat's slot more, 15 to 16 minutes: the log leaves open whether it divides.
"""
ANY = (0, 0.2, 1, 14.9, 15, 15.5, 29.9, 30, 31, 59, 61, 1500)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=any_visits(CLEAR, ("/", "/a", "/b?x=1")), data=st.data())
def test_law_it_becomes_what_the_other_rules_would_have_made(
    lines: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("law")
    first, second = data.draw(st.permutations(("15m", "30m", "60m")))[:2]
    store, other = by_rules(folder, "a", lines, first, monkeypatch), by_rules(folder, "b", lines, second, monkeypatch)
    recompute(store, "--idle-timeout", second, "--apply")
    result = shown(store), shown(other)
    again = dump(store)
    recompute(store, "--idle-timeout", second, "--apply")
    is_same = dump(store) == again
    store.close()
    other.close()
    assert result[0] == result[1]
    assert is_same


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=any_visits(ANY, ("/", "/a", "/api/poll", "/doc.pdf", "/data.json")),
    timeout=st.sampled_from(("15m", "30m", "60m")),
)
def test_law_the_same_rules_change_nothing(
    lines: list[str], timeout: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = by_rules(tmp_path_factory.mktemp("law"), "a", lines, timeout, monkeypatch)
    before = dump(store)
    recompute(store, "--idle-timeout", timeout, "--apply")
    after = dump(store)
    store.close()
    assert after == before
