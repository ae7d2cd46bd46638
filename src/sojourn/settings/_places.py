"""Where things lie: the store's URL, folders, and how both are shown. Looks at folders, makes none.

Every path becomes absolute here, and here alone symbolic links are resolved: processes that name one store in different
ways must meet in the same journals (P6 in docs/internals.md).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode

MEMORY: Final = "memory:"
SQLITE: Final = "sqlite:///"

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_POSTGRESQL: Final = re.compile(r"postgres(?:ql)?(\+[a-z0-9_]+)?://(.+)", re.DOTALL)
_PORT: Final = re.compile(r":\d+$")
# The options that say which database it is; the others say how to get there.
_NAMING: Final = frozenset({"dbname", "host", "hostaddr", "port", "schema", "service"})
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
        # The driver would take the user's name for one: then journals of two stores would lie in one place.
        if not _server(text).rpartition("/")[2] and not {"dbname", "service"} & dict(_options(text)).keys():
            msg = 'it names no database; write it as "postgresql://user:password@host/database"'
            raise ValueError(msg)
        # Hosting platforms still hand out "postgres://": one store, one URL.
        return f"postgresql{match[1] or ''}://{match[2]}"
    raise ValueError(_STORE_HINT)


def store_path(store: object) -> Path | None:
    """The database file of a SQLite URL as it is written, else `None`."""
    return Path(store.removeprefix(SQLITE)) if isinstance(store, str) and store.startswith(SQLITE) else None


def journal_place(store: object, environ: Mapping[str, str]) -> Path | None:
    """Where the journals of a store lie: a place of that store alone. `None`: in memory, as for a store object."""
    if (path := store_path(store)) is not None:
        # Beside the file itself, not beside a link to it: SQLite's own companions lie there, too.
        file = Path(os.path.realpath(path))
        return file.with_name(file.name + ".d")
    if not isinstance(store, str) or not _POSTGRESQL.fullmatch(store):
        return None
    folder = state_folder(environ)
    return None if folder is None else folder / "sojourn" / sha256(_address(store).encode()).hexdigest()[:16]


def _address(url: str) -> str:
    """The database of a URL of PostgreSQL, written in one way: host and port, database, and what else names it."""
    options = {name: value for name, value in _options(url) if name in _NAMING}
    hosts, _, database = _server(url).partition("/")
    named = [each if _PORT.search(each) or "port" in options else f"{each}:5432" for each in hosts.lower().split(",")]
    database = options.pop("dbname", unquote(database))
    return f"postgresql://{','.join(named)}/{database}" + (f"?{urlencode(sorted(options.items()))}" if options else "")


def _server(url: str) -> str:
    """Host, port and database of a URL of PostgreSQL: what stands before the options, without user and password."""
    _, _, rest = url.partition("://")
    authority, slash, database = rest.partition("?")[0].rpartition("@")[2].partition("/")
    return f"{authority}{slash or '/'}{database}"


def _options(url: str) -> list[tuple[str, str]]:
    return parse_qsl(url.partition("?")[2])


def has_password(url: str) -> bool:
    """Whether a URL of PostgreSQL holds a password, in any of the places where the driver reads one."""
    place, _, options = url.partition("://")[2].partition("?")
    # "@" in the options: a password with an unquoted question mark, as `show_store` reads it.
    is_in_place = ":" in place.rpartition("@")[0] or "@" in options
    return is_in_place or any("password" in name or "secret" in name for name, _ in _options(url))


def state_folder(environ: Mapping[str, str]) -> Path | None:
    """The folder for what outlives a process: systemd's for a service, else the user's own. `None`: there is no home."""
    if service := environ.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(service)
    if os.path.isabs(user := environ.get("XDG_STATE_HOME", "")):  # the XDG specification ignores relative ones
        return Path(user)
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError:  # a user without a name, in a container
        return None


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


def absolute(path: Path, base: Path | None = None) -> Path:
    """Return the path in its real folder: a link may be put elsewhere later, and `..` behind one is not what it seems.

    A link at its end stays, for the checks of who may have put it there.
    """
    try:
        path = (base or Path()) / path
        return Path(os.path.realpath(path.parent), path.name) if path.name != ".." else Path(os.path.realpath(path))
    except OSError as error:
        msg = f"the current folder cannot be read ({error.strerror}); give an absolute path"
        raise ValueError(msg) from error


def check_writable(path: Path, base: Path | None) -> None:
    """Raise `ValueError` if no database can be made or written at this path. `base` alone may be missing still."""
    folder = path.parent
    if base is not None and folder == base and not folder.exists():
        # A Flask app's instance folder is often made on first use: here by the engine, later.
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
