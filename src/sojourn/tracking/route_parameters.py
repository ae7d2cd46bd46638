"""Which segments of a path are secret because the matched route names them so: `/r/{token}`, `/r/<code>`. Pure.

Templates are those of Starlette, FastAPI, Litestar and Flask. Segments are compared by place, never by a pattern made of the
template, so that no template makes a hostile path expensive.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_SECRET_NAMES: Final = frozenset({"token", "code", "key", "secret", "hash", "email"})
_SECRET_SUFFIXES: Final = ("_token", "_secret")
_PARAMETER: Final = re.compile(r"\{([^{}/]*)\}|<([^<>/]*)>")
_WORD: Final = re.compile(r"\w+")
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_MULTI: Final = "path"
"""The converter of several segments: Starlette `{rest:path}`, Flask `<path:rest>`."""


def is_secret_name(name: str) -> bool:
    """Whether a parameter of this name is secret: `token`, `reset_token`, `resetToken`."""
    name = _CAPITAL.sub("_", name).lower()
    return name in _SECRET_NAMES or name.endswith(_SECRET_SUFFIXES)


@dataclass(frozen=True, slots=True)
class _Segment:
    """A segment of a template: its text where it is fixed, else the parameters in it."""

    text: str
    names: tuple[str, ...]

    @property
    def is_multi(self) -> bool:
        return _MULTI in self.names

    def is_secret(self, keep: Container[str]) -> bool:
        return any(is_secret_name(name) and name not in keep for name in self.names)


def secret_places(
    segments: Sequence[str], template: str, keep: Container[str] = (), *, is_matched: bool = True
) -> frozenset[int]:
    """The places of the segments that hold secret parameters of this template.

    A template says nothing of what it is mounted at, so it is laid along the end of the path. `is_matched=False`: the route is
    only a guess, which holds if its fixed segments and the length are those of the path.
    """
    route = _parsed(template)
    if not any(segment.is_secret(keep) for segment in route):
        return frozenset()
    end = len(segments)
    while end > 1 and not segments[end - 1]:  # with or without the last slash
        end -= 1
    multi = [place for place, segment in enumerate(route) if segment.is_multi]
    if not multi:
        start = end - len(route)
        if start < 0 or (not is_matched and (start or not _fits(route, segments))):
            return frozenset()
        return frozenset(start + place for place, segment in enumerate(route) if segment.is_secret(keep))
    before, after = route[: multi[0]], route[multi[-1] + 1 :]
    if end < len(before) + len(after) or (not is_matched and not _fits(before, segments)):
        return frozenset()
    places = {place for place, segment in enumerate(before) if segment.is_secret(keep)}
    places |= {end - len(after) + place for place, segment in enumerate(after) if segment.is_secret(keep)}
    if any(segment.is_secret(keep) for segment in route[multi[0] : multi[-1] + 1]):
        places |= set(range(len(before), end - len(after)))
    return frozenset(places)


def has_secret(template: str, keep: Container[str] = ()) -> bool:
    return any(segment.is_secret(keep) for segment in _parsed(template))


def _fits(route: Sequence[_Segment], segments: Sequence[str]) -> bool:
    return all(part.names or part.text == text for part, text in zip(route, segments, strict=False))


@lru_cache(1024)
def _parsed(template: str) -> tuple[_Segment, ...]:
    """The segments of a template, without those of a last slash."""
    return tuple(_segment(text) for text in template.rstrip("/").split("/"))


def _segment(text: str) -> _Segment:
    # `{name:type}`, `<type:name>`, `<type(...):name>`: both words count, as no type is named like a secret.
    names = [name for match in _PARAMETER.finditer(text) for name in _WORD.findall(match[1] or match[2] or "")]
    return _Segment(text, tuple(names))
