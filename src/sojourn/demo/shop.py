"""A release of the demo's shop: the Starlette example and `checkout.py`, served by uvicorn in a thread."""

from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path
from threading import Thread
from types import ModuleType, TracebackType
from typing import Final, Self
from urllib.parse import quote

import uvicorn

import sojourn
from sojourn.engine import Engine
from sojourn.errors import SojournError
from sojourn.settings._secrets import new_key

IDLE_TIMEOUT_S: Final = 2.0
RELEASE: Final = "2.10"
NEXT_RELEASE: Final = "2.11"
"""It replaces the other while visitors are there; its checkout is broken."""
STAFF: Final = "Shopkeeper"
"""Whoever logs in with this name is left out of all figures."""
_FAST_SETTINGS: Final = {
    "SOJOURN_IDLE_TIMEOUT": f"{IDLE_TIMEOUT_S}s",
    "SOJOURN_HEARTBEAT_INTERVAL": "1s",
    "SOJOURN_SWEEP_INTERVAL": "0.5s",
    "SOJOURN_SWEEP_GRACE": "0.5s",
}
_PATIENCE_S: Final = 10.0


class Shop:
    """Serves one release of the shop while its block runs, on a free loopback port."""

    def __init__(self, folder: Path, release: str) -> None:
        self.events_file = folder / "events.jsonl"
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        _set_environment(folder / "sojourn.db", self.events_file, release)
        app = _run(_example()).app
        _run(Path(__file__).with_name("checkout.py")).add_pages(app, is_broken=release == NEXT_RELEASE)
        self.engine: Engine = app.state.sojourn.engine
        # No error log either: one page of the shop fails on purpose.
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on")
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, args=([self._socket],), name="seed-shop", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + _PATIENCE_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() >= deadline:
                raise SojournError("the example app did not start")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_PATIENCE_S)
        self.engine.close()


def _set_environment(database: Path, events_file: Path, release: str) -> None:
    """Configure the example by the environment; the user's own variables are for another app."""
    for name in [name for name in os.environ if name.startswith("SOJOURN_")]:
        del os.environ[name]
    os.environ.update(
        _FAST_SETTINGS,
        SOJOURN_SECRET_KEY=new_key(),
        SOJOURN_SERVICE_NAME="seed-shop",
        SOJOURN_SERVICE_VERSION=release,
        SOJOURN_STORE=f"sqlite:///{database}",
        SOJOURN_EXCLUDE_USERS=STAFF.lower(),
        SOJOURN_GOALS="Purchase=purchase; Log-in=user.identify",
        SOJOURN_FUNNELS="Purchase=/ > /seeds/* > /cart > purchase",
        SOJOURN_ALERTS="errors=50%; nothing=1h",
        SOJOURN_BACKENDS=f"console:,jsonl:{quote(str(events_file))}",
    )


def _example() -> Path:
    """The example: inside the package of an installed wheel, or in a checkout."""
    package = Path(sojourn.__file__).parent
    for folder in (package / "_demo", package.parents[1] / "examples"):
        path = folder / "starlette_app" / "app.py"
        if path.is_file():
            return path
    raise SojournError("this installation has no example app; install Sojourn from its wheel")


def _run(path: Path) -> ModuleType:
    """Run a file as the shop's own: what is installed, and what is Sojourn's, is never the place of an exception."""
    module = ModuleType(path.stem)
    exec(compile(path.read_text(encoding="utf-8"), f"shop/{path.name}", "exec", dont_inherit=True), vars(module))  # noqa: S102 - our own files
    return module
