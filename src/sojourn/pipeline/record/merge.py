"""Merge a record into a session row. Pure, and the order of records does not change the row they end in.

Each field is a merge: the least, the greatest, or a count by record. Two are only nearly so, because a row is bounded:

- The last activity is exact unless more than `_KEPT_ACTIVITY` different moments of activity, all at or after the seal,
  are folded before the seal; then the session ends at the activity that the sealing door knew. On one host a seal is
  folded before everything that was made after it, so this takes several hosts, one of them behind.
- Name and traits of a user: a later tag overrules an earlier one, whichever is folded first. Among three or more tags
  of one session, folded out of order and with different values for one trait, a middle one may win.

`late` and `user_conflicts` count events of the fold, so they depend on the order of records. Whether the app named two users
in one session does not.

See P14, P15 and P18 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from sojourn.core.events import Event, Scalar
from sojourn.core.properties import MAX_PROPERTIES
from sojourn.core.records import MANUAL, NO_FORWARD, Origin, Record, Tag
from sojourn.core.session import RETAGGING, EndReason
from sojourn.stores.dimensions import COMPUTED, beside_columns
from sojourn.stores.rows import PropertyValue, SessionRow

_LONGEST_MS = 2**53
_KEPT_ACTIVITY = 8
"""How many of the latest moments of activity a row keeps, so that a seal folded later can choose among them."""


def new_row(record: Record, defaults: Origin) -> SessionRow:
    """Return the row that the first record of a session makes."""
    row = SessionRow(
        key=record.key,
        session_id=record.session_id or record.key,
        visitor_id=record.visitor_id,
        is_manual=bool(record.flags & MANUAL),
        started_at=record.started_at,
        last_seen_at=record.started_at,
        activity=[],
        anchor=record.started_at,
        previous_key=record.previous_key,
        previous_id=record.previous_key,
        previous_reason=record.previous_reason,
        previous_seen_at=record.previous_seen_at,
        logouts=max(0, record.logouts - sum(entry.tag.user_id is None for entry in record.entries if entry.tag)),
        no_forward=bool(record.flags & NO_FORWARD),
        revision=record.revision,
    )
    if record.origin is None:
        row.origin = defaults
    return row


def logouts(row: SessionRow, record: Record) -> None:
    """Count the users who left during this request. What is made from now on is not theirs."""
    row.logouts = max(row.logouts, record.logouts)


def adds_to_start(row: SessionRow, record: Record) -> bool:
    """Say whether the record has an earlier start, or later activity of the session before.

    Requests that race for one successor each start it at their own time, and each had its own cookie.
    """
    return record.started_at < row.started_at or record.previous_seen_at > row.previous_seen_at


def revision(row: SessionRow, record: Record) -> None:
    """Keep the highest revision."""
    row.revision = max(row.revision, record.revision)


def start(row: SessionRow, record: Record) -> None:
    """Keep the earliest start, and the latest activity of the session before."""
    row.started_at = min(row.started_at, record.started_at)
    row.previous_seen_at = max(row.previous_seen_at, record.previous_seen_at)
    _settle(row)


def origin(row: SessionRow, origin: Origin, at: int, rid: str) -> None:
    """Keep the origin of the earliest of several first requests."""
    if row.origin_rid and (row.origin_at, row.origin_rid) <= (at, rid):
        return
    row.origin_at, row.origin_rid = at, rid
    row.origin = beside_columns(origin)
    for name, value in COMPUTED:
        setattr(row, name, value(origin))


def page_view(row: SessionRow, page_view: Event) -> None:
    """Keep the latest page view as the exit page: its path, and how long its response took to start."""
    path, took = page_view.attributes.get("url.path"), page_view.attributes.get("page_view.duration_ms")
    ms = round(took) if isinstance(took, int | float) and 0 <= took < _LONGEST_MS else None
    if isinstance(path, str) and _exit(page_view.time, path, ms) > _exit(row.exit_at, row.exit_path, row.exit_ms):
        row.exit_path, row.exit_at, row.exit_ms = path, page_view.time, ms


def _exit(at: int, path: str | None, ms: int | None) -> tuple[int, str, int]:
    return at, path or "", -1 if ms is None else ms


def activity(row: SessionRow, at: int) -> None:
    """Add activity at this time; it moves the end unless the session was sealed by then."""
    if _note(row, at):
        _settle(row)


def seal(row: SessionRow, at: int, reason: EndReason, last_seen_at: int) -> None:
    """End the session at `at`, as a successor or a call reports it. The earliest seal and its reason hold."""
    _note(row, last_seen_at)
    seal = (at, reason.value, -last_seen_at)
    if (
        row.sealed_at is None
        or row.sealed_reason is None
        or seal < (row.sealed_at, row.sealed_reason.value, -row.sealed_seen_at)
    ):
        row.sealed_at, row.sealed_reason, row.sealed_seen_at = at, reason, last_seen_at
    _settle(row)


def _settle(row: SessionRow) -> None:
    """Compute the last activity. Activity at or after the seal does not count.

    That of the sealing request itself does: `end_session()` was called in one.
    """
    activity, sealed_at = row.activity, row.sealed_at
    if sealed_at is not None:
        while activity and activity[0] >= sealed_at:
            del activity[0]
    latest = activity[0] if activity else row.started_at
    if sealed_at is not None:
        latest = max(latest, min(row.sealed_seen_at, sealed_at))
    row.last_seen_at = max(latest, row.started_at)


def tag(row: SessionRow, tag: Tag, at: int, rid: str, *, is_split: bool) -> bool:
    """Name or remove the session's user. False: a second user from the same source where none should be.

    With splitting the first user holds (a door that saw another would have split), without it the latest. `identify()`
    outranks the framework's principal.
    """
    is_latest = (at, rid) >= (row.tagged_at, row.tagged_rid)
    if is_latest:
        row.is_tagged, row.tagged_at, row.tagged_rid = tag.user_id is not None, at, rid
    if tag.user_id is None:
        return True
    was_explicit = row.is_user_explicit
    has_own = row.user_id is not None and not row.is_user_inherited
    outranks = not has_own or _outranks(row, tag, at, rid, is_split=is_split)
    is_other = has_own and row.user_id != tag.user_id
    if outranks:
        row.is_user_explicit, row.user_at, row.user_rid = tag.is_explicit, at, rid
    if not has_own or (is_other and outranks):
        row.user_id, row.user_name, row.user_traits = tag.user_id, tag.name, tag.traits
        row.is_user_inherited = False
    elif not is_other:
        _merge_profile(row, tag, is_latest=is_latest)
    return not (is_other and is_split and was_explicit == tag.is_explicit)


def tag_late(row: SessionRow, tag: Tag, at: int, rid: str) -> bool:
    """Name the user of a session that had ended by then. False: it has another one.

    That says whose session it was, and nothing of the sessions after it: `is_tagged`, which they take over, stays.
    """
    if row.user_id is None:
        row.user_id, row.user_name, row.user_traits = tag.user_id, tag.name, tag.traits
        row.user_at, row.user_rid = at, rid
    elif row.user_id != tag.user_id:
        return False
    else:
        _merge_profile(row, tag, is_latest=False)
    return True


def properties(row: SessionRow, values: Mapping[str, Scalar], at: int, rid: str, keep_first: frozenset[str]) -> int:
    """Set session properties at this time; per name the last value holds, or the first. Return how many had no room."""
    kept = dict(row.properties or {})
    without_room = 0
    for name, value in values.items():
        current = kept.get(name)
        if current is None and len(kept) >= MAX_PROPERTIES:
            without_room += 1
        elif current is None or ((at, rid) < (current.at, current.rid)) is (name in keep_first):
            kept[name] = PropertyValue(value, at, rid)
    row.properties = kept
    return without_room


def browser(row: SessionRow, record: Record, rid: str) -> None:
    """Keep the ids of browser SDKs, as properties of the session: its later events carry them.

    One that stays is not kept anew, which would change the row with every request.
    """
    if not record.browser:
        return
    kept = row.properties or {}
    for name, value in record.browser.items():
        current = kept.get(name)
        if value if current is None else value != current.value and (record.at, rid) >= (current.at, current.rid):
            kept = {**kept, name: PropertyValue(value, record.at, rid)}
    row.properties = kept or None


def user_from_previous(row: SessionRow, previous: SessionRow) -> bool:
    """Take over the user of the session before, where the reason of its end allows it. True: this changed the row."""
    if row.previous_reason not in RETAGGING or (row.user_id is not None and not row.is_user_inherited):
        return False
    before = (row.user_id, row.user_name, row.user_traits, row.is_tagged)
    if previous.is_tagged:
        row.user_id, row.user_name, row.user_traits = previous.user_id, previous.user_name, previous.user_traits
    else:
        row.user_id, row.user_name, row.user_traits = None, None, None
    row.is_user_inherited = row.user_id is not None
    if not row.tagged_rid:
        row.is_tagged = row.is_user_inherited
    return before != (row.user_id, row.user_name, row.user_traits, row.is_tagged)


def _outranks(row: SessionRow, tag: Tag, at: int, rid: str, *, is_split: bool) -> bool:
    if tag.is_explicit != row.is_user_explicit:
        return tag.is_explicit
    if is_split:
        return (at, rid) < (row.user_at, row.user_rid)
    return (at, rid) > (row.user_at, row.user_rid)


def _merge_profile(row: SessionRow, tag: Tag, *, is_latest: bool) -> None:
    """Merge name and traits of the same user: the latest tag overwrites, an older one only fills gaps."""
    if tag.name is not None and (is_latest or row.user_name is None):
        row.user_name = tag.name
    if tag.traits:
        traits = row.user_traits or {}
        row.user_traits = {**traits, **tag.traits} if is_latest else {**tag.traits, **traits}


def _note(row: SessionRow, at: int) -> bool:
    """Remember a moment of activity. False: it does not count, or is there already."""
    if row.sealed_at is not None and at >= row.sealed_at:
        return False
    activity = row.activity
    if not activity or at > activity[0]:
        activity.insert(0, at)
    elif at in activity:
        return False
    else:
        activity.append(at)
        activity.sort(reverse=True)
    if len(activity) > _KEPT_ACTIVITY:
        activity.pop()
    return True
