"""The cookie: what is signed comes back, whatever lies around it; what is not ours is the same as none."""

from __future__ import annotations

import base64
import http.cookies
import itertools
import re
from hashlib import sha256

import msgspec
import pytest
import werkzeug.http
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer
from starlette.requests import cookie_parser

from sojourn.core.session import MAX_COUNT, EndReason, SessionState, begin, succeed
from sojourn.tracking.cookie import CookieCodec, Verified
from sojourn.tracking.cookie_layout import DISPUTED, OPTED_OUT, Disputed, OptedOut
from sojourn.tracking.cookie_policy import CookiePolicy

KEY, OLD, OTHER = b"k" * 16, b"o" * 16, b"x" * 16
NAME = b"sojourn"
NOW = 1_700_000_000_000
VISITOR = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
SALT = b"sojourn.session-cookie.1.sojourn"


def state(number: int = 1, *, session_id: str | None = None) -> SessionState:
    """A session after another, with everything that a cookie can carry."""
    old = begin(visitor_id=VISITOR, visitor_since=NOW, key=f"018bcfe5-6800-7000-8000-{number:012x}", now=NOW)
    key = f"018bcfe5-6801-7000-8000-{number:012x}"
    after = succeed(old, EndReason.RESTARTED, key=key, now=NOW + 9, session_id=session_id, is_manual=True)
    return msgspec.structs.replace(
        after,
        owner=b"12345678",
        principal=b"abcdefgh",
        is_tagged=True,
        is_explicit=True,
        is_ended=True,
        visit_number=MAX_COUNT,
        logouts=3,
    )


CODEC = CookieCodec([KEY])
VALUE = CODEC.dumps(state()).encode()
VALUE_2 = CODEC.dumps(state(2)).encode()
OUT = CODEC.dumps(OPTED_OUT).encode()
BARE = begin(visitor_id=VISITOR, visitor_since=0, key="018bcfe5-6800-7000-8000-000000000001", now=0)


def signed(payload: bytes, *, salt: bytes = SALT, key: bytes = KEY) -> bytes:
    encoded = base64.urlsafe_b64encode(payload).rstrip(b"=")
    return Signer(key, salt=salt, sep=b".", key_derivation="hmac", digest_method=sha256).sign(encoded)


def payload_of(value: bytes) -> bytes:
    encoded = value.partition(b".")[0]
    return base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))


def read(header: bytes, codec: CookieCodec = CODEC) -> SessionState | OptedOut | Disputed | None:
    found = codec.read(header, NAME)
    return found.state if isinstance(found, Verified) else found


# --- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(BARE, id="the least"),
        pytest.param(state(), id="all of it"),
        pytest.param(state(session_id="a" * 100), id="a given id"),
        pytest.param(msgspec.structs.replace(state(), owner=None), id="a principal alone"),
        pytest.param(msgspec.structs.replace(BARE, owner=b"\x00" * 8, is_tagged=True), id="a user alone"),
    ],
)
def test_round_trip(sent: SessionState) -> None:
    assert CODEC.loads(CODEC.dumps(sent).encode()) == Verified(sent, 0)


def test_a_value_read_again_comes_from_the_cache() -> None:
    codec = CookieCodec([KEY])
    assert codec.loads(VALUE) is codec.loads(VALUE)


def test_the_opt_out_cookie_carries_nothing_else() -> None:
    assert CODEC.loads(OUT) is OPTED_OUT
    assert len(payload_of(OUT)) == 3
    assert repr(OPTED_OUT) == "OPTED_OUT"


