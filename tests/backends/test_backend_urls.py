"""Backends named by URL: built-in, third-party, and wrong ones. No error repeats credentials."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sojourn import backends
from sojourn.backends import Backend, ConsoleBackend, JSONLinesBackend, WebhookBackend, backend_from_url
from sojourn.backends.http import HttpCall
from sojourn.backends.urls import check_unique_names
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import sample_events
from sojourn.testing.backends import MemoryBackend


@pytest.mark.parametrize(
    ("url", "kind", "name", "third_party"),
    [
        pytest.param("console:", ConsoleBackend, "console", False, id="console"),
        pytest.param(" CONSOLE: ", ConsoleBackend, "console", False, id="case and spaces"),
        pytest.param("console:stderr?format=json&name=log", ConsoleBackend, "log", False, id="console with options"),
        pytest.param("jsonl:events.jsonl", JSONLinesBackend, "jsonl", False, id="file"),
        pytest.param("jsonl:a.jsonl?name=a&third_party=yes", JSONLinesBackend, "a", True, id="file with options"),
        pytest.param("webhook+http://127.0.0.1:9000/in", WebhookBackend, "webhook", True, id="webhook"),
        pytest.param("webhook+https://h.example?name=w&third_party=0", WebhookBackend, "w", False, id="own webhook"),
    ],
)
def test_a_url_builds_its_backend(url: str, kind: type, name: str, third_party: bool) -> None:
    backend = backend_from_url(url)
    assert type(backend) is kind
    assert (backend.name, backend.third_party) == (name, third_party)
    backend.close()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        pytest.param("jsonl:events.jsonl", "events.jsonl", id="relative"),
        pytest.param("jsonl:logs/a%20b%3F.jsonl", "logs/a b?.jsonl", id="percent-encoded"),
        pytest.param("jsonl:{here}/events.jsonl", "events.jsonl", id="absolute"),
        pytest.param("jsonl://{here}/events.jsonl", "events.jsonl", id="absolute with an empty host"),
        pytest.param("jsonl:////{here}/events.jsonl", "events.jsonl", id="slashes in abundance"),
    ],
)
def test_the_path_of_a_file(url: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    backend = backend_from_url(url.format(here=tmp_path))
    assert isinstance(backend, JSONLinesBackend)
    assert backend.path.resolve() == (tmp_path / path).resolve()


@pytest.mark.parametrize(
    ("query", "called", "is_signed", "authorization"),
    [
        pytest.param("", "/in", False, None, id="plain"),
        pytest.param("?secret=s3cret", "/in", True, None, id="secret"),
        pytest.param("?secret=one&secret=two", "/in", True, None, id="two secrets"),
        pytest.param("?a=1&secret=s3cret&b=x%26y&timeout=3", "/in?a=1&b=x%26y", True, None, id="others stay"),
        pytest.param("key@", "/in", True, None, id="key before the host"),
        pytest.param("user:word@", "/in", False, "Basic dXNlcjp3b3Jk", id="user and password"),
    ],
)
def test_webhook_options_are_removed_from_the_called_url(
    query: str, called: str, is_signed: bool, authorization: str | None
) -> None:
    user, options = (query, "") if query.endswith("@") else ("", query)
    backend = backend_from_url(f"webhook+https://{user}hooks.example/in{options}")
    assert isinstance(backend, WebhookBackend)
    (call,) = backend._layer._encoder.encode(sample_events())
    assert isinstance(call, HttpCall)
    assert call.url == f"https://hooks.example{called}"
    assert (call.sign is not None) is is_signed
    assert call.headers.get("authorization") == authorization
    if call.sign:
        assert call.sign(b"x")["Sojourn-Signature"].count("v1=") == max(1, query.count("secret="))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("", "scheme; known are ", id="empty"),
        pytest.param("", ", dynatrace+https://<token>@<host>, ", id="empty, with the forms"),
        pytest.param("hunter2", "begins with its scheme", id="no scheme"),
        pytest.param("hunter2_x:abc", "begins with its scheme", id="a key with a colon"),
        pytest.param("consle:", "'consle' is unknown; did you mean console:?", id="misspelt"),
        pytest.param("webhok+https://hunter2@h.example", "did you mean webhook:?", id="misspelt with a key"),
        pytest.param("kafka://hunter2@h.example", "'kafka' is unknown; known are ", id="unknown"),
        pytest.param("https://hunter2@h.example", "write webhook+https://", id="bare https"),
        pytest.param("console:hunter2", "console:stdout or console:stderr", id="no such stream"),
        pytest.param("console:?format=hunter2", "text or json", id="no such format"),
        pytest.param("console:?fromat=json", "'fromat'; did you mean format?", id="misspelt option"),
        pytest.param("jsonl:", "the file name is missing", id="no file"),
        pytest.param("jsonl://hunter2/events.jsonl", "follows the colon at once", id="a host for a file"),
        pytest.param("jsonl:a?name=a&name=b", "is given 2 times", id="option twice"),
        pytest.param("jsonl:a?third_party=hunter2", "neither true nor false", id="flag is a word"),
        pytest.param("webhook:hunter2", "must begin with http", id="webhook without an address"),
        pytest.param("webhook+ftp://hunter2@h.example", "must begin with http", id="webhook over ftp"),
        pytest.param("webhook+https://h.example:hunter2/", "webhook: the URL is malformed", id="port is a word"),
        pytest.param("webhook+https://h.example?timeout=hunter2", "not a number of seconds", id="timeout is a word"),
        pytest.param("webhook+https://h.example?timeout=60", "at most 15 seconds", id="timeout beyond the lease"),
        pytest.param("webhook+https://h.example?secret=", "secret is empty", id="empty secret"),
    ],
)
def test_wrong_url_names_the_fix_without_credentials(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        backend_from_url(url)
    assert says in str(caught.value)
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize("url", ["console:", "jsonl:a.jsonl", "webhook+https://h.example/in?a=1"])
@pytest.mark.parametrize(
    ("options", "names"),
    [
        pytest.param("", None, id="all"),
        pytest.param("heartbeats=0", {"session.heartbeat"}, id="no heartbeats"),
        pytest.param("events=%21log&events=%21opt_out", {"log", "opt_out"}, id="all but two"),
    ],
)
def test_filter_options_of_plain_backends(url: str, options: str, names: set[str] | None) -> None:
    backend = backend_from_url(f"{url}{'&' if '?' in url else '?'}{options}" if options else url)
    assert {event.name for event in sample_events() if not backend.accepts(event)} == (names or set())
    if isinstance(backend, WebhookBackend):
        (call,) = backend._layer._encoder.encode(sample_events())
        assert isinstance(call, HttpCall)
        assert call.url == "https://h.example/in?a=1"


PLUGIN = """
from sojourn.testing.backends import MemoryBackend


