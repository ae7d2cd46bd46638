"""The console: one readable line per event, whatever a browser sent."""

from __future__ import annotations

import io
import json
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends import ConsoleBackend, Receipt
from sojourn.backends.plain.console import readable_line
from sojourn.core.events import Event, Scalar
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import hostile_events, sample_events

ANY_TEXT = st.text(st.characters(exclude_categories=()))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def event_with(attributes: dict[str, Scalar], *, user_id: str | None = None, name: str = "cart.add") -> Event:
    return msgspec.structs.replace(sample_events()[0], name=name, user_id=user_id, attributes=attributes)


def printed(stream: io.StringIO, *events: Event) -> str:
    ConsoleBackend(stream).send(events)
    return stream.getvalue()


def test_lines_of_a_visit() -> None:
    assert printed(io.StringIO(), *sample_events()).splitlines() == [
        (
            "12:00:00.000Z  session.start       …718293a4  -         /  "
            "http.request.header.referer=https://search.example/results"
        ),
        (
            "12:00:00.012Z  page_view           …718293a4  -         GET /products/17 200  "
            "http.route=/products/{id} page_view.duration_ms=11.5"
        ),
        '12:00:02.000Z  user.identify       …718293a4  anna      user.name="Anna Ünal"',
        "12:00:03.000Z  session.properties  …718293a4  anna      plan=team",
        "12:00:04.000Z  cart.add            …718293a4  anna      sku=A-17 gift=True",
        '12:00:04.500Z  log                 …718293a4  anna      log.body="stock is low" log.severity=WARN',
        "12:00:05.000Z  exception           …718293a4  anna      exception.type=LookupError",
        "12:00:30.000Z  connection.end      …718293a4  -         /letter 200  connection.duration_ms=24990.5",
        "12:01:00.000Z  session.heartbeat   …718293a4  anna",
        "12:01:35.250Z  session.end         …718293a4  anna      idle_timeout after 95.2 s",
        "12:01:40.000Z  opt_out             …718293a4  -",
    ]


@pytest.mark.parametrize("event", hostile_events(), ids=lambda event: list(event.attributes)[-1])
def test_hostile_values_stay_on_their_line(event: Event) -> None:
    text = printed(io.StringIO(), event)
    assert text.endswith("\n")
    assert text[:-1].isprintable()


@given(name=ANY_TEXT, user=ANY_TEXT, session=ANY_TEXT, key=ANY_TEXT, value=ANY_TEXT)
def test_any_text_stays_on_its_line(name: str, user: str, session: str, key: str, value: str) -> None:
    event = event_with({key: value, "url.path": value}, user_id=user, name=name)
    assert readable_line(msgspec.structs.replace(event, session_id=session)).isprintable()


def test_one_value_cannot_look_like_two() -> None:
    assert 'note="sold role=admin"' in printed(io.StringIO(), event_with({"note": "sold role=admin"}))
    assert r'note="a\" role=\"admin"' in printed(io.StringIO(), event_with({"note": 'a" role="admin'}))


def test_long_values_and_many_values_are_cut() -> None:
    line = readable_line(event_with({f"k{n}": "x" * 200 for n in range(10)}))
    assert line.endswith("(+2 more)")
    assert len(line) < 800


@pytest.mark.parametrize(
    ("stream", "no_color", "is_coloured"),
    [
        pytest.param(Terminal, None, True, id="terminal"),
        pytest.param(Terminal, "1", False, id="NO_COLOR"),
        pytest.param(Terminal, "", True, id="NO_COLOR is empty"),
        pytest.param(io.StringIO, None, False, id="pipe or file"),
    ],
)
def test_colours_are_for_terminals(
    stream: type[io.StringIO], no_color: str | None, is_coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    assert ("\x1b[32msession.start" in printed(stream(), sample_events()[0])) is is_coloured


def test_json_is_one_cloud_event_per_line() -> None:
    stream = io.StringIO()
    ConsoleBackend(stream, format="json").send([*sample_events(), *hostile_events()])
    documents = [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]
    assert [document["id"] for document in documents] == [event.id for event in [*sample_events(), *hostile_events()]]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_text_can_be_written_in_any_encoding(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    receipt = ConsoleBackend(stream).send([event_with({"note": "Ünal → 日本 \ud83d"})])
    assert receipt == Receipt(delivered=1)
    assert b"note=" in raw.getvalue()


def test_writes_to_the_current_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    ConsoleBackend().send(sample_events()[:1])
    assert "session.start" in capsys.readouterr().out


def test_missing_console_pauses_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    receipt = ConsoleBackend().send(sample_events())
    assert receipt.delivered == 0
    assert receipt.pause is not None
    assert "jsonl:" in receipt.pause


def test_close_leaves_the_stream_open() -> None:
    stream = io.StringIO()
    ConsoleBackend(stream).close()
    assert not stream.closed


def test_unknown_format_is_refused() -> None:
    with pytest.raises(SettingsError, match="text or json"):
        ConsoleBackend(format="xml")  # type: ignore[arg-type]
