"""Compare what a vendor backend sends with a JSON file. `GOLDEN_WRITE=1` rewrites the files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sojourn.backends._exchange import user_agent
from sojourn.backends.http import HttpCall
from sojourn.backends.vendor import VendorBackend
from sojourn.core.events import Event


def shown(backend: VendorBackend, events: Sequence[Event]) -> list[dict[str, Any]]:
    """The calls of a batch as JSON: method, URL, headers, body."""
    batch = [event for event in events if backend.accepts(event)]
    calls: list[dict[str, Any]] = []
    for call in backend.encode(batch):
        assert isinstance(call, HttpCall)
        body = json.loads(call.body) if call.body else call.json
        calls.append({"call": f"{call.method} {call.url}", "headers": _lower(call.headers), "body": body})
    return calls


def check_golden(path: Path, backend: VendorBackend, events: Sequence[Event]) -> None:
    """Compare the calls of a batch with the file."""
    version = user_agent().partition("/")[2]
    figures = ".".join(re.findall(r"\d+", version)[:3])  # RudderStack accepts no more of it
    text = json.dumps(shown(backend, events)).replace(version, "(version)").replace(f'"{figures}"', '"(version)"')
    calls = json.loads(text)
    if os.environ.get("GOLDEN_WRITE"):
        path.write_text(json.dumps(calls, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert calls == json.loads(path.read_text(encoding="utf-8"))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
