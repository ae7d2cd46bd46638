"""Tables fit the terminal, whatever text they hold; in a pipe and with `--wide` they are as wide as their text."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.cli._output import Paint, cell
from sojourn.cli._tables import Screen, cut, width
from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch
from tests.cli.terminal import run_in_terminal
from tests.stores.contract.steps import event, row, save

HEADS = ["name", "path", "count", "state"]
ROWS = [HEADS, ["anna", "/shop/" + "x" * 40, "12", "open"], ["日本語の名前", "-", "3", "ended"]]
LEFT = frozenset({0, 1, 3})
KEY = "018bcfe5-6800-752b-9d58-1ebdba382142"
HOSTILE = "/\x1b[2J\u202e\t日本語" + "x" * 300


def plain(columns: int | None) -> Screen:
    return Screen(Paint(is_on=False), columns)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        pytest.param("anna", 4, id="plain"),
        pytest.param("日本", 4, id="wide"),
        pytest.param("ｱ", 1, id="half-width"),
        pytest.param("e\u0301", 1, id="accent of its own"),
        pytest.param("👍", 2, id="emoji"),
        pytest.param("\u1112\u1161\u11ab", 2, id="a syllable in three signs"),
        pytest.param("\x1b[32mok\x1b[0m", 2, id="colour"),
    ],
)
def test_width(text: str, columns: int) -> None:
    assert width(text) == columns


def test_cut_ends_a_colour_and_splits_no_wide_character() -> None:
    assert cut("\x1b[32mhealthy\x1b[0m", 4) == "\x1b[32mhea…\x1b[0m"
    assert cut("日本語", 4) == "日…"
    assert cut("日本語", 6) == "日本語"


def test_a_table_that_fits_is_aligned_by_what_is_seen() -> None:
    assert (
        plain(120).table(ROWS, left=LEFT)
        == plain(None).table(ROWS, left=LEFT)
        == [
            "  name          path                                            count  state",
            f"  anna          /shop/{'x' * 40}     12  open",
            "  日本語の名前  -                                                   3  ended",
        ]
    )


def test_columns_are_cut_then_left_out_then_the_rows_are_cards() -> None:
    rows = [["id", *HEADS], *(["i" * 70, *each] for each in ROWS[1:])]
    left, whole = frozenset({0, 1, 2, 4}), frozenset({0})
    assert (
        plain(115).table(rows, left=left, whole=whole)[1] == f"  {'i' * 70}  anna          /shop/xxxxxx…     12  open"
    )
    without = plain(100).table(rows, left=left, whole=whole, optional=[2])
    assert without[0] == f"  id{' ' * 68}  name          count  state"
    cards = plain(100).table(rows, left=left, whole=whole)
    assert cards[:6] == [
        f"  id     {'i' * 70}",
        "  name   anna",
        f"  path   /shop/{'x' * 40}",
        "  count  12",
        "  state  open",
        "",
    ]
    assert cards[7:] == ["  name   日本語の名前", "  count  3", "  state  ended"]  # what is empty has no line


def test_below_100_columns_nothing_is_cut() -> None:
    lines = plain(60).table(ROWS, left=LEFT)
    assert "".join(lines).count("x") == 40
    assert "…" not in "".join(lines)


@given(
    st.integers(min_value=40, max_value=250),
    st.lists(st.lists(st.text(max_size=90).map(cell), min_size=4, max_size=4), min_size=1, max_size=4),
)
def test_no_line_is_wider_than_the_terminal(columns: int, rows: list[list[str]]) -> None:
    for line in plain(columns).table([HEADS, *rows], left=LEFT):
        assert width(line) <= columns
        assert line.isprintable()


@given(st.integers(min_value=20, max_value=80), st.text(max_size=300).map(cell))
def test_folded_text_keeps_every_word(columns: int, text: str) -> None:
    lines = plain(columns).lines(text, indent="  ")
    assert all(width(line) <= columns for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


# --- a real terminal


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of two sessions; one has hostile text wherever visitors can write some."""
    folder = tmp_path_factory.mktemp("tables")
    store = SQLiteStore(folder / "sojourn.db")
    plain_row = replace(row(KEY), session_id=KEY, entry_path="/shop", exit_path="/shop/cart", user_id="anna")
    hostile = replace(row("h"), entry_path=HOSTILE, exit_path=HOSTILE, user_id="日本語" * 20, user_name=HOSTILE)
    save(store, Batch(rows=[plain_row, hostile], events=[event("e")]))
    store.close()
    return folder


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_sessions_fit_every_terminal(columns: int, folder: Path) -> None:
    shown = run_in_terminal(["sessions", "list"], columns=columns, folder=folder)
    lines = shown.splitlines()
    assert max(map(width, lines)) <= columns
    assert re.findall(r"\x1b(?!\[\d+m)|[\u202e\t]", shown) == []  # colours alone
    assert KEY in "".join(lines).replace("\n", "").replace(" ", "")
    is_table = lines[0].split()[:2] == ["session", "started"]
    assert is_table is (columns >= 120)
    assert any(line.strip().startswith("entry ") for line in lines) is not is_table


def test_wide_is_as_in_a_pipe(folder: Path) -> None:
    command = [sys.executable, "-m", "sojourn", "sessions", "list"]
    piped = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    assert max(map(width, piped.splitlines())) > 140
    wide = run_in_terminal(["sessions", "list", "--wide"], columns=80, folder=folder)
    assert re.sub(r"\x1b\[\d+m", "", wide) == piped


@pytest.mark.parametrize("command", [["status"], ["stats", "--since", "2020-01-01"], ["tokens", "list"]])
def test_pages_fit_a_narrow_terminal(command: list[str], folder: Path) -> None:
    shown = run_in_terminal(command, columns=80, folder=folder)
    assert shown != ""
    assert max(map(width, shown.splitlines())) <= 80
