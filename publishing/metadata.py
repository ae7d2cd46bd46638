"""Gives hatchling the metadata that comes from the repository's address: links, and a README that a package index can show.

An index shows README.md away from the files beside it, so relative links lead to the repository, at the tag of this version.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from hatchling.metadata.plugin.interface import MetadataHookInterface

_TARGET: Final = re.compile(r"(?<=\]\()(?![a-z]+:)[^)\s]+")


class RepositoryMetadata(MetadataHookInterface):
    """`tool.hatch.metadata.hooks.custom`, with one option: `repository`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add `urls` and `readme`."""
        repository = self.config["repository"]
        metadata["urls"] = urls(repository)
        text = readme(Path(self.root), repository, metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def urls(repository: str) -> dict[str, str]:
    """Return the links that a package index shows beside the README, under the labels that it knows."""
    return {
        "Homepage": repository,
        "Documentation": f"{repository}/tree/main/docs",
        "Source": repository,
        "Issues": f"{repository}/issues",
        "Changelog": f"{repository}/blob/main/CHANGELOG.md",
        "Security": f"{repository}/security/policy",
    }


def readme(root: Path, repository: str, version: str) -> str:
    """Return README.md with absolute links: pictures as files, folders and pages as the repository shows them."""
    at = "main" if "dev" in version else f"v{version}"

    def absolute(match: re.Match[str]) -> str:
        target = match.group()
        if target.startswith("#"):
            return f"{repository}{target}"
        path, _, heading = target.partition("#")
        return shown(root, path, repository, at) + (f"#{heading}" if heading else "")

    return _TARGET.sub(absolute, (root / "README.md").read_text(encoding="utf-8"))


def shown(root: Path, path: str, repository: str, at: str) -> str:
    """Return where the repository shows the file or folder of this path: a picture as the file itself."""
    place = root / path
    view = "tree" if place.is_dir() else "raw" if place.suffix in {".png", ".svg", ".gif", ".webp"} else "blob"
    return f"{repository}/{view}/{at}/{path}"
