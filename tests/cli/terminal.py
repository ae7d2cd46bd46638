"""A command in a real terminal of a given size and what it shows; a shell that is typed into."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PROMPT: Final = "READY> "
_PATIENCE_S: Final = 60.0


def run_in_terminal(
    arguments: Sequence[str], *, columns: int, folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> str:
    """What a command of ours writes to a terminal with so many columns, without carriage returns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **(environ or {})}
    env.pop("COLUMNS", None)
    command = [sys.executable, "-W", "error", "-m", "sojourn", *arguments]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE, cwd=folder, env=env
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65_536):
            shown += chunk
    except OSError:  # EIO: the other end is closed
        pass
    finally:
        os.close(ours)
        _, error = process.communicate()
    assert process.returncode == 0, error.decode()
    return shown.decode().replace("\r\n", "\n")


def typed_into(
    shell: Sequence[str], steps: Sequence[tuple[str, str]], *, folder: Path, environ: Mapping[str, str]
) -> None:
    """Type into an interactive shell, and after each keys wait until it shows the text."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "dumb", "PS1": PROMPT, **environ}
    process = subprocess.Popen(
        [*shell], stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=env, start_new_session=True
    )
    os.close(theirs)
    try:
        for keys, expected in steps:
            os.write(ours, keys.encode())
            shown = ""
            while expected not in shown:
                is_readable, _, _ = select.select([ours], [], [], _PATIENCE_S)
                assert is_readable, f"{keys!r} was typed; {expected!r} is not in {shown!r}"
                shown += os.read(ours, 65_536).decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
