"""`sojourn demo`: it runs by itself, prints its files, and fails if the figures do not add up."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sojourn.core.events import Position
from sojourn.demo.figures import Figures
from sojourn.demo.folder import new_folder
from sojourn.demo.summary import problems, summary
from sojourn.demo.synthetic import HOUR_MS
from sojourn.demo.visitors import Played
from sojourn.errors import SojournError
from sojourn.settings._places import state_folder
from sojourn.stores import SQLiteStore
from sojourn.stores.definitions import GOAL
from sojourn.stores.model import BackendState, StoreStats
from sojourn.stores.reporting.model import Span
from sojourn.stores.rows import SessionRow

ROOT = Path(__file__).parents[2]
COMMAND = (
    sys.executable,
    "-W",
    "default::ResourceWarning",  # one would show on stderr, which must be empty
    "-c",
    "import sys; from sojourn.cli import main; sys.exit(main())",
    "demo",
)
PATIENCE_S = 180  # the past is written first, on a busy machine for a minute


def environment(state: Path, **more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name != "STATE_DIRECTORY"}
    return {**own, "XDG_STATE_HOME": str(state), **more}


def the_folder(state: Path) -> Path:
    (folder,) = (state / "sojourn").iterdir()
    return folder


# --- real runs


@dataclass(frozen=True)
class Run:
    stdout: str
    folder: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of ten seconds, five of them with each release."""
    state = tmp_path_factory.mktemp("state")
    done = subprocess.run(
        [*COMMAND, "--seconds", "10"],
        env=environment(state, SOJOURN_STORE="sqlite:////nowhere/at/all.db", SOJOURN_NONSENSE="another app's"),
        cwd=state,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return Run(done.stdout, the_folder(state))


def test_demo_stops_by_itself_with_a_summary(run: Run) -> None:
    folder = run.folder
    assert "The figures add up" in run.stdout
    assert re.fullmatch(r"demo-\d{8}-\d{6}", folder.name)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in ("sojourn.db", "events.jsonl"):
        assert (folder / file).is_file()
        assert run.stdout.count(str(folder / file)) == 2  # printed in the introduction and in the summary

    started, ended, still_open = numbers(r"(\d+) started = (\d+) ended \+ (\d+) open", run.stdout)
    assert started == ended + still_open
    assert min(ended, still_open) > 0
    for backend in ("console", "jsonl"):
        accepted, delivered, *rest = numbers(rf"  {backend} +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)", run.stdout)
        assert (accepted, rest) == (delivered, [0, 0, 0, 0])

    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    printed = re.findall(r"^[\d:.]+Z  (\S+)", run.stdout, re.MULTILINE)
    assert printed == [event["type"] for event in events]
    assert {"session.start", "session.heartbeat", "session.end", "user.identify", "page_view", "purchase"} <= {*printed}
    reasons = {event["data"].get("session.end_reason") for event in events}
    assert {"idle_timeout", "user_changed"} <= reasons


@contextmanager
def opened(run: Run) -> Iterator[SQLiteStore]:
    with closing(SQLiteStore(run.folder / "sojourn.db")) as store:
        yield store


def live_sessions(store: SQLiteStore) -> list[SessionRow]:
    """The sessions of the visitors: the past ends forty minutes before the first of them."""
    rows = store.sessions.latest(limit=1_000)
    return [row for row in rows if row.started_at > rows[0].started_at - 60_000]


def test_live_visits_have_two_releases_campaigns_errors_and_a_slow_route(run: Run) -> None:
    with opened(run) as store:
        live = live_sessions(store)
        events = [event for row in live for event in store.log.of_session(row.key)]
        counters = store.stats().counters
        agents = store.agents.agents(Span(live[-1].started_at - HOUR_MS, live[0].started_at + HOUR_MS))
        goals = {each.name for each in store.definitions.of(GOAL)}

    assert {row.version for row in live} == {"2.10", "2.11"}
    buyers = {event.session_key for event in events if event.name == "purchase"}
    bought = Counter(row.utm_campaign for row in live if row.key in buyers)
    assert bought.most_common(1)[0][0] == "sowing-calendar", bought
    assert {event.attributes.get("exception.group") for event in events} >= {
        "LookupError at shop/app.py in take_from_shelf",
        "RuntimeError at shop/app.py in fail",
        "decimal.InvalidOperation at shop/checkout.py in vat_of",
    }
    spans = [
        float(event.attributes["page_view.duration_ms"])
        for event in events
        if event.attributes.get("http.route") == "/search/{query}"
    ]
    assert spans
    assert min(spans) > 900
    assert counters["ignored.own_user"] > 0
    assert "shopkeeper" not in {row.user_id for row in live}
    assert any(line.robots for line in agents)
    assert any(line.llms for line in agents)
    assert "Purchase" in goals


def test_only_the_next_release_breaks_the_checkout(run: Run) -> None:
    with opened(run) as store:
        broken = {
            row.version
            for row in live_sessions(store)
            for event in store.log.of_session(row.key)
            if event.attributes.get("exception.type") == "decimal.InvalidOperation"
        }
    assert broken == {"2.11"}


def test_demo_runs_until_ctrl_c(tmp_path: Path) -> None:
    with subprocess.Popen(
        COMMAND,
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "  session.end  " in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, err) == (0, "")
    assert "The figures add up" in out


def test_demo_of_an_installed_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("sojourn-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    done = subprocess.run(
        [*COMMAND, "--seconds", "5"],
        env=environment(tmp_path / "state", PYTHONPATH=str(tmp_path / "site")),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "The figures add up" in done.stdout


def numbers(pattern: str, text: str) -> list[int]:
    match = re.search(pattern, text)
    assert match is not None, text
    return [int(group) for group in match.groups()]


# --- where it writes


@pytest.mark.parametrize(
    ("environ", "directory"),
    [
        pytest.param({"STATE_DIRECTORY": "/var/lib/a", "XDG_STATE_HOME": "/var/lib/b"}, "/var/lib/a", id="systemd's"),
        pytest.param({"STATE_DIRECTORY": "/var/lib/a:/var/lib/c"}, "/var/lib/a", id="the first of several"),
        pytest.param({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "/var/lib/b"}, "/var/lib/b", id="empty is not set"),
        pytest.param({"XDG_STATE_HOME": "/var/lib/b"}, "/var/lib/b", id="XDG's"),
        pytest.param({"XDG_STATE_HOME": "here"}, str(Path.home() / ".local/state"), id="a relative one is ignored"),
        pytest.param({}, str(Path.home() / ".local/state"), id="the default"),
    ],
)
def test_state_folder_is_systemds_then_xdgs_then_the_home_folders(environ: Mapping[str, str], directory: str) -> None:
    assert state_folder(environ) == Path(directory)


def test_each_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    folders = [new_folder(environ) for _ in range(5)]
    assert len(set(folders)) == 5


def test_unusable_folder_is_an_error_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "sojourn").touch()
    with pytest.raises(SojournError, match="XDG_STATE_HOME"):
        new_folder({"XDG_STATE_HOME": str(tmp_path)})


# --- figures

STATE = BackendState(
    name="jsonl",
    cursor=Position(9),
    recorded=7,
    delivered=7,
    dead=0,
    skipped=0,
    dropped=0,
    retried=0,
    backlog=0,
    retry_at=None,
    failures=0,
    problem=None,
)
STATS = StoreStats(
    counters={"sessions.started": 2, "sessions.ended": 1}, sessions=2, open_sessions=1, events=7, backends=(STATE,)
)
FIGURES = Figures(
    is_done=True,
    stats=STATS,
    events={"session.start": 2, "session.end": 1, "page_view": 3, "purchase": 1},
    reasons={"idle_timeout": 1},
    starts={"a": 1, "b": 1},
    ends={"a": 1},
    visitors=1,
    in_file=dict.fromkeys("1234567", 1),
)
PLAYED = Played(seconds=6.0, visitors=1, least_visits=2, most_visits=2, pages=3, purchases=1, troubles=())


def counted(**counters: int) -> Figures:
    return replace(FIGURES, stats=replace(STATS, counters={**STATS.counters, **counters}))


def forwarded(**counts: Any) -> Figures:
    return replace(FIGURES, stats=replace(STATS, backends=(replace(STATE, **counts),)))


def test_consistent_figures_have_no_problems() -> None:
    assert problems(FIGURES, PLAYED) == []
    assert "The figures add up" in summary(FIGURES, PLAYED, Path("folder"), [])


@pytest.mark.parametrize(
    ("figures", "played", "problem"),
    [
        pytest.param(
            counted(**{"sessions.ended": 0}), PLAYED, "but 0 ended and 1 are open", id="started = ended + open"
        ),
        pytest.param(replace(FIGURES, starts={"a": 1}), PLAYED, "the event log has 1 session.start", id="a start lost"),
        pytest.param(replace(FIGURES, ends={}), PLAYED, "the event log has 0 session.end", id="an end lost"),
        pytest.param(
            replace(FIGURES, starts={"a": 2}), PLAYED, "1 sessions have more than one session.start", id="started twice"
        ),
        pytest.param(
            replace(FIGURES, ends={"a": 2}), PLAYED, "1 sessions have more than one session.end", id="ended twice"
        ),
        pytest.param(replace(FIGURES, ends={"c": 1}), PLAYED, "1 sessions ended without a start", id="never started"),
        pytest.param(forwarded(delivered=6), PLAYED, "but 6 are settled and 0 wait", id="an event vanished"),
        pytest.param(
            forwarded(recorded=6, delivered=6), PLAYED, "6 events of the 7 in the log", id="one never accepted"
        ),
        pytest.param(
            forwarded(delivered=6, backlog=1, problem="HTTP 500"),
            PLAYED,
            "1 events were not delivered to jsonl (HTTP 500)",
            id="one undelivered",
        ),
        pytest.param(forwarded(delivered=6, dead=1), PLAYED, "jsonl lost 1 events", id="a dead letter"),
        pytest.param(forwarded(delivered=6, dropped=1), PLAYED, "jsonl lost 1 events", id="one dropped"),
        pytest.param(replace(FIGURES, is_done=False), PLAYED, "in time", id="the flush was not done"),
        pytest.param(replace(FIGURES, in_file={"1": 7}), PLAYED, "but it holds 1", id="the file lacks some"),
        pytest.param(
            FIGURES, replace(PLAYED, least_visits=3, most_visits=4), "made 3 to 4 visits, but 2", id="a visit missed"
        ),
        pytest.param(
            FIGURES, replace(PLAYED, least_visits=1, most_visits=1), "made 1 visits, but 2", id="a visit made up"
        ),
        pytest.param(FIGURES, replace(PLAYED, visitors=2), "2 visitors came, but", id="two taken for one"),
        pytest.param(FIGURES, replace(PLAYED, pages=4), "4 pages were opened, but", id="a page view lost"),
        pytest.param(FIGURES, replace(PLAYED, purchases=0), "0 purchases were made, but", id="an event made up"),
        pytest.param(FIGURES, replace(PLAYED, troubles=("no response",)), "no response", id="a visitor was stopped"),
        pytest.param(
            counted(**{"ignored.fault": 2}), PLAYED, "Sojourn failed internally 2 times", id="a fault of ours"
        ),
    ],
)
def test_inconsistent_figures_are_reported(figures: Figures, played: Played, problem: str) -> None:
    reported = problems(figures, played)
    assert [text for text in reported if problem in text], reported
    assert "The figures do not add up" in summary(figures, played, Path("folder"), reported)


def test_ambiguous_pauses_allow_a_range_of_visits() -> None:
    for least, most in ((1, 2), (2, 3)):
        assert problems(FIGURES, replace(PLAYED, least_visits=least, most_visits=most)) == []
