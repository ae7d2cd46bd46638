"""Which requests are a sign of a person, and which a page makes by itself."""

from __future__ import annotations

import itertools
import random
from fnmatch import fnmatchcase

import pytest

from sojourn.settings import DEFAULT_PASSIVE
from sojourn.tracking.presence import Pace, Sign, is_in_use, is_keep_alive, note_fetch, sign_of, target_of
from tests.tracking.plain_facts import Request

FETCH = {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}


class Memory:
    """Ten places, as the shared table has."""

    def __init__(self) -> None:
        self.values = [0] * 10

    def targets(self) -> list[int]:
        return list(self.values)

    def put_target(self, place: int, value: int, at: int) -> None:
        assert 0 < value < 1 << 48
        self.values[place] = value


def is_passive_path(path: str) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in DEFAULT_PASSIVE)


@pytest.mark.parametrize(
    ("request_", "is_navigation", "sign"),
    [
        pytest.param(Request(), True, Sign.PERSON, id="a navigation"),
        pytest.param(Request("POST", path="/token"), True, Sign.PERSON, id="a form, wherever it goes"),
        pytest.param(Request(headers=FETCH), False, Sign.FETCH, id="a fetch"),
        pytest.param(Request("HEAD", headers=FETCH), False, Sign.FETCH, id="a HEAD fetch"),
        *(
            pytest.param(Request(method, headers=FETCH), False, Sign.WRITE, id=method)
            for method in ("POST", "PUT", "PATCH", "DELETE")
        ),
        *(
            pytest.param(Request(headers={"sec-fetch-dest": dest}), False, Sign.SUBRESOURCE, id=dest)
            for dest in ("script", "style", "image", "font", "manifest", "serviceworker")
        ),
        pytest.param(Request(headers={"sec-fetch-dest": "video", "range": "bytes=0-"}), False, Sign.PERSON, id="video"),
        pytest.param(Request(headers={**FETCH, "range": "bytes=9-"}), False, Sign.PERSON, id="a range"),
        pytest.param(Request(headers={"sec-fetch-mode": "websocket"}), False, Sign.PASSIVE, id="a handshake"),
        pytest.param(Request("POST", headers={"sec-fetch-dest": "report"}), False, Sign.PASSIVE, id="a report"),
        pytest.param(Request(headers={**FETCH, "sojourn-passive": "1"}), False, Sign.PASSIVE, id="marked by the page"),
        pytest.param(
            Request("POST", FETCH, path="/socket.io/", query="EIO=4&transport=polling"),
            False,
            Sign.PASSIVE,
            id="engine.io",
        ),
        pytest.param(Request("POST", FETCH, path="/api/auth/refresh"), False, Sign.PASSIVE, id="a token refreshed"),
        pytest.param(Request("GET", FETCH, path="/refreshments"), False, Sign.FETCH, id="a path that only looks so"),
    ],
)
def test_what_a_request_says_by_itself(request_: Request, is_navigation: bool, sign: Sign) -> None:
    assert (
        sign_of(request_, is_fetch=lambda _: not is_navigation, is_passive_path=lambda path, _: is_passive_path(path))
        is sign
    )


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("_=1700000000000", "_=1700000060000", True),
        ("ts=1", "ts=2", True),
        ("since=1700000000", "since=1700000060", True),
        ("a=1&r=0.8437291", "a=1&r=0.1137291", True),
        ("page=2", "page=3", False),
        ("id=123456789", "id=123456780", False),
        ("q=a", "", False),
    ],
)
def test_clocks_and_cache_busters_make_no_new_target(one: str, other: str, is_same: bool) -> None:
    assert (target_of(Request(query=one)) == target_of(Request(query=other))) == is_same


def test_method_and_path_make_a_target() -> None:
    targets = {target_of(Request(method, path=path)) for method in ("GET", "POST") for path in ("/a", "/b")}
    assert len(targets) == 4


def paces(*fetches: tuple[float, int]) -> list[Pace]:
    """How fetches at these times, in seconds, of these targets compare with those before."""
    memory = Memory()
    return [note_fetch(memory, target, int((1_700_000_000 + at) * 1000)) for at, target in fetches]


@pytest.mark.parametrize("every", [1, 5, 60, 300, 31 * 60])
def test_a_poll_is_new_once_and_even_from_then_on(every: int) -> None:
    assert paces(*((n * every, 7) for n in range(1, 100))) == [Pace.NEW] + [Pace.EVEN] * 98


def test_a_poll_that_jitters_by_a_tenth_is_even() -> None:
    chance = random.Random(1)
    times = [60 * n + chance.uniform(-3, 3) for n in range(1, 100)]
    assert set(paces(*((at, 7) for at in times))[1:]) == {Pace.EVEN}


def test_a_poll_that_the_browser_throttles_is_uneven_once() -> None:
    times = [*range(5, 300, 5), *range(300, 3600, 60)]
    assert paces(*((at, 7) for at in times)).count(Pace.UNEVEN) <= 1


def test_two_polls_in_turn_and_two_tabs_with_one_poll_are_even() -> None:
    in_turn = paces(*((30 * n, n % 2 + 1) for n in range(100)))
    two_tabs = paces(*((60 * (n // 2) + 13 * (n % 2), 7) for n in range(100)))
    assert in_turn.count(Pace.UNEVEN) == 0
    assert two_tabs.count(Pace.UNEVEN) <= 1


def test_a_person_to_and_fro_among_five_targets_is_uneven_again_and_again() -> None:
    chance, at, fetches = random.Random(3), 0.0, []
    while at < 40 * 60:
        at += chance.uniform(4, 90)
        fetches.append((at, chance.randrange(1, 6)))
    alive = [at for (at, _), pace in zip(fetches, paces(*fetches), strict=True) if pace is not Pace.EVEN]
    gaps = [after - before for before, after in itertools.pairwise(alive)]
    assert max(gaps) < 15 * 60
    assert alive[-1] > 35 * 60


def test_ever_new_targets_are_new_however_many_there_were() -> None:
    assert set(paces(*((20 * n, n + 1) for n in range(200)))) == {Pace.NEW}


def test_a_page_is_in_use_from_its_third_target_on() -> None:
    memory = Memory()
    states = []
    for target in (1, 2, 1, 2, 3):
        note_fetch(memory, target, 1_700_000_000_000)
        states.append(is_in_use(memory))
    assert states == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        *((text, True) for text in ("2", "3", "2probe", "\n", "ping", "PONG", "", "{}", '{"type":6}\x1e')),
        *((text, True) for text in ('{"type":"ping"}', '{"type": "pong", "payload": {}}', '{"event":"heartbeat"}')),
        ('[null,"4","phoenix","heartbeat",{}]', True),
        ('{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}', True),
        *((content, True) for content in (b"", b"\xc0\x00", b"3")),
        *((text, False) for text in ("hello", '42["chat",1]', '{"type":1}', '{"type":"message"}', "4", "ping me")),
        ('[null,"4","room:1","shout",{}]', False),
        ('{"type":"ping","note":"' + "x" * 300 + '"}', False),
        (b"\x00\xff" * 500, False),
        ("[" * 150, False),
    ],
)
def test_which_socket_messages_only_keep_the_connection_open(message: str | bytes, expected: bool) -> None:
    assert is_keep_alive(message) == expected
