"""A PostgreSQL server of the tests' own: made in a temporary directory, on a free loopback port, stopped by its pid.

Imports no test framework, so that other suites can use it too:

    with Cluster() as cluster:
        url = cluster.fresh_database()

It trusts every connection, except for roles made by `role()`: those need their password. `POSTGRES_OF_TESTS` names
the folder of another version's programs; without it, the first on PATH or else the newest that Debian installed is taken.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final, Literal, Self

import psycopg

from tests.ports import free_port

_PATIENCE_S: Final = 60.0
_SIGNALS: Final = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_GUARDED: Final = "guarded"

_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # What a test writes is gone with it: nothing has to outlive the machine.
    "fsync": "off",
    "full_page_writes": "off",
    "deadlock_timeout": "100ms",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "log_line_prefix": "%m [%p] ",
    "password_encryption": "scram-sha-256",  # PostgreSQL 13 has md5
}

_INITDB: Final = ("-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync")

_HBA: Final = f"""
host  all  +{_GUARDED}  127.0.0.1/32  scram-sha-256
host  all  all          127.0.0.1/32  trust
"""

_SCHEMAS: Final = (
    "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')"
)
_IS_AS_NEW: Final = """
SELECT d.datacl IS NULL AND d.datdba = 10
    AND NOT EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    AND NOT EXISTS (SELECT 1 FROM pg_proc WHERE pronamespace = 'public'::regnamespace)
    AND NOT EXISTS (SELECT 1 FROM pg_default_acl) AND NOT EXISTS (SELECT 1 FROM pg_event_trigger)
    AND NOT EXISTS (SELECT 1 FROM pg_extension WHERE extname <> 'plpgsql')
    AND NOT EXISTS (SELECT 1 FROM pg_db_role_setting AS s WHERE s.setdatabase = d.oid)
    AND NOT EXISTS (SELECT 1 FROM pg_stat_activity AS a WHERE a.datid = d.oid AND a.pid <> pg_backend_pid())
FROM pg_database AS d WHERE d.datname = current_database()
"""


class Cluster:
    """One server. `start` and `stop` may alternate; port and data stay the same."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self._settings = {**_SETTINGS, **(settings or {})}
        self._bin = _programs()
        self._owner = _owner()
        self._folder = Path(tempfile.mkdtemp(prefix="sojourn-postgres-"))
        self._server: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._lent: list[str] = []
        self._empty: list[str] = []
        self.port = free_port()
        try:
            if self._owner is not None:
                shutil.chown(self._folder, self._owner)
            self._initialize()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def __enter__(self) -> Self:
        try:
            self.start()
            self.run(f"CREATE ROLE {_GUARDED}")
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    @property
    def pid(self) -> int:
        """Of the server's first process, which the others come from."""
        assert self._server is not None, "it is not running"
        return self._server.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def start(self) -> None:
        """Return when it accepts connections."""
        assert self._server is None, "it runs already"
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-p", str(self.port), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl+C at the tests is not for the server
                **self._as_owner(),
            )
            self._watch = self._watched(self._server.pid)
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self.run("SELECT 1")
                return
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    self.stop("immediate")
                    raise RuntimeError(f"PostgreSQL did not start:\n{self.log[-2000:]}") from None
                time.sleep(0.02)

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """`fast` ends every connection and writes all down; `immediate` is a crash."""
        server, self._server = self._server, None
        if server is None:
            return
        if server.poll() is None:
            server.send_signal(_SIGNALS[mode])
        try:
            server.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if self._watch is not None:
            self._watch.kill()
            self._watch.communicate()

    def restart(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        self.stop(mode)
        self.start()

    def become_standby(self) -> None:
        """Restart it as a hot standby, whose primary is away: it accepts connections, and writes nothing."""
        self.stop()
        signal_file = self._data / "standby.signal"
        signal_file.touch()
        if self._owner is not None:
            shutil.chown(signal_file, self._owner)
        self.start()

    def remove(self) -> None:
        """Stop it, and leave nothing behind."""
        self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def fresh_database(self) -> str:
        """Return the URL of an empty database."""
        if self._empty:
            name = self._empty.pop()
        else:
            name = f"test_{next(self._numbers)}"
            self.run(f"CREATE DATABASE {name}")
        self._lent.append(name)
        return self.url(name)

    @property
    def lent(self) -> int:
        """How many databases are with tests. What is lent later is taken back by `take_back()`."""
        return len(self._lent)

    def take_back(self, kept: int) -> None:
        """Empty all databases but those that were lent first, for the next tests; drop those in which more was changed.

        Each is some 300 files: those of a whole run would take gigabytes, and minutes to delete.
        """
        while len(self._lent) > kept:
            name = self._lent.pop()
            with contextlib.suppress(psycopg.OperationalError):  # the server is stopped: they go with its folder
                if self._emptied(name):
                    self._empty.append(name)
                else:
                    self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def _emptied(self, name: str) -> bool:
        with psycopg.connect(self.url(name), autocommit=True, connect_timeout=10) as connection:
            schemas = connection.execute(_SCHEMAS).fetchall()
            for (schema,) in schemas:
                connection.execute(f'DROP SCHEMA "{schema}" CASCADE'.encode())
            return connection.execute(_IS_AS_NEW).fetchone() == (True,)

    def url(self, database: str, *, user: str = "postgres", password: str | None = None) -> str:
        who = user if password is None else f"{user}:{password}"
        return f"postgresql://{who}@127.0.0.1:{self.port}/{database}"

    def role(self, name: str, password: str) -> None:
        """Make a role that may log in with this password only."""
        self.run(f"CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE {_GUARDED}")

    def run(self, statement: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement as superuser, in this database (a name or a URL), and return its rows."""
        url = database if "://" in database else self.url(database)
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def cut(self, pid: int) -> None:
        """End the connection that this server process has; return when it is gone. PostgreSQL 13 cannot wait itself."""
        self.run(f"SELECT pg_terminate_backend({pid})")
        deadline = time.monotonic() + _PATIENCE_S
        while self.run(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"):
            assert time.monotonic() < deadline, "it does not end"
            time.sleep(0.01)

    # --- how it is made

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    def _initialize(self) -> None:
        done = subprocess.run(
            [self._bin / "initdb", "-D", self._data, "-U", "postgres", *_INITDB],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self._as_owner(),
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr}")
        (self._data / "pg_hba.conf").write_text(_HBA)

    def _watched(self, pid: int) -> subprocess.Popen[bytes]:
        """Killing the tests midway leaves no server behind: their end of this pipe ends with them."""
        last_words = 'read -r _; kill -QUIT "$0"; sleep 1; rm -rf "$1"'
        return subprocess.Popen(
            ["/bin/sh", "-c", last_words, str(pid), self._folder], stdin=subprocess.PIPE, start_new_session=True
        )

    def _as_owner(self) -> dict[str, Any]:
        """Another user than root, under whom PostgreSQL refuses to run; and that user's folder to stand in."""
        if self._owner is None:
            return {"cwd": self._folder}
        return {"user": self._owner, "group": self._owner, "extra_groups": [], "cwd": self._folder}


def _programs() -> Path:
    if chosen := os.environ.get("POSTGRES_OF_TESTS"):
        return Path(chosen)
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(map(Path, glob.glob("/usr/lib/postgresql/*/bin")), key=_version, reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise RuntimeError(
        "these tests start a PostgreSQL server of their own, and none is installed: apt-get install postgresql"
    )


def _version(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


def _owner() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise RuntimeError(
            "PostgreSQL does not run as root, and there is no user postgres: apt-get install postgresql"
        ) from None
