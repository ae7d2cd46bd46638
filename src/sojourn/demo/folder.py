"""A new folder in the user's state directory for each run of the demo."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import count
from pathlib import Path

from sojourn.errors import SojournError
from sojourn.settings._places import state_folder


def new_folder(environ: Mapping[str, str]) -> Path:
    """Create `sojourn/demo-<time>` in the state directory, readable by this user only. Raises `SojournError`."""
    state = state_folder(environ)
    if state is None:
        raise SojournError("this user has no home directory; set one: XDG_STATE_HOME=... sojourn demo")
    parent = state / "sojourn"
    name = f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:  # another demo started in the same second
                continue
            return folder
    except OSError as error:
        msg = f"the folder {parent} cannot be used ({error.strerror}); set another one: XDG_STATE_HOME=... sojourn demo"
        raise SojournError(msg) from error
    raise AssertionError("count() never ends")
