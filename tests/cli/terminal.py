"""A command in a real terminal of a given size, and what it shows."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path


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
