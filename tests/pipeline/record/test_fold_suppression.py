"""Records of people who left: what an opt-out still ends, and that nothing else of them counts."""

from __future__ import annotations

import pytest

from sojourn.core.records import ACTIVITY, OPT_OUT, STARTS, Entry, Record, Seal
from sojourn.core.session import EndReason, Rules
from sojourn.pipeline.record.fold import Folded, Numbered, fold
from sojourn.pipeline.record.suppression import Suppression
from sojourn.stores.model import VISITOR, DataSubject, Tombstone

NOW = 1_700_000_000_000
FIRST = "018bcfe5-6800-7000-8000-000000000001"
SECOND = "018bcfe5-6800-7000-8000-000000000002"


def start(at: int, key: str = FIRST, *, previous: str | None = None) -> Record:
    reason = None if previous is None else EndReason.IDLE_TIMEOUT
    return Record(
        NOW + at, key, "visitor", NOW + at, ACTIVITY | STARTS, None, previous, NOW, reason, (), {"url.path": "/"}
    )


def opt_out(at: int) -> Record:
    seal = Entry("session.end", NOW + at, seal=Seal(EndReason.OPTED_OUT, NOW + at))
    return Record(NOW + at, FIRST, "visitor", NOW, OPT_OUT, entries=(Entry("opt_out", NOW + at), seal))


def late_end(at: int) -> Record:
    seal = Entry("session.end", NOW + at, seal=Seal(EndReason.ENDED, NOW + at))
    return Record(NOW + at, FIRST, "visitor", NOW, ACTIVITY, entries=(Entry("bought", NOW + at), seal))


def folded(*records: Record, suppression: Suppression | None = None) -> Folded:
    numbered = [Numbered(f"journal:{number:04d}", record) for number, record in enumerate(records)]
    return fold(numbered, {}, Rules(), defaults={}, suppression=suppression)


def test_an_opt_out_makes_its_event_and_the_end() -> None:
    out = folded(start(0), opt_out(5))
    assert [event.name for event in out.events] == ["session.start", "opt_out", "session.end"]
    assert out.opted_out == {"visitor": NOW + 5}


@pytest.mark.parametrize(
    ("later", "names"),
    [
        pytest.param(late_end(9), ["session.start", "session.end"], id="an end by a call"),
        pytest.param(
            start(9, SECOND, previous=FIRST), ["session.start", "session.end"], id="the end that a successor knows"
        ),
        pytest.param(start(9, SECOND), ["session.start"], id="a new session"),
    ],
)
def test_after_an_opt_out_only_ends_of_started_sessions_count(later: Record, names: list[str]) -> None:
    known = Suppression({DataSubject(VISITOR, "visitor"): Tombstone(at=NOW + 5, is_for_good=True)})
    rows = folded(start(0)).rows
    out = fold([Numbered("b:1", later)], rows, Rules(), defaults={}, suppression=known)
    assert ["session.start", *(event.name for event in out.events)] == names
    assert out.counts["records.opted_out"] == 1


def test_a_record_from_before_an_erasure_does_not_count() -> None:
    known = Suppression({DataSubject(VISITOR, "visitor"): Tombstone(at=NOW + 5, is_for_good=False)})
    out = folded(start(0), suppression=known)
    assert (out.events, out.counts["records.erased"]) == ([], 1)
