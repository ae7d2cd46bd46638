"""What counts as an error of a session."""

from __future__ import annotations

import pytest

from sojourn.core.events import CONNECTION_END, EXCEPTION, LOG, PAGE_VIEW, Scalar
from sojourn.core.failures import errors_in, is_client_error, is_error, is_unexplained
from sojourn.core.records import FAILED, Entry


def page(status: Scalar | None) -> Entry:
    return Entry(PAGE_VIEW, 0, None if status is None else {"http.response.status_code": status})


RAISED, LOGGED, TRACKED = Entry(EXCEPTION, 0), Entry(LOG, 0, {"log.severity": "ERROR"}), Entry("bought", 0)


@pytest.mark.parametrize(
    ("entry", "error", "client_error"),
    [
        pytest.param(RAISED, True, False, id="an exception"),
        pytest.param(page(500), True, False, id="a failed page"),
        pytest.param(page(599), True, False, id="another"),
        pytest.param(page(499), False, True, id="a refused page"),
        pytest.param(page(400), False, True, id="another refused page"),
        pytest.param(page(399), False, False, id="a page"),
        pytest.param(page(None), False, False, id="a page that the beacon reports"),
        pytest.param(page("500"), False, False, id="a status that is no number"),
        pytest.param(LOGGED, False, False, id="a log record"),
        pytest.param(
            Entry(CONNECTION_END, 0, {"http.response.status_code": 500}), False, False, id="the end of a stream"
        ),
        pytest.param(Entry("bought", 0, {"http.response.status_code": 500}), False, False, id="an event of the app"),
    ],
)
def test_what_is_an_error(entry: Entry, *, error: bool, client_error: bool) -> None:
    assert is_error(entry.name, entry.attributes) is error
    assert is_client_error(entry.name, entry.attributes) is client_error


@pytest.mark.parametrize(
    ("entries", "flags", "count", "unexplained"),
    [
        pytest.param((), 0, 0, False, id="nothing"),
        pytest.param((RAISED, RAISED), 0, 2, False, id="two captured exceptions"),
        pytest.param((page(500),), 0, 1, True, id="a failed page"),
        pytest.param((RAISED, page(500)), 0, 1, False, id="an exception and the response it caused"),
        pytest.param((page(500), RAISED), 0, 1, False, id="in the other order"),
        pytest.param((RAISED, RAISED, page(500)), 0, 2, False, id="two exceptions and the response"),
        pytest.param((RAISED, page(404)), 0, 1, False, id="an exception beside a refused page"),
        pytest.param((page(500), page(500)), 0, 2, True, id="two failed pages"),
        pytest.param((LOGGED, TRACKED, page(404)), 0, 0, False, id="what is no error"),
        pytest.param((RAISED,), FAILED, 0, False, id="the exception of a failed page recorded before"),
        pytest.param((RAISED, RAISED), FAILED, 1, False, id="that and another"),
        pytest.param((TRACKED,), FAILED, 0, False, id="no exception after it"),
    ],
)
def test_errors_of_a_record(entries: tuple[Entry, ...], flags: int, count: int, *, unexplained: bool) -> None:
    assert errors_in(entries, flags) == count
    assert is_unexplained(entries) is unexplained
