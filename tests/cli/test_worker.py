"""`sojourn worker`: errors before it starts. `tests/processes` covers a running one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = (sys.executable, "-W", "error", "-c", "import sys; from sojourn.cli import main; sys.exit(main())", "worker")


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it in a process: a worker without an error would not return."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOJOURN_")}
    return subprocess.run(
        [*RUN, *arguments], cwd=folder, env=kept | environ, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        pytest.param({"SOJOURN_IDLE_TIMEOUT": "soon"}, "idle_timeout='soon' cannot be used", id="a wrong value"),
        pytest.param({"SOJOURN_IDEL_TIMEOUT": "30m"}, "nearest is SOJOURN_IDLE_TIMEOUT", id="a misspelt name"),
        pytest.param({"SOJOURN_BACKENDS": "nowhere:"}, "'nowhere' is unknown", id="an unknown backend"),
        pytest.param({"SOJOURN_STORE": "sqlite:///none/x.db"}, "does not exist; create it", id="no such folder"),
        pytest.param({"SOJOURN_STORE": "memory:"}, "belongs to one process", id="a store of one process"),
        pytest.param({"SOJOURN_ENABLED": "0"}, "nothing to do", id="disabled"),
        pytest.param({"SOJOURN_BACKENDS": "console:,console:stderr"}, "2 are named 'console'", id="two of one name"),
    ],
)
def test_invalid_setting_is_fatal_and_creates_nothing(environ: dict[str, str], message: str, tmp_path: Path) -> None:
    done = run(tmp_path, **environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("sojourn: ")
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("app", "message"),
    [
        pytest.param("shop", "give module:app", id="no name of an app"),
        pytest.param("no_such_module:app", "could not be imported", id="not there"),
        pytest.param("json:loads", "does not use Sojourn", id="something else"),
    ],
)
def test_invalid_app_is_fatal(app: str, message: str, tmp_path: Path) -> None:
    done = run(tmp_path, "--app", app)
    assert done.returncode == 2
    assert message in done.stderr


def test_key_in_a_backend_url_is_not_printed(tmp_path: Path) -> None:
    done = run(tmp_path, SOJOURN_BACKENDS="posthog+https://s3cr3t-k3y@127.0.0.1/?unknown=1")
    assert done.returncode == 2
    assert "unknown" in done.stderr
    assert "s3cr3t" not in done.stdout + done.stderr
