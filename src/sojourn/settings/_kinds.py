"""The kinds that any program's settings have: flags, choices, spans, sizes, text, lists. Each reads one value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, timedelta, tzinfo
from typing import Final
from uuid import UUID

from sojourn.core.flags import flag_of
from sojourn.core.rates import Rate, parse_rate
from sojourn.core.user_ids import is_user_id

from . import _secrets
from ._quantities import format_duration, format_size, parse_duration, parse_size
from ._table import Kind, plain

NOTHING: Final = frozenset({"none", "off"})
"""Text that means `None`, or an empty list."""

_LONGEST_TEXT: Final = 255


def optional(kind: Kind) -> Kind:
    """Let a kind also be `None`, in text "none" or "off"."""

    def parse(value: object) -> object:
        return None if value is None or is_nothing(value) else kind.parse(value)

    return Kind(parse, lambda value: "None" if value is None else kind.show(value))


def is_nothing(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() in NOTHING


def parse_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    flag = flag_of(value) if isinstance(value, str) else None
    if flag is None:
        msg = "give True or False (in text 1/0, true/false, yes/no or on/off)"
        raise ValueError(msg)
    return flag


def parse_secure(value: object) -> object:
    if isinstance(value, str) and value.strip().lower() == "auto":
        return "auto"
    try:
        return parse_flag(value)
    except ValueError:
        msg = 'give "auto" (secure on https), True or False'
        raise ValueError(msg) from None


def choice(*words: str) -> Kind:
    def parse(value: object) -> str:
        word = value.strip().lower() if isinstance(value, str) else ""
        if word not in words:
            raise ValueError("give " + " or ".join(f'"{each}"' for each in words))
        return word

    return Kind(parse)


def parse_span(value: object) -> timedelta:
    span = parse_duration(value)
    # Sojourn counts in whole milliseconds: a shorter span would be none at all.
    if span < timedelta(milliseconds=1):
        msg = "it must be at least 1ms"
        raise ValueError(msg)
    return span


def parse_zone(value: object) -> str:
    name = value.strip() if isinstance(value, str) else ""
    try:
        zone_of(name)
    except (ValueError, OSError, LookupError):  # a folder of the system's zones is an `OSError`
        msg = 'give the name of a time zone, such as "Europe/Vienna" (on Windows: pip install tzdata)'
        raise ValueError(msg) from None
    return name


def zone_of(name: str) -> tzinfo:
    """The time zone of this name. Raises `LookupError`, `ValueError` or `OSError`."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # half a millisecond that few apps need

    return ZoneInfo(name)


def _show_span(value: object) -> str:
    return format_duration(value) if isinstance(value, timedelta) else plain(value)


def _show_size(value: object) -> str:
    return format_size(value) if type(value) is int and value > 0 else plain(value)


def _show_rate(value: object) -> str:
    return str(value) if isinstance(value, Rate) else plain(value)


def parse_text(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > _LONGEST_TEXT or not text.isprintable():
        msg = f"give printable text of 1 to {_LONGEST_TEXT} characters"
        raise ValueError(msg)
    return text


def listing(parse_item: Callable[[object], Iterable[object]], hint: str, show: Callable[[object], str] = plain) -> Kind:
    """A tuple of items; text is split at commas. One item may stand for several values; the same text counts once."""

    def parse(value: object) -> tuple[object, ...]:
        result: list[object] = []
        for item in _items(value, hint):
            result += [one for one in parse_item(item) if not (isinstance(one, str) and one in result)]
        return tuple(result)

    return Kind(parse, show)


def _items(value: object, hint: str) -> Iterable[object]:
    if value is None:
        return ()
    if isinstance(value, str):
        return () if is_nothing(value) else [item for part in value.split(",") if (item := part.strip())]
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | Mapping):
        return value
    raise ValueError(hint)


def _parse_user_id(value: object) -> Iterable[str]:
    text = str(value) if isinstance(value, str | int | UUID) and not isinstance(value, bool) else ""
    if not is_user_id(text):
        raise ValueError(_USERS_HINT)
    return (text,)


def _parse_name(value: object) -> Iterable[str]:
    name = value.strip().lower() if isinstance(value, str) else ""
    if not _NAME.fullmatch(name):
        raise ValueError(_NAMES_HINT)
    return (name,)


_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,31}")
_NAMES_HINT: Final = 'give a list of names, such as ["posthog"]'
_USERS_HINT: Final = 'give a list of user ids, as your app or its framework names them, such as ["42", "anna"]'

USER_IDS: Final = listing(_parse_user_id, _USERS_HINT)
NAMES: Final = listing(_parse_name, _NAMES_HINT)
FLAG: Final = Kind(parse_flag)
SECURE: Final = Kind(parse_secure)
SPAN: Final = Kind(parse_span, _show_span)
SPAN_OR_ZERO: Final = Kind(parse_duration, _show_span)
SIZE: Final = Kind(parse_size, _show_size)
RATE: Final = optional(Kind(parse_rate, _show_rate))
TEXT: Final = optional(Kind(parse_text))
ZONE: Final = Kind(parse_zone)
COOKIELESS: Final = choice("off", "until_consent", "always")
SIGNAL: Final = choice("ignore", "no_forward", "anonymous", "off")
SECRETS: Final = Kind(_secrets.parse_keys, _secrets.hide, _secrets.split_keys)
HASH_KEY: Final = Kind(_secrets.parse_hash_key, _secrets.hide)
