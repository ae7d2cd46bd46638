"""`sojourn completion`: completion for bash, zsh and fish. The shell asks the command itself, so nothing gets out of date."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ._parser import Commands, Parser

_SCRIPTS: Final = {
    "bash": """\
# Completion for sojourn. In ~/.bashrc:  eval "$(sojourn completion bash)"
_sojourn() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\\t'*}")
    done < <("$1" completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o bashdefault -o default -F _sojourn sojourn
""",
    "zsh": """\
# Completion for sojourn. In ~/.zshrc, after compinit:  eval "$(sojourn completion zsh)"
_sojourn() {
    local line tab=$'\\t'
    local -a found
    while IFS= read -r line; do
        line=${line//:/\\\\:}
        found+=("${line/$tab/:}")
    done < <("${words[1]}" completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    if [[ -n "$found" ]]; then
        _describe sojourn found
    else
        _files
    fi
}
compdef _sojourn sojourn
""",
    "fish": """\
# Completion for sojourn. In ~/.config/fish/completions/sojourn.fish:  sojourn completion fish | source
function __sojourn_words
    set -l words (commandline -opc) (commandline -ct)
    $words[1] completion words -- $words[2..] 2>/dev/null
end
complete -c sojourn -a "(__sojourn_words)"
""",
}


def add_commands(commands: Commands) -> None:
    """Add the command."""
    completion = commands.add_parser(
        "completion",
        description="Print a script for a shell, which completes commands, options and their values. It runs `sojourn "
        "completion words`, so it needs no change after an upgrade.",
    )
    shells = completion.commands("shells")
    for shell, script in _SCRIPTS.items():
        where = script.partition(":  ")[2].partition("\n")[0]
        made = shells.add_parser(shell, help=f"for {shell}; {where}", description=f"To use it: {where}")
        made.set_defaults(command=lambda _arguments, script=script: _print(script))
    words = shells.add_parser(
        "words",
        help="what the scripts ask",
        description="Print what can stand in place of the last word, with a tab and its meaning.",
    )
    words.add_argument("words", nargs="*", metavar="WORD", help="the words behind `sojourn`; the last may be empty")
    words.set_defaults(command=_words)


def _print(script: str) -> int:
    print(script, end="")
    return 0


def _words(arguments: argparse.Namespace) -> int:
    from . import parser

    for word, meaning in completions(parser("sojourn"), arguments.words):
        print(f"{word}\t{' '.join(meaning.split())}" if meaning else word)
    return 0


class Completion(NamedTuple):
    """A word that can stand at the end, and what it means."""

    word: str
    meaning: str = ""


def completions(parser: Parser, words: Sequence[str]) -> Iterator[Completion]:
    """What can stand in place of the last word. Nothing: any text, or a file, for which the shell has its own completion."""
    *before, last = _without_equals(words) or [""]
    if "--" in before:
        return
    parser, option, used = _read(parser, before)
    name, is_joined, value = last.partition("=")
    if is_joined and (joined := parser.option(name)) is not None:
        yield from (Completion(f"{name}={each}") for each in _choices(joined, value))
    elif option is not None:
        yield from map(Completion, _choices(option, last))
    elif last.startswith("-"):
        yield from (each for action in parser.options() if action not in used for each in _names(action, last))
    elif parser.verbs:
        meanings = parser.meanings()
        yield from (Completion(name, meanings[name]) for name in parser.verbs if name.startswith(last))
    else:
        choices = (choice for action in parser.positionals() for choice in _choices(action, last))
        yield from map(Completion, choices)


def _read(parser: Parser, words: Sequence[str]) -> tuple[Parser, argparse.Action | None, list[argparse.Action]]:
    """The parser of the command, the option whose value comes next, and the options that are given and taken once."""
    waiting: argparse.Action | None = None
    used: list[argparse.Action] = []
    for word in words:
        if waiting is not None:
            waiting = None
        elif word in parser.verbs:
            parser, used = parser.verbs[word], []
        elif (option := parser.option(word.partition("=")[0])) is not None:
            waiting = option if option.nargs != 0 and "=" not in word else None
            if not parser.is_repeatable(option):
                used.append(option)
    return parser, waiting, used


def _names(action: argparse.Action, start: str) -> Iterator[Completion]:
    """An option's long names, or its short ones if it has no others."""
    names = [name for name in action.option_strings if name.startswith("--")] or action.option_strings
    meaning = (action.help or "").partition(" (")[0].partition(";")[0]
    return (Completion(name, meaning) for name in names if name.startswith(start))


def _choices(action: argparse.Action, start: str) -> list[str]:
    return [str(choice) for choice in action.choices or () if str(choice).startswith(start)]


def _without_equals(words: Sequence[str]) -> list[str]:
    """bash takes `--format=csv` for three words, and `--format=` for two."""
    kept = [word for word in words if word != "="]
    return [*kept, ""] if words and words[-1] == "=" else kept
