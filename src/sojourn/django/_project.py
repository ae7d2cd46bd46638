"""The one engine of a Django project, made of `settings.SOJOURN` and `settings.SOJOURN_*` when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings as project  # type: ignore[import-untyped]
from django.core import mail  # type: ignore[import-untyped]
from django.core.signals import setting_changed  # type: ignore[import-untyped]

from sojourn.core.threads import Lock
from sojourn.errors import SettingsError
from sojourn.settings import Settings

if TYPE_CHECKING:
    from sojourn.engine import Engine

_PREFIX: Final = "SOJOURN_"
_SECRETS: Final = ("SECRET_KEY", "SECRET_KEY_FALLBACKS")
_READ: Final = frozenset({"SOJOURN", "DEBUG", "BASE_DIR", *_SECRETS})
_OUTSIDE: Final = ("SOJOURN_STORE", "SOJOURN_BACKENDS", "SOJOURN_JOURNAL_DIR")
"""Where a project keeps and sends its sessions: tests of it must not write there."""

_lock = Lock()
_engine: Engine | None = None
_overridden: set[str] = set()
"""Settings of ours that a test overrides now."""


def get_engine() -> Engine:
    """The engine of this project: `flush()`, `sweep()`, `stats()`. Raises `SettingsError` for settings that are wrong."""
    global _engine  # noqa: PLW0603 - one project per process, as Django has it
    if _engine is None:
        from sojourn.engine import Engine  # loads stores and pipeline: when the project is served, not at an import

        with _lock:
            if _engine is None:
                _engine = Engine(read_settings())
    return _engine


def set_engine(engine: Engine | None) -> None:
    """Use this engine from now on, as a test with a `ManualClock` does; `None`: one made of the settings again.

    The engine before it is left open.
    """
    global _engine  # noqa: PLW0603
    with _lock:
        _engine = engine


def read_settings() -> Settings:
    """Read `settings.SOJOURN`, `settings.SOJOURN_*`, and what they leave out from the environment.

    `SECRET_KEY` and `SECRET_KEY_FALLBACKS` sign without a key of ours, and files go to `BASE_DIR`. In Django's test
    environment sessions stay in memory, unless the test itself overrides our settings. Raises `SettingsError`.
    """
    values = _from_project()
    is_test = hasattr(mail, "outbox")  # made by Django's `setup_test_environment()`
    environ: Mapping[str, str] = os.environ
    if is_test:
        environ = {name: value for name, value in environ.items() if name not in _OUTSIDE}
        if not _overridden:
            values = {name: value for name, value in values.items() if name not in _OUTSIDE}
        values.setdefault("SOJOURN_STORE", "memory:")
    for name in _SECRETS:
        values[name] = getattr(project, name, None)
    base_dir = getattr(project, "BASE_DIR", None)
    return Settings.from_mapping(
        values,
        base_dir=base_dir if isinstance(base_dir, str | os.PathLike) else None,
        lenient_secret=bool(project.DEBUG) or is_test,
        environ=environ,
    )


def _from_project() -> dict[str, Any]:
    """Our own settings of `settings.py`, by their names in the environment."""
    values = {name: getattr(project, name) for name in dir(project) if name.startswith(_PREFIX)}
    grouped = getattr(project, "SOJOURN", None) or {}
    if not isinstance(grouped, Mapping):
        msg = f'SOJOURN: give a dict, such as {{"idle_timeout": "20m"}}; got a {type(grouped).__name__}'
        raise SettingsError(msg)
    for key, value in grouped.items():
        name = f"{_PREFIX}{str(key).upper().removeprefix(_PREFIX)}"
        if name in values:
            msg = f"SOJOURN[{key!r}] and {name} both set {name.removeprefix(_PREFIX).lower()}; remove one of them"
            raise SettingsError(msg)
        values[name] = value
    return values


def _changed(*, setting: str, enter: bool, **_signal: object) -> None:
    """A test overrides a setting, or takes that back: the next request gets an engine of the new ones."""
    if setting not in _READ and not setting.startswith(_PREFIX):
        return
    if setting == "SOJOURN" or setting.startswith(_PREFIX):
        (_overridden.add if enter else _overridden.discard)(setting)
    engine = _engine
    set_engine(None)
    if engine is not None:
        engine.close()


setting_changed.connect(_changed, dispatch_uid="sojourn")
