"""What an import of Sojourn costs, and how much memory it adds to a process. Each sample is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from typing import Any

from benchmarks.timing import Spread, progress

_IMPORT = """
import time, starlette.applications
began = time.process_time()
import sojourn.starlette
print((time.process_time() - began) * 1000)
"""
_MEMORY = """
import asyncio, sys, tempfile
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

app = Starlette(routes=[Route("/", lambda request: HTMLResponse("<p>Hello</p>"))])
with tempfile.TemporaryDirectory() as folder:
    if sys.argv[1] == "sojourn":
        from sojourn import Settings
        from sojourn.starlette import Sojourn
        Sojourn(app, Settings(secret_key="k" * 32, store=f"sqlite:///{Path(folder) / 'bench.db'}"))
    with TestClient(app) as client:
        for _ in range(500):
            client.get("/")
        lines = Path("/proc/self/status").read_text().splitlines()
        print(next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")))
"""


def measure_startup(samples: int) -> dict[str, Any]:
    """Milliseconds of CPU of an import over Starlette's own, and MiB of memory of its own that a process has more."""
    with tempfile.TemporaryDirectory() as bytecode:
        imports, memory = [], []
        _run(bytecode, _IMPORT)  # compiles
        for number in range(samples):
            imports.append(_run(bytecode, _IMPORT))
            if sys.platform == "linux":
                memory.append(_run(bytecode, _MEMORY, "sojourn") - _run(bytecode, _MEMORY, "bare"))
            progress(f"process {number + 1} of {samples}")
    progress("")
    return {
        "import_ms": {**asdict(Spread.of(imports)), "reach": 60.0},
        "memory_mib": asdict(Spread.of(memory)) if memory else None,
    }


def _run(bytecode: str, code: str, *arguments: str) -> float:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**environ, "PYTHONPYCACHEPREFIX": bytecode},
    )
    return float(done.stdout)
