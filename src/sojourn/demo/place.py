"""A new folder of the user's state directory, for one run of the demo. Makes it; knows nothing of what goes in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from itertools import count
from pathlib import Path

from sojourn.errors import SojournError


def new_folder(environ: Mapping[str, str]) -> Path:
    """Make `sojourn/demo-<time>` where the user's programs keep their state, for this user's eyes only."""
    above = state_directory(environ) / "sojourn"
    name = f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    try:
        above.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            folder = above / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:  # another demo, begun in the same second
                continue
            return folder
    except OSError as error:
        msg = f"the folder {above} cannot be used ({error.strerror}); name another one: XDG_STATE_HOME=... sojourn demo"
        raise SojournError(msg) from error
    raise AssertionError("count() never ends")


def state_directory(environ: Mapping[str, str]) -> Path:
    """`$STATE_DIRECTORY` as systemd gives it (the first of several), else the XDG one."""
    for value in (environ.get("STATE_DIRECTORY", "").partition(":")[0], environ.get("XDG_STATE_HOME", "")):
        if os.path.isabs(value):  # the XDG specification has relative ones ignored
            return Path(value)
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError as error:
        msg = "this user has no home folder; name a place: XDG_STATE_HOME=... sojourn demo"
        raise SojournError(msg) from error
