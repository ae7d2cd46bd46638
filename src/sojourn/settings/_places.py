"""Where things lie: the store's URL, folders, and how both are shown. Looks at folders, makes none."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

MEMORY: Final = "memory:"
SQLITE: Final = "sqlite:///"

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_POSTGRESQL: Final = re.compile(r"postgres(?:ql)?(\+[a-z0-9_]+)?://(.+)", re.DOTALL)
_STORE_HINT: Final = (
    'give "sqlite:///path/to/file.db" (relative to the current folder; four slashes: absolute), '
    '"postgresql://user:password@host/database", "memory:", or a store object'
)


def parse_store(value: object) -> object:
    """Check the form of a URL; keep an object that is not text as it is."""
    if value is None or isinstance(value, bool | int | float | bytes | bytearray | list | tuple | dict | set):
        raise ValueError(_STORE_HINT)
    if isinstance(value, os.PathLike):
        msg = f'write a file as a URL: "{SQLITE}path/to/file.db"'
        raise ValueError(msg)
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text == MEMORY:
        return text
    if not text.isprintable():
        msg = f"it has a character that cannot be printed; {_STORE_HINT}"
        raise ValueError(msg)
    if text.startswith(SQLITE):
        path = text.removeprefix(SQLITE)
        if not path or path.startswith(":memory:"):
            msg = f'use "{MEMORY}" for a store in memory'
            raise ValueError(msg)
        if path.endswith("/"):
            msg = f"it names a folder; add a file name, such as {text}sojourn.db"
            raise ValueError(msg)
        return text
    if text in ("sqlite:", "sqlite://"):
        msg = f'use "{MEMORY}" for a store in memory, "{SQLITE}sojourn.db" for a file'
        raise ValueError(msg)
    if match := _POSTGRESQL.fullmatch(text):
        # Hosting platforms still hand out "postgres://", which SQLAlchemy refuses.
        return f"postgresql{match[1] or ''}://{match[2]}"
    raise ValueError(_STORE_HINT)


def store_path(store: object) -> Path | None:
    """The database file of a SQLite URL, else `None`."""
    return Path(store.removeprefix(SQLITE)) if isinstance(store, str) and store.startswith(SQLITE) else None


def placed(store: object, base: Path | None) -> object:
    """Make a SQLite URL absolute; raise `ValueError` if what comes out could be read as a URL with a query."""
    path = store_path(store)
    if path is None:
        return store
    url = SQLITE + absolute(path, base).as_posix()
    if "?" in url:
        msg = (
            "its path must not contain a question mark, which a URL of SQLite cannot quote; options have no place in it"
        )
        raise ValueError(msg)
    return url


def absolute(path: Path, base: Path | None) -> Path:
    try:
        return Path(os.path.abspath((base or Path()) / path))
    except OSError as error:
        msg = f"the current folder cannot be read ({error.strerror}); give an absolute path"
        raise ValueError(msg) from error


def check_writable(path: Path, base: Path | None) -> None:
    """Raise `ValueError` if no database can be made or written at this path. `base` alone may be missing still."""
    folder = path.parent
    if base is not None and folder == base and not folder.exists():
        # A Flask app's instance folder is often made by whoever first needs it: here the engine, later.
        folder = folder.parent
    if not folder.is_dir():
        msg = f"the folder {folder} does not exist; create it, or choose another place"
        raise ValueError(msg)
    if path.is_dir():
        msg = f"{path} is a folder; add a file name"
        raise ValueError(msg)
    if not os.access(folder, os.W_OK | os.X_OK):
        msg = f"the folder {folder} is not writable for this process; change its owner or mode, or choose another place"
        raise ValueError(msg)
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        msg = f"the file {path} is not writable for this process; change its owner or mode, or choose another place"
        raise ValueError(msg)


def check_folder(path: Path) -> None:
    if path.exists() and not path.is_dir():
        msg = f"{path} is not a folder; choose another place"
        raise ValueError(msg)


def parse_folder(value: object) -> Path:
    if (
        isinstance(value, str | os.PathLike)
        and (text := os.fspath(value))
        and isinstance(text, str)
        and "\0" not in text
    ):
        return Path(text)
    msg = "give the path of a folder"
    raise ValueError(msg)


def scheme_only(value: object) -> str:
    """Show a URL without what may be a credential: everything behind the scheme."""
    if not isinstance(value, str):
        return f"<{type(value).__qualname__}>"
    match = _SCHEME.match(value)
    return f"'{match[0]}...'" if match else "'...'"


def show_store(value: object) -> str:
    """Show a store: a local one whole, of a server's URL neither the password nor the options (which may hold one)."""
    if not isinstance(value, str):
        return scheme_only(value)
    if value == MEMORY or value.startswith(SQLITE):
        return repr(value)
    match = _POSTGRESQL.fullmatch(value)
    if match is None:
        return scheme_only(value)
    # To the last "@": a password may hold one unquoted, and must not show then either.
    user, at, place = match[2].partition("?")[0].rpartition("@")
    if "@" in match[2].partition("?")[2]:
        return scheme_only(value)
    name = user.partition(":")[0]
    hidden = ":***" if ":" in user else ""
    return f"'postgresql{match[1] or ''}://{name}{hidden}{at}{place}'"
