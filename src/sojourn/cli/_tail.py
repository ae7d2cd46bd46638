"""`sojourn sessions tail`: events as the console backend prints them, read from the store's log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TextIO

from sojourn.errors import StoreError

from ._output import Paint, printable
from ._timeline import harmless

if TYPE_CHECKING:
    from sojourn.core.events import Event, Position
    from sojourn.stores import Store

_AT_ONCE: Final = 500
_SEARCHED_EVENTS: Final = 100_000
_POLL_S: Final = 0.5
_STORE_ERROR_S: Final = 2.0


def tail(
    store: Store,
    *,
    lines: int,
    follows: bool,
    patterns: str | None,
    is_json: bool,
    out: TextIO,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Print the latest `lines` events that match the patterns, then (`follows`) new ones until Ctrl-C."""
    from sojourn.backends.filters import EventFilter

    choice = EventFilter(patterns)
    line = _line(is_json=is_json, paint=Paint.on(out))
    head = store.log.head()
    out.writelines(line(event) + "\n" for event in _latest(store, head, lines, choice.accepts))
    out.flush()
    while follows:
        head = _print_new(store, head, choice.accepts, line, out=out, wait=wait)


def _latest(store: Store, head: Position, lines: int, accepts: Callable[[Event], bool]) -> list[Event]:
    """The latest matching events up to the head. Searches the log backwards in parts, up to `_SEARCHED_EVENTS`."""
    matches: list[Event] = []
    before: Position | None = None
    limit, searched, is_more = max(_AT_ONCE, lines), 0, True
    while len(matches) < lines and searched < _SEARCHED_EVENTS and is_more:
        part = store.log.latest(before=before, limit=limit)
        searched, is_more = searched + len(part), len(part) == limit
        if part:
            before = part[0].position
        # Events that were recorded after the head was read come next, with `--follow`.
        matches = [event for event in part if store.log.has_passed(head, event.position) and accepts(event)] + matches
    return matches[max(0, len(matches) - lines) :]


def _print_new(
    store: Store,
    head: Position,
    accepts: Callable[[Event], bool],
    line: Callable[[Event], str],
    *,
    out: TextIO,
    wait: Callable[[float], None],
) -> Position:
    """Print new events, or wait a little; return the new position in the log."""
    try:
        part = store.log.after(head, limit=_AT_ONCE)
    except StoreError as error:  # for example a database that restarts
        print(f"sojourn sessions tail: {printable(str(error))}; trying again", file=sys.stderr)
        wait(_STORE_ERROR_S)
        return head
    if not part:
        wait(_POLL_S)
        return head
    out.writelines(line(event) + "\n" for event in part if accepts(event))
    out.flush()
    return part[-1].position


def _line(*, is_json: bool, paint: Paint) -> Callable[[Event], str]:
    from sojourn.backends import cloudevents
    from sojourn.backends.plain.console import readable_line

    if is_json:
        return lambda event: harmless(cloudevents.encode(event).decode())
    return lambda event: readable_line(event, has_colours=paint.is_on)