def test_the_cookie_holds_no_user_id_and_no_key() -> None:
    hashed = CODEC.hash_user("ada@example.com")
    payload = payload_of(CODEC.dumps(msgspec.structs.replace(BARE, owner=hashed)).encode())
    assert b"ada" not in payload
    assert KEY not in payload
    assert hashed in payload


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b".", id="only a dot"),
        pytest.param(VALUE.replace(b".", b""), id="no dot"),
        pytest.param(VALUE[:-1], id="signature truncated"),
        pytest.param(VALUE[1:], id="payload truncated"),
        pytest.param(b"A" + VALUE[1:-1] + b"A", id="forged"),
        pytest.param(VALUE_2.partition(b".")[0] + b"." + VALUE.partition(b".")[2], id="another's signature"),
        pytest.param(signed(payload_of(VALUE), salt=b"cookie-session"), id="another salt"),
        pytest.param(signed(payload_of(VALUE), salt=b"sojourn.cookie.v1"), id="a cookie of before version 1"),
        pytest.param(CookieCodec([KEY], "shop").dumps(state()).encode(), id="another name, the same key"),
        pytest.param(signed(payload_of(VALUE), key=OTHER), id="another app's key"),
        pytest.param(signed(b""), id="signed, but nothing"),
        pytest.param(signed(b"\x01"), id="signed, but half a head"),
        pytest.param(signed(b"\x02" + payload_of(VALUE)[1:]), id="signed, but a later version"),
        pytest.param(signed(payload_of(VALUE)[:20]), id="signed, but cut"),
        pytest.param(signed(payload_of(VALUE)[:78]), id="signed, but its link is cut"),
        pytest.param(signed(payload_of(VALUE)[:93] + b"\x63" + payload_of(VALUE)[94:]), id="signed, unknown reason"),
        pytest.param(
            signed(payload_of(CODEC.dumps(state(session_id="a" * 9)).encode())[:-9] + b"\xff"), id="not ASCII"
        ),
        pytest.param(signed(payload_of(VALUE) + b"x" * 400), id="oversized"),
        pytest.param(b"\xff\xfe.\xff", id="no text"),
        pytest.param(VALUE + b"\x00", id="a NUL after it"),
        pytest.param(b"." * 100, id="dots"),
    ],
)
def test_what_is_not_ours_or_mangled_is_none(value: bytes) -> None:
    assert CODEC.loads(value) is None
    assert CODEC.loads(value) is None, "nor when it comes again"


def test_the_signing_helper_of_these_tests_matches_the_codec() -> None:
    """Else the table above would prove nothing."""
    assert signed(payload_of(VALUE)) == VALUE
    assert payload_of(VALUE)[93] == tuple(EndReason).index(EndReason.RESTARTED)


@given(value=st.binary(max_size=700))
def test_reading_never_raises(value: bytes) -> None:
    assert CODEC.loads(value) is None
    assert CODEC.read(value, NAME) is None
    assert CODEC.read(NAME + b"=" + value, NAME) is None


@given(payload=st.binary(max_size=300))
def test_not_even_what_we_signed_ourselves_raises(payload: bytes) -> None:
    CODEC.loads(signed(b"\x02" + payload))


@given(at=st.integers(0, len(VALUE) - 1), byte=st.integers(0, 255))
def test_no_byte_of_the_payload_can_be_changed(at: int, byte: int) -> None:
    changed = VALUE[:at] + bytes([byte]) + VALUE[at + 1 :]
    found = CODEC.loads(changed)
    # The last character of a base64 signature has bits to spare: it may differ and say the same.
    assert found is None or found == Verified(state(), 0)
    if at < VALUE.index(b"."):
        assert (found is None) == (changed != VALUE)


# --- keys ----------------------------------------------------------------------------------------------------------


def test_a_rotation_in_mid_session_keeps_session_and_user() -> None:
    before, during, after = CookieCodec([OLD]), CookieCodec([OLD, KEY]), CookieCodec([KEY])
    sent = msgspec.structs.replace(BARE, owner=before.hash_user("ada"), is_tagged=True)

    found = during.loads(before.dumps(sent).encode())
    assert isinstance(found, Verified)
    assert found.state == sent
    assert during.is_user("ada", found.state.owner)
    assert not during.is_user("bo", found.state.owner)

    again = after.loads(during.dumps(found.state).encode())
    assert isinstance(again, Verified), "the newest key signs"
    assert again.state == sent
    assert after.loads(before.dumps(sent).encode()) is None, "a retired key opens nothing"
    assert not after.is_user("ada", sent.owner)


def test_racing_workers_derive_the_same_successor_under_the_key_that_verified() -> None:
    old, rotating = CookieCodec([OLD]), CookieCodec([OLD, KEY])
    value = old.dumps(BARE).encode()
    one, two = old.loads(value), rotating.loads(value)
    assert isinstance(one, Verified)
    assert isinstance(two, Verified)

    derived = old.derive(one.key_number, "k", "idle_timeout", "1")
    assert derived == rotating.derive(two.key_number, "k", "idle_timeout", "1")
    assert len(derived) == 10
    assert derived != rotating.derive(1, "k", "idle_timeout", "1")
    assert derived != old.derive(0, "k", "idle_timeout", "2")
    assert derived != CookieCodec([OTHER]).derive(0, "k", "idle_timeout", "1")


