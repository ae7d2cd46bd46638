"""What every store must keep to for the recorder and the sweeper: sessions and positions."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sojourn.core.events import Position
from sojourn.core.session import EndReason
from sojourn.errors import StoreError
from sojourn.stores.model import VISITOR, Batch, DataSubject, PositionMoved, SessionNote, WaitingRow
from sojourn.stores.protocol import Store
from sojourn.stores.rows import PropertyValue, SessionRow

from .steps import DAY, NOW, ended, event, load, mark, row, save, silent


class RecordingContract:
    """Part of `StoreContract`, which has the fixture."""

    # --- sessions

    def test_the_open_session_of_a_visitor_is_found(self, store: Store) -> None:
        first, second, closed, other = (row(name, NOW + place) for place, name in enumerate(("a", "b", "c", "d")))
        for each in (first, second, closed):
            each.visitor_id = "anna"
        other.visitor_id = "ben"
        save(store, Batch(rows=[first, second, ended(closed, "e"), other]))
        with store.records.recording() as transaction:
            assert transaction.in_progress(["anna", "ben", "nobody"]) == {"anna": "b", "ben": "d"}
            transaction.save(Batch())

    def test_a_row_comes_back_as_it_was_saved(self, store: Store) -> None:
        full = SessionRow(
            key="k",
            session_id="1234567890",
            visitor_id="v",
            is_manual=True,
            started_at=NOW,
            last_seen_at=NOW + 5,
            activity=[NOW + 5, NOW],
            previous_key="p",
            previous_id="pid",
            previous_reason=EndReason.USER_CHANGED,
            previous_seen_at=NOW - 9,
            sealed_at=NOW + 7,
            sealed_reason=EndReason.ENDED,
            sealed_seen_at=NOW + 5,
            end_reason=EndReason.MAX_DURATION,
            end_revision=2,
            end_event_id="e",
            revision=7,
            logouts=2,
            anchor=NOW,
            slot=4,
            user_id="null",
            user_name="true",
            user_traits={"plan": "1", "age": 41, "share": 0.5, "paid": False},
            user_at=NOW + 1,
            user_rid="r:1",
            is_user_explicit=True,
            is_user_inherited=True,
            is_tagged=True,
            tagged_at=NOW + 2,
            tagged_rid="r:2",
            requests=1,
            page_views=2,
            errors=3,
            events=4,
            late=5,
            user_conflicts=6,
            entry_path="/'\"\\\n",
            exit_path="/out",
            exit_at=NOW + 3,
            referrer="https://search.example/",
            browser="Firefox",
            system="Linux",
            device="desktop",
            utm_source="mail",
            utm_medium="newsletter",
            utm_campaign="spring",
            utm_term="shoes",
            utm_content="top",
            origin={"user_agent.original": "Mozilla/5.0 (\x1b[2J)", "client.address": "2001:db8::"},
            origin_at=NOW,
            origin_rid="r:0",
            no_forward=True,
        )
        save(store, Batch(rows=[full, row("plain")]))
        assert load(store, "k", "plain", "unknown").rows == {"k": full, "plain": row("plain")}

    @pytest.mark.parametrize("change", SessionRow.__struct_fields__[1:])
    def test_every_field_of_a_row_can_change(self, store: Store, change: str) -> None:
        others: dict[type, object] = {bool: True, int: NOW + 99, str: "other", list: [1], dict: {"a": 1}}
        reasons = ("previous_reason", "sealed_reason", "end_reason")
        save(store, Batch(rows=[row("k")]))
        with store.records.recording() as recording:
            changed = recording.load(["k"]).rows["k"]
            before = getattr(changed, change)
            kind = dict if change == "user_traits" else str if before is None else type(before)
            value = (
                EndReason.ENDED if change in reasons else NOW if change in {"sealed_at", "exit_ms"} else others[kind]
            )
            if change == "properties":
                value = {"session_properties.plan": PropertyValue("pro", NOW, "a:1")}
            setattr(changed, change, value)
            recording.save(Batch(rows=[changed]))
        assert getattr(load(store, "k").rows["k"], change) == value
        assert load(store, "k").rows["k"] == changed

    def test_traits_changed_in_place_are_saved(self, store: Store) -> None:
        tagged = row("k")
        tagged.user_traits = {"plan": "free"}
        save(store, Batch(rows=[tagged]))
        with store.records.recording() as recording:
            found = recording.load(["k"]).rows["k"]
            assert found.user_traits is not None
            found.user_traits["plan"] = "team"
            recording.save(Batch(rows=[found]))
        assert load(store, "k").rows["k"].user_traits == {"plan": "team"}

    def test_a_save_ends_its_transaction(self, store: Store) -> None:
        def save_and_go_on() -> None:
            with store.records.recording() as recording:
                recording.save(Batch(rows=[row("k")]))
                assert store.stats().sessions == 1
                recording.load(["k"])

        with pytest.raises(StoreError, match="has ended"):
            save_and_go_on()
        assert load(store, "k").rows["k"] == row("k")

    def test_successors_are_loaded_however_many_sessions_later(self, store: Store) -> None:
        chain = [row("a"), row("b", previous="a"), row("c", previous="b"), row("d", previous="c"), row("x")]
        save(store, Batch(rows=chain))
        assert set(load(store, successors_of=["a"]).rows) == {"b", "c", "d"}
        assert set(load(store, "a", "x", successors_of=["c", "b"]).rows) == {"a", "x", "c", "d"}
        assert set(load(store, successors_of=["d", "unknown"]).rows) == set()

    def test_a_failed_block_leaves_nothing(self, store: Store) -> None:
        def load_and_fail() -> None:
            with store.records.recording() as recording:
                recording.load(["k"], people=[DataSubject(VISITOR, "visitor")])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            load_and_fail()
        assert (load(store, "k").rows, store.records.marks(), store.log.head()) == ({}, {}, Position())
        assert store.stats().counters == {}

    def test_silent_gives_open_sessions_longest_silent_first(self, store: Store) -> None:
        rows = [row(str(n), NOW - n, seen=NOW + (n * 7) % 5) for n in range(5)]
        save(store, Batch(rows=[*rows, ended(row("ended", NOW - 9), "e")]))
        expected = [each.key for each in sorted(rows, key=lambda each: each.last_seen_at)]
        assert silent(store, seen=NOW + 9) == expected
        assert silent(store, seen=NOW + 9, limit=2) == expected[:2]
        assert silent(store, seen=NOW + 1) == expected[:2], "inclusive"

    def test_silent_gives_sessions_that_are_too_long(self, store: Store) -> None:
        save(store, Batch(rows=[row("long", NOW - 100, seen=NOW), row("short", NOW - 99, seen=NOW)]))
        assert silent(store, seen=NOW - 50, started=NOW - 100) == ["long"]
        assert silent(store, seen=NOW - 50) == []
        assert silent(store, seen=NOW, started=NOW) == ["long", "short"], "what is over twice is there once"

    def test_manual_sessions_have_a_silence_of_their_own(self, store: Store) -> None:
        manual = [row(f"m{n}", NOW - 100 + n) for n in range(3)]
        for each in manual:
            each.is_manual = True
        save(store, Batch(rows=[*manual, row("a", NOW - 50)]))
        assert len(silent(store, seen=NOW)) == 4
        assert silent(store, seen=NOW, started=NOW, manual=NOW - 101, limit=3) == ["a"]
        assert silent(store, seen=NOW, manual=NOW - 100) == ["m0", "a"]

    # --- positions

    def test_marks_are_kept(self, store: Store) -> None:
        marks = [mark("a", 5, heard_at=NOW + 1), mark("b", 7, recorded_until=NOW - 9, heard_at=NOW)]
        save(store, Batch(marks=[(each, 0) for each in marks]))
        assert store.records.marks() == {each.journal: each for each in marks}
        save(store, Batch(marks=[(mark("a", 6, heard_at=NOW), 5)]))
        assert store.records.marks() == {"a": mark("a", 6, heard_at=NOW), "b": marks[1]}

    @pytest.mark.parametrize(
        ("moved", "before"),
        [
            pytest.param("a", 0, id="applied from the beginning by another"),
            pytest.param("a", 4, id="applied further by another"),
            pytest.param("a", 6, id="never was there"),
            pytest.param("unknown", 3, id="a journal that the store does not know"),
            pytest.param("gone", 0, id="a journal that is gone, from its beginning"),
            pytest.param("gone", 8, id="a journal that is gone, from where it was"),
        ],
    )
    def test_a_moved_position_rolls_all_back(self, store: Store, moved: str, before: int) -> None:
        save(store, Batch(marks=[(mark("a", 5), 0), (mark("b", 5), 0), (mark("gone", 8), 0)]))
        store.records.forget_journals(["gone"])
        known = store.records.marks()
        assert set(known) == {"a", "b"}
        batch = Batch(
            rows=[row("k")],
            events=[event("e")],
            counts={"n": 1},
            marks=[(mark("b", 9), 5), (mark(moved, 9), before), (mark("new", 9), 0)],
        )
        with pytest.raises(PositionMoved):
            save(store, batch)
        assert store.records.marks() == known
        assert load(store, "k").rows == {}
        assert (store.stats().counters, store.stats().events) == ({}, 0)

    def test_recorded_until_is_the_least_of_those_heard_of(self, store: Store) -> None:
        assert store.records.recorded_until(now=NOW, silent_after=100) is None
        marks = [
            mark("busy", 1, recorded_until=NOW - 500, heard_at=NOW - 100),
            mark("idle", 1, recorded_until=NOW - 5, heard_at=NOW - 5),
            mark("dead host", 1, recorded_until=NOW - 900, heard_at=NOW - 101),
        ]
        save(store, Batch(marks=[(each, 0) for each in marks]))
        assert store.records.recorded_until(now=NOW, silent_after=100) == NOW - 500, "a backlog holds the sweeper back"
        store.records.forget_journals(["busy"])
        assert store.records.recorded_until(now=NOW, silent_after=100) == NOW - 5
        assert store.records.recorded_until(now=NOW + 96, silent_after=100) is None

    # --- what the workers of other hosts need

    def notes(
        self, store: Store, *besides: str, after: int = NOW - 1, heard: int = NOW, limit: int = 9
    ) -> list[str] | None:
        found = store.records.notes(seen_after=after, heard_since=heard, besides=besides, limit=limit)
        return None if found is None else [note.key for note in found]

    def test_notes_are_read_only_where_another_host_writes(self, store: Store) -> None:
        save(store, Batch(rows=[row("a")], marks=[(mark("mine", 1), 0)]))
        assert self.notes(store, "mine") is None
        assert self.notes(store) == ["a"]
        save(store, Batch(marks=[(mark("theirs", 1, heard_at=NOW), 0)]))
        assert self.notes(store, "mine") == ["a"]
        assert self.notes(store, "mine", "theirs") is None
        assert self.notes(store, "mine", heard=NOW + 1) is None
        store.records.forget_journals(["theirs"])
        assert self.notes(store, "mine") is None

    def test_notes_are_of_sessions_seen_lately_open_or_not(self, store: Store) -> None:
        manual = row("manual", NOW - 9, seen=NOW + 2)
        manual.is_manual = True
        rows = [row("old", NOW - 1), row("a"), row("b", NOW - 9, seen=NOW + 1), ended(row("c"), "e"), manual]
        save(store, Batch(rows=rows, marks=[(mark("theirs", 1), 0)]))
        assert set(self.notes(store) or ()) == {"a", "b", "c", "manual"}
        assert set(self.notes(store, limit=1) or ()) == {"b", "c", "manual"}

    def test_a_note_says_what_the_row_does(self, store: Store) -> None:
        session = ended(row("s", previous="p"), "e")
        session.revision, session.logouts = 3, 1
        session.sealed_at, session.sealed_reason = NOW + 5, EndReason.ENDED
        session.previous_reason = EndReason.USER_CHANGED
        save(store, Batch(rows=[session], marks=[(mark("theirs", 1), 0)]))
        notes = store.records.notes(seen_after=NOW - 1, heard_since=NOW, besides=(), limit=9)
        assert notes == [SessionNote("s", NOW, 3, 1, NOW + 5, EndReason.ENDED, NOW, "p", EndReason.USER_CHANGED)]

    def test_alias_leads_to_its_session_until_it_expires(self, store: Store) -> None:
        save(store, Batch(rows=[row("s")], aliases=[("alias", "s", NOW)]))
        save(store, Batch(aliases=[("alias", "other", NOW), ("next", "s", NOW + DAY)]))
        assert self.aliases(store, "alias", "next", "s") == {"alias": "s", "next": "s"}
        found = store.sessions.detail("alias")
        assert found is not None
        assert found.row.key == "s"
        store.maintenance.expire(older_than=NOW + 1, limit=10, now=NOW)
        assert self.aliases(store, "alias", "next", "s") == {"next": "s"}

    def aliases(self, store: Store, *keys: str) -> Mapping[str, str]:
        with store.records.recording() as recording:
            return recording.load(keys, reads_aliases=True).aliases

    # --- calls that came before their session

    def test_waiting_rows_are_in_the_inbox_once_the_batch_is_committed(self, store: Store) -> None:
        waiting = [WaitingRow(f"j:{number}", "v\x00", "k", bytes(range(256))) for number in (2, 1)]
        save(store, Batch(waiting=waiting, marks=[(mark("j", 10), 0)]))
        with store.records.recording() as work:
            assert [(row.id, row.data) for row in work.inbox(after="", limit=5)] == [
                (f"j:{number}", bytes(range(256))) for number in (1, 2)
            ]
        assert store.records.has_inbox()
        with pytest.raises(PositionMoved):  # another recorder was quicker
            save(store, Batch(waiting=waiting, marks=[(mark("j", 10), 0)]))
        save(store, Batch(taken=["j:1", "j:2"]))
        assert not store.records.has_inbox()
