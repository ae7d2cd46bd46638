"""The backends without a vendor pass the public contract."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import httpx

from sojourn.backends import Backend, ConsoleBackend, JSONLinesBackend, WebhookBackend
from sojourn.testing.backend_contract import BackendContract
from sojourn.testing.backends import MemoryBackend


def ids(documents: list[dict[str, str]]) -> list[str]:
    return [document["id"] for document in documents]


class TestConsole(BackendContract):
    def make_backend(self, tmp_path: Path) -> Backend:
        return ConsoleBackend(io.StringIO())


class TestConsoleInJSON(BackendContract):
    def make_backend(self, tmp_path: Path) -> Backend:
        self.stream = io.StringIO()
        return ConsoleBackend(self.stream, format="json")

    def received(self) -> list[str]:
        return ids([json.loads(line) for line in self.stream.getvalue().split("\n")[:-1]])


class TestJSONLines(BackendContract):
    def make_backend(self, tmp_path: Path) -> Backend:
        self.path = tmp_path / "events.jsonl"
        return JSONLinesBackend(self.path)

    def received(self) -> list[str]:
        return ids([json.loads(line) for line in self.path.read_bytes().splitlines()]) if self.path.exists() else []


class TestWebhook(BackendContract):
    def make_backend(self, tmp_path: Path) -> Backend:
        self.arrived: list[str] = []
        return WebhookBackend("https://hooks.example/in", "s" * 16, transport=httpx.MockTransport(self.take))

    def take(self, request: httpx.Request) -> httpx.Response:
        is_packed = request.headers.get("content-encoding") == "gzip"
        self.arrived += ids(json.loads(gzip.decompress(request.content) if is_packed else request.content))
        return httpx.Response(202)

    def received(self) -> list[str]:
        return self.arrived


class TestMemory(BackendContract):
    def make_backend(self, tmp_path: Path) -> Backend:
        self.memory = MemoryBackend()
        return self.memory

    def received(self) -> list[str]:
        return [event.id for event in self.memory.events]
