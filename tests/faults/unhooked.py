"""Servers that fork without calling Python's fork hooks: a process must notice by itself that it is another one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

from . import servers
from .scene import Fault, Promise, Scene
from .servers import Server


def _granian(scene: Scene, interface: Literal["asgi", "wsgi"]) -> AbstractContextManager[Server]:
    deployment = scene.deployment
    app = f"tests.faults.site:{interface}"
    return servers.granian(app, folder=deployment.folder, environ=deployment.environ(), interface=interface)


def _uwsgi(scene: Scene) -> AbstractContextManager[Server]:
    deployment = scene.deployment
    return servers.uwsgi("tests.faults.site:wsgi", folder=deployment.folder, environ=deployment.environ())


def granian_asgi(scene: Scene) -> None:
    _killed_whole(scene, _granian(scene, "asgi"), _granian(scene, "asgi"))


def granian_wsgi(scene: Scene) -> None:
    _killed_whole(scene, _granian(scene, "wsgi"), _granian(scene, "wsgi"))


def uwsgi(scene: Scene) -> None:
    _killed_whole(scene, _uwsgi(scene), _uwsgi(scene))


def _killed_whole(scene: Scene, first: AbstractContextManager[Server], then: AbstractContextManager[Server]) -> None:
    """Visitors play, then the whole server is killed with what it had not recorded; the next one goes on with it.

    It needs visitors too: without a lifespan protocol a process opens nothing before its first request.
    """
    with first as server:
        with scene.visitors(server):
            scene.wait(scene.seconds)
        server.kill()
    with then as server:
        with scene.visitors(server, seed=2):
            scene.wait(1)
        scene.settle()


def _missing(name: Literal["granian", "uwsgi"]) -> str:
    package = {"granian": "granian", "uwsgi": "pyuwsgi"}[name]
    return (
        "" if servers.has(name) else f"{name} is not installed; pip install {package} into the environment of the suite"
    )


_CUTS = Promise(cuts_requests=True)

FAULTS = (
    Fault(
        name="granian-asgi",
        about="granian's prefork, ASGI, then SIGKILL of all processes",
        play=granian_asgi,
        seconds=8,
        promise=_CUTS,
        missing=lambda: _missing("granian"),
    ),
    Fault(
        name="granian-wsgi",
        about="granian's prefork, WSGI, then SIGKILL of all processes",
        play=granian_wsgi,
        seconds=8,
        promise=_CUTS,
        missing=lambda: _missing("granian"),
    ),
    Fault(
        name="uwsgi",
        about="uWSGI's prefork without fork hooks, then SIGKILL of all processes",
        play=uwsgi,
        seconds=8,
        promise=_CUTS,
        missing=lambda: _missing("uwsgi"),
    ),
)
