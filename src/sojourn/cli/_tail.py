"""Events as they are recorded, a line each: what the console backend prints, read from the log of any process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, TextIO

from sojourn.errors import StoreError

from ._output import Paint, printable
from ._timeline import harmless

if TYPE_CHECKING:
    from sojourn.core.events import Event
    from sojourn.stores import Store

_AT_ONCE: Final = 500
_FURTHEST: Final = 100_000
_LOOK_S: Final = 0.5
_AWAY_S: Final = 2.0


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
    """Print the latest `lines` events that the patterns name, then (`follows`) all that come. Ends by Ctrl-C."""
    from sojourn.backends.filters import EventFilter

    choice = EventFilter(patterns)
    line = _line(is_json=is_json, paint=Paint.on(out))
    head = store.log.head()
    out.writelines(line(event) + "\n" for event in _latest(store, head, lines, choice.accepts))
    out.flush()
    while follows:
        head = _printed(store, head, choice.accepts, line, out=out, wait=wait)


def _latest(store: Store, head: int, lines: int, accepts: Callable[[Event], bool]) -> list[Event]:
    """The last events up to the head. The log is looked through backwards, a part at a time, but not all of a long one."""
    found: list[Event] = []
    upto = head
    while len(found) < lines and upto > max(0, head - _FURTHEST):
        after = max(0, upto - max(_AT_ONCE, lines))
        part = [event for event in _between(store, after, upto) if accepts(event)]
        found = part + found
        upto = after
    return found[max(0, len(found) - lines) :]


def _between(store: Store, after: int, upto: int) -> Iterator[Event]:
    while after < upto and (part := store.log.after(after, limit=_AT_ONCE)):
        yield from (event for event in part if event.seq <= upto)
        after = part[-1].seq


def _printed(
    store: Store,
    head: int,
    accepts: Callable[[Event], bool],
    line: Callable[[Event], str],
    *,
    out: TextIO,
    wait: Callable[[float], None],
) -> int:
    """Print what came since, or rest a little; how far the log is read now."""
    try:
        part = store.log.after(head, limit=_AT_ONCE)
    except StoreError as error:  # a database that restarts, say: whoever watches wants to see it come back
        print(f"sojourn sessions tail: {printable(str(error))}; trying again", file=sys.stderr)
        wait(_AWAY_S)
        return head
    if not part:
        wait(_LOOK_S)
        return head
    out.writelines(line(event) + "\n" for event in part if accepts(event))
    out.flush()
    return part[-1].seq


def _line(*, is_json: bool, paint: Paint) -> Callable[[Event], str]:
    from sojourn.backends import cloudevents
    from sojourn.backends.plain.console import readable_line

    if is_json:
        return lambda event: harmless(cloudevents.encode(event).decode())
    return lambda event: readable_line(event, has_colours=paint.is_on)
