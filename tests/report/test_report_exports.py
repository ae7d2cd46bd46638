"""Exports: all of a filter, as CSV that no spreadsheet runs and as JSON, sent while it is read."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn import identify
from sojourn.report._export import COLUMNS, cell, fields
from tests.report.harness import App, Reader


def filled(app: App, names: list[str]) -> None:
    for number, name in enumerate(names):
        app.view = lambda number=number, name=name: identify(f"user-{number}", name)  # type: ignore[misc]
        app.visit(f"/page-{number}")
        app.clock.advance(1)


def test_csv_and_json_tell_the_same_and_only_what_the_filter_finds(app: App, reader: Reader) -> None:
    filled(app, ["Anna", 'Ben "the" one', "Cleo,\nDan"])
    rows = list(csv.DictReader(io.StringIO(reader.get("/sessions.csv").text, newline="")))
    objects = json.loads(reader.get("/sessions.json").text)
    assert [row["user_id"] for row in rows] == [each["user_id"] for each in objects] == ["user-2", "user-1", "user-0"]
    assert tuple(rows[0]) == COLUMNS == tuple(objects[0])
    assert objects[1]["user_name"] == 'Ben "the" one'
    assert (objects[0]["is_open"], objects[0]["page_views"], objects[0]["started_at"][-1]) == (True, 1, "Z")
    assert [each["user_id"] for each in json.loads(reader.get("/sessions.json", user="user-1").text)] == ["user-1"]


def test_nothing_found_is_a_head_and_an_empty_list(reader: Reader) -> None:
    assert reader.get("/sessions.csv").text == ",".join(COLUMNS) + "\r\n"
    assert json.loads(reader.get("/sessions.json").text) == []


def test_an_export_is_a_file_with_a_name(reader: Reader) -> None:
    for ending in ("csv", "json"):
        told = reader.get(f"/sessions.{ending}").header("content-disposition")
        assert told.startswith('attachment; filename="sessions-')
        assert told.endswith(f'.{ending}"')


def test_a_large_export_comes_in_parts(app: App, reader: Reader) -> None:
    filled(app, ["x"] * 300)
    assert len(json.loads(reader.get("/sessions.json").text)) == 300


@pytest.mark.parametrize(
    "told",
    ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "  =1", "\uff1d1", "\x00=1", "|cmd", "%0", "\u200b=1", "\u202e=1"],
)
def test_no_cell_is_a_formula(app: App, reader: Reader, told: str) -> None:
    filled(app, [told])
    (row,) = csv.DictReader(io.StringIO(reader.get("/sessions.csv").text, newline=""))
    assert row["user_name"][0] not in "=+-@\t\r\uff1d\uff0b\uff0d\uff20|%"
    assert str(cell(told))[0] not in "=+-@\t\r\uff1d\uff0b\uff0d\uff20|%"


@given(st.text())
def test_a_cell_of_text_begins_with_nothing_that_counts(told: str) -> None:
    shown = str(cell(told))
    assert shown.lstrip(" ")[:1] not in tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
    assert "\x00" not in shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (True, "true"), (False, "false"), (-5, -5), (0, 0), ("a", "a")]
)
def test_a_cell_of_anything_else_is_what_it_is(value: str | int | bool | None, shown: str | int) -> None:
    assert cell(value) == shown


def test_the_columns_are_the_fields() -> None:
    from sojourn.stores.reporting.model import SessionLine

    line = SessionLine(
        key="k", session_id="s", visitor_id="v", user_id=None, user_name=None, is_manual=False, started_at=0,
        last_seen_at=0, end_reason=None, requests=0, page_views=0, events=0, errors=0, entry_path=None, exit_path=None,
        referrer=None, browser=None, system=None, device=None,
    )  # fmt: skip
    assert tuple(fields(line)) == COLUMNS
