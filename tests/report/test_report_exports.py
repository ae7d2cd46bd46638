"""Streaming exports of a filter: CSV without formulas, and JSON."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn import identify
from sojourn.report._export import COLUMNS, cell, fields
from tests.report.harness import App, Reader


def fill(app: App, names: list[str]) -> None:
    for number, name in enumerate(names):
        app.view = lambda number=number, name=name: identify(f"user-{number}", name)  # type: ignore[misc]
        app.visit(f"/page-{number}")
        app.clock.advance(1)


def test_csv_and_json_export_the_same_filtered_sessions(app: App, reader: Reader) -> None:
    fill(app, ["Anna", 'Ben "the" one', "Cleo,\nDan"])
    rows = list(csv.DictReader(io.StringIO(reader.get("/sessions.csv").text, newline="")))
    objects = json.loads(reader.get("/sessions.json").text)
    assert [row["user_id"] for row in rows] == [each["user_id"] for each in objects] == ["user-2", "user-1", "user-0"]
    assert tuple(rows[0]) == COLUMNS == tuple(objects[0])
    assert objects[1]["user_name"] == 'Ben "the" one'
    assert (objects[0]["is_open"], objects[0]["page_views"], objects[0]["started_at"][-1]) == (True, 1, "Z")
    assert [each["user_id"] for each in json.loads(reader.get("/sessions.json", user="user-1").text)] == ["user-1"]


def test_empty_export_is_a_header_or_an_empty_list(reader: Reader) -> None:
    assert reader.get("/sessions.csv").text == ",".join(COLUMNS) + "\r\n"
    assert json.loads(reader.get("/sessions.json").text) == []


def test_export_is_an_attachment_with_a_name(reader: Reader) -> None:
    for suffix in ("csv", "json"):
        value = reader.get(f"/sessions.{suffix}").header("content-disposition")
        assert value.startswith('attachment; filename="sessions-')
        assert value.endswith(f'.{suffix}"')


def test_large_export_is_complete(app: App, reader: Reader) -> None:
    fill(app, ["x"] * 300)
    assert len(json.loads(reader.get("/sessions.json").text)) == 300


@pytest.mark.parametrize(
    "value",
    ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "  =1", "\uff1d1", "\x00=1", "|cmd", "%0", "\u200b=1", "\u202e=1"],
)
def test_csv_cell_is_never_a_formula(app: App, reader: Reader, value: str) -> None:
    fill(app, [value])
    (row,) = csv.DictReader(io.StringIO(reader.get("/sessions.csv").text, newline=""))
    assert row["user_name"][0] not in "=+-@\t\r\uff1d\uff0b\uff0d\uff20|%"
    assert str(cell(value))[0] not in "=+-@\t\r\uff1d\uff0b\uff0d\uff20|%"


SEPARATED = [
    'a;=HYPERLINK("x")',
    'a\t=HYPERLINK("x")',
    "a;+1",
    "a;-1",
    "a;@SUM(1)",
    "a; =1",
    "a;\t=1",
    'a;"=1"',
    'a;""=1',
    "a;\uff1d1",
    "a\uff1b=1",
    "a;|cmd",
    "a;b;=1",
    ";=1",
    "a\n=1",
    "a\r\n=1",
    "a;\u00a0=1",
]


def cells_of_a_spreadsheet(text: str, separator: str) -> list[str]:
    """As a spreadsheet splits a row where the list separator is another one: quotes within a cell mean nothing."""
    return [part.lstrip(' "\u00a0\u3000') for part in re.split(f"[{separator}\n\r]", text)]


@pytest.mark.parametrize("value", SEPARATED)
def test_no_part_of_a_cell_is_a_formula_where_another_separator_splits_it(app: App, reader: Reader, value: str) -> None:
    fill(app, [value])
    text = reader.get("/sessions.csv").text
    for separator in (";", "\t", "\u2409", "\uff1b"):
        parts = cells_of_a_spreadsheet(text, separator)
        assert [part for part in parts if part[:1] in tuple("=+-@\uff1d\uff0b\uff0d\uff20|%")] == []


@given(st.text(st.sampled_from("ab;\t\n \"'=+-@|%\uff1d\uff1b\u00a0")))
def test_no_part_of_any_cell_is_a_formula(value: str) -> None:
    for part in cells_of_a_spreadsheet(str(cell(value)), ";\t\uff1b"):
        assert part[:1] not in tuple("=+-@\uff1d\uff0b\uff0d\uff20|%")


@pytest.mark.parametrize("value", ["a; b", "a;b=c", "2026-11-21;x", "Mozilla/5.0 (X11; Linux)", "a=1", "1-2", "a, =1"])
def test_ordinary_text_is_left_alone(value: str) -> None:
    assert cell(value) == value


@given(st.text())
def test_text_cell_never_starts_like_a_formula(value: str) -> None:
    shown = str(cell(value))
    assert shown.lstrip(" ")[:1] not in tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
    assert "\x00" not in shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (True, "true"), (False, "false"), (-5, -5), (0, 0), ("a", "a")]
)
def test_cell_of_other_types(value: str | int | bool | None, shown: str | int) -> None:
    assert cell(value) == shown


def test_columns_are_the_fields() -> None:
    from sojourn.stores.dimensions import NAMES
    from sojourn.stores.reporting.model import SessionLine

    line = SessionLine(
        key="k", session_id="s", visitor_id="v", user_id=None, user_name=None, is_manual=False, started_at=0,
        last_seen_at=0, end_reason=None, requests=0, page_views=0, events=0, tracked_events=0, errors=0,
        client_errors=0, dimensions=dict.fromkeys(NAMES),
    )  # fmt: skip
    assert tuple(fields(line)) == COLUMNS
