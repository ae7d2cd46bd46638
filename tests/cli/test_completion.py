"""Completion: what the command says can follow, and a real bash (and zsh and fish, where they are) that asks it."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sojourn import cli
from sojourn.cli._completion import completions
from tests.cli.terminal import PROMPT, typed_into

EVERY = sorted(cli.parser("sojourn").verbs)


def words(line: str) -> list[str]:
    """What can stand at the end of a line."""
    return [each.word for each in completions(cli.parser("sojourn"), line.split(" ")[1:])]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        pytest.param("sojourn ", EVERY, id="commands"),
        pytest.param("sojourn se", ["secret", "sessions", "settings"], id="a part of a command"),
        pytest.param("sojourn sessions ", ["list", "show", "tail"], id="commands of a group"),
        pytest.param("sojourn sessions list --s", ["--since", "--store"], id="options"),
        pytest.param("sojourn sessions list --store x --s", ["--since"], id="an option is taken once"),
        pytest.param("sojourn sessions list --where x --wh", ["--where"], id="unless it can be repeated"),
        pytest.param("sojourn export --format ", ["jsonl", "csv"], id="values"),
        pytest.param("sojourn export --format c", ["csv"], id="a part of a value"),
        pytest.param("sojourn export --format=c", ["--format=csv"], id="joined, as zsh and fish have it"),
        pytest.param("sojourn export --format = c", ["csv"], id="joined, as bash has it"),
        pytest.param("sojourn export --format =", ["jsonl", "csv"], id="joined, with nothing yet"),
        pytest.param("sojourn export --format csv --sess", ["--sessions"], id="behind a value"),
        pytest.param("sojourn export --output ", [], id="any text, or a file"),
        pytest.param("sojourn export --active --ev", ["--events"], id="behind an option without a value"),
        pytest.param("sojourn init fl", ["flask"], id="arguments"),
        pytest.param("sojourn sessions show --store x -- --", [], id="behind two dashes"),
        pytest.param("sojourn nothing ", EVERY, id="behind what is no command"),
        pytest.param("sojourn --", ["--help", "--version"], id="options of the command itself"),
    ],
)
def test_words(line: str, found: list[str]) -> None:
    assert sorted(words(line)) == sorted(found)


def test_each_command_and_option_says_what_it_means() -> None:
    found = [*completions(cli.parser("sojourn"), [""]), *completions(cli.parser("sojourn"), ["status", "--"])]
    assert [each.word for each in found if not each.meaning] == []


def test_words_are_printed_with_their_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "words", "--", "sessions", "sh"]) == 0
    assert capsys.readouterr().out == "show\tshow one session with its timeline\n"


# --- real shells


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the command in `bin`, and two files."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "sojourn"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sojourn "$@"\n')
    command.chmod(0o755)
    for name in ("sojourn.db", "some file.txt"):
        (tmp_path / name).touch()
    return tmp_path


def run(shell: list[str], script: str, folder: Path) -> list[str]:
    environ = {**os.environ, **place(folder)}
    done = subprocess.run([*shell, script], capture_output=True, text=True, cwd=folder, env=environ, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


# What bash does at <TAB>: it splits the line, calls the function, and shows what is in COMPREPLY.
BASH = """
eval "$(sojourn completion bash)"
complete -p sojourn >/dev/null || exit 1
ask() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sojourn "$1"; printf '%s\\n' "${{COMPREPLY[@]}}"; }}
ask {words}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "found"),
    [
        pytest.param("sojourn sess", ["sessions"], id="command"),
        pytest.param("sojourn outbox ''", ["list", "retry", "skip", "drain"], id="commands of a group"),
        pytest.param("sojourn export --format = ''", ["jsonl", "csv"], id="joined value"),
        pytest.param("sojourn erase --must", ["--must-exist"], id="option"),
        pytest.param("sojourn sessions show '$(touch harm)' '`touch harm`' ''", [""], id="hostile words are words"),
    ],
)
def test_bash(line: str, found: list[str], folder: Path) -> None:
    assert run(["bash", "--norc", "-c"], BASH.format(words=line), folder) == found
    assert not (folder / "harm").exists()


VERSION = f"sojourn {importlib.metadata.version('sojourn')}"


def typed(shell: str, *before: str) -> list[tuple[str, str]]:
    """Keys and what the shell shows then: a command of ours that a tab completes, and a file where we know no word."""
    lines = [*before, f'eval "$(sojourn completion {shell})"']
    return [
        ("", PROMPT),
        *((f"{line}\r", PROMPT) for line in lines),
        ("sojourn --ver\t\r", VERSION),
        ("sojourn backup some\t", "some\\ file.txt"),
    ]


def place(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}


@pytest.mark.slow
def test_bash_at_a_keyboard(folder: Path) -> None:
    typed_into(["bash", "--norc", "--noprofile"], typed("bash"), folder=folder, environ=place(folder))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("zsh") is None, reason="this system has no zsh")
def test_zsh_at_a_keyboard(folder: Path) -> None:
    typed_into(["zsh", "-f"], typed("zsh", "autoload -U compinit; compinit -u"), folder=folder, environ=place(folder))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="this system has no fish")
def test_fish(folder: Path) -> None:
    script = "sojourn completion fish | source; complete -C 'sojourn sess'"
    (line,) = run(["fish", "--no-config", "-c"], script, folder)
    assert line == "sessions\tlist sessions, show one with its timeline, or follow events"
