"""A project as `django-admin startproject` makes it, with Sojourn as docs/django.md says. Run by its own `manage.py`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "django.md"
VIEWS = """
from django.http import HttpResponse

from sojourn import track


def buy(request, seed):
    track("purchase", {"seed": seed})
    return HttpResponse(f"<h1>{seed}, {request.user or 'somebody'}!</h1>")


urlpatterns += [path("buy/<slug:seed>/", buy)]
"""


def block_with(text: str) -> str:
    """The Python block of the page that has this text."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if text in block)
    return str(block)


class Project:
    """The project in this folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run("-m", "django", "startproject", "shop", ".")
        self.add("settings", block_with("MIDDLEWARE = ["))
        (folder / "shop" / "urls.py").write_text(f"{block_with('sojourn.django.urls')}\n{VIEWS}")

    def add(self, module: str, text: str) -> None:
        """Add this to the end of a module."""
        with (self.folder / "shop" / f"{module}.py").open("a") as file:
            file.write(f"\n{text}")

    def manage(self, *arguments: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.run("-W", "error", "manage.py", *arguments, code=code, **environ)

    def run(self, *arguments: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the folder; the exit code must be this."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SOJOURN_", "DJANGO_"))}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**own, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        return done
