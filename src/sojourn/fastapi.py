"""A name that is often guessed. FastAPI apps are Starlette apps: `sojourn.starlette` is for both."""

from __future__ import annotations

msg = "FastAPI apps use the module of Starlette: `from sojourn.starlette import Sojourn`"
raise ImportError(msg, name=__name__)
