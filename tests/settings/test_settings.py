"""Settings are checked when built: good values are normalised, bad ones name the setting, the value and the fix."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import traceback
import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sojourn.core.rates import Rate
from sojourn.errors import SettingsError
from sojourn.settings import DEFAULT_EXCLUDE, Property, Setting, Settings

KEY = "k" * 16
INT = Property(int)
TABLE = {row.name: row for row in Settings.fields()}


class Receiver:
    """An object that looks like a backend, and whose repr says too much."""

    def __init__(self, name: str = "receiver") -> None:
        self.name = name

    def send(self, batch: object) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        return "Receiver(token='hunter2')"


receiver = Receiver()


def build(**given: Any) -> Settings:
    return Settings(**{"secret_key": KEY, "store": "memory:", **given})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("secret_key", "s" * 16, (b"s" * 16,), id="one key as text"),
        pytest.param("secret_key", b"s" * 16, (b"s" * 16,), id="one key as bytes"),
        pytest.param("secret_key", ["a" * 16, b"b" * 16], (b"a" * 16, b"b" * 16), id="keys stay in order"),
        pytest.param("secret_key", "one,key,with,commas", (b"one,key,with,commas",), id="a key may hold commas here"),
        pytest.param("enabled", "off", False, id="a flag as text"),
        pytest.param("strict", 1, True, id="a flag as a number"),
        pytest.param("idle_timeout", "45m", timedelta(minutes=45), id="a duration as text"),
        pytest.param("idle_timeout", "24h", timedelta(hours=24), id="idle may be as long as the maximum"),
        pytest.param("max_duration", None, None, id="no maximum"),
        pytest.param("heartbeat_interval", "off", None, id="off turns off"),
        pytest.param("manual_max_silence", "none", None, id="none turns off"),
        pytest.param("sweep_grace", 0, timedelta(0), id="no grace"),
        pytest.param("session_starts", "ANY", "any", id="choices have no case"),
        pytest.param("on_user_change", "keep", "keep", id="keep"),
        pytest.param("presence", "open", "open", id="open"),
        pytest.param("deliver", "worker", "worker", id="worker"),
        pytest.param("gpc", "anonymous", "anonymous", id="gpc"),
        pytest.param("dnt", "no_forward", "no_forward", id="dnt"),
        pytest.param("store", "memory:", "memory:", id="memory"),
        pytest.param("store", "postgres://u:p@h/d", "postgresql://u:p@h/d", id="the platforms' old scheme"),
        pytest.param("store", "postgresql+psycopg://h/d", "postgresql+psycopg://h/d", id="a driver of choice"),
        pytest.param("store", receiver, receiver, id="a store object is kept"),
        pytest.param("backends", "console:, jsonl:events", ("console:", "jsonl:events"), id="backends as text"),
        pytest.param("backends", [receiver, "console:"], (receiver, "console:"), id="objects and URLs mixed"),
        pytest.param("backends", None, (), id="no backends"),
        pytest.param("journal_limit", "16MiB", 16 * 2**20, id="a size as text"),
        pytest.param("outbox_max", "1GB", 10**9, id="an optional size"),
        pytest.param("session_budget", " 5 / H", Rate(5, 3_600_000), id="a rate as text"),
        pytest.param("session_budget", "off", None, id="no budget"),
        pytest.param("cookie_domain", ".Example.com", "example.com", id="the leading dot means nothing"),
        pytest.param("cookie_samesite", "Strict", "strict", id="samesite in lower case"),
        pytest.param("cookie_samesite", "none", "none", id="samesite none is a value"),
        pytest.param("cookie_secure", "AUTO", "auto", id="secure by scheme"),
        pytest.param("cookie_secure", "0", False, id="never secure"),
        pytest.param("cookie_max_age", "400d", timedelta(days=400), id="the browsers' cap is inclusive"),
        pytest.param("trusted_proxies", ["10.1.2.3/8"], (ipaddress.ip_network("10.0.0.0/8"),), id="host bits are cut"),
        pytest.param("trusted_proxies", "::1", (ipaddress.ip_network("::1/128"),), id="one address"),
        pytest.param(
            "trusted_proxies",
            "*",
            (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")),
            id="everybody, in both families",
        ),
        pytest.param("own_hosts", ["Shop.Example", "*.shop.de", "[::1]"], ("shop.example", ".shop.de", "::1"), id="hosts"),
        pytest.param("exclude", "/a, /b/*, /a", ("/a", "/b/*"), id="a pattern counts once"),
        pytest.param("exclude", "none", (), id="an emptied list"),
        pytest.param("query_parameters", ["ref"], ("ref",), id="one parameter"),
        pytest.param("session_properties", {"a": Property(int)}, {"session_properties.a": Property(int)}, id="prefix"),
        pytest.param(
            "event_properties",
            {"event_properties.a": Property(str)},
            {"event_properties.a": Property(str)},
            id="prefix kept",
        ),
        pytest.param("consent", "operator:not_", __import__("operator").not_, id="a callable by name"),
        pytest.param("principal", len, len, id="a callable"),
        pytest.param("user_hash_key", KEY, KEY.encode(), id="the hash key is bytes"),
        pytest.param("beacon_path", "/-/sojourn", "/-/sojourn", id="a beacon path"),
        pytest.param("service_name", " shop ", "shop", id="text without its edges"),
    ],
)  # fmt: skip
def test_a_value_is_normalised(name: str, value: object, expected: object) -> None:
    assert getattr(build(**{name: value}), name) == expected


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        pytest.param({"secret_key": [KEY, "short"]}, "at least 16 bytes", id="a short old key"),
        pytest.param({"secret_key": ""}, "must not be empty", id="an empty key"),
        pytest.param({"secret_key": {KEY}}, "oldest", id="a set of keys has no order"),
        pytest.param({"secret_key": 1234567890123456}, "text or bytes", id="a number is no key"),
        pytest.param({"secret_key": "\ud800" * 16}, "valid text", id="a key that cannot be encoded"),
        pytest.param({"enabled": "maybe"}, "True or False", id="no flag"),
        pytest.param({"enabled": None}, "True or False", id="a flag cannot be nothing"),
        pytest.param({"idle_timeout": None}, "30m", id="idle_timeout cannot be off"),
        pytest.param({"idle_timeout": 0}, "at least 1ms", id="no idle timeout"),
        pytest.param({"idle_timeout": "25h"}, "at most max_duration, which is 1d", id="idle longer than maximum"),
        pytest.param({"heartbeat_interval": 0}, "at least 1ms", id="heartbeats without pause"),
        pytest.param({"sweep_interval": "0.0001s"}, "at least 1ms", id="below the clock"),
        pytest.param({"sweep_grace": -1}, "between 0", id="a negative grace"),
        pytest.param({"retention": "24h", "journal_max_age": "1h"}, "longer than max_duration", id="kept as long"),
        pytest.param({"retention": "7d"}, "shorter than retention", id="journal as old as retention"),
        pytest.param({"manual_max_silence": "395d"}, "longer than manual_max_silence", id="retention = silence"),
        pytest.param({"max_duration": None, "idle_timeout": "395d"}, "longer than idle_timeout", id="retention = idle"),
        pytest.param({"journal_limit": "7MiB"}, "at least 8MiB", id="no room for two segments"),
        pytest.param({"outbox_max": 0}, "above 0", id="an outbox of nothing"),
        pytest.param({"session_starts": "always"}, '"navigation" or "any"', id="an unknown choice"),
        pytest.param({"store": "mysql://u:p@h/d"}, "postgresql://", id="an unknown database"),
        pytest.param({"store": None}, "memory:", id="no store"),
        pytest.param({"store": "sqlite://"}, "memory:", id="SQLAlchemy's memory"),
        pytest.param({"store": "sqlite:///:memory:"}, "memory:", id="SQLite's memory"),
        pytest.param({"store": "sqlite:///folder/"}, "file name", id="a folder as the file"),
        pytest.param({"store": "sqlite:///a.db?mode=ro"}, "question mark", id="options in the URL"),
        pytest.param({"store": Path("a.db")}, "as a URL", id="a path as the store"),
        pytest.param({"store": "sqlite:///a\nb.db"}, "printed", id="a line break in the URL"),
        pytest.param({"backends": ["console"]}, "console:", id="no URL"),
        pytest.param({"backends": [object()]}, "send", id="no backend"),
        pytest.param({"backends": 5}, "list", id="no list"),
        pytest.param({"cookie_name": "my cookie"}, "letters, digits", id="no token"),
        pytest.param({"cookie_name": "__Host-sojourn"}, "leave the prefix out", id="our prefix"),
        pytest.param({"cookie_name": "__secure-sojourn"}, "leave the prefix out", id="the other prefix, in lower case"),
        pytest.param({"cookie_domain": "https://example.com"}, "host name alone", id="a domain with a scheme"),
        pytest.param({"cookie_domain": "10.0.0.1"}, "IP address", id="an address as the domain"),
        pytest.param({"cookie_domain": "a..b"}, "host name", id="an empty label"),
        pytest.param({"cookie_path": "app"}, 'starts with "/"', id="a relative path"),
        pytest.param({"cookie_path": "/a;Domain=b"}, 'starts with "/"', id="an attribute smuggled in"),
        pytest.param({"cookie_samesite": "none", "cookie_secure": False}, "secure", id="none needs secure"),
        pytest.param({"cookie_partitioned": True}, "samesite", id="partitioned needs none"),
        pytest.param({"cookie_secure": "sometimes"}, '"auto"', id="no third way"),
        pytest.param({"cookie_max_age": "401d"}, "400d", id="beyond the browsers' cap"),
        pytest.param({"trusted_proxies": "10.0.0.0/99"}, "networks", id="no network"),
        pytest.param({"trusted_proxies": [1]}, "networks", id="a number is no address"),
        pytest.param({"session_budget": "600"}, '"600/m"', id="a budget of no time"),
        pytest.param({"session_budget": 600}, '"600/m"', id="a budget that is a number"),
        pytest.param({"session_budget": "0/m"}, "above 0", id="a budget of nothing"),
        pytest.param({"session_budget_total": "9/week"}, '"600/m"', id="a budget by the week"),
        pytest.param({"own_hosts": ["https://shop.example"]}, "no scheme", id="a host with a scheme"),
        pytest.param({"own_hosts": ["shop.example:443"]}, "port", id="a host with a port"),
        pytest.param({"own_hosts": "*"}, '"*"', id="every host"),
        pytest.param({"exclude": ["static/*"]}, 'start with "/"', id="a pattern that cannot match"),
        pytest.param({"exclude": {"/a": 1}}, "list", id="a mapping is no list"),
        pytest.param({"keep": ["a b"]}, "names of parameters", id="neither a path nor a name"),
        pytest.param({"session_properties": {"a": float}}, "Property(float)", id="a bare type"),
        pytest.param({"session_properties": {"a b": Property(int)}}, "malformed", id="a malformed name"),
        pytest.param({"session_properties": {1: Property(int)}}, "malformed", id="a name that is no text"),
        pytest.param({"session_properties": {"a": INT, "session_properties.a": INT}}, "twice", id="twice"),
        pytest.param({"event_properties": {"a": INT, "A": Property(int, case_insensitive=True)}}, "twice", id="case"),
        pytest.param({"session_properties": {f"p{n}": INT for n in range(51)}}, "at most 50", id="51 properties"),
        pytest.param(
            {
                "session_properties": {f"p{n}": Property(int) for n in range(26)},
                "event_properties": {f"p{n}": Property(int) for n in range(25)},
            },
            "together",
            id="51 properties in both",
        ),
        pytest.param({"consent": "no_such_module:f"}, "no_such_module", id="a module that is not there"),
        pytest.param({"consent": "operator:no_such_name"}, "no_such_name", id="a name that is not there"),
        pytest.param({"consent": "operator.not_"}, "package.module:name", id="a dotted name without colon"),
        pytest.param({"scrub": 5}, "function", id="not callable"),
        pytest.param({"hash_user_ids": True}, "key of its own", id="hashing without a key"),
        pytest.param({"user_hash_key": "short"}, "at least 16 bytes", id="a short hash key"),
        pytest.param({"beacon_path": "/"}, "path of its own", id="the root as beacon"),
        pytest.param({"beacon_path": "/b?x"}, "path of its own", id="a beacon with a query"),
        pytest.param({"service_name": "a\x00b"}, "printable", id="a control character"),
        pytest.param({"environment": "e" * 256}, "255", id="long text"),
        pytest.param({"base_dir": 5}, "folder", id="a number as folder"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_the_setting_and_the_fix(given: dict[str, object], fix: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(fix)) as caught:
        build(**given)
    text = str(caught.value)
    named = text.partition("=")[0]
    assert named in TABLE
    assert f"SOJOURN_{named.upper()}" in text
    # A rule over two settings may name either of them, or the default that the given value collides with.
    assert any(name in text for name in given)


def test_an_error_shows_the_value() -> None:
    with pytest.raises(SettingsError, match=re.escape("cookie_path='app'")):
        build(cookie_path="app")


def test_an_unknown_keyword_is_an_ordinary_type_error() -> None:
    with pytest.raises(TypeError, match="idle_timout"):
        build(idle_timout=5)


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just(10**5000), st.just(object()),
    st.lists(st.one_of(st.integers(), st.text(), st.none())), st.dictionaries(st.text(), st.integers()),
    st.timedeltas(),
)  # fmt: skip


@given(name=st.sampled_from(sorted(TABLE)), value=ANYTHING)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_value_builds_or_is_a_settings_error_and_twice_is_once(name: str, value: object) -> None:
    try:
        built = build(**{name: value})
    except SettingsError:
        return
    assert dataclasses.replace(built) == built


@given(value=ANYTHING, name=st.sampled_from(["secret_key", "user_hash_key"]))
@settings(deadline=None)
def test_a_key_is_never_shown(name: str, value: object) -> None:
    marked = f"hunter2{value!r:.9}" if not isinstance(value, int) else "hunter2"
    for secret in (marked, [marked, 5], {"hunter2": 1}):
        try:
            shown = repr(build(**{name: secret}))
        except SettingsError as error:
            shown = "".join(traceback.format_exception_only(error)) + repr(error.__cause__)
        assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        pytest.param({"store": "postgresql://me:hunter2@h/d"}, "postgresql://me:***@h/d", id="password"),
        pytest.param({"store": "postgresql://me:x@hunter2@h/d"}, "postgresql://me:***@h/d", id="password with an @"),
        pytest.param({"store": "postgresql://h/d?password=hunter2"}, "'postgresql://h/d'", id="password as an option"),
        pytest.param(
            {"store": "postgresql://me:hunter2?x@h/d"}, "'postgresql:...'", id="password with a question mark"
        ),
        pytest.param({"store": "mysql://me:hunter2@h/d"}, "'mysql:...'", id="a refused store"),
        pytest.param({"store": "hunter2"}, "'...'", id="a store that is no URL"),
        pytest.param({"backends": "webhook+https://hunter2@h/in"}, "['webhook+https:...']", id="a backend's URL"),
        pytest.param({"backends": ["a b", "hunter2"]}, "['...', '...']", id="refused backends"),
        pytest.param({"backends": [receiver]}, "[<Receiver>]", id="a backend object"),
        pytest.param({"store": receiver}, "<Receiver>", id="a store object"),
    ],
)
def test_credentials_in_urls_are_hidden(given: dict[str, object], shown: str) -> None:
    try:
        text = repr(build(**given))
    except SettingsError as error:
        text = str(error)
    assert shown in text
    assert "hunter2" not in text


def test_repr_lists_only_what_differs_from_the_defaults() -> None:
    assert repr(build(idle_timeout="5m", exclude=DEFAULT_EXCLUDE)) == (
        "Settings(secret_key=<hidden>, idle_timeout=5m, store='memory:')"
    )


def test_a_missing_key_prints_a_usable_one_and_where_it_goes() -> None:
    with pytest.raises(SettingsError, match="SOJOURN_SECRET_KEY=") as caught:
        Settings(store="memory:")
    line = next(line.strip() for line in str(caught.value).splitlines() if "SOJOURN_SECRET_KEY=" in line)
    name, _, key = line.partition("=")
    assert Settings.from_env({name: key, "SOJOURN_STORE": "memory:"}).secret_key == (key.encode(),)
    with pytest.raises(SettingsError) as again:
        Settings(store="memory:")
    assert key not in str(again.value)


@pytest.mark.parametrize("key", [None, "short"])
def test_switched_off_needs_neither_key_nor_folder(key: str | None) -> None:
    built = Settings(enabled=False, secret_key=key, store="sqlite:////no/such/folder/s.db", journal_dir=__file__)
    assert not built.enabled


def test_settings_are_frozen_and_compare_by_value() -> None:
    built = build(session_properties={"a": Property(int)})
    with pytest.raises(dataclasses.FrozenInstanceError):
        built.enabled = False  # type: ignore[misc]
    assert built == build(session_properties={"a": Property(int)})
    assert hash(built) == hash(build(session_properties={"a": Property(int)}))
    assert dataclasses.replace(built, idle_timeout="5m").idle_timeout == timedelta(minutes=5)


def test_declared_properties_cannot_be_changed_from_outside() -> None:
    mine = {"a": Property(int)}
    built = build(session_properties=mine)
    mine["b"] = Property(int)
    assert built.session_properties is not None
    assert list(built.session_properties) == ["session_properties.a"]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        pytest.param(None, "/sojourn", id="without a name"),
        pytest.param("shop", "/sojourn/shop", id="with a name"),
        pytest.param("my shop/1", "/sojourn/my%20shop%2F1", id="a name that must be quoted"),
    ],
)
def test_source(name: str | None, source: str) -> None:
    assert build(service_name=name).source == source


def _documented() -> Mapping[str, str]:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    return dict(re.findall(r"^\| `([a-z_]+)` \| `([^`]+)` \| \S.*\|$", page, re.MULTILINE))


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in Settings.fields()])
def test_every_setting_is_documented_with_its_default(row: Setting) -> None:
    text = _documented()[row.name]
    expected = row.parse(row.default)
    assert expected in (None, ()) if text == "none" else row.parse(text) == expected, (text, expected)


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert _documented().keys() == TABLE.keys()


@pytest.mark.parametrize("value", [30, 59.5, "30", " 5 "])
def test_idle_timeout_below_a_minute_without_a_unit_warns_at_the_line_that_sets_it(value: float | str) -> None:
    number = str(value).strip()
    makes: list[Callable[[], Settings]] = [
        lambda: build(idle_timeout=value),
        lambda: Settings.from_env({**ENVIRON, NAME: str(value)}),
    ]
    for make in makes:
        with pytest.warns(UserWarning, match="seconds") as caught:
            assert make().idle_timeout == timedelta(seconds=float(value))
        assert [str(each.message) for each in caught] == [
            f'idle_timeout={number} means {number} seconds; write "{number}m" for minutes, or "{number}s" if that is meant'
        ]
        assert [each.filename for each in caught] == [__file__]


@pytest.mark.parametrize("value", ["30s", timedelta(seconds=30), "0.5m", 60, "60", 1800, "30m"])
def test_idle_timeout_with_a_unit_or_of_a_minute_does_not_warn(value: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(idle_timeout=value)


def test_doubtful_idle_timeout_warns_once_for_each_line_by_default() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            build(idle_timeout=30)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        (0, "at least 1ms"),
        ("0", "at least 1ms"),
        (-5, "between 0 and 36500 days"),
        (timedelta(minutes=-1), "between 0 and 36500 days"),
        ("-30m", "text such as"),
        ("half an hour", "text such as"),
        (None, "text such as"),
        ("48h", "at most max_duration"),
    ],
)
def test_idle_timeout_that_cannot_be_used_names_the_fix(value: object, fix: str) -> None:
    with pytest.raises(SettingsError, match=f"idle_timeout=.* cannot be used: .*{fix}"):
        build(idle_timeout=value)


NAME = "SOJOURN_IDLE_TIMEOUT"
ENVIRON = {"SOJOURN_SECRET_KEY": KEY, "SOJOURN_STORE": "memory:"}
