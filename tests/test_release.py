"""What is published is whole and nothing more, its README works away from the repository, and a version is cut in one step."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import tarfile
import zipfile
from contextlib import nullcontext
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from publishing import builds, changelog, interpreters, metadata, release

ROOT = Path(__file__).parent.parent
REPOSITORY = "https://code.example/shop/sojourn"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> builds.Build:
    if not (ROOT / "src").exists():
        pytest.skip("the tests run without the source")
    return builds.build(tmp_path_factory.mktemp("built"))


def wheel_names(built: builds.Build) -> set[str]:
    with zipfile.ZipFile(built.wheel) as archive:
        return set(archive.namelist())


# --- the files


def test_the_wheel_has_what_a_user_needs(built: builds.Build) -> None:
    assert wheel_names(built) >= {
        "sojourn/py.typed",
        "sojourn/report/assets/report.css",
        "sojourn/report/templates/sessions.html",
        "sojourn/beacon/script.js",
        "sojourn/_demo/starlette_app/app.py",
        f"sojourn-{release.version_of(ROOT)}.dist-info/licenses/LICENSE",
    }


def test_the_wheel_has_every_file_of_the_package_and_no_other(built: builds.Build) -> None:
    made = re.compile(r"__pycache__|\.pyc$")
    package = {f.relative_to(ROOT / "src").as_posix() for f in (ROOT / "src" / "sojourn").rglob("*") if f.is_file()}
    names = {name for name in wheel_names(built) if ".dist-info/" not in name and not name.startswith("sojourn/_demo/")}
    assert names == {name for name in package if not made.search(name)}
    demo = {name for name in wheel_names(built) if name.startswith("sojourn/_demo/")}
    assert {name.removeprefix("sojourn/_demo/starlette_app/") for name in demo} == {"app.py", "README.md"}


def test_the_sdist_has_what_it_takes_to_test_it_and_nothing_of_a_machine(built: builds.Build) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
    assert names >= {
        "tests/conftest.py",
        "publishing/metadata.py",
        "scripts/test",
        "requirements/dev.txt",
        "CHANGELOG.md",
    }
    hidden = {name for name in names if name.split("/")[0].startswith(".")}
    assert hidden == {".gitignore"}
    assert [name for name in names if re.search(r"\.(db|pyc|log)$|__pycache__|node_modules", name)] == []


# --- the metadata


def described(built: builds.Build) -> Message[str, str]:
    with zipfile.ZipFile(built.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def test_the_description_has_no_link_that_needs_the_repository_beside_it(built: builds.Build) -> None:
    description = described(built)
    assert description["Description-Content-Type"] == "text/markdown"
    links = re.findall(r"\]\(([^)\s]+)\)", str(description.get_payload()))
    assert len(links) > 20
    assert [link for link in links if not link.startswith("https://")] == []


def test_the_address_of_the_repository_is_the_same_everywhere(built: builds.Build) -> None:
    addresses = [address.partition(", ")[2] for address in described(built).get_all("Project-URL", [])]
    repository = next(address for address in addresses if address.count("/") == 4)
    assert len(addresses) == 6
    assert [address for address in addresses if not address.startswith(repository)] == []
    forms = [ROOT / "SECURITY.md", ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"]
    for page in (form for form in forms if form.exists()):  # an sdist has no .github
        assert f"{repository}/security/advisories/new" in page.read_text()
    site = ROOT / "mkdocs.yml"
    assert not site.exists() or set(re.findall(r"https://github\.com/\S+", site.read_text())) == {repository}


@pytest.mark.parametrize(
    ("link", "version", "absolute"),
    [
        pytest.param("docs/index.md", "1.2.0", f"{REPOSITORY}/blob/v1.2.0/docs/index.md", id="a page"),
        pytest.param("docs/a.md#b", "1.2.0", f"{REPOSITORY}/blob/v1.2.0/docs/a.md#b", id="a heading of a page"),
        pytest.param("docs/a.png", "1.2.0", f"{REPOSITORY}/raw/v1.2.0/docs/a.png", id="a picture"),
        pytest.param("docs", "1.2.0", f"{REPOSITORY}/tree/v1.2.0/docs", id="a folder"),
        pytest.param("docs/a.md", "1.2.0.dev0", f"{REPOSITORY}/blob/main/docs/a.md", id="no tag yet"),
        pytest.param("#use-it", "1.2.0", f"{REPOSITORY}#use-it", id="a heading"),
        pytest.param("https://a.example/b", "1.2.0", "https://a.example/b", id="absolute already"),
        pytest.param("mailto:a@b.example", "1.2.0", "mailto:a@b.example", id="a mail address"),
    ],
)
def test_links_of_the_readme_lead_to_the_repository(tmp_path: Path, link: str, version: str, absolute: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(f"See [this]({link}) (and f(x)).")
    assert metadata.readme(tmp_path, REPOSITORY, version) == f"See [this]({absolute}) (and f(x))."


# --- cutting a version


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for file in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One thing.\n")
    return tmp_path


def test_cut_dates_the_unreleased_changes_and_sets_the_version(checkout: Path) -> None:
    before = (checkout / "pyproject.toml").read_text()
    changelog.cut(checkout, "0.7.0", dt.date(2026, 5, 4))
    assert release.version_of(checkout) == "0.7.0"
    assert (checkout / "CHANGELOG.md").read_text() == (
        "# Changelog\n\n## [Unreleased]\n\n## [0.7.0] - 2026-05-04\n\n### Added\n\n- One thing.\n"
    )
    changed = zip(before.splitlines(), (checkout / "pyproject.toml").read_text().splitlines(), strict=True)
    assert len([pair for pair in changed if pair[0] != pair[1]]) == 1
    assert changelog.section(checkout, "0.7.0") == "### Added\n\n- One thing."


@pytest.mark.parametrize(
    ("version", "why"),
    [
        pytest.param("v0.7.0", "no version such as", id="a tag"),
        pytest.param("0.7", "no version such as", id="two numbers"),
        pytest.param("0.7.0\n", "no version such as", id="a line break"),
        pytest.param("0.6.0", "has 0.6.0 already", id="cut before"),
        pytest.param("0.7.0", "nothing is unreleased", id="no changes"),
    ],
)
def test_cut_refuses(checkout: Path, version: str, why: str) -> None:
    changelog.cut(checkout, "0.6.0", dt.date(2026, 5, 4))
    before = (checkout / "CHANGELOG.md").read_text()
    with pytest.raises(changelog.CutError, match=why):
        changelog.cut(checkout, version, dt.date(2026, 6, 7))
    assert (checkout / "CHANGELOG.md").read_text() == before


def test_a_tag_that_does_not_name_the_version_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["check", "--tag", "v99.0.0"]) == 1
    assert "the tag is v99.0.0, and pyproject.toml has" in capsys.readouterr().err


def test_a_version_without_changes_is_refused(checkout: Path) -> None:
    with pytest.raises(changelog.CutError, match=r"no changes for 0\.1\.0"):
        changelog.section(checkout, "0.1.0")


@pytest.mark.parametrize(
    ("version", "text", "is_refused"),
    [
        pytest.param("0.1.0", f"{release.UNRELEASED} there is only this checkout", True, id="left in"),
        pytest.param("0.1.0", "Install it", False, id="deleted"),
        pytest.param("0.1.0.dev0", f"{release.UNRELEASED} there is only this checkout", False, id="still true"),
    ],
)
def test_readme_of_a_version_must_not_say_that_none_is_released(
    tmp_path: Path, version: str, text: str, is_refused: bool
) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(release.ReleaseError, match="delete that paragraph") if is_refused else nullcontext():
        release.check_readme(tmp_path)


# --- the interpreters


@pytest.mark.parametrize(("failures", "is_laid"), [(0, True), (1, True), (2, False)])
def test_laying_an_interpreter_is_tried_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, is_laid: bool
) -> None:
    program = "#!/bin/sh\necho 3.14.final\n"
    commands = {
        "mmdebstrap": f"""
            echo >>{tmp_path}/calls; for place in "$@"; do :; done
            mkdir -p "$place/usr/bin" "$place/usr/lib/any"; touch "$place/usr/lib/any/libc.so.6"
            [ $(wc -l <{tmp_path}/calls) -gt {failures} ] || {{ echo no mirror >&2; exit 25; }}
            cp {tmp_path}/python "$place/usr/bin/python3.14"
        """,
        "patchelf": "echo /lib64/ld.so",
    }
    for name, text in {**commands, "python": program}.items():
        file = tmp_path / name
        file.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(interpreters, "_candidates", lambda version, place: iter(()))
    with pytest.raises(interpreters.MissingError, match="no mirror") if not is_laid else nullcontext():
        assert interpreters.find("3.14", tmp_path / "pythons").source == "laid from forky"


# --- the workflow


def test_every_action_of_the_workflows_is_pinned_to_a_commit() -> None:
    workflows: list[Any] = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    if not workflows:
        pytest.skip("an sdist has no .github")
    used = [line for file in workflows for line in re.findall(r"uses: (.+)", file.read_text())]
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []
