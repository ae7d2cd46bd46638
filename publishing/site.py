"""A hook of mkdocs: links from the docs to files beside them, such as ../SECURITY.md, lead to the repository on the site."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from publishing.metadata import shown

_ROOT: Final = Path(__file__).parents[1]
_PROJECT: Final = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_REPOSITORY: Final[str] = _PROJECT["tool"]["hatch"]["metadata"]["hooks"]["custom"]["repository"]
_OUTWARDS: Final = re.compile(r"\]\(((?:\.\./)+[^)#]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Called by mkdocs for each page."""
    docs = Path(config.docs_dir)
    here = docs / Path(page.file.src_uri).parent

    def lead(match: re.Match[str]) -> str:
        target = (here / match[1]).resolve()
        if target.is_relative_to(docs) or not target.exists():
            return match[0]  # mkdocs itself judges it
        return f"]({shown(_ROOT, target.relative_to(_ROOT).as_posix(), _REPOSITORY, 'main')}{match[2] or ''})"

    return _OUTWARDS.sub(lead, markdown)