class Kafka(MemoryBackend):
    @classmethod
    def from_url(cls, url):
        if "broken" in url:
            raise ValueError(f"cannot parse {url}")
        if "none" in url:
            return None
        return cls(name=url)


class WithoutURL(MemoryBackend):
    pass
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third-party distribution, as an installer would have left it."""
    (tmp_path / "kafka_for_sojourn.py").write_text(PLUGIN)
    info = tmp_path / "kafka_for_sojourn-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kafka-for-sojourn\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[sojourn.backends]\n"
        "kafka = kafka_for_sojourn:Kafka\n"
        "nourl = kafka_for_sojourn:WithoutURL\n"
        "missing = no_such_module_anywhere:Backend\n"
        "console = kafka_for_sojourn:Kafka\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("plugins")
def test_third_party_backend_is_found_by_entry_point() -> None:
    assert backend_from_url("kafka+tls://h.example/topic").name == "kafka+tls://h.example/topic"


@pytest.mark.usefixtures("plugins")
def test_built_in_backend_cannot_be_replaced() -> None:
    assert isinstance(backend_from_url("console:"), ConsoleBackend)


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("kafka:broken-hunter2", "its URL is wrong (ValueError)", id="its parser fails"),
        pytest.param("kafka:none", "is no backend", id="makes nothing"),
        pytest.param("nourl:x", "pass an object", id="takes no url"),
        pytest.param("missing:x", "install what it needs", id="cannot be imported"),
        pytest.param("kafak:x", "did you mean kafka:?", id="misspelt"),
    ],
)
def test_broken_third_party_backend_is_named(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        backend_from_url(url)
    assert says in str(caught.value)
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize(
    ("names", "says"),
    [
        pytest.param([], None, id="none"),
        pytest.param(["a", "b"], None, id="different"),
        pytest.param(["a", "b", "a"], "2 are named 'a'; pass name=", id="twice"),
        pytest.param([""], "empty name", id="empty"),
    ],
)
def test_names_are_unique(names: list[str], says: str | None) -> None:
    made: list[Backend] = [MemoryBackend(name=name) for name in names]
    if says is None:
        check_unique_names(made)
    else:
        with pytest.raises(SettingsError, match=says):
            check_unique_names(made)


def test_importing_the_package_needs_no_http_client_and_its_names_are_there() -> None:
    code = (
        "import sys, sojourn.backends as b\n"
        "assert 'httpx' not in sys.modules\n"
        "b.ConsoleBackend, b.JSONLinesBackend, b.backend_from_url, b.verify_signature\n"
        "assert 'httpx' not in sys.modules\n"
        "b.WebhookBackend\n"
        "assert 'httpx' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_exists_and_no_other() -> None:
    assert {name for name in backends.__all__ if getattr(backends, name)} <= set(dir(backends))
    with pytest.raises(AttributeError, match="no attribute 'NoSuchBackend'"):
        _ = backends.NoSuchBackend  # type: ignore[attr-defined]


def test_a_file_named_by_url_takes_events(tmp_path: Path) -> None:
    backend = backend_from_url(f"jsonl:{tmp_path}/events.jsonl")
    backend.send(sample_events())
    backend.close()
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [event.id for event in sample_events()]
