"""`sojourn outbox list|retry|skip`: effects, output and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sojourn import cli
from sojourn.stores import SQLiteStore
from sojourn.stores.model import BackendState, Batch, Settled, dispatcher_lease
from tests.stores.contract.steps import NOW, event, lease, row, save

EVENTS = ("e1", "e2", "e3", "e4", "e5", "e6")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    """A store whose backend took e1, rejected e2 and e3, is paused, and has three waiting events."""
    store = SQLiteStore(tmp_path / "sojourn.db")
    store.outbox.register(["posthog", "jsonl"], now=NOW)
    save(store, Batch(rows=[row("s")], events=[event(each) for each in EVENTS]))
    held = lease(store, dispatcher_lease("posthog"))
    claimed = store.delivery.claim("posthog", held, until=NOW, limit=3, now=NOW).events
    dead = [(claimed[1], "too \x1b[2J old", 422), (claimed[2], "no such project", None)]
    settled = Settled(
        upto=claimed[2].position, delivered=1, dead=dead, retry_at=2**53, failures=7, problem="the key is wrong"
    )
    store.delivery.settle("posthog", held, settled, now=NOW)
    yield store
    store.close()


def url(store: SQLiteStore) -> str:
    return f"sqlite:///{store.path}"


def run(store: SQLiteStore, *arguments: str) -> int:
    return cli.main(["outbox", *arguments, "--store", url(store)])


def figures_of(state: BackendState) -> tuple[int, int, int, int]:
    return state.delivered, state.dead, state.skipped, state.backlog


# --- list


def test_list_shows_dead_letters_of_all_backends_escaped(
    store: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "list") == 0
    out, err = capsys.readouterr()
    heads, *rows = [line.split() for line in out.splitlines()]
    assert heads == ["backend", "event", "name", "age", "status", "requeued", "reason"]
    assert [(each[0], each[1], each[2]) for each in rows] == [
        ("posthog", "e2", "page_view"),
        ("posthog", "e3", "page_view"),
    ]
    assert out.isascii()
    assert "\x1b" not in out
    assert "too \\x1b[2J old" in out
    assert err == f"store: {url(store)}\n"


@pytest.mark.parametrize(
    ("arguments", "ids", "is_more"),
    [
        pytest.param(["list"], ["e2", "e3"], False, id="all"),
        pytest.param(["list", "posthog", "--limit", "1"], ["e2"], True, id="a page"),
        pytest.param(["list", "jsonl"], [], False, id="of a backend without any"),
        pytest.param(["list", "posthog", "--waiting", "--limit", "2"], ["e4", "e5"], True, id="waiting"),
        pytest.param(["list", "jsonl", "--waiting"], list(EVENTS), False, id="waiting for another"),
    ],
)
def test_list_as_json(
    *,
    arguments: list[str],
    ids: list[str],
    is_more: bool,
    store: SQLiteStore,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(store, *arguments, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    rows = document["waiting" if "--waiting" in arguments else "dead_letters"]
    assert ([each["event_id"] for each in rows], document["is_more"]) == (ids, is_more)


def test_dead_letter_as_json_has_no_event_attributes(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.outbox.requeue("posthog", event_ids=["e2"], limit=1, now=NOW)
    assert run(store, "list", "posthog", "--json") == 0
    first, second = json.loads(capsys.readouterr().out)["dead_letters"]
    assert first.pop("age_ms") >= 0
    assert first == {
        "backend": "posthog",
        "event_id": "e2",
        "name": "page_view",
        "status": 422,
        "is_requeued": True,
        "reason": "too \x1b[2J old",
    }
    assert (second["status"], second["is_requeued"]) == (None, False)


def test_empty_list(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "list", "jsonl") == 0
    assert capsys.readouterr().out == "none\n"


# --- retry


@pytest.mark.parametrize(
    ("chosen", "requeued"),
    [
        pytest.param([], [], id="no dead letter"),
        pytest.param(["--event", "e3"], ["e3"], id="one"),
        pytest.param(
            ["--event", "e3", "--event", "e2", "--event", "e3"], ["e2", "e3"], id="several, one of them twice"
        ),
        pytest.param(["--all"], ["e2", "e3"], id="all"),
    ],
)
def test_retry_requeues_dead_letters_and_ends_the_pause(
    chosen: list[str], requeued: list[str], store: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "retry", "posthog", *chosen) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"posthog: retrying now; {len(requeued)} dead letters requeued",
        "6 recorded = 1 delivered + 2 dead + 0 skipped + 0 dropped + 3 backlog",
    ]
    back = [
        letter.event.id for letter in store.outbox.letters(None, after=0, limit=9) if letter.requeued_at is not None
    ]
    assert back == requeued
    state = store.delivery.state("posthog")
    assert (state.retry_at, state.failures, state.problem) == (None, 0, None)


@pytest.mark.parametrize("event_id", ["e1", "e4", "never there"])
def test_retry_rejects_events_that_are_no_dead_letters(
    event_id: str, store: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "retry", "posthog", "--event", "e2", "--event", event_id) == 1
    assert "1 of the events are not dead letters of posthog" in capsys.readouterr().err
    assert store.delivery.has_requeued("posthog"), "the other one is requeued"


# --- skip


@pytest.mark.parametrize(
    ("chosen", "figures", "code"),
    [
        pytest.param(["--event", "e2"], (1, 1, 1, 3), 0, id="a dead letter"),
        pytest.param(["--event", "e4"], (1, 2, 1, 2), 0, id="the next to be sent"),
        pytest.param(
            ["--event", "e5", "--event", "e4", "--event", "e3"], (1, 1, 3, 1), 0, id="a letter and the next two"
        ),
        pytest.param(["--event", "e5"], (1, 2, 0, 3), 1, id="not the next"),
        pytest.param(["--event", "e5", "--event", "e6"], (1, 2, 0, 3), 1, id="two behind another"),
        pytest.param(["--event", "e1", "--event", "e2"], (1, 1, 1, 3), 1, id="what was delivered, and a letter"),
        pytest.param(["--upto", "5"], (1, 2, 2, 1), 0, id="up to a position"),
        pytest.param(["--upto", "2"], (1, 2, 0, 3), 0, id="up to a position behind the cursor"),
        pytest.param(["--dead"], (1, 0, 2, 3), 0, id="all dead letters"),
        pytest.param(["--all"], (1, 0, 5, 0), 0, id="all"),
    ],
)
def test_skip_skips_the_selected_events_and_figures_add_up(
    chosen: list[str],
    figures: tuple[int, int, int, int],
    code: int,
    store: SQLiteStore,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(store, "skip", "posthog", *chosen, "--json") == code
    out, err = capsys.readouterr()
    document: dict[str, Any] = json.loads(out)
    assert (document["delivered"], document["dead"], document["skipped"], document["backlog"]) == figures
    assert document["skipped"] == document["skipped_waiting"] + document["skipped_dead"]
    assert document["holds"] is True
    assert ("--upto POSITION" in err) is (code == 1)
    assert figures_of(store.delivery.state("posthog")) == figures
    assert figures_of(store.delivery.state("jsonl")) == (0, 0, 0, 6), "other backends are not affected"
    assert store.stats().events == 6, "the store keeps the events"


def test_skip_prints_the_figures(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "skip", "posthog", "--all") == 0
    assert capsys.readouterr().out.splitlines() == [
        "posthog: 5 events skipped (3 waiting, 2 dead letters)",
        "6 recorded = 1 delivered + 0 dead + 5 skipped + 0 dropped + 0 backlog",
    ]


# --- errors


@pytest.mark.parametrize("arguments", [["list", "unknown"], ["retry", "unknown"], ["skip", "unknown", "--all"]])
def test_unknown_backend_is_an_error_that_lists_the_known_ones(
    arguments: list[str], store: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, *arguments) == 1
    assert "has no backend 'unknown'; it has jsonl, posthog" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["list"], ["retry", "b"], ["skip", "b", "--all"], ["drain"]])
def test_missing_store_is_an_error_and_none_is_created(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["outbox", *arguments, "--store", f"sqlite:///{tmp_path / 'none.db'}"]) == 1
    assert "there is no store" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["list", "--waiting"], "name the backend", id="no backend"),
        pytest.param(["list", "--limit", "-1"], "0 or more", id="no number"),
        pytest.param(["skip", "posthog"], "one of the arguments", id="nothing to skip"),
        pytest.param(["skip", "posthog", "--all", "--dead"], "not allowed with", id="two at once"),
        pytest.param(["retry", "posthog", "--all", "--event", "e2"], "not allowed with", id="all and one"),
        pytest.param(["drain", "--timeout", "soon"], "give a duration", id="no duration"),
    ],
)
def test_invalid_arguments_are_errors_with_the_fix(
    arguments: list[str], message: str, store: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    if arguments == ["list", "--waiting"]:
        assert run(store, *arguments) == 1
    else:
        with pytest.raises(SystemExit, match="2"):
            run(store, *arguments)
    assert message in capsys.readouterr().err
    assert figures_of(store.delivery.state("posthog")) == (1, 2, 0, 3)


def test_no_verb_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["outbox"]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in ("list", "retry", "skip", "drain"))