def test_a_user_is_a_keyed_hash() -> None:
    assert CODEC.hash_user("ada") == CODEC.hash_user("ada")
    assert len({CODEC.hash_user("ada"), CODEC.hash_user("bo"), CookieCodec([OTHER]).hash_user("ada")}) == 3
    assert not CODEC.is_user("ada", None)
    assert CODEC.is_user("\ud800", CODEC.hash_user("\ud800")), "even a lone surrogate"


# --- headers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(b"sojourn=%s", id="alone"),
        pytest.param(b"a=1; sojourn=%s; b=2", id="among others"),
        pytest.param(b"a=1;sojourn=%s;b=2", id="no spaces"),
        pytest.param(b"  sojourn=%s  ", id="spaces around"),
        pytest.param(b"a=1;\tsojourn=%s\t;b=2", id="tabs"),
        pytest.param(b'sojourn="%s"', id="quoted"),
        pytest.param(b"b[]=2; sojourn=%s", id="a name that http.cookies stops at"),
        pytest.param(b'a="unterminated; sojourn=%s', id="an unterminated quote"),
        pytest.param(b"a=1 2\t3, 4;sojourn=%s ; c=3", id="blanks, tabs and commas in a neighbour's value"),
        pytest.param(b"a=\x00\x01; sojourn=%s", id="a NUL in a neighbour"),
        pytest.param(b"\xff\xfe=\xf0; sojourn=%s", id="a neighbour that is no text"),
        pytest.param(b"; ;;=; sojourn=%s;;", id="empty ones"),
        pytest.param(b"xsojourn=1; sojourn2=2; sojourn=%s", id="names that contain ours"),
        pytest.param(b"x=sojourn; sojourn=%s", id="our name as a value"),
        pytest.param(b"sojourn=; sojourn=%s", id="an empty copy"),
        pytest.param(b"sojourn=forged.by-someone; sojourn=%s", id="a forged copy before"),
        pytest.param(b"sojourn=%s; sojourn=forged.by-someone", id="a forged copy after"),
        pytest.param(b"sojourn=%s; sojourn=" + VALUE, id="the same twice"),
        pytest.param(b"a=" + b"x" * 2**20 + b"; sojourn=%s; b=" + b"y" * 2**20, id="megabytes around it"),
    ],
)
def test_a_broken_neighbour_never_hides_our_cookie(template: bytes) -> None:
    assert read(template.replace(b"%s", VALUE)) == state()


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"", id="no header"),
        pytest.param(b"a=1; b=2", id="not there"),
        pytest.param(b"sojourn", id="no value"),
        pytest.param(b"sojourn=", id="empty"),
        pytest.param(b"sojourn =" + VALUE, id="a space in the name"),
        pytest.param(b"SOJOURN=" + VALUE, id="names are case-sensitive"),
        pytest.param(b"xsojourn=" + VALUE, id="another name"),
        pytest.param(b"__Host-sojourn=" + VALUE, id="the https name"),
        pytest.param(b"sojourn=x.y; " * 200_000 + b"sojourn=" + VALUE, id="hidden behind megabytes of forgeries"),
        pytest.param(b"sojourn=" + VALUE[:-2] + b"\xe4\xb8", id="mangled"),
        pytest.param(b"t=1,sojourn=" + VALUE, id="after a comma in a neighbour's value"),
        pytest.param(b"t=1, sojourn=" + VALUE + b", u=2", id="joined with commas"),
        pytest.param(b"t=1 sojourn=" + VALUE, id="after a blank in a neighbour's value"),
        pytest.param(b"t=1\tsojourn=" + VALUE, id="after a tab in a neighbour's value"),
        pytest.param(b"sojourn=" + VALUE + b",x", id="with something behind a comma"),
        pytest.param(b"t=sojourn=" + VALUE, id="as a neighbour's value"),
        pytest.param(b't="; t2="a=\xc2\xa0sojourn=' + VALUE, id="after a no-break space"),
    ],
)
def test_no_cookie(header: bytes) -> None:
    assert read(header) is None


def test_an_opt_out_inside_another_cookies_value_is_ignored() -> None:
    assert read(b"t=1,sojourn=" + OUT) is None
    assert read(b"t=1 sojourn=" + OUT + b"; sojourn=" + VALUE) == state()


