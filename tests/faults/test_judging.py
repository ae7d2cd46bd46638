"""The judge of the fault suite finds what it has to find: each way to go wrong, distinguished from a run without faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from .judging import Fact, Verdict, judge
from .truth import Step

IDLE_MS = 4_000.0
Facts = list[Fact]
Change = Callable[[Facts, Facts], object]
NOTHING: Mapping[str, str | int] = {}


def steps() -> list[Step]:
    """One visitor: three pages, a user and a cart among them, a silence of twice the idle timeout, and one more page."""
    return [
        Step(serial=1, visitor=1, sent_at=10_000, responded_at=10_010, status=200, session="a"),
        Step(serial=2, visitor=1, sent_at=10_100, responded_at=10_110, status=200, session="a", user="jo"),
        Step(serial=3, visitor=1, sent_at=10_200, responded_at=10_210, status=200, session="a", cart=3),
        Step(serial=4, visitor=1, sent_at=18_300, responded_at=18_310, status=200, session="b", ends=True),
    ]


def facts() -> Facts:
    """What a store and a backend have after that."""
    found = []
    for step in steps():
        session, at = str(step.session), step.sent_at + 5
        found += [
            Fact(
                id=f"step-{step.serial}",
                name="step",
                session=session,
                at=at,
                attributes={"event_properties.serial": step.serial},
            ),
            Fact(
                id=f"view-{step.serial}",
                name="page_view",
                session=session,
                at=at,
                attributes={"url.path": f"/page/{step.serial}"},
            ),
        ]
    user_attributes: dict[str, str | int] = {"user.id": "jo", "session_properties.cart": 3}
    return [
        *found,
        Fact(id="start-a", name="session.start", session="a", at=10_005, attributes={}),
        Fact(id="start-b", name="session.start", session="b", at=18_305, attributes={}),
        Fact(id="jo", name="user.identify", session="a", at=10_105, attributes={"user.id": "jo"}),
        end("a", at=10_205, pages=3, lasted=200, reason="idle_timeout", extra=user_attributes),
        end("b", at=18_305, pages=1, lasted=0, reason="ended"),
    ]


def end(
    session: str, *, at: float, pages: int, lasted: int, reason: str, extra: Mapping[str, str | int] = NOTHING
) -> Fact:
    attributes: dict[str, str | int | float | bool] = {
        "session.page_views": pages,
        "session.duration_ms": lasted,
        "session.end_reason": reason,
        **extra,
    }
    return Fact(id=f"end-{session}", name="session.end", session=session, at=at, attributes=attributes)


def drop(id_: str, *places: Facts) -> None:
    for of in places:
        of[:] = [fact for fact in of if fact.id != id_]


def change(of: Facts, id_: str, **attributes: str | int) -> None:
    of[:] = [replace(fact, attributes={**fact.attributes, **attributes}) if fact.id == id_ else fact for fact in of]


def move(of: Facts, id_: str, session: str) -> None:
    of[:] = [replace(fact, session=session) if fact.id == id_ else fact for fact in of]


def judged(made: list[Step], logged: Facts, taken: Facts, *, refused: frozenset[str] = frozenset()) -> Verdict:
    return judge([made], logged, taken, idle_ms=IDLE_MS, refused=refused)


def test_a_faultless_run_has_no_findings() -> None:
    verdict = judged(steps(), facts(), facts())
    assert (verdict.lost, verdict.twice, verdict.wrong) == ([], [], [])
    assert (verdict.sessions_true, verdict.sessions_recorded, verdict.starts, verdict.ends) == (2, 2, 2, 2)


@pytest.mark.parametrize(
    "change_it",
    [
        pytest.param(lambda log, taken: drop("step-2", log, taken), id="an event nowhere"),
        pytest.param(lambda log, taken: drop("step-2", taken), id="an event that the backend never got"),
        pytest.param(lambda log, taken: drop("view-4", taken), id="a page view that the backend never got"),
        pytest.param(lambda log, taken: drop("start-a", log, taken), id="no start"),
        pytest.param(lambda log, taken: drop("end-b", taken), id="an end that the backend never got"),
        pytest.param(lambda log, taken: drop("jo", log, taken), id="a user without an event"),
    ],
)
def test_a_missing_event_is_lost(change_it: Change) -> None:
    log, taken = facts(), facts()
    change_it(log, taken)
    verdict = judged(steps(), log, taken)
    assert len(verdict.lost) == 1
    assert (verdict.twice, verdict.wrong) == ([], [])


@pytest.mark.parametrize("id_", ["step-3", "view-1", "start-a", "end-b", "jo"])
def test_one_event_under_two_ids_is_a_duplicate(id_: str) -> None:
    log = facts()
    (found,) = (fact for fact in log if fact.id == id_)
    taken = [*log, replace(found, id="another")]
    verdict = judged(steps(), log, taken)
    assert len(verdict.twice) == 1


def test_an_event_that_the_store_does_not_have_is_wrong() -> None:
    log, taken = facts(), facts()
    drop("jo", log)
    log.append(Fact(id="jo-2", name="user.identify", session="a", at=10_105, attributes={"user.id": "jo"}))
    assert any("does not have" in complaint for complaint in judged(steps(), log, taken).wrong)


@pytest.mark.parametrize(
    ("change_it", "says"),
    [
        pytest.param(lambda log: move(log, "step-2", "c"), "should have continued", id="a visit split in two"),
        pytest.param(lambda log: move(log, "step-4", "a"), "should have started", id="two visits as one"),
        pytest.param(lambda log: change(log, "end-a", **{"session.page_views": 2}), "3 pages", id="too few pages"),
        pytest.param(lambda log: change(log, "end-a", **{"user.id": "al"}), "another user", id="another user"),
        pytest.param(
            lambda log: change(log, "end-a", **{"session_properties.cart": 2}), "another cart", id="another property"
        ),
        pytest.param(
            lambda log: change(log, "end-b", **{"session.end_reason": "idle_timeout"}), "ended as", id="another reason"
        ),
        pytest.param(
            lambda log: change(log, "end-a", **{"session.duration_ms": 4_200}), "lasted", id="an end at the timeout"
        ),
        pytest.param(
            lambda log: change(log, "step-4", **{"event_properties.serial": 99}), "no request", id="a made-up event"
        ),
    ],
)
def test_an_event_that_contradicts_the_visitor_is_wrong(change_it: Callable[[Facts], None], says: str) -> None:
    log = facts()
    change_it(log)
    assert any(says in complaint for complaint in judged(steps(), log, log).wrong)


def test_an_end_dated_when_it_was_noticed_is_wrong() -> None:
    log = [replace(fact, at=14_205) if fact.id == "end-a" else fact for fact in facts()]
    assert any("after its last request" in complaint for complaint in judged(steps(), log, log).wrong)


def test_a_request_without_a_response_may_be_recorded_or_not() -> None:
    made = steps()
    made[2].responded_at, made[2].status, made[2].session = None, 0, None
    with_it = facts()
    without = facts()
    for id_ in ("step-3", "view-3"):
        drop(id_, without)
    for log in (with_it, without):
        verdict = judged(made, log, log)
        assert (verdict.lost, verdict.wrong) == ([], [])


def test_a_rejected_event_is_not_lost() -> None:
    log, taken = facts(), facts()
    drop("step-2", taken)
    assert judged(steps(), log, taken, refused=frozenset({"step-2"})).lost == []


@pytest.mark.parametrize(
    ("pause", "may_go_on", "may_split"),
    [
        pytest.param(3_000, True, False, id="well under the idle timeout"),
        pytest.param(3_800, True, True, id="within the cookie's granularity of it"),
        pytest.param(4_200, False, True, id="over it"),
    ],
)
def test_a_pause_of_about_the_idle_timeout(pause: int, may_go_on: bool, may_split: bool) -> None:
    made = steps()
    made[3].sent_at, made[3].responded_at = 10_200 + pause, 10_201 + pause
    as_two = facts()
    as_one = facts()
    for id_ in ("step-4", "view-4"):
        move(as_one, id_, "a")
    phrases = ("should have started", "should have continued")

    def complaints(log: Facts) -> list[str]:
        return [text for text in judged(made, log, log).wrong if any(part in text for part in phrases)]

    assert (complaints(as_one) == []) is may_go_on
    assert (complaints(as_two) == []) is may_split


def test_a_request_without_a_response_may_have_begun_the_visit_after_it() -> None:
    """Its cookie never arrived, and the next request derives the same session from the one before."""
    cut = Step(serial=9, visitor=1, sent_at=18_000)
    made = [*steps()[:3], cut, steps()[3]]
    log = [fact for fact in facts() if fact.id not in {"start-b", "end-b"}]
    log += [
        Fact(id="start-b", name="session.start", session="b", at=18_005, attributes={}),
        Fact(id="view-9", name="page_view", session="b", at=18_005, attributes={"url.path": "/page/9"}),
        end("b", at=18_305, pages=2, lasted=300, reason="ended"),
    ]
    verdict = judged(made, log, log)
    assert (verdict.lost, verdict.twice, verdict.wrong) == ([], [], [])
    without = [fact for fact in log if fact.id != "view-9"]
    assert judged(steps(), without, without).wrong == ["b had 1 pages, but its end says 2"]
