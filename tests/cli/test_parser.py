"""The parser: what is wrong is one line that names the word and the nearest right one, and the help has groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn import cli
from sojourn.cli._parser import Parser


@pytest.mark.parametrize(
    ("words", "line"),
    [
        pytest.param("sessiones", "sojourn: unknown command 'sessiones'; did you mean 'sessions'?", id="command"),
        pytest.param("tail", "sojourn: unknown command 'tail'; did you mean 'sessions tail'?", id="command of a group"),
        pytest.param("sessions showw", "sojourn sessions: unknown command 'showw'; did you mean 'show'?", id="verb"),
        pytest.param("xyzzy", "sojourn: unknown command 'xyzzy'; see `sojourn --help`", id="nothing is near"),
        pytest.param(
            "status --chek", "sojourn status: unknown option '--chek'; did you mean '--check'?", id="misspelt option"
        ),
        pytest.param(
            "erase --usr=anna", "sojourn erase: unknown option '--usr'; did you mean '--user'?", id="of a required one"
        ),
        pytest.param(
            "status --max-l 3m",
            "sojourn status: unknown option '--max-l'; did you mean '--max-lag'?",
            id="abbreviation",
        ),
        pytest.param(
            "--store x status",
            "sojourn: --store belongs behind the command: sojourn COMMAND --store ...; see `sojourn --help`",
            id="option before the command",
        ),
        pytest.param(
            "export --events --store x --format csvv",
            "sojourn export: --format: 'csvv' is none of jsonl, csv; did you mean 'csv'?",
            id="choice",
        ),
        pytest.param(
            "secret \x1b[2J", "sojourn secret: unexpected argument '\\x1b[2J'; see `sojourn secret --help`", id="more"
        ),
    ],
)
def test_a_wrong_word_is_one_line_with_the_nearest(words: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.main(words.split(" "))
    assert exited.value.code == 2
    assert capsys.readouterr() == ("", f"{line}\n")


def test_words_behind_two_dashes_are_no_options() -> None:
    arguments = cli.parser("sojourn").parse(["sessions", "show", "--store", "x", "--", "--chek"])
    assert arguments.session == "--chek"


def test_help_lists_every_command_once_in_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([])
    groups = re.split(r"^(\S.*):\n", capsys.readouterr().out, flags=re.MULTILINE)
    commands = dict(zip(groups[1::2], groups[2::2], strict=True))
    assert list(commands)[-1] == "options"
    names = [
        name for title in list(commands)[:-1] for name in re.findall(r"^  ([\w-]+)  ", commands[title], re.MULTILINE)
    ]
    assert sorted(names) == sorted(cli.parser("sojourn").verbs)


@pytest.mark.parametrize("group", ["sessions", "outbox", "tokens"])
def test_a_group_without_a_command_prints_its_help(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([group]) == 0
    assert capsys.readouterr().out.startswith(f"usage: sojourn {group} COMMAND")


def commands_of(parser: Parser, *before: str) -> Iterator[str]:
    for name, verb in parser.verbs.items():
        yield from commands_of(verb, *before, name) if verb.verbs else [" ".join([*before, name])]


def test_the_docs_list_every_command() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    rows = [
        line.split(" | ")[0].replace("`, `", f"`, `{line.split()[2]} ") for line in page.splitlines() if "| `" in line
    ]
    listed = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(name.removeprefix("sojourn ") for name in listed) == sorted(commands_of(cli.parser("sojourn")))
