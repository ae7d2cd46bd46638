"""The command: its output and its exit codes."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable

import pytest

import sojourn.demo
from sojourn import Settings, cli
from sojourn.errors import SojournError


def test_no_arguments_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: sojourn")
    assert "demo" in out
    assert "secret" in out


def test_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.main(["--version"])
    assert exited.value.code == 0
    assert capsys.readouterr().out == f"sojourn {importlib.metadata.version('sojourn')}\n"


def test_the_package_is_the_command_too() -> None:
    done = subprocess.run([sys.executable, "-m", "sojourn", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"sojourn {importlib.metadata.version('sojourn')}\n"


def test_secret_prints_a_new_environment_line_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert (cli.main(["secret"]), cli.main(["secret"])) == (0, 0)
    lines = capsys.readouterr().out.splitlines()
    assert len(set(lines)) == 2
    for line in lines:
        name, _, value = line.partition("=")
        assert Settings.from_env({name: value}).secret_key == (value.encode(),)


@pytest.mark.parametrize("seconds", ["4.9", "0", "-6", "soon", "nan", "inf", ""])
def test_demo_rejects_too_few_seconds(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.main(["demo", f"--seconds={seconds}"])
    assert exited.value.code == 2
    assert "at least 5" in capsys.readouterr().err


def adds_up(_seconds: float | None, *, say: Callable[[str], None]) -> bool:
    say("played")
    return True


def does_not_add_up(_seconds: float | None, *, say: Callable[[str], None]) -> bool:
    return False


def fails(_seconds: float | None, *, say: Callable[[str], None]) -> bool:
    raise SojournError("no folder")


def is_interrupted(_seconds: float | None, *, say: Callable[[str], None]) -> bool:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("run", "code", "output"),
    [
        pytest.param(adds_up, 0, ("played\n", ""), id="success"),
        pytest.param(does_not_add_up, 1, ("", ""), id="does not add up"),
        pytest.param(fails, 1, ("", "sojourn: no folder\n"), id="our error is one line"),
        pytest.param(is_interrupted, 130, ("", ""), id="Ctrl-C while it closes"),
    ],
)
def test_exit_codes_of_the_demo(
    run: Callable[..., bool],
    code: int,
    output: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sojourn.demo, "run", run)
    assert cli.main(["demo"]) == code
    assert capsys.readouterr() == output


@pytest.mark.parametrize("missing", ["uvicorn", "websockets"])
def test_missing_extra_is_an_error_with_the_fix(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from sojourn.cli import main; sys.exit(main(['demo']))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"sojourn: sojourn demo needs {missing}")
    assert done.stderr.endswith('pip install "sojourn[demo]"\n')


def test_help_imports_no_heavy_library() -> None:
    heavy = {"httpx", "sqlite3", "starlette", "uvicorn"}
    code = f"import sys; from sojourn.cli import main; main([]); sys.exit(len({heavy!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
