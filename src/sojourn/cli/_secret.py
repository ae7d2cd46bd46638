"""`sojourn secret`: a new secret key, as a line for the environment of an app."""

from __future__ import annotations

import argparse

from ._parser import Commands


def add_commands(commands: Commands) -> None:
    """Add the command."""
    secret = commands.add_parser(
        "secret",
        description="Print a line with a new secret key, for the environment of your app.",
    )
    secret.set_defaults(command=_secret)


def _secret(_arguments: argparse.Namespace) -> int:
    from sojourn.settings._secrets import new_key

    print(f"SOJOURN_SECRET_KEY={new_key()}")
    return 0
