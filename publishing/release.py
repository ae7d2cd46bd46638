"""Check what would be published, or turn the unreleased changes into a version: `scripts/release`, docs/releasing.md."""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import builds, changelog

DIST: Final = builds.ROOT / "dist"
PLACE: Final = builds.ROOT / ".release"
UNRELEASED: Final = "Before the first release"
"""What the README says until there is one."""


class ReleaseError(Exception):
    """It must not be published like this."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if it may be published, or has been cut."""
    parser = argparse.ArgumentParser(prog="scripts/release", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    cut = commands.add_parser("cut", help="write the version and the date into pyproject.toml and CHANGELOG.md")
    cut.add_argument("version", help="such as 0.1.0")
    check = commands.add_parser("check", help="build into dist/, check and install both files, write the SBOM")
    check.add_argument("--tag", help="the tag that is being released: it must name this version")
    commands.add_parser("notes", help="print the changes of this version")
    chosen = parser.parse_args(arguments)
    root = builds.ROOT
    try:
        if chosen.command == "cut":
            changelog.cut(root, chosen.version, dt.datetime.now(dt.UTC).date())
            print(f"{chosen.version} is in pyproject.toml and CHANGELOG.md: read the difference, commit it, tag it.")
        elif chosen.command == "notes":
            print(changelog.section(root, version_of(root)))
        else:
            _check(chosen.tag)
    except (ReleaseError, changelog.CutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def version_of(root: Path) -> str:
    """Return the version of pyproject.toml."""
    version: str = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return version


def check_readme(root: Path) -> None:
    """Raise `ReleaseError` if the README of a version says that nothing is released."""
    if "dev" not in version_of(root) and UNRELEASED in (root / "README.md").read_text(encoding="utf-8"):
        raise ReleaseError(f"README.md says {UNRELEASED!r}: delete that paragraph")


def _check(tag: str | None) -> None:
    version = version_of(builds.ROOT)
    check_readme(builds.ROOT)
    if tag is not None:
        if tag != f"v{version}":
            raise ReleaseError(f"the tag is {tag}, and pyproject.toml has {version}")
        changelog.section(builds.ROOT, version)
    shutil.rmtree(DIST, ignore_errors=True)
    tools = builds.environment(PLACE / "tools", Path(sys.executable))
    pins = builds.ROOT / "requirements" / "release.txt"
    builds.uv("pip", "install", "--python", str(tools), "--require-hashes", "--requirement", str(pins))
    _run(tools, "-m", "build", "--outdir", str(DIST), str(builds.ROOT))
    (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    _run(tools, "-m", "twine", "check", "--strict", str(sdist), str(wheel))
    _installs(sdist, "sdist")
    base = _installs(wheel, "wheel")
    bill = PLACE / f"sojourn-{version}.cdx.json"
    options = ("--output-reproducible", "--validate", "--pyproject", str(builds.ROOT / "pyproject.toml"))
    _run(tools, "-m", "cyclonedx_py", "environment", *options, "--output-file", str(bill), str(base))
    builds.uv("pip", "install", "--python", str(base), f"sojourn[demo] @ {wheel.as_uri()}")
    _run(base, "-m", "sojourn", "demo", "--seconds", "5")
    print(f"== checked: {sdist.name} and {wheel.name} in dist/, their base install in {bill.relative_to(builds.ROOT)}")


def _installs(file: Path, name: str) -> Path:
    """Install it as a user does, with the newest dependencies and nothing else, and return its Python."""
    print(f"== {file.name} in an empty environment", flush=True)
    python = builds.environment(PLACE / name, Path(sys.executable))
    builds.uv("pip", "install", "--python", str(python), str(file))
    builds.uv("pip", "check", "--python", str(python))
    _run(python, "-W", "error", "-c", "import sojourn")
    _run(python, "-m", "sojourn", "--version")
    return python


def _run(python: Path, *arguments: str) -> None:
    # What the demo records stays here.
    environ = {**builds.clean(), "XDG_STATE_HOME": str(PLACE / "state")}
    done = subprocess.run([python, *arguments], cwd=PLACE, check=False, env=environ)
    if done.returncode:
        raise ReleaseError(f"{' '.join(arguments[:3])} failed")


if __name__ == "__main__":
    sys.exit(main())
