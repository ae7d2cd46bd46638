"""Lines of access logs, as servers write them."""

from __future__ import annotations

import pytest

from sojourn.errors import SojournError
from sojourn.importing.formats import Line, LogFormat
from sojourn.importing.requests import LoggedRequest, LoggedResponse, Target, target_of

AT = 971_211_336_000  # 10 October 2000, 20:55:36 UTC
COMMON = '192.0.2.7 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326'
COMBINED = f'{COMMON} "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"'
LINE = Line(AT, "192.0.2.7", "GET", "/apache_pb.gif", 200, "", "", "", "", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(COMMON, LINE, id="common"),
        pytest.param(
            COMBINED,
            LINE._replace(referer="http://www.example.com/start.html", agent="Mozilla/4.08 [en] (Win98; I ;Nav)"),
            id="combined",
        ),
        pytest.param(f'{COMMON} "-" "-" 0.004 "10.0.0.1"', LINE, id="more at its end"),
        pytest.param(f"shop.example:443 {COMMON}", LINE._replace(host="shop.example:443"), id="of a virtual host"),
        pytest.param(
            COMMON.replace("192.0.2.7", "2001:db8::7"), LINE._replace(address="2001:db8::7"), id="an IPv6 address"
        ),
        pytest.param(
            COMMON.replace("200 2326", "304 -"), LINE._replace(status=304), id="no body, as Apache writes it"
        ),
        pytest.param(
            f'{COMMON} "-" "a \\"quoted\\" agent\\x21"', LINE._replace(agent='a "quoted" agent!'), id="escaped"
        ),
        pytest.param(
            COMMON.replace("GET /apache_pb.gif HTTP/1.0", "GET /with a blank HTTP/1.0"),
            LINE._replace(target="/with a blank"),
            id="a blank in the path",
        ),
        pytest.param(
            COMMON.replace("GET /apache_pb.gif HTTP/1.0", "\\x16\\x03\\x01"),
            LINE._replace(method="\x16\x03\x01", target=""),
            id="TLS on a plain port",
        ),
        pytest.param(
            COMMON.replace("GET /apache_pb.gif HTTP/1.0", "-"), LINE._replace(method="", target=""), id="no request"
        ),
        pytest.param(COMMON.replace("-0700", "+0530"), LINE._replace(at=AT - 45_000_000), id="another time zone"),
        pytest.param(COMMON.replace("Oct", "Okt"), None, id="another language"),
        pytest.param(COMMON.replace("10/Oct", "32/Oct"), None, id="no such day"),
        pytest.param("INFO:     127.0.0.1:5000 - \"GET / HTTP/1.1\" 200 OK", None, id="uvicorn's own, without a time"),
        pytest.param("", None, id="empty"),
    ],
)  # fmt: skip
def test_a_line(text: str, expected: Line | None) -> None:
    assert LogFormat().parse(text) == expected


@pytest.mark.parametrize(
    ("log_format", "text", "expected"),
    [
        pytest.param(
            '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
            '"$http_user_agent" "$http_x_forwarded_for"',
            f'{COMBINED} "203.0.113.9, 10.0.0.1"',
            LINE._replace(
                referer="http://www.example.com/start.html",
                agent="Mozilla/4.08 [en] (Win98; I ;Nav)",
                forwarded="203.0.113.9, 10.0.0.1",
            ),
            id="nginx's main, of its packages",
        ),
        pytest.param(
            '$time_iso8601 $host $remote_addr $request_method "$request_uri" $status $request_time',
            '2000-10-10T13:55:36-07:00 shop.example 192.0.2.7 POST "/pay?x=1" 303 0.250',
            LINE._replace(method="POST", target="/pay?x=1", status=303, host="shop.example", took_s=0.25),
            id="parts of the request",
        ),
        pytest.param(
            "$msec|$remote_addr|$request_method|$uri|$args|$status",
            "971211336.123|192.0.2.7|GET|/a|b=c|200",
            LINE._replace(at=AT + 123, target="/a?b=c"),
            id="seconds since the epoch",
        ),
        pytest.param(
            '{"at":"$time_iso8601","ip":"${remote_addr}","request":"$request","status":"$status","ms":"$upstream_time"}',
            '{"at":"2000-10-10T20:55:36Z","ip":"192.0.2.7","request":"GET /\\u00e4 HTTP/1.1","status":"200","ms":"-"}',
            LINE._replace(target="/ä"),
            id="JSON",
        ),
        pytest.param(
            "$time_iso8601 $remote_addr $request_uri $status", "2000-10-10T20:55:36 192.0.2.7 / 200", None, id="no zone"
        ),
        pytest.param(
            "$time_local $remote_addr $request_uri $status",
            "10/Oct/2000:13:55:36 -0700 192.0.2.7 /a 200",
            LINE._replace(method="", target="/a"),
            id="a time without brackets",
        ),
    ],
)
def test_a_line_of_a_format(log_format: str, text: str, expected: Line | None) -> None:
    assert LogFormat(log_format).parse(text) == expected


def test_a_format_that_lacks_something_is_refused() -> None:
    with pytest.raises(SojournError, match=r"--format has no \$status; copy the text of nginx's log_format"):
        LogFormat('$remote_addr [$time_local] "$request"')


@pytest.mark.parametrize(
    ("path", "target"),
    [
        pytest.param("/", Target.PAGE, id="the root"),
        pytest.param("/shop/tomato", Target.PAGE, id="no ending"),
        pytest.param("/a.b/", Target.PAGE, id="a folder with a dot"),
        pytest.param("/index.PHP", Target.PAGE, id="a script of the server"),
        pytest.param("/docs/v1.2", Target.PAGE, id="a version"),
        pytest.param("/.env", Target.PAGE, id="a hidden file"),
        pytest.param("/a/app.js", Target.ASSET, id="a script"),
        pytest.param("/photo.JPG", Target.ASSET, id="a picture"),
        pytest.param("/film.mp4", Target.MEDIA, id="a film"),
        pytest.param("/report.pdf", Target.FILE, id="a document"),
        pytest.param("/data.json", Target.FETCH, id="data"),
        pytest.param("/api/v2/stock", Target.FETCH, id="an API"),
    ],
)
def test_what_a_path_is_of(path: str, target: Target) -> None:
    assert target_of(path) is target


def test_a_request_of_a_line() -> None:
    line = LINE._replace(target="http://shop.example/a%20b?c=d", agent="Firefox", referer="https://a.example/")
    request = LoggedRequest(line, address="192.0.2.7", host="other.example")
    assert (request.path, request.query, request.header("host")) == ("/a b", "c=d", "shop.example")
    assert request.has_any(("user-agent",))
    assert not request.has_any(("purpose", "x-moz"))
    response = LoggedResponse(204, request.target)
    assert (response.header("content-type"), response.names()) == ("", ())
