"""The project as a whole keeps its promises: light imports, exact pins, a whole wheel, nothing of one machine in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import EntryPoint, distribution
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())

FOREIGN = ("django", "fastapi", "flask", "httpx", "psycopg", "sqlite3", "starlette")

# Spelled in parts, or this file would be the first to break its own rule.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pypi", "python", "org"),
        ("pythonhosted", "org"),
        ("anaconda", "org"),
        ("npmjs", "com"),
        ("npmjs", "org"),
    )
)
# Where machines keep people, checkouts and scratch files. A word, `.` or `~` before it makes it part of something else.
MACHINE_FOLDERS = ("home", "Users", "root", "work", "tmp")
MACHINE_PATH = re.compile(rf"(?<![\w.~}}])/(?:{'|'.join(MACHINE_FOLDERS)})/[\w.-]+")

HASHES = re.compile(r"(?: \\\n    --hash=sha256:[0-9a-f]{64})+")
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([0-9][A-Za-z0-9.!+]*)")
FLOOR = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[a-z,]*\])?>=([0-9][0-9.]*)")


def published_files() -> list[Path]:
    """Return what git has or would add. An sdist has no git, so nothing to list."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for name in sorted(set(listing.split("\0"))) if name and (path := ROOT / name).is_file()]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {found.group()}"
        for path in published_files()
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1)
        if (found := pattern.search(line))
    ]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> dict[str, str]:
    """Read a requirements file; a line that is no exact pin fails the test that asked."""
    text = (ROOT / "requirements" / file).read_text()
    lines = [line.partition(" ;")[0] for line in HASHES.sub("", text).splitlines()]
    found = [(line, PIN.fullmatch(line)) for line in lines if line and not line.startswith("#")]
    assert [line for line, pin in found if pin is None] == []
    return {normal(pin[1]): pin[2] for _, pin in found if pin}


def floors(requirements: list[str]) -> dict[str, str]:
    found = [(line, FLOOR.fullmatch(line.partition(";")[0])) for line in requirements]
    assert [line for line, floor in found if floor is None] == []
    return {normal(floor[1]): floor[2] for _, floor in found if floor}


def at_precision(version: str, floor: str) -> str:
    return ".".join(version.split(".")[: len(floor.split("."))])


# --- what an import costs


def test_importing_sojourn_loads_no_framework_client_or_database_library() -> None:
    code = f"import sojourn, sys; print(*sorted(set(sys.modules) & {set(FOREIGN)!r}))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", [])


def test_importing_sojourn_works_without_fcntl_and_fork_hooks() -> None:
    code = "import os, sys; sys.modules['fcntl'] = None; del os.register_at_fork, os.fork; import sojourn"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_entry_point_leads_somewhere() -> None:
    def fails(entry: EntryPoint) -> str | None:
        try:
            entry.load()
        except (ImportError, AttributeError) as error:
            return f"{entry.group} {entry.name}: {error}"
        return None

    entries = distribution("sojourn").entry_points
    assert len(entries) > 0
    assert [failure for entry in entries if (failure := fails(entry))] == []


# --- what is published


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(re.compile("|".join(map(re.escape, REGISTRY_HOSTS))), id="no host of a package registry"),
        pytest.param(MACHINE_PATH, id="no absolute path of one machine"),
    ],
)
def test_no_published_file_says_where_it_was_made(pattern: re.Pattern[str]) -> None:
    assert lines_with(pattern) == []


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        pytest.param("see /{}/jo/project".format("home"), True, id="a home"),
        pytest.param("sqlite:////{}/x.db".format("tmp"), True, id="in a store's URL"),
        pytest.param("https://example.org/home/page", False, id="the path of a URL"),
        pytest.param("~/work/project", False, id="below any home"),
        pytest.param("/var/lib/app", False, id="a place on every machine"),
    ],
)
def test_what_counts_as_a_path_of_one_machine(text: str, is_found: bool) -> None:
    assert bool(MACHINE_PATH.search(text)) is is_found


def test_the_changelog_has_the_unreleased_changes_on_top() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])