def test_junk_inside_another_cookies_value_is_ignored() -> None:
    junk = b", ".join([b"sojourn=x.y"] * 100)
    assert read(b"t=" + junk + b"; sojourn=" + VALUE) == state()


def test_junk_hides_a_cookie_only_until_it_was_seen() -> None:
    codec = CookieCodec([KEY])
    header = b"sojourn=x.y; " * 10 + b"sojourn=" + VALUE
    assert read(header, codec) is None
    assert read(b"sojourn=" + VALUE, codec) == state()
    assert read(header, codec) == state()


def copy(**changes: object) -> bytes:
    return b"sojourn=" + CODEC.dumps(msgspec.structs.replace(state(), **changes)).encode()


STRANGER = "7b7b4f2a-1111-4a4a-8c8c-222222222222"


@pytest.mark.parametrize("order", [1, -1], ids=["older first", "newer first"])
@pytest.mark.parametrize(
    ("older", "newer"),
    [
        pytest.param({}, {"last_seen_at": NOW + 99}, id="later activity"),
        pytest.param({"last_seen_at": NOW + 99}, {"revision": 1}, id="changed more often"),
        pytest.param({"revision": 9}, {"started_at": NOW + 20, "last_seen_at": NOW + 20}, id="a later session"),
        pytest.param({"started_at": NOW + 20, "revision": 9}, {"logouts": 4, "is_tagged": False}, id="after a logout"),
    ],
)
def test_of_copies_of_one_visitor_the_newer_holds(
    older: dict[str, object], newer: dict[str, object], order: int
) -> None:
    held = read(b"; ".join([copy(**older), copy(**newer), copy(**older)][::order]))
    assert held == msgspec.structs.replace(state(), **newer)


def test_copies_of_two_visitors_are_a_dispute() -> None:
    for copies in itertools.permutations([copy(), copy(last_seen_at=NOW + 99), copy(visitor_id=STRANGER)]):
        assert read(b"; ".join(copies)) is DISPUTED


@pytest.mark.parametrize("copies", [[OUT, VALUE], [VALUE, OUT], [VALUE, VALUE_2, OUT]], ids=["first", "last", "third"])
def test_an_opt_out_in_one_copy_holds(copies: list[bytes]) -> None:
    assert read(b"; ".join(b"sojourn=" + copy for copy in copies)) is OPTED_OUT


@given(noise=st.binary(max_size=200))
def test_no_neighbour_can_hide_it(noise: bytes) -> None:
    assert read(noise + b"; sojourn=" + VALUE) == state()
    assert read(b"sojourn=" + VALUE + b"; " + noise) == state()


# --- Set-Cookie ----------------------------------------------------------------------------------------------------


def line(policy: CookiePolicy, sent: SessionState | None = None, *, now: int = NOW, is_https: bool = True) -> str:
    sent = sent or state()
    return policy.line(CODEC.dumps(sent), sent, now, is_https=is_https)


@pytest.mark.parametrize(
    ("policy", "is_https", "name", "attributes"),
    [
        pytest.param(
            CookiePolicy(),
            True,
            "__Host-sojourn",
            "Max-Age=34128000; Path=/; HttpOnly; SameSite=Lax; Secure",
            id="https",
        ),
        pytest.param(
            CookiePolicy(), False, "sojourn", "Max-Age=34128000; Path=/; HttpOnly; SameSite=Lax", id="plain http"
        ),
        pytest.param(
            CookiePolicy(secure=True),
            False,
            "__Host-sojourn",
            "Max-Age=34128000; Path=/; HttpOnly; SameSite=Lax; Secure",
            id="secure by setting: behind a proxy that says nothing",
        ),
        pytest.param(
            CookiePolicy(secure=False),
            True,
            "sojourn",
            "Max-Age=34128000; Path=/; HttpOnly; SameSite=Lax",
            id="insecure",
        ),
        pytest.param(
            CookiePolicy(samesite="none", is_partitioned=True),
            True,
            "__Host-sojourn",
            "Max-Age=34128000; Path=/; HttpOnly; SameSite=None; Secure; Partitioned",
            id="embedded in other sites",
        ),
        pytest.param(
            CookiePolicy(domain="example.com"),
            True,
            "sojourn",
            "Max-Age=34128000; Domain=example.com; Path=/; HttpOnly; SameSite=Lax; Secure",
            id="a domain rules the prefix out",
        ),
        pytest.param(
            CookiePolicy(path="/shop", samesite="strict", base_name="s"),
            True,
            "s",
            "Max-Age=34128000; Path=/shop; HttpOnly; SameSite=Strict; Secure",
            id="so does a path",
        ),
        pytest.param(
            CookiePolicy(is_persistent=False, samesite="none"),
            True,
            "__Host-sojourn",
            "Path=/; HttpOnly; SameSite=None; Secure",
            id="forgotten when the browser closes",
        ),
    ],
)
def test_set_cookie(policy: CookiePolicy, is_https: bool, name: str, attributes: str) -> None:
    assert line(policy, is_https=is_https) == f"{name}={VALUE.decode()}; {attributes}"
    assert policy.name(is_https=is_https) == name.encode(), "the name that is written is the only one that is read"


