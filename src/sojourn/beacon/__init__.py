"""The beacon: what a page tells between its requests, by a script of ours. Served by the doors, never by the app.

A door asks `Beacon.at(path)` first; an `Endpoint` then answers without the app, and without a Visit of the app's own.
"""

from __future__ import annotations

from ._receiver import Receiver
from ._replies import LONGEST_BODY, NO_CONTENT, Endpoint, Reply
from ._script import Script, interval_ms

__all__ = ["LONGEST_BODY", "NO_CONTENT", "Beacon", "Endpoint", "Receiver", "Reply", "Script", "interval_ms"]


class Beacon:
    """Both endpoints by their paths: `<path>.js` is the script, `<path>` receives what it sends."""

    __slots__ = ("_endpoints",)

    def __init__(self, path: str, *, script: Endpoint, receiver: Endpoint) -> None:
        self._endpoints = {f"{path}.js": script, path: receiver}

    def at(self, path: str, mounted_at: str = "") -> Endpoint | None:
        """What answers at this path; `None`: the app. An app that is mounted somewhere may also count from there."""
        found = self._endpoints.get(path)
        if found is None and mounted_at:
            found = self._endpoints.get(path.removeprefix(mounted_at))
        return found