def test_the_wheel_is_typed_and_carries_the_example_of_the_demo(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for part in ("src", "examples", "publishing"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / file, checkout)
    (checkout / "examples" / "starlette_app" / "sojourn.db").touch()  # a run from that folder leaves it there

    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=checkout,
        capture_output=True,
        check=True,
    )

    (wheel,) = tmp_path.glob("sojourn-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"sojourn/py.typed", "sojourn/__init__.py", "sojourn/_demo/starlette_app/app.py"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"sojourn"}
    assert [name for name in names if name.endswith((".db", ".pyc"))] == []


# --- pinned versions


def test_every_dependency_is_pinned_for_development_at_or_above_its_floor() -> None:
    extras = PROJECT["project"]["optional-dependencies"].values()
    direct = [
        *PROJECT["project"]["dependencies"],
        *(requirement for extra in extras for requirement in extra),
        *PROJECT["dependency-groups"]["dev"],
    ]
    pinned = pins("dev.txt")
    assert set(floors(direct)) - set(pinned) == set()


@pytest.mark.parametrize(
    "requirement",
    [
        *PROJECT["project"]["dependencies"],
        *(requirement for extra in PROJECT["project"]["optional-dependencies"].values() for requirement in extra),
    ],
)
def test_the_oldest_environment_has_exactly_the_floor(requirement: str) -> None:
    ((name, floor),) = floors([requirement]).items()
    assert at_precision(pins("oldest.txt")[name], floor) == floor
    assert set(pins("oldest.txt")[name].removeprefix(floor)) <= {".", "0"}


@pytest.mark.parametrize("file", ["dev.txt", "oldest.txt", "clients.txt", "clickhouse.txt", "release.txt"])
def test_every_pin_has_hashes_and_names_no_registry(file: str) -> None:
    text = (ROOT / "requirements" / file).read_text()
    assert len(HASHES.findall(text)) == len(pins(file)) > 0
    assert "://" not in text
    assert "--require-hashes" in (ROOT / "scripts" / "_env.sh").read_text()


def test_the_oldest_environment_is_what_was_asked_for() -> None:
    assert pins("oldest.in").items() <= pins("oldest.txt").items()


# --- the tools' settings say one thing, about files that exist


def test_no_lint_rule_is_both_selected_and_ignored() -> None:
    lint = PROJECT["tool"]["ruff"]["lint"]
    assert set(lint["select"]) & set(lint["ignore"]) == set()


@pytest.mark.parametrize("pattern", PROJECT["tool"]["ruff"]["lint"]["per-file-ignores"])
def test_each_per_file_ignore_matches_a_file(pattern: str) -> None:
    assert any(path.suffix == ".py" for path in ROOT.glob(f"{pattern}/*"))


# --- the scripts on a machine that lacks something

NEEDED = ("cat", "cksum", "cmp", "dirname", "head", "mkdir", "rm")
OLD_PYTHON = "#!/bin/sh\nexit 1\n"
PYTHON_WITHOUT_VENV = '#!/bin/sh\ncase "$2" in *venv*) exit 1 ;; esac\n'
PYTHON_THAT_CANNOT_BUILD = '#!/bin/sh\n[ "$1" = -m ] && { echo "no space left"; exit 1; }\nexit 0\n'


@pytest.mark.skipif(os.name != "posix", reason="the scripts are POSIX sh")
@pytest.mark.parametrize(
    ("python", "says"),
    [
        pytest.param(None, "needs Python 3.11 or newer", id="no Python"),
        pytest.param(OLD_PYTHON, "needs Python 3.11 or newer", id="Python too old"),
        pytest.param(PYTHON_WITHOUT_VENV, "apt install python3-venv", id="venv module missing"),
        pytest.param(PYTHON_THAT_CANNOT_BUILD, "no space left", id="venv fails with words of its own"),
    ],
)
def test_set_up_says_what_is_missing(tmp_path: Path, python: str | None, says: str) -> None:
    checkout, tools = tmp_path / "a checkout", tmp_path / "bin"
    shutil.copytree(ROOT / "scripts", checkout / "scripts")
    shutil.copytree(ROOT / "requirements", checkout / "requirements")
    shutil.copy(ROOT / "pyproject.toml", checkout)
    tools.mkdir()
    for name in NEEDED:
        (tools / name).symlink_to(shutil.which(name) or pytest.fail(f"{name} is not here"))
    if python is not None:
        (tools / "python3").write_text(python)
        (tools / "python3").chmod(0o755)

    done = subprocess.run(
        ["/bin/sh", str(checkout / "scripts" / "test")],
        env={"PATH": str(tools)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert not (checkout / ".venv" / ".sojourn-stamp").exists()