@pytest.mark.parametrize(
    ("age", "left"),
    [(0, 100), (999, 100), (1_000, 99), (100_000, 0), (10**9, 0), (-5_000, 100)],
    ids=["new", "within a second", "a second old", "expired", "long expired", "minted by a clock ahead"],
)
def test_the_cookie_lasts_from_minting_and_is_never_prolonged(age: int, left: int) -> None:
    policy = CookiePolicy(max_age=100)
    assert f"; Max-Age={left};" in line(policy, now=NOW + age)
    assert policy.has_expired(state(), NOW + age) == (left == 0)


@pytest.mark.parametrize("is_persistent", [True, False], ids=["persistent", "of the browser's session"])
def test_opting_out_is_remembered_as_long_as_a_cookie_may_be(is_persistent: bool) -> None:
    policy = CookiePolicy(max_age=100, is_persistent=is_persistent)
    assert policy.opt_out_line(OUT.decode(), is_https=True).startswith(f"__Host-sojourn={OUT.decode()}; Max-Age=100; ")


def test_a_cookie_is_removed_under_its_own_name_and_path() -> None:
    policy = CookiePolicy(path="/shop")
    assert policy.removal(is_https=False) == "sojourn=; Max-Age=0; Path=/shop; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(
    ("sent", "limit"),
    [pytest.param(state(), 350, id="own ids"), pytest.param(state(session_id="A" * 100), 500, id="a given id")],
)
def test_the_whole_line_is_short(sent: SessionState, limit: int) -> None:
    assert len("set-cookie: " + line(CookiePolicy(), sent)) < limit


@given(number=st.integers(0, 2**48 - 1), session_id=st.none() | st.text("ABCxyz0189-", min_size=8, max_size=100))
def test_every_cookie_parser_reads_what_we_wrote(number: int, session_id: str | None) -> None:
    value = CODEC.dumps(state(number, session_id=session_id))
    header = f"a=1; sojourn={value}; b=2"

    assert re.fullmatch(r"[A-Za-z0-9_.-]+", value)
    assert http.cookies.SimpleCookie(header)["sojourn"].value == value
    assert cookie_parser(header)["sojourn"] == value
    assert werkzeug.http.parse_cookie(header)["sojourn"] == value
    assert http.cookies.SimpleCookie(line(CookiePolicy(), state(number)))["__Host-sojourn"]["samesite"] == "Lax"


@pytest.mark.parametrize(
    ("policy", "is_https", "places"),
    [
        pytest.param(CookiePolicy(), True, [("__Host-sojourn", None, "/")], id="bound to the host: one copy"),
        pytest.param(
            CookiePolicy(), False, [("sojourn", None, "/"), ("sojourn", "shop.test", "/")], id="on http, of parents too"
        ),
        pytest.param(
            CookiePolicy(path="/app"),
            False,
            [
                ("sojourn", None, "/"),
                ("sojourn", "shop.test", "/"),
                ("sojourn", None, "/app"),
                ("sojourn", "shop.test", "/app"),
            ],
            id="for its path, and for all",
        ),
    ],
)
def test_every_copy_is_removed(policy: CookiePolicy, is_https: bool, places: list[tuple[str, str | None, str]]) -> None:
    lines = policy.removals(["shop.test"], is_https=is_https)
    assert len(lines) == len(places)
    for text, (name, domain, path) in zip(lines, places, strict=True):
        assert text.startswith(f"{name}=; Max-Age=0; ")
        assert (f"Domain={domain};" in text) == (domain is not None)
        assert f"; Path={path};" in text or f" Path={path};" in text


def test_a_dispute_shows_as_one() -> None:
    assert (repr(DISPUTED), repr(OPTED_OUT)) == ("DISPUTED", "OPTED_OUT")
