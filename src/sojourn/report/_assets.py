"""Style sheet and scripts, served under paths with a hash of their content, so that browsers cache them for good."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from ._web import Response

_FOLDER: Final = Path(__file__).parent / "assets"
_KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def path_of(name: str) -> str:
    """The path of an asset, below the mount."""
    return _paths()[name]


def asset(path: str) -> Response | None:
    """The asset at a path; `None` if there is none, or only in another version."""
    name = _names().get(path)
    if name is None:
        return None
    return Response(body=_bytes(name), kind=_KINDS[Path(name).suffix], cache="public, max-age=31536000, immutable")


@cache
def _paths() -> dict[str, str]:
    """Paths by name, with one hash over all assets: the scripts import each other by their plain names."""
    names = sorted(file.name for file in _FOLDER.iterdir() if file.suffix in _KINDS)
    whole = hashlib.sha256(b"\0".join(name.encode() + _bytes(name) for name in names)).hexdigest()[:16]
    return {name: f"/assets/{whole}/{name}" for name in names}


@cache
def _names() -> dict[str, str]:
    return {path: name for name, path in _paths().items()}


@cache
def _bytes(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()
