"""Carried calls that come before their session: a job may run before the response that begins the session has started. Pure.

They wait in the store's inbox, which the recorder reads after the journals, and hold up nothing there. Where the session does
not begin within `START_WITHIN_MS` of its request, no response carried it: then they are counted and dropped.

See S15 and P35 in docs/internals.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from sojourn.core.records import Record
from sojourn.pipeline import payloads
from sojourn.stores.model import WaitingRow

from .fold import Numbered, needs_session

START_WITHIN_MS: Final = 120_000
"""How long a request may take until its response starts, as far as the calls of its jobs wait for that."""
WITHOUT_SESSION: Final = "records.without_session"


def may_begin(record: Record, until: int | None) -> bool:
    """Whether the start of the record's session may still come. `until`: up to when all journals are applied (ms)."""
    if until is None:
        return False
    return until <= (max(record.at, record.started_at + START_WITHIN_MS) if needs_session(record) else record.at)


def to_wait(early: Iterable[Numbered], until: int | None, counts: Counter[str]) -> list[WaitingRow]:
    """Return what is to wait, under the ids that it has in its journal; count the rest."""
    waiting: list[WaitingRow] = []
    for numbered in early:
        record = numbered.record
        if may_begin(record, until):
            counts["records.early"] += 1
            data = payloads.encode_for_inbox(record)
            waiting.append(WaitingRow(numbered.rid, record.visitor_id, record.key, data))
        else:
            counts[WITHOUT_SESSION] += 1
    return waiting
