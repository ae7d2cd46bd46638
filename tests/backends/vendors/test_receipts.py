"""A success of another server is no receipt: nothing is counted as delivered, and delivery pauses with the reason."""

from __future__ import annotations

import httpx
import pytest

from sojourn.backends import Response
from sojourn.backends.receipts import is_empty, is_web_page, json_object
from sojourn.testing.backend_contract import many_events
from sojourn.testing.vendors import FAKES
from tests.backends.vendors.connected import backend_responding

LOG_IN = '<!DOCTYPE html><html><body><form action="/login"><input type="password"></form></body></html>'

every_vendor = pytest.mark.parametrize("vendor", sorted(FAKES))


@every_vendor
@pytest.mark.parametrize(
    "response",
    [
        pytest.param(httpx.Response(200, html=LOG_IN), id="a log-in page"),
        pytest.param(httpx.Response(202, html=LOG_IN), id="a log-in page with 202"),
        pytest.param(httpx.Response(200, content=LOG_IN.encode()), id="a log-in page without a type"),
        pytest.param(httpx.Response(200, content=b"\xef\xbb\xbf\n <HTML><body>"), id="a page behind a byte order mark"),
        pytest.param(
            httpx.Response(200, text='<meta http-equiv="refresh" content="0; url=http://portal.example/">'),
            id="a captive portal",
        ),
        pytest.param(httpx.Response(200, html="Access denied by the proxy"), id="a proxy's page"),
        pytest.param(httpx.Response(200, json={"message": "hello"}), id="JSON of another service"),
        pytest.param(httpx.Response(202, json={"id": 1}), id="JSON of another service with 202"),
        pytest.param(httpx.Response(200, json=[]), id="a JSON array"),
        pytest.param(httpx.Response(200, text="[" * 60_000), id="JSON that is too deep"),
        pytest.param(httpx.Response(200, text="It works!"), id="text of another server"),
        pytest.param(httpx.Response(201, json={"status": "created"}), id="201"),
        pytest.param(httpx.Response(302, headers={"location": "https://sso.example/login"}), id="302 to a log-in"),
    ],
)
def test_success_of_another_server_is_not_counted_as_delivered(vendor: str, response: httpx.Response) -> None:
    receipt = backend_responding(vendor, response).send(many_events(2))
    assert (receipt.delivered, receipt.rejected) == (0, ())
    assert f"HTTP {response.status_code}" in (receipt.pause or "")


@every_vendor
@pytest.mark.parametrize("status", [200, 204])
def test_empty_success_is_a_receipt_of_few(vendor: str, status: int) -> None:
    """Google Analytics and Grafana Loki respond with 204, and VictoriaLogs with an empty 200."""
    receipt = backend_responding(vendor, httpx.Response(status)).send(many_events(2))
    assert (receipt.delivered, receipt.pause is None) == ((2, True) if vendor in ("ga4", "otel") else (0, False))


@pytest.mark.parametrize(
    ("vendor", "response"),
    [
        pytest.param("clickhouse", httpx.Response(200, headers={"X-ClickHouse-Query-Id": "1"}), id="ClickHouse"),
        pytest.param("dynatrace", httpx.Response(202, json={}), id="Dynatrace"),
        pytest.param("dynatrace", httpx.Response(202), id="Dynatrace, no body"),
        pytest.param("exceptionless", httpx.Response(202), id="Exceptionless"),
        pytest.param("ga4", httpx.Response(204), id="Google Analytics"),
        pytest.param(
            "matomo", httpx.Response(200, json={"status": "success", "tracked": 2, "invalid": 0}), id="Matomo"
        ),
        pytest.param("mparticle", httpx.Response(202), id="mParticle"),
        pytest.param("otel", httpx.Response(200, json={}), id="OTLP"),
        pytest.param("otel", httpx.Response(200, json={"partialSuccess": {}}), id="OTLP, as the collector"),
        pytest.param(
            "otel",
            httpx.Response(200, content=b"\n\x00", headers={"content-type": "application/x-protobuf"}),
            id="OTLP in protobuf",
        ),
        pytest.param("posthog", httpx.Response(200, json={"status": 1}), id="PostHog"),
        pytest.param("posthog", httpx.Response(200, json={"status": "Ok"}), id="PostHog, older"),
        pytest.param("rudderstack", httpx.Response(200, text="OK"), id="RudderStack, hosted"),
        pytest.param("rudderstack", httpx.Response(200, text="ok\n"), id="RudderStack"),
        pytest.param("segment", httpx.Response(200, json={"success": True}), id="Segment"),
    ],
)
def test_receipts_of_vendors(vendor: str, response: httpx.Response) -> None:
    assert backend_responding(vendor, response).send(many_events(2)).delivered == 2


def test_reading_a_body() -> None:
    assert (json_object(b'{"a": 1}'), json_object(b"[1]"), json_object(b"\xff")) == ({"a": 1}, None, None)
    assert [is_empty(body) for body in (b"", b" \n", b"{}", b'{"a": 1}', b"ok")] == [True, True, True, False, False]
    assert is_web_page(Response(status=200, headers={"content-type": "Text/HTML; charset=utf-8"}))
    assert not is_web_page(Response(status=200, headers={"content-type": "application/json"}, body=b"{}"))
