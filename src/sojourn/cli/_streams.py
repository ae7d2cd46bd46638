"""Standard output and standard error of a command: what cannot be written is one line on standard error and exit code 1."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress

_FAILURE = 1


class _Closed(io.TextIOBase):
    """In place of a standard output that is closed: Python has none then, and `print` would say nothing."""

    def write(self, _text: str) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def guarded(run: Callable[[], int]) -> int:
    """Run a command, write out what it printed, and return its exit code: 1 if that could not be written."""
    is_closed = sys.stdout is None
    if is_closed:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    try:
        try:
            code = run()
        except SystemExit:  # argparse, for --help and --version
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except OSError as error:
        _give_up(error)
        return _FAILURE
    finally:
        if is_closed:
            sys.stdout = None
    return code


def _give_up(error: OSError) -> None:
    """Say what could not be written, and let the interpreter not try again at its end."""
    if not isinstance(sys.stdout, _Closed):
        with suppress(OSError, ValueError):  # ValueError: it is no file, as in a test
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    reason = error.strerror or type(error).__name__
    what = f"{error.filename}: " if error.filename else "the output could not be written: "
    with suppress(OSError):
        print(f"sojourn: {what}{reason}", file=sys.stderr, flush=True)
