"""What a status and a `Retry-After` mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends.outcomes import (
    Delivered,
    Pause,
    Reject,
    Response,
    RetryLater,
    Split,
    outcome_of_status,
    retry_after,
)

MOMENT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NOW = MOMENT.timestamp()


def http_date(**ahead: float) -> str:
    return format_datetime(MOMENT + timedelta(**ahead), usegmt=True)


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        pytest.param(Delivered, [200, 201, 202, 204, 299], id="taken"),
        pytest.param(RetryLater, [408, 425, 429, 500, 502, 503, 504, 507, 599], id="later"),
        pytest.param(Pause, [300, 301, 302, 304, 307, 308], id="redirects"),
        pytest.param(Pause, [401, 402, 403, 404, 405, 407, 410, 415], id="needs the operator"),
        pytest.param(Split, [400, 413, 422], id="smaller calls may pass"),
        pytest.param(Reject, [406, 409, 411, 418, 431, 451], id="never"),
    ],
)
def test_status_classes(kind: type, statuses: list[int]) -> None:
    assert [type(outcome_of_status(Response(status=status), now=NOW)) for status in statuses] == [kind] * len(statuses)


@given(st.integers(200, 599))
def test_every_status_has_an_outcome_and_every_pause_says_what_to_do(status: int) -> None:
    outcome = outcome_of_status(Response(status=status), now=NOW)
    if isinstance(outcome, Pause):
        assert outcome.reason.startswith(f"HTTP {status}: ")
        assert ";" in outcome.reason


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param(None, None, id="absent"),
        pytest.param("", None, id="empty"),
        pytest.param("120", 120.0, id="seconds"),
        pytest.param(" 7 ", 7.0, id="spaces"),
        pytest.param("1.5", 1.5, id="fraction"),
        pytest.param("0", None, id="at once is no wish"),
        pytest.param("-5", None, id="negative"),
        pytest.param("86400", 3600.0, id="at most an hour"),
        pytest.param("9" * 5000, 3600.0, id="absurd"),
        pytest.param("٣", None, id="digits of another script"),
        pytest.param("nan", None, id="nan"),
        pytest.param("soon", None, id="words"),
        pytest.param(http_date(seconds=90), 90.0, id="date"),
        pytest.param(http_date(seconds=90).replace("GMT", "-0000"), 90.0, id="date without a zone"),
        pytest.param(http_date(days=2), 3600.0, id="date far ahead"),
        pytest.param(http_date(seconds=-1), None, id="date in the past"),
        pytest.param("Sat, 99 Jan 2026 12:00:00 GMT", None, id="no such day"),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=NOW) == seconds


@given(st.text(max_size=60))
def test_any_retry_after_is_bounded_and_raises_nothing(value: str) -> None:
    seconds = retry_after(value, now=NOW)
    assert seconds is None or 0 < seconds <= 3600
