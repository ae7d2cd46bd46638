"""docs/litestream.md, carried out: the disk of a SQLite store is lost, and the copy on another disk is restored."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.faults.receiver import Receiver, wait_for

from .conftest import Place, Start
from .crowd import assert_sound, assert_true, crowd, kept, looked

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "litestream.md"
PROGRAM = str(Path(sys.executable).with_name("litestream"))
PATIENCE_S = 30.0


class Disks:
    """The page's paths and commands, in a folder of this test."""

    def __init__(self, folder: Path) -> None:
        self.store, self.copy = folder / "disk", folder / "copy"
        self.store.mkdir()
        self._folder = folder
        ((config),) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        (folder / "litestream.yml").write_text(self._here(config))
        shell = re.findall(r"^```sh\n(.*?)\n```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        self._replicate, self._restore = (shlex.split(self._here(line)) for line in shell)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.store / 'sojourn.db'}"

    @contextmanager
    def copying(self) -> Iterator[subprocess.Popen[bytes]]:
        with (self._folder / "litestream.log").open("ab") as log:
            process = subprocess.Popen([PROGRAM, *self._replicate[1:]], stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)

    def restore(self, into: Path | None = None) -> bool:
        """Restore the copy, in place or elsewhere; False if there is none yet."""
        aside = [] if into is None else ["-o", str(into)]
        command = [PROGRAM, self._restore[1], *aside, *self._restore[2:]]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _here(self, text: str) -> str:
        names = {
            "/etc/litestream.yml": self._folder / "litestream.yml",
            "/srv/shop": self.store,
            "/mnt/other-disk/sojourn": self.copy,
        }
        for name, path in names.items():
            text = text.replace(name, str(path))
        return text


def test_a_lost_disk_costs_only_what_was_not_copied_yet(place: Place, serve: Start, tmp_path: Path) -> None:
    disks = Disks(tmp_path)
    with Receiver() as backend:
        settings = {"store": disks.url, "backends": f"webhook+{backend.url}"}
        server = serve("uvicorn", **settings)
        with disks.copying() as litestream:
            truth = crowd(server.url, range(12))

            def is_copied() -> bool:
                trial = tmp_path / "trial.db"
                for leftover in tmp_path.glob("trial.db*"):
                    leftover.unlink()
                if not disks.restore(trial):
                    return False
                pages = {event.attributes.get("url.path") for event in looked(f"sqlite:///{trial}").events}
                return truth.pages.keys() <= pages

            wait_for(is_copied, PATIENCE_S, "a copy of every page")
            litestream.kill()
        with httpx.Client(base_url=server.url, headers={"accept": "text/html"}) as late:
            lost = late.get("/after/the/last/copy").headers["x-session"]
            server.kill()
            shutil.rmtree(disks.store)
            disks.store.mkdir()
            assert disks.restore()
            again = serve("uvicorn", **settings)
            late.base_url = httpx.URL(again.url)
            assert late.get("/after/the/loss").headers["x-session"] == lost
        truth.pages["/after/the/loss"] = lost
        crowd(again.url, range(12, 16), truth=truth)

        def is_delivered() -> bool:
            return truth.sessions <= {event.subject for event in backend.taken.values()}

        wait_for(is_delivered, 2 * PATIENCE_S, "every session at the backend")
        again.process.terminate()
        again.process.wait(15)
        assert_true(kept(disks.url, truth), truth)
        assert_sound(disks.url)
