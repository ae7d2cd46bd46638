"""Templates with the report's filters. Everything is escaped; an undefined name is an error."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import _assets, _formatting

_FOLDER: Final = Path(__file__).parent / "templates"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        short=_formatting.short,
        full=_formatting.full,
        lookalike=_formatting.lookalike,
        visible=_formatting.visible,
        number=_formatting.number,
        percent=_formatting.percent,
        span=_formatting.span,
        clock=_formatting.clock,
        copyable=_formatting.copyable,
    )
    environment.globals.update(EMPTY=_formatting.EMPTY, asset=_assets.path_of)
    return environment


def render(template: str, **context: Any) -> str:
    return _environment().get_template(template).render(context)


def render_part(template: str, macro: str, *arguments: Any, **context: Any) -> str:
    """Render one macro of a template: a part of a page that is updated live."""
    module = _environment().get_template(template).make_module(context)
    return str(getattr(module, macro)(*arguments))
