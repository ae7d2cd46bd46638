"""Build the wheel once and run the tests against it on each Python: `scripts/test-pythons`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from . import builds, interpreters
from .interpreters import OPTIONAL, PROMISED, Interpreter, MissingError

PLACE = builds.ROOT / ".pythons"
FAST = (
    *("tests/core", "tests/tracking", "tests/settings", "tests/user_agents", "tests/stores", "tests/pipeline"),
    *("tests/doors", "tests/test_public.py", "tests/test_engine.py", "tests/test_logging.py"),
)
"""What may break with a Python: the rules, the request path, the doors, SQLite. The rest is the frameworks' own."""
OF_THE_CHECKOUT = ("tests/test_docs.py", "tests/test_imports.py", "tests/test_project.py", "tests/test_readme.py")
"""They read the source and git, which an installed wheel has not."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the tests passed on every version that is promised."""
    parser = argparse.ArgumentParser(prog="scripts/test-pythons", description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"default: {' '.join(PROMISED)}")
    parser.add_argument("--all", action="store_true", help="every test, those with servers and a browser too")
    parser.add_argument("--find", action="store_true", help="find or lay the interpreters, and run no test")
    parser.add_argument(
        "--skip-missing", action="store_true", help="no failure if a Python can be neither found nor laid: only say so"
    )
    parser.add_argument("--sdist", action="store_true", help="install the source distribution instead of the wheel")
    parser.add_argument("--newest", action="store_true", help="install the newest dependencies, not the pinned ones")
    chosen, for_pytest = parser.parse_known_args(arguments)
    if unknown := [version for version in chosen.versions if version not in PROMISED]:
        parser.error(f"not promised: {' '.join(unknown)}; choose among {' '.join(PROMISED)}")
    found, absent, missing = _interpreters(chosen.versions)
    failed = [] if chosen.find else _tested(found, chosen, for_pytest)
    for version in absent:
        print(f"NOT TESTED: Python {version}, which this machine lacks")
    for version in failed:
        print(f"FAILED: Python {version}")
    return 1 if (missing and not chosen.skip_missing) or failed else 0


def _interpreters(chosen: Sequence[str]) -> tuple[list[Interpreter], list[str], bool]:
    found, absent, missing = [], [], False
    for version in chosen or PROMISED:
        try:
            found.append(interpreters.find(version, PLACE))
        except MissingError as error:
            print(f"Python {version}: {error}")
            absent.append(version)
            missing = missing or bool(chosen) or version not in OPTIONAL
        else:
            print(f"Python {version}: {found[-1].source}", flush=True)
    return found, absent, missing


def _tested(found: Sequence[Interpreter], chosen: argparse.Namespace, for_pytest: Sequence[str]) -> list[str]:
    failed = []
    with tempfile.TemporaryDirectory(prefix="sojourn-wheel-") as folder:
        build = builds.build(Path(folder))
        for interpreter in found:
            began = time.monotonic()
            python = builds.environment(PLACE / f"env-{interpreter.version}", interpreter.program)
            file = build.sdist if chosen.sdist else build.wheel
            _install(python, file, newest=chosen.newest)
            place = builds.installed_at(python, build.tree)
            if not place.is_relative_to(PLACE):
                raise SystemExit(f"the tests would run against {place}, which is not {file.name}")
            print(f"== Python {interpreter.version}, {file.name}", flush=True)
            results = [_run(python, build.tree, part, for_pytest) for part in _parts(all_tests=chosen.all)]
            passed = "passed" if all(results) else "FAILED"
            print(f"Python {interpreter.version}: {passed} in {time.monotonic() - began:.0f} s", flush=True)
            if not all(results):
                failed.append(interpreter.version)
    return failed


def _install(python: Path, file: Path, *, newest: bool) -> None:
    """Install this file and what its tests need; fail if what it asks for itself is missing."""
    # Compiled like pip does it: what a package's own code warns of when it is compiled is no error of our tests.
    into = ("--compile-bytecode", "--python", str(python))
    if newest:
        project = builds.ROOT / "pyproject.toml"
        what = ("--requirement", str(project), "--all-extras", "--group", f"{project}:dev")
        builds.uv("pip", "install", "--upgrade", *into, *what)
    else:
        builds.uv(
            "pip", "install", *into, "--require-hashes", "--requirement", str(builds.ROOT / "requirements/dev.txt")
        )
    builds.uv("pip", "install", *into, "--no-deps", str(file))
    builds.uv("pip", "check", "--python", str(python))


def _parts(*, all_tests: bool) -> list[list[str]]:
    """Return the arguments of each run of pytest: what runs beside others, then what must run alone."""
    parallel = ["--numprocesses", "auto", "--dist", "loadfile"]
    if not all_tests:
        return [
            [*parallel, "-m", "not postgres and not slow and not alone", "--ignore", "tests/doors/in_django", *FAST]
        ]
    ignored = [argument for file in OF_THE_CHECKOUT for argument in ("--ignore", file)]
    return [[*parallel, "-m", "not alone", *ignored, "tests"], ["-m", "alone", "tests"]]


def _run(python: Path, tree: Path, part: Sequence[str], for_pytest: Sequence[str]) -> bool:
    command = [str(python), "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *part, *for_pytest]
    return subprocess.run(command, cwd=tree, check=False, env=builds.clean()).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
