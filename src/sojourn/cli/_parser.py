"""The parser of the command line: commands in groups, and errors of one line that name the nearest right word.

`argparse` parses. What is private in it is used here alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from sojourn.errors import SojournError

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

WRONG_ARGUMENTS = 2


class UsageError(SojournError):
    """The arguments are wrong or lack something; the message says which, and what to write."""


class Parser(argparse.ArgumentParser):
    """A parser whose options are written in full: an abbreviation in a script would change its meaning one day."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        self.verbs = Verbs()
        self._subparsers_action: Any = None
        self._titles: dict[str, list[argparse.Action]] = {}

    def commands(self, title: str = "commands") -> Commands:
        """A group of this parser's own commands, under a title of its help. Without a command, help is printed."""
        if self._subparsers_action is None:
            self._subparsers_action = self.add_subparsers(metavar="COMMAND")
            self._subparsers_action._name_parser_map = self._subparsers_action.choices = self.verbs
            self.set_defaults(command=self._help)
        return Commands(self, self._titles.setdefault(title, []))

    def parse(self, words: Sequence[str] | None = None) -> argparse.Namespace:
        """Parse the words, or the process's own; exit with 2 and one line if they are wrong."""
        words = sys.argv[1:] if words is None else words
        reached = self._reached(words)
        arguments, rest = self.parse_known_args(words)
        if rest:
            reached.error(f"unexpected argument {rest[0]!r}")
        return arguments

    def _reached(self, words: Iterable[str]) -> Parser:
        """The parser of the command that the words name. Options are judged first: a misspelt one may be what is missing."""
        parser = self
        for word in words:
            if word == "--":
                break
            option = word.partition("=")[0]
            if word.startswith("--") and " " not in word and option not in parser._option_string_actions:
                parser._refuse_option(option)
            parser = parser.verbs.get(word, parser)
        return parser

    def _refuse_option(self, option: str) -> NoReturn:
        if any(option in verb._option_string_actions for verb in self.verbs.values()):
            self.error(f"{option} belongs behind the command: {self.prog} COMMAND {option} ...")
        self.error(f"unknown option {option!r}{nearest(option, self._option_string_actions)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Judge a word that must be one of several, commands too."""
        if action.choices is None or value in action.choices:
            return
        names = [str(choice) for choice in action.choices]
        if action is not self._subparsers_action:
            raise argparse.ArgumentError(action, f"{value!r} is none of {', '.join(names)}{nearest(value, names)}")
        below = [f"{name} {value}" for name, verb in self.verbs.items() if value in verb.verbs]
        hint = f"; did you mean {' or '.join(map(repr, below))}?" if below else nearest(value, names)
        raise argparse.ArgumentError(None, f"unknown command {value!r}{hint}")

    def error(self, message: str) -> NoReturn:
        """Print one line, with where help is unless it has a hint already, and exit with 2."""
        text = " ".join(message.removeprefix("argument ").split())
        see = "" if text.endswith("?") else f"; see `{self.prog} --help`"
        self.exit(WRONG_ARGUMENTS, f"{self.prog}: {text}{see}\n")

    def format_help(self) -> str:
        """The commands by their titles, where there are any; else as `argparse` does it."""
        if not self._titles:
            return super().format_help()
        formatter = self.formatter_class(prog=self.prog)
        formatter.add_usage("%(prog)s COMMAND [options]", (), ())
        formatter.add_text(self.description)
        for title, actions in {**self._titles, "options": self.options()}.items():
            formatter.start_section(title)
            formatter.add_arguments(actions)
            formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()

    # --- for the completion

    def option(self, word: str) -> argparse.Action | None:
        """The option of this name."""
        return self._option_string_actions.get(word)

    def options(self) -> list[argparse.Action]:
        """All options, in the order of the help."""
        return [action for action in self._actions if action.option_strings]

    def is_repeatable(self, option: argparse.Action) -> bool:
        """Whether an option may be given more than once."""
        return isinstance(option, argparse._AppendAction)

    def positionals(self) -> list[argparse.Action]:
        """All arguments that are neither options nor commands."""
        return [each for each in self._actions if not each.option_strings and each is not self._subparsers_action]

    def meanings(self) -> dict[str, str]:
        """What each command does, in the words of the help."""
        return {action.dest: action.help or "" for actions in self._titles.values() for action in actions}

    def _help(self, _arguments: argparse.Namespace) -> int:
        self.print_help()
        return 0

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Print help or version. The base class would say nothing where that cannot be written."""
        if message:
            (file or sys.stderr).write(message)


class Verbs(Mapping[str, Parser]):
    """The commands of a parser by name. One that was announced is made when it is looked up, not when it is listed."""

    def __init__(self) -> None:
        self._added: dict[str, Callable[[], None]] = {}
        self._made: dict[str, Parser] = {}

    def announce(self, name: str, add: Callable[[], None]) -> None:
        """Have `add` called at the first look-up; it puts the parser here."""
        self._added[name] = add

    def put(self, name: str, parser: Parser) -> None:
        self._added.setdefault(name, lambda: None)
        self._made[name] = parser

    def __getitem__(self, name: str) -> Parser:
        add = self._added[name]
        if name not in self._made:
            add()
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._added

    def __iter__(self) -> Iterator[str]:
        return iter(self._added)

    def __len__(self) -> int:
        return len(self._added)


class Commands:
    """One titled group of commands, which command modules add theirs to."""

    def __init__(self, parser: Parser, actions: list[argparse.Action]) -> None:
        self._parser = parser
        self._actions = actions

    def announce(self, name: str, *, help: str, add: Callable[[], None]) -> None:  # noqa: A002 - as argparse calls it
        """List a command; `add` is called when its options are needed, and adds its parser."""
        self._actions.append(argparse.Action([], name, metavar=name, help=help))
        self._parser.verbs.announce(name, add)

    def add_parser(self, name: str, *, help: str | None = None, **options: Any) -> Parser:  # noqa: A002 - the same
        """Add a command with what `argparse.ArgumentParser` takes; `help`, its line in the list, unless it was announced."""
        if help is not None:
            self._actions.append(argparse.Action([], name, metavar=name, help=help))
        parser = Parser(prog=f"{self._parser.prog} {name}", **options)
        self._parser.verbs.put(name, parser)
        return parser


def nearest(word: object, names: Iterable[str]) -> str:
    """The end of an error about a word: `; did you mean 'status'?`, or nothing."""
    from difflib import get_close_matches  # only for a mistake

    matches = get_close_matches(str(word), list(names), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
