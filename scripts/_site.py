"""A hook of mkdocs: links from the docs to files beside them, such as ../SECURITY.md, lead to the repository on the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_OUTWARDS = re.compile(r"\]\((?:\.\./)+([^)#]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Called by mkdocs for each page."""
    docs = Path(config.docs_dir)
    here = docs / Path(page.file.src_uri).parent

    def lead(match: re.Match[str]) -> str:
        target = (here / match[0][2:-1].partition("#")[0]).resolve()
        if target.is_relative_to(docs) or not target.exists():
            return match[0]  # mkdocs itself judges it
        kind = "tree" if target.is_dir() else "blob"
        return f"]({config.extra['source']}/{kind}/main/{target.relative_to(_ROOT).as_posix()}{match[2] or ''})"

    return _OUTWARDS.sub(lead, markdown)
