"""`sojourn init`: print the lines that put Sojourn into an app of your framework. Writes nothing."""

from __future__ import annotations

import argparse
import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sojourn.errors import SojournError

from ._parser import Commands

_ACCESS: Final = 'password="..."'
_MOST_FILES: Final = 2000
"""How many files of the current folder are read to see which framework it uses."""
_SKIPPED: Final = frozenset({"node_modules", "site-packages", "venv", "env", "build", "dist"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What one framework needs."""

    title: str
    code: str
    module: str = ""
    """Its module, where that is not the recipe's name."""
    extra: bool = True
    where: str = "after the line that makes app"


def _called(module: str) -> str:
    return f'from sojourn.{module} import Sojourn\n\nsojourn = Sojourn(app)\nsojourn.mount_report("/_sojourn", {_ACCESS})\n'


RECIPES: Final = {
    "blacksheep": Recipe(title="BlackSheep", code=_called("blacksheep")),
    "bottle": Recipe(title="Bottle", code=_called("bottle")),
    "django": Recipe(
        title="Django",
        where="in settings.py",
        code='MIDDLEWARE.insert(0, "sojourn.django.SojournMiddleware")\nINSTALLED_APPS += ["sojourn.django"]\n',
    ),
    "falcon": Recipe(title="Falcon", code=_called("falcon")),
    "fastapi": Recipe(title="FastAPI", code=_called("starlette"), extra=False),
    "flask": Recipe(title="Flask", code=_called("flask")),
    "litestar": Recipe(
        title="Litestar",
        where="where app is made",
        code="from sojourn.litestar import SojournPlugin\n\nsojourn = SojournPlugin()\n"
        f'sojourn.mount_report("/_sojourn", {_ACCESS})\n\napp = Litestar(..., plugins=[sojourn])\n',
    ),
    "pyramid": Recipe(
        title="Pyramid",
        where="after the line that makes config",
        code=f'config.include("sojourn.pyramid")\nconfig.registry["sojourn"].mount_report("/_sojourn", {_ACCESS})\n',
    ),
    "quart": Recipe(title="Quart", code=_called("quart")),
    "sanic": Recipe(title="Sanic", code=_called("sanic")),
    "starlette": Recipe(title="Starlette", code=_called("starlette"), extra=False),
    "asgi": Recipe(
        title="any other ASGI app",
        extra=False,
        where="at the end of the module that your server imports",
        code="from sojourn.asgi import SojournMiddleware\n\napp = SojournMiddleware(app)\n",
    ),
    "wsgi": Recipe(
        title="any other WSGI app",
        extra=False,
        where="at the end of the module that your server imports",
        code="from sojourn.wsgi import SojournMiddleware\n\napp = SojournMiddleware(app)\n",
    ),
}
_PREFERRED: Final = [name for name in RECIPES if name != "starlette"] + ["starlette"]
"""An app that imports FastAPI may import Starlette, too, and is one of FastAPI."""


def add_commands(commands: Commands) -> None:
    """Add the command."""
    init = commands.add_parser(
        "init",
        description="Print what puts Sojourn into an app: the package, a key, the lines and where they go. Without a name, the "
        "framework is the one that Python files in this folder import. Writes nothing.",
    )
    init.add_argument(
        "framework", nargs="?", choices=sorted(RECIPES), metavar="FRAMEWORK", help=", ".join(sorted(RECIPES))
    )
    init.set_defaults(command=_init)


def _init(arguments: argparse.Namespace) -> int:
    name = arguments.framework or detected(Path())
    print("\n".join(lines(name)))
    return 0


def lines(name: str) -> Iterator[str]:
    """What to do for this framework."""
    from sojourn.settings._secrets import new_key

    recipe = RECIPES[name]
    yield f"Sojourn in {recipe.title}"
    steps = iter(range(1, 9))
    if recipe.extra and importlib.util.find_spec(name) is None:
        yield f'\n{next(steps)}. Install:\n\n  pip install "sojourn[{name}]"'
    if name != "django":  # it has the project's own key
        yield f"\n{next(steps)}. In the environment of the app, kept secret:\n\n  SOJOURN_SECRET_KEY={new_key()}"
    yield f"\n{next(steps)}. In your code, {recipe.where}:\n"
    yield from (f"  {line}".rstrip() for line in recipe.code.splitlines())
    yield f"\n{next(steps)}. {_next_step(recipe)}"


def _next_step(recipe: Recipe) -> str:
    if "mount_report" in recipe.code:
        return "Choose a password of 8 characters or more, open a page of the app, and then /_sojourn/ in the same browser."
    if recipe.title == "Django":
        return "Open a page of the app, then run: python manage.py sojourn report --open"
    return "Open a page of the app, then run: sojourn report --open --store sqlite:///sojourn.db"


def detected(folder: Path) -> str:
    """The framework that the Python files of a folder import. Raises `SojournError` if there is none, or several."""
    modules = {recipe.module or name: name for name, recipe in RECIPES.items() if name not in {"asgi", "wsgi"}}
    names = {modules[module] for file in _files(folder) for module in _imports(file) if module in modules}
    if "fastapi" in names:
        names.discard("starlette")
    if len(names) == 1:
        return names.pop()
    seen = f"imports of {', '.join(sorted(names))}" if names else "no import of a framework that has an integration"
    msg = f"init: this folder has {seen}; name one: sojourn init {'|'.join(sorted(names or RECIPES))}"
    raise SojournError(msg)


def _files(folder: Path) -> Iterator[Path]:
    count = 0
    for file in folder.rglob("*.py"):
        if not any(part in _SKIPPED or part.startswith(".") for part in file.relative_to(folder).parts):
            yield file
            count += 1
            if count == _MOST_FILES:
                return


def _imports(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):  # not a file of this Python
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]
