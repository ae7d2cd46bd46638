"""Print events on the console, one line each, for development.

The contents of an event come from a browser, so only printable characters reach the terminal: no escape sequence, no line
break, no character that changes the reading direction.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, Literal, Self, TextIO

from sojourn.backends import cloudevents
from sojourn.backends.filters import EventFilter, Patterns
from sojourn.backends.options import COMMON_OPTIONS, split_place
from sojourn.backends.protocol import Receipt
from sojourn.core import events as names
from sojourn.core.events import Event, Scalar
from sojourn.errors import SettingsError

__all__ = ["ConsoleBackend"]

_WIDTH: Final = 80  # characters of one value
_MAX_VALUES: Final = 8  # of one event
_NAME_COLUMN: Final = max(len(name) for name in names.RESERVED_NAMES)

_USER_COLUMN: Final = 8  # short ids stay aligned; long ids push the rest to the right

_BARE: Final = (
    "session.end_reason",
    "session.duration_ms",
    "http.request.method",
    "url.path",
    "http.response.status_code",
)
_HIDDEN: Final = frozenset({"session.id", "session.previous_id", "visitor.id", "user.id"})
_HIDDEN_PREFIXES: Final = ("service.", "deployment.", "user_agent.", "client.")
_OWN_PREFIXES: Final = ("event_properties.", "session_properties.")

_COLOURS: Final = {
    names.SESSION_START: "32",
    names.SESSION_END: "33",
    names.SESSION_HEARTBEAT: "2",
    names.USER_IDENTIFY: "36",
    names.EXCEPTION: "31",
    names.OPT_OUT: "35",
}


class ConsoleBackend:
    """Prints every event, readable (`format="text"`) or as one CloudEvent per line (`format="json"`)."""

    url_form: ClassVar[str] = "console:"

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        format: Literal["text", "json"] = "text",  # noqa: A002 - the word that users know
        name: str = "console",
        third_party: bool = False,
        events: Patterns | None = None,
        heartbeats: bool = True,
    ) -> None:
        if format not in ("text", "json"):
            raise SettingsError("console: the option format is text or json")
        self.name = name
        self.third_party = third_party
        self._choice = EventFilter(events, has_heartbeats=heartbeats)
        self._stream = stream
        self._format = format

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Build from `console:`, `console:stderr` or `console:?format=json`."""
        place, options = split_place(url)
        if place not in ("", "stdout", "stderr"):
            raise SettingsError("console: write console:, console:stdout or console:stderr")
        arguments = options.take({**COMMON_OPTIONS, "format": str})
        options.finish()
        return cls(sys.stderr if place == "stderr" else None, **arguments)

    def __repr__(self) -> str:
        return f"ConsoleBackend(format={self._format!r}, name={self.name!r})"

    def accepts(self, event: Event) -> bool:
        return self._choice.accepts(event)

    def send(self, batch: Sequence[Event]) -> Receipt:
        # Looked up at each send, because test runners and servers replace it.
        stream: TextIO | None = self._stream or sys.stdout
        if stream is None:
            return Receipt(delivered=0, pause="there is no console here (sys.stdout is None); use jsonl:<file> instead")
        if batch:
            line = self._line(stream)
            stream.write(_fitting("".join(line(event) + "\n" for event in batch), stream))
            stream.flush()
        return Receipt(delivered=len(batch))

    def close(self) -> None:
        """Do nothing: the caller owns the stream."""

    def _line(self, stream: TextIO) -> Callable[[Event], str]:
        if self._format == "json":
            return lambda event: cloudevents.encode(event).decode()
        colours = _has_colours(stream)
        return lambda event: readable_line(event, has_colours=colours)


def readable_line(event: Event, *, has_colours: bool = False) -> str:
    """Return an event as `12:00:00.000Z  session.start  …0a1b2c3d  anna  GET /`, in printable characters only."""
    name = f"{_printable(event.name):<{_NAME_COLUMN}}"
    if has_colours and (colour := _COLOURS.get(event.name)):
        name = f"\x1b[{colour}m{name}\x1b[0m"
    session = _printable(event.session_id)
    columns = [
        cloudevents.rfc3339(event.time)[11:],
        name,
        # The end of a UUIDv7 is random; its beginning, the time, is the same for all sessions of a minute.
        f"…{session[-8:]}" if len(session) > 9 else f"{session or '-':<9}",
        f"{_value(event.user_id) if event.user_id else '-':<{_USER_COLUMN}}",
        *_interesting(event),
    ]
    return "  ".join(columns).rstrip()


def _interesting(event: Event) -> list[str]:
    attributes = event.attributes
    bare = [_bare(key, attributes[key]) for key in _BARE if key in attributes]
    others = [
        f"{_printable(_short(key))}={_value(value)}"
        for key, value in attributes.items()
        if key not in _BARE and key not in _HIDDEN and not key.startswith(_HIDDEN_PREFIXES)
    ]
    if len(others) > _MAX_VALUES:
        others[_MAX_VALUES:] = [f"(+{len(others) - _MAX_VALUES} more)"]
    columns = [" ".join(bare), " ".join(others)]
    return [column for column in columns if column]


def _bare(key: str, value: Scalar) -> str:
    if key == "session.duration_ms" and isinstance(value, int | float):
        return f"after {value / 1000:,.1f} s"
    return _value(value)


def _short(key: str) -> str:
    for prefix in _OWN_PREFIXES:
        key = key.removeprefix(prefix)
    return key


def _value(value: Scalar) -> str:
    text = value if isinstance(value, str) else repr(value)
    shown = _printable(text)
    if isinstance(value, str) and (not text or any(char in text for char in ' "=')):
        # Quoted, so that `a=1 b=2` in one value cannot pass for two.
        escaped = shown.replace('"', '\\"')
        return f'"{escaped}"'
    return shown


def _printable(text: str) -> str:
    cut = text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)


def _fitting(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _has_colours(stream: TextIO) -> bool:
    # https://no-color.org is a convention between the user and every program, so it is not a setting of ours.
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()
