"""A new folder of the user's state directory, for one run of the demo. Makes it; knows nothing of what goes in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import count
from pathlib import Path

from sojourn.errors import SojournError
from sojourn.settings._places import state_folder


def new_folder(environ: Mapping[str, str]) -> Path:
    """Make `sojourn/demo-<time>` where the user's programs keep their state, for this user's eyes only."""
    state = state_folder(environ)
    if state is None:
        raise SojournError("this user has no home folder; name another one: XDG_STATE_HOME=... sojourn demo")
    above = state / "sojourn"
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
