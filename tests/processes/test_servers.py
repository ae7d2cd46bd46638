"""Every process model that people deploy with records the same truth: nothing lost, one start a session, one end a revision."""

from __future__ import annotations

import signal

import pytest

from tests.faults.servers import gunicorn, uvicorn

from .conftest import Place
from .crowd import Truth, assert_sound, assert_true, crowd, interrupted, kept

pytestmark = pytest.mark.slow

UVICORN = "uvicorn.workers.UvicornWorker"


@pytest.mark.parametrize(
    ("worker_class", "options", "at_import"),
    [
        pytest.param("sync", [], "", id="sync"),
        pytest.param("gthread", ["--threads", "4"], "", id="gthread"),
        pytest.param("gevent", [], "", id="gevent"),
        pytest.param("asgi", [], "", id="gunicorn's own ASGI worker"),
        pytest.param(UVICORN, [], "", id="uvicorn's worker"),
        pytest.param("sync", ["--preload"], "", id="sync, preloaded"),
        pytest.param("gthread", ["--preload", "--threads", "4"], "start", id="gthread, started before the fork"),
        pytest.param("gevent", ["--preload"], "", id="gevent, preloaded"),
        pytest.param("gevent", ["--preload"], "start", id="gevent, started before the fork"),
        pytest.param("asgi", ["--preload"], "start", id="gunicorn's own ASGI worker, started before the fork"),
        pytest.param(UVICORN, ["--preload"], "start", id="uvicorn's worker, started before the fork"),
    ],
)
def test_gunicorn(place: Place, worker_class: str, options: list[str], at_import: str) -> None:
    app = "site_under_test:asgi" if worker_class in {"asgi", UVICORN} else "site_under_test:wsgi"
    environ = place.environ() | {"SITE_AT_IMPORT": at_import}
    with gunicorn(
        app, folder=place.folder, environ=environ, workers=2, worker_class=worker_class, options=options
    ) as server:
        truth = crowd(server.url, range(20))
        assert len(server.workers()) == 2
        took = server.stop()
    assert truth.failed == 0
    assert took < 5
    assert_true(kept(place.store, truth), truth)


def test_a_request_before_the_fork_is_recorded_once_by_its_own_process(place: Place) -> None:
    """The app is used while it is loaded: its master has a journal, threads and connections, and then forks."""
    environ = place.environ() | {"SITE_AT_IMPORT": "request"}
    with gunicorn(
        "site_under_test:wsgi", folder=place.folder, environ=environ, workers=3, options=["--preload"]
    ) as server:
        truth = crowd(server.url, range(20))
        assert server.stop() < 5
    before = "/before/the/fork"
    found = kept(place.store, truth)
    (own,) = (
        event for event in found.events if event.attributes.get("url.path") == before and event.name == "page_view"
    )
    truth.pages[before] = own.session_id
    assert_true(found, truth)


@pytest.mark.parametrize("at_import", [pytest.param("", id="unused"), pytest.param("start", id="used")])
def test_replacing_workers_under_load_loses_nothing(place: Place, at_import: str) -> None:
    """`--max-requests`: the master forks all the time, while its own threads record what the workers append."""
    environ = place.environ() | {"SITE_AT_IMPORT": at_import}
    options = ["--preload", "--max-requests", "25", "--max-requests-jitter", "10"]
    with gunicorn("site_under_test:wsgi", folder=place.folder, environ=environ, workers=3, options=options) as server:
        first = set(server.workers())
        truth = crowd(server.url, range(100))
        assert len(first & set(server.workers())) < 3, "no worker was replaced"
        server.stop()
    assert_true(kept(place.store, truth), truth)
    assert_sound(place.store)


@pytest.mark.parametrize(
    ("workers", "how"),
    [
        pytest.param(1, signal.SIGTERM, id="alone, SIGTERM"),
        pytest.param(2, signal.SIGINT, id="two workers, SIGINT"),
        pytest.param(4, signal.SIGTERM, id="four workers, SIGTERM"),
    ],
)
def test_uvicorn_runs_no_exit_handlers_and_loses_nothing(place: Place, workers: int, how: signal.Signals) -> None:
    with uvicorn("site_under_test:asgi", folder=place.folder, environ=place.environ(), workers=workers) as server:
        truth = crowd(server.url, range(15))
        took = server.stop(how)
    assert took < 5
    assert_true(kept(place.store, truth), truth)


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        pytest.param("gunicorn", signal.SIGTERM, id="gunicorn, SIGTERM"),
        pytest.param("gunicorn", signal.SIGKILL, id="gunicorn, SIGKILL"),
        pytest.param("uvicorn", signal.SIGINT, id="uvicorn, SIGINT"),
        pytest.param("uvicorn", signal.SIGKILL, id="uvicorn, SIGKILL"),
    ],
)
def test_restarting_a_server_under_load_loses_nothing(place: Place, kind: str, how: signal.Signals) -> None:
    truth = Truth()
    with_server = gunicorn if kind == "gunicorn" else uvicorn
    app = "site_under_test:wsgi" if kind == "gunicorn" else "site_under_test:asgi"
    stopped_after: list[int] = []
    for part in range(2):
        visitors = range(part * 1000, part * 1000 + 1000)
        with (
            with_server(app, folder=place.folder, environ=place.environ(), workers=2) as server,
            interrupted(server.url, truth, visitors) as wait_for_more,
        ):
            wait_for_more(60)
            if how is signal.SIGKILL:
                server.kill()
            else:
                server.stop(how)
        stopped_after.append(len(truth.pages))
    assert stopped_after[0] >= 60
    assert stopped_after[1] >= 120
    assert_true(kept(place.store, truth), truth)
    assert_sound(place.store)
