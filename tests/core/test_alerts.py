"""When figures are worth an alert."""

from __future__ import annotations

import pytest

from sojourn.core.alerts import Finding, Reading, Thresholds, findings

WATCHED = Thresholds(spike=3, drop=0.5, errors=0.1, nothing=3_600_000)


def reading(
    sessions: int = 100, before: tuple[int, ...] = (100,), errors: int = 0, silent_ms: int | None = 0
) -> Reading:
    return Reading(sessions=sessions, before=before, error_sessions=errors, silent_ms=silent_ms)


def states(found: dict[str, Finding]) -> dict[str, str]:
    return {name: "over" if each.is_over else "clear" if each.is_clear else "between" for name, each in found.items()}


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        pytest.param(reading(), {"spike": "clear", "drop": "clear", "errors": "clear", "nothing": "clear"}, id="calm"),
        pytest.param(reading(300), {"spike": "over"}, id="a spike"),
        pytest.param(reading(299), {"spike": "between"}, id="nearly a spike"),
        pytest.param(reading(239), {"spike": "clear"}, id="far from a spike"),
        pytest.param(reading(50), {"drop": "over"}, id="a drop"),
        pytest.param(reading(60), {"drop": "between"}, id="nearly a drop"),
        pytest.param(reading(61), {"drop": "clear"}, id="far from a drop"),
        pytest.param(reading(19, (1, 2)), {"spike": "between"}, id="a quiet site has no spike"),
        pytest.param(reading(20, (1, 2)), {"spike": "over"}, id="a quiet site that is quiet no more"),
        pytest.param(reading(errors=10), {"errors": "over"}, id="errors"),
        pytest.param(reading(errors=9), {"errors": "between"}, id="nearly too many errors"),
        pytest.param(reading(silent_ms=3_600_000), {"nothing": "over"}, id="nothing for an hour"),
        pytest.param(reading(silent_ms=3_599_999), {"nothing": "clear"}, id="nothing for nearly an hour"),
    ],
)
def test_findings(read: Reading, expected: dict[str, str]) -> None:
    found = states(findings(WATCHED, read))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("read", "left_out"),
    [
        pytest.param(reading(before=()), {"spike", "drop"}, id="no day before"),
        pytest.param(reading(before=(3, 2, 19)), {"drop"}, id="a quiet site has no drop"),
        pytest.param(reading(19), {"errors"}, id="few sessions have no share"),
        pytest.param(reading(silent_ms=None), {"nothing"}, id="nothing was ever recorded"),
    ],
)
def test_what_cannot_be_judged_is_left_out(read: Reading, left_out: set[str]) -> None:
    assert {"spike", "drop", "errors", "nothing"} - findings(WATCHED, read).keys() == left_out


def test_only_what_is_watched_is_judged() -> None:
    assert findings(Thresholds(), reading()) == {}
    assert not Thresholds()
    assert Thresholds(drop=0.5)


def test_usual_is_the_median_of_the_days() -> None:
    assert reading(before=(1, 9, 2)).usual == 2
    assert reading(before=(1, 9, 2, 4)).usual == 3
    assert reading(before=()).usual is None


def test_the_figures_are_in_the_text() -> None:
    found = findings(WATCHED, reading(300, (90, 100, 110), errors=45, silent_ms=7_200_000))
    assert found["spike"].text == "300 sessions in the last hour, usual at this time: 100"
    assert found["errors"].text == "15.0 % of the 300 sessions of the last hour met an error"
    assert found["nothing"].text == "nothing was recorded for 120 minutes"
    assert findings(WATCHED, reading())["nothing"].text == "records arrive"
