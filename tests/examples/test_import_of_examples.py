"""The access log of a real server, imported into another store, against what Sojourn itself recorded meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sojourn import cli
from sojourn.stores import open_store
from sojourn.stores.protocol import Store
from sojourn.stores.rows import SessionRow
from tests.examples.servers import Example, eventually, responds, served
from tests.importing.logs import CHROME, FIREFOX, GOOGLEBOT
from tests.ports import free_port

IDLE_S = 3
PAGE = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": "text/html"}
FETCH = {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "accept": "application/json"}


def visit(example: Example) -> None:
    """Two people, one of whom comes back after the idle timeout, and a crawler."""
    anna, ben = example.browser(), example.browser()
    anna.headers["user-agent"], ben.headers["user-agent"] = FIREFOX, CHROME
    search = {"referer": "https://www.google.com/search?q=seeds"}
    anna.get("/?utm_campaign=spring", headers={**PAGE, **search})
    anna.get("/api/stock", headers=FETCH)
    anna.get("/seeds/basil", headers={**PAGE, "referer": f"{example.address}/"})
    anna.get("/static/missing.css", headers={"sec-fetch-mode": "no-cors", "sec-fetch-dest": "style"})
    ben.get("/login", headers=PAGE)
    ben.post("/login", data={"name": "Ben"}, headers=PAGE)  # redirects
    ben.get("/fail", headers=PAGE)
    ben.get("/seeds/nothing", headers=PAGE)
    example.browser().get("/", headers={"user-agent": GOOGLEBOT})
    time.sleep(IDLE_S + 2)  # a log has whole seconds
    anna.get("/seeds/tomato", headers={**PAGE, "referer": f"{example.address}/seeds/basil"})


def told(row: SessionRow) -> tuple[object, ...]:
    """What a log can tell of a session."""
    return (
        row.requests,
        row.page_views,
        row.errors,
        row.client_errors,
        row.entry_path,
        row.exit_path,
        row.referrer,
        row.source,
        row.channel,
        row.utm_campaign,
        row.browser,
        row.system,
        row.device,
        row.previous_reason,
        row.end_reason,
    )


def sessions(store: Store) -> list[SessionRow]:
    return sorted(store.sessions.latest(limit=99), key=lambda row: (row.browser or "", row.started_at))


@contextmanager
def behind_nginx(example: Example, folder: Path, log: Path) -> Iterator[Example]:
    """The app behind nginx, which writes its own format."""
    if not (nginx := shutil.which("nginx")):
        pytest.skip("nginx is not installed")
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(f"""daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
        events {{}}
        http {{
            access_log {log};
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            server {{
                listen 127.0.0.1:{port};
                location / {{ proxy_pass {example.address}; proxy_set_header Host $http_host; }}
            }}
        }}""")
    server = subprocess.Popen([nginx, "-c", file, "-e", "stderr"])
    address = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: responds(address), "nginx responds")
        log.write_bytes(b"")  # of what asked whether it responds
        yield replace(example, address=address)
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.parametrize("kind", ["flask", "django", "starlette"])
def test_a_log_tells_what_was_recorded(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "access.log"
    monkeypatch.setenv("GUNICORN_CMD_ARGS", f"--access-logfile={log}")
    short = {"SOJOURN_IDLE_TIMEOUT": f"{IDLE_S}s", "SOJOURN_SWEEP_INTERVAL": "0.5s", "SOJOURN_SWEEP_GRACE": "0.5s"}
    with ExitStack() as servers:
        example = servers.enter_context(served(kind, tmp_path, **short))
        if kind == "starlette":  # the log of uvicorn has no times
            example = servers.enter_context(behind_nginx(example, tmp_path, log))
        visit(example)
        eventually(
            lambda: [row.is_open for row in sessions(example.store)] == [False] * 3, "the sessions have been recorded"
        )
        recorded = sessions(example.store)
        host = urlsplit(example.address).netloc
    imported_store = open_store(f"sqlite:///{tmp_path / 'imported.db'}")
    imported_store.open()
    monkeypatch.setenv("SOJOURN_IDLE_TIMEOUT", f"{IDLE_S}s")
    try:
        assert cli.main(["import", str(log), "--store", imported_store.name, "--host", host]) == 0
        imported = sessions(imported_store)
    finally:
        imported_store.close()
    assert [told(row) for row in imported] == [told(row) for row in recorded]
    for mine, theirs in zip(imported, recorded, strict=True):
        assert abs(mine.started_at - theirs.started_at) <= 1000
        assert abs(mine.last_seen_at - theirs.last_seen_at) <= 1000
    assert [row.imported for row in imported] == ["access log"] * 3
    assert len({row.visitor_id for row in imported}) == len({row.visitor_id for row in recorded}) == 2
