"""Settings from the environment and from a mapping: every field, the framework's keys, and names that are wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from sojourn.core.alerts import Thresholds
from sojourn.core.goals import Funnel, Goal, parse_step, parse_steps
from sojourn.core.rates import Rate
from sojourn.core.saved_views import NamedQuery
from sojourn.errors import SettingsError
from sojourn.settings import Property, Settings

KEY = "k" * 16
OLD = "o" * 16
BASE = {"SOJOURN_SECRET_KEY": KEY, "SOJOURN_STORE": "memory:"}


class Receiver:
    name = "receiver"

    def send(self, batch: object) -> None:
        raise NotImplementedError


TEXT: dict[str, tuple[str, object]] = {
    "secret_key": (f"{OLD}, {KEY}", (OLD.encode(), KEY.encode())),
    "enabled": ("1", True),
    "idle_timeout": ("10m", timedelta(minutes=10)),
    "max_duration": ("none", None),
    "heartbeat_interval": ("90", timedelta(seconds=90)),
    "manual_max_silence": ("2h", timedelta(hours=2)),
    "automatic": ("no", False),
    "session_starts": ("any", "any"),
    "on_user_change": ("keep", "keep"),
    "passive": ("/poll, /ping", ("/poll", "/ping")),
    "presence": ("open", "open"),
    "store": ("postgresql://h/d", "postgresql://h/d"),
    "backends": ("console:,jsonl:e.jsonl", ("console:", "jsonl:e.jsonl")),
    "base_dir": ("/", Path("/")),
    "journal_dir": ("journal", Path("/journal")),
    "journal_limit": ("10MiB", 10 * 2**20),
    "journal_max_age": ("1d", timedelta(days=1)),
    "journal_fsync": ("yes", True),
    "outbox_max": ("10k", 10_000),
    "deliver": ("worker", "worker"),
    "record_within": ("2s", timedelta(seconds=2)),
    "retention": ("30d", timedelta(days=30)),
    "sweep_interval": ("1s", timedelta(seconds=1)),
    "sweep_grace": ("0", timedelta(0)),
    "shutdown_timeout": ("0s", timedelta(0)),
    "max_clock_lead": ("1h", timedelta(hours=1)),
    "cookie_name": ("visit", "visit"),
    "cookie_domain": ("example.com", "example.com"),
    "cookie_path": ("/app", "/app"),
    "cookie_samesite": ("none", "none"),
    "cookie_secure": ("true", True),
    "cookie_partitioned": ("true", True),
    "cookie_max_age": ("30d", timedelta(days=30)),
    "visitor_cookie": ("session", "session"),
    "cache_private": ("off", False),
    "trusted_proxies": ("10.0.0.0/8", (ip_network("10.0.0.0/8"),)),
    "own_hosts": ("shop.example,.shop.de", ("shop.example", ".shop.de")),
    "exclude": ("/a,/b", ("/a", "/b")),
    "ignore_http_clients": ("on", True),
    "country_database": ("/data/countries.mmdb", Path("/data/countries.mmdb")),
    "country_header": ("CF-IPCountry", "CF-IPCountry"),
    "browser_ids": ("PostHog, rudderstack", ("posthog", "rudderstack")),
    "exclude_addresses": ("192.0.2.7", (ip_network("192.0.2.7"),)),
    "exclude_users": ("42, anna", ("42", "anna")),
    "agents": ("count", "count"),
    "session_budget": ("50/s", Rate(50, 1000)),
    "session_budget_total": ("none", None),
    "session_properties": ("shop_declarations:of_sessions", {"session_properties.plan": Property(str)}),
    "event_properties": ("none", None),
    "strict": ("true", True),
    "hash_user_ids": ("true", True),
    "user_hash_key": (KEY, KEY.encode()),
    "mask_addresses": ("false", False),
    "query_parameters": ("ref,utm_*", ("ref", "utm_*")),
    "keep": ("/share/*, code", ("/share/*", "code")),
    "exception_messages": ("1", True),
    "scrub": ("builtins:repr", repr),
    "consent_required": ("1", True),
    "consent": ("builtins:bool", bool),
    "cookieless": ("always", "always"),
    "timezone": ("Europe/Vienna", "Europe/Vienna"),
    "gpc": ("off", "off"),
    "dnt": ("anonymous", "anonymous"),
    "principal": ("builtins:str", str),
    "page_views": ("0", False),
    "beacon_path": ("/b", "/b"),
    "goals": ("Purchase = purchase plan=pro", (Goal("Purchase", parse_step("purchase plan=pro")),)),
    "funnels": ("Checkout=/cart > buy", (Funnel("Checkout", parse_steps("/cart > buy")),)),
    "saved_views": ("Spring=?range=30d&campaign=spring", (NamedQuery("Spring", "range=30d&campaign=spring"),)),
    "alerts": ("spike=3; errors=5%; nothing=2h", Thresholds(spike=3, errors=0.05, nothing=7_200_000)),
    "alert_targets": ("mailto:ops@shop.example", ("mailto:ops@shop.example",)),
    "mail_server": ("smtp://localhost", "smtp://localhost"),
    "mail_from": ("sojourn@shop.example", "sojourn@shop.example"),
    "service_name": ("shop", "shop"),
    "service_version": ("1.2", "1.2"),
    "environment": ("staging", "staging"),
}


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_declarations.py").write_text(
        "from sojourn.settings import Property\n"
        "of_sessions = {'plan': Property(str)}\n"
    )  # fmt: skip
    monkeypatch.syspath_prepend(tmp_path)


def test_every_setting_can_be_given_as_text_everywhere() -> None:
    assert TEXT.keys() == {row.name for row in Settings.fields()}
    texts = {f"SOJOURN_{name.upper()}": text for name, (text, _) in TEXT.items()}
    for built in (Settings.from_env(texts), Settings.from_mapping(texts)):
        assert {name: getattr(built, name) for name in TEXT} == {name: value for name, (_, value) in TEXT.items()}


def test_typed_values_pass_through_a_mapping() -> None:
    built = Settings.from_mapping({**BASE, "SOJOURN_IDLE_TIMEOUT": timedelta(minutes=1), "SOJOURN_MAX_DURATION": None})
    assert (built.idle_timeout, built.max_duration) == (timedelta(minutes=1), None)


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in BASE.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_env() == Settings.from_env(BASE)


def test_blank_text_counts_as_not_set() -> None:
    blank = {"SOJOURN_IDLE_TIMEOUT": "", "SOJOURN_EXCLUDE": " ", "SOJOURN_SERVICE_NAME": ""}
    assert Settings.from_env({**BASE, **blank}) == Settings.from_env(BASE) == Settings.from_mapping({**BASE, **blank})


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        pytest.param("SOJOURN_IDLE_TIMOUT", "SOJOURN_IDLE_TIMEOUT", id="a letter missing"),
        pytest.param("SOJOURN_BACKEND", "SOJOURN_BACKENDS", id="singular"),
        pytest.param("SOJOURN_idle_timeout", "SOJOURN_IDLE_TIMEOUT", id="lower case"),
    ],
)
def test_an_unknown_name_names_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(SettingsError, match=rf"{key} is not a setting; the nearest is {nearest}"):
        Settings.from_env({**BASE, key: "1"})
    with pytest.raises(SettingsError, match=rf"{key} is not a setting; the nearest is {nearest}"):
        Settings.from_mapping({**BASE, key: None})


@pytest.mark.parametrize(
    "name", ["SOJOURN_HOME", "SOJOURN_VERSION", "SOJOURN_LOG_LEVEL", "SOJOURN_", "SOJOURN_SENTRY_DSN"]
)
def test_a_name_of_the_host_is_ignored_with_a_warning(name: str) -> None:
    with pytest.warns(UserWarning, match=f"^{name} in the environment is no setting") as caught:
        built = Settings.from_env({**BASE, name: "1"})
    assert [warning.filename for warning in caught] == [__file__]
    assert built == Settings.from_env({**BASE, name: " "})
    with pytest.warns(UserWarning, match=name):
        assert Settings.from_mapping({}, environ={**BASE, name: "1"}) == built
    with pytest.raises(SettingsError, match=f"{name} is not a setting"):  # of the app, and not of its host
        Settings.from_mapping({**BASE, name: "1"})


@pytest.mark.parametrize(
    "name",
    [
        "SOJOURN_SERVICE_HOST",
        "SOJOURN_SERVICE_PORT",
        "SOJOURN_SERVICE_PORT_HTTP",
        "SOJOURN_PORT",
        "SOJOURN_PORT_80_TCP_ADDR",
        "SOJOURN_DB_SERVICE_HOST",
        "SOJOURN_DB_PORT_5432_TCP",
    ],
)
def test_service_links_of_kubernetes_are_no_settings(name: str) -> None:
    assert Settings.from_env({**BASE, name: "tcp://10.0.0.1:80"}) == Settings.from_env(BASE)


def test_keys_of_others_are_ignored() -> None:
    others = {"DEBUG": True, "sojourn_idle_timeout": 1, "MYSOJOURN_X": 1, 5: 5}
    assert Settings.from_mapping({**BASE, **others}) == Settings.from_env(BASE)  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("mapping", "keys"),
    [
        pytest.param({"SECRET_KEY": KEY}, [KEY], id="the app's key"),
        pytest.param({"SECRET_KEY": "a,b," + KEY}, ["a,b," + KEY], id="an app's key is never split"),
        pytest.param({"SECRET_KEY": KEY, "SECRET_KEY_FALLBACKS": [OLD]}, [OLD, KEY], id="fallbacks are older"),
        pytest.param({"SECRET_KEY": KEY, "SECRET_KEY_FALLBACKS": OLD}, [OLD, KEY], id="one fallback"),
        pytest.param({"SECRET_KEY": KEY, "SECRET_KEY_FALLBACKS": None}, [KEY], id="no fallbacks"),
        pytest.param({"SECRET_KEY": OLD, "SOJOURN_SECRET_KEY": KEY}, [KEY], id="our own key wins"),
        pytest.param(
            {"SECRET_KEY": KEY, "SECRET_KEY_FALLBACKS": [OLD], "SOJOURN_SECRET_KEY": None},
            [OLD, KEY],
            id="ours is empty",
        ),
    ],
)
def test_the_frameworks_keys_are_the_fallback(mapping: dict[str, object], keys: list[str]) -> None:
    built = Settings.from_mapping({"SOJOURN_STORE": "memory:", **mapping})
    assert built.secret_key == tuple(key.encode() for key in keys)


@pytest.mark.parametrize(
    "mapping",
    [
        pytest.param({"SECRET_KEY": None}, id="no key"),
        pytest.param({}, id="no name"),
    ],
)
def test_without_any_key_the_error_helps(mapping: dict[str, object]) -> None:
    for lenient in (False, True):
        with pytest.raises(SettingsError, match="SOJOURN_SECRET_KEY="):
            Settings.from_mapping({"SOJOURN_STORE": "memory:", **mapping}, lenient_secret=lenient)


def test_the_environment_does_not_read_the_frameworks_key() -> None:
    with pytest.raises(SettingsError, match="secret_key is missing"):
        Settings.from_env({"SECRET_KEY": KEY, "SOJOURN_STORE": "memory:"})


@pytest.mark.parametrize("key", ["dev", b"dev"])
def test_a_short_key_passes_only_leniently_and_with_one_warning(key: object) -> None:
    mapping = {"SECRET_KEY": key, "SECRET_KEY_FALLBACKS": ["old"], "SOJOURN_STORE": "memory:"}
    with pytest.raises(SettingsError, match="at least 16 bytes"):
        Settings.from_mapping(mapping)
    with pytest.warns(UserWarning, match="at least 16 bytes.*passes in debug mode") as caught:
        built = Settings.from_mapping(mapping, lenient_secret=True)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert built.secret_key == (b"old", b"dev")
    assert built.has_short_key


@pytest.mark.parametrize(
    ("mapping", "source"),
    [
        pytest.param({"SECRET_KEY": "dev"}, "SECRET_KEY of your app", id="the app's key"),
        pytest.param(
            {"SECRET_KEY": KEY, "SECRET_KEY_FALLBACKS": [OLD, b"old"]},
            r"SECRET_KEY_FALLBACKS\[1\] of your app",
            id="an older one",
        ),
    ],
)
@pytest.mark.parametrize("is_lenient", [False, True])
def test_a_short_key_of_the_framework_is_named(mapping: dict[str, object], source: str, is_lenient: bool) -> None:
    kind = pytest.warns(UserWarning, match=source) if is_lenient else pytest.raises(SettingsError, match=source)
    with kind as caught:
        Settings.from_mapping({"SOJOURN_STORE": "memory:", **mapping}, lenient_secret=is_lenient)
    assert "dev" not in str(caught) or is_lenient


def test_a_short_key_of_our_own_is_not_said_to_be_the_frameworks() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping({**BASE, "SECRET_KEY": KEY, "SOJOURN_SECRET_KEY": "dev"})
    assert "of your app" not in str(caught.value)


@pytest.mark.parametrize(
    "mapping",
    [
        pytest.param({"SECRET_KEY": KEY}, id="long enough"),
        pytest.param({"SECRET_KEY": "dev", "SOJOURN_ENABLED": False}, id="switched off"),
    ],
)
def test_leniency_warns_of_nothing_else(mapping: dict[str, object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Settings.from_mapping({"SOJOURN_STORE": "memory:", **mapping}, lenient_secret=True)


def test_a_short_key_of_our_own_passes_leniently_too() -> None:
    with pytest.warns(UserWarning, match="at least 16 bytes"):
        built = Settings.from_mapping({"SOJOURN_SECRET_KEY": b"dev", "SOJOURN_STORE": "memory:"}, lenient_secret=True)
    assert built.secret_key == (b"dev",)


@pytest.mark.parametrize("key", ["", [""], 5, [5]])
def test_leniency_lets_nothing_pass_but_length(key: object) -> None:
    with pytest.raises(SettingsError, match="secret_key"):
        Settings.from_mapping({"SOJOURN_SECRET_KEY": key, "SOJOURN_STORE": "memory:"}, lenient_secret=True)


def test_base_dir_is_an_argument_that_the_mapping_overrides(tmp_path: Path) -> None:
    mapping = {"SECRET_KEY": KEY}
    (tmp_path / "own").mkdir()
    assert Settings.from_mapping(mapping, base_dir=tmp_path).store_path == tmp_path / "sojourn.db"
    own = Settings.from_mapping({**mapping, "SOJOURN_BASE_DIR": str(tmp_path / "own")}, base_dir=tmp_path)
    assert own.store_path == tmp_path / "own" / "sojourn.db"


def test_objects_are_found_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "shop_parts"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "sinks.py").write_text(
        "class Sink:\n    name = 'sink'\n    def send(self, batch): ...\nsink = Sink()\nbare = object()\n"
    )
    built = Settings.from_env(
        {**BASE, "SOJOURN_BACKENDS": "shop_parts.sinks:sink", "SOJOURN_STORE": "shop_parts.sinks:bare"}
    )
    sinks = sys.modules["shop_parts.sinks"]
    assert built.backends == (sinks.sink,)
    assert built.store is sinks.bare
    with pytest.raises(SettingsError, match="could not be imported") as caught:
        Settings.from_env({**BASE, "SOJOURN_BACKENDS": "shop_parts.sinks:missing"})
    assert isinstance(caught.value.__cause__, AttributeError)


def test_importing_settings_is_light() -> None:
    heavy = "{'httpx', 'sqlite3', 'starlette', 'flask', 'sojourn.backends', 'sojourn.engine'}"
    code = f"import sys, sojourn.settings._settings; print(sorted({heavy} & set(sys.modules)))"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert result.stdout.strip() == "[]"
