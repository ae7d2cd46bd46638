"""The beacon: what a page tells between its requests, by a script of ours. Served by the doors, never by the app.

A door asks `Beacon.at(path)` first; an `Endpoint` then answers without the app, and without a Visit of the app's own.
"""

from __future__ import annotations

from sojourn.tracking.mounting import readings

from ._receiver import Receiver
from ._replies import LONGEST_BODY, NO_CONTENT, Endpoint, Reply
from ._script import Script, interval_ms

__all__ = ["LONGEST_BODY", "NO_CONTENT", "Beacon", "Endpoint", "Receiver", "Reply", "Script", "interval_ms"]


class Beacon:
    """Both endpoints by their paths: `<path>.js` is the script, `<path>` receives what it sends."""

    __slots__ = ("_endpoints",)

    def __init__(self, path: str, *, script: Endpoint, receiver: Endpoint) -> None:
        self._endpoints = {f"{path}.js": script, path: receiver}

    def at(self, path: str, mount: str = "") -> Endpoint | None:
        """What answers at this path, whole or below the mount; `None`: the app."""
        endpoint = self._endpoints.get(path)
        if endpoint is None and mount:
            found = (self._endpoints[text] for text in readings(path, mount) if text in self._endpoints)
            endpoint = next(found, None)
        return endpoint
