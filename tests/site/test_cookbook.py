"""What the cookbook shows is taken by the programs that it is for, as far as they are installed here."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from sojourn import Settings, cli

COOKBOOK = Path(__file__).parents[2] / "docs" / "cookbook"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (COOKBOOK / page).read_text(), re.MULTILINE | re.DOTALL)


def settings_in(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in environment.items():
        filled = re.sub(r"\$\{\w+:\?[^}]*\}", "a-value-of-tests-that-is-long-enough", value)
        monkeypatch.setenv(name, filled)
    return Settings.from_env()


@pytest.mark.parametrize("page", sorted(page.name for page in COOKBOOK.glob("*.md")))
def test_every_setting_that_a_page_names_exists(page: str) -> None:
    named = set(re.findall(r"\bSOJOURN_([A-Z_]+)\b", (COOKBOOK / page).read_text()))
    assert {name.lower() for name in named} <= {setting.name for setting in Settings.fields()}


def test_the_units_of_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app, worker, environment = blocks("systemd.md", "ini")
    here = environment.replace("/var/lib/shop", str(tmp_path))
    settings = settings_in(dict(line.split("=", 1) for line in here.splitlines()), monkeypatch)
    assert settings.deliver == "worker"
    for number, text in enumerate((app, worker)):
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read_string(text)
        assert unit["Service"]["StateDirectory"] == "shop"
        program, *arguments = shlex.split(unit["Service"]["ExecStart"])
        if program.endswith("/sojourn"):
            with pytest.raises(SystemExit) as exit_:
                cli.main([*arguments, "--help"])
            assert exit_.value.code == 0
        if shutil.which("systemd-analyze"):
            # The user, the folder and the programs of the example are not on this machine.
            known = re.sub(r"^(User|WorkingDirectory|EnvironmentFile)=.*\n", "", text, flags=re.MULTILINE)
            file = tmp_path / f"shop-{number}.service"
            file.write_text(
                known.replace("/srv/shop/venv/bin/gunicorn", "/bin/true").replace(
                    "/srv/shop/venv/bin/sojourn", "/bin/true"
                )
            )
            checked = subprocess.run(
                ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False
            )
            assert "Unknown" not in checked.stderr, checked.stderr


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    (server,) = blocks("nginx.md", "nginx")
    for header in (
        "Host $host",
        "X-Forwarded-For $proxy_add_x_forwarded_for",
        "X-Forwarded-Proto $scheme",
        'Forwarded ""',
    ):
        assert f"proxy_set_header {header};" in server
    if not (nginx := shutil.which("nginx")):
        pytest.skip("nginx is not installed")
    plain = re.sub(r"\n *ssl_certificate.*", "", server).replace("443 ssl", "127.0.0.1:8443")
    file = tmp_path / "nginx.conf"
    file.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ access_log off; {plain} }}\n")
    tested = subprocess.run(
        [nginx, "-t", "-c", file, "-e", tmp_path / "log"], capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stderr


def test_the_services_of_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = blocks("compose.md", "yaml")
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    web, worker = services["web"], services["worker"]
    assert web["environment"] == worker["environment"]
    assert web["volumes"] == worker["volumes"]
    settings = settings_in(web["environment"], monkeypatch)
    assert (settings.deliver, str(settings.journal_dir)) == ("worker", "/var/lib/sojourn")
    assert web["volumes"][0].endswith(f":{settings.journal_dir}")


def test_the_pods_of_kubernetes() -> None:
    (text,) = blocks("kubernetes.md", "yaml")
    workload = yaml.safe_load(text)
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    values = {entry["name"]: entry.get("value") for entry in container["env"]}
    (mount,), (claim,) = container["volumeMounts"], workload["spec"]["volumeClaimTemplates"]
    assert values["SOJOURN_JOURNAL_DIR"] == mount["mountPath"]
    assert mount["name"] == claim["metadata"]["name"]
    assert workload["spec"]["selector"]["matchLabels"] == workload["spec"]["template"]["metadata"]["labels"]
