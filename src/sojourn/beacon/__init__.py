"""The beacon: a script of ours reports what happens on a page between its requests.

A door looks up `Beacon.at(path)` first. An `Endpoint` then responds in place of the app, which never sees the request.
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
        """The endpoint at this path, whole or below the mount; `None` for a path of the app."""
        endpoint = self._endpoints.get(path)
        if endpoint is None and mount:
            endpoint = next((self._endpoints[text] for text in readings(path, mount) if text in self._endpoints), None)
        return endpoint
