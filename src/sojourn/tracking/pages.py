"""Page views, and how a session began, as attributes. Everything is masked here, before it is kept.

See S13 in docs/internals.md.
"""

from __future__ import annotations

from sojourn.core.events import COOKIELESS, COUNTRY, INTERNAL_REFERRER, PREFETCHED, VISITOR_KIND, Scalar
from sojourn.core.failures import SERVER_ERROR
from sojourn.core.records import Origin

from . import masking
from .countries import Countries
from .facts import RequestFacts, ResponseFacts
from .own_hosts import OwnHosts
from .paths import Paths

_NOT_FOUND = 404


class Pages:
    """Describes requests as far as the settings allow."""

    __slots__ = ("_countries", "_mask_addresses", "_own_hosts", "_paths", "_query_parameters", "_service")

    def __init__(
        self,
        *,
        service: Origin,
        paths: Paths,
        own_hosts: OwnHosts,
        countries: Countries | None = None,
        mask_addresses: bool = True,
        query_parameters: tuple[str, ...] = (),
    ) -> None:
        self._own_hosts = own_hosts
        self._countries = countries or Countries()
        self._service = service
        self._mask_addresses = mask_addresses
        self._query_parameters = query_parameters
        self._paths = paths

    def view(self, request: RequestFacts, response: ResponseFacts, took_s: float) -> dict[str, Scalar]:
        """The attributes of a page view; `took_s` is from arrival to the response start."""
        status, route = response.status, request.route()
        attributes: dict[str, Scalar] = {
            "url.path": self._paths.shown(request.path, request.mount, route),
            "http.request.method": request.method,
            "http.response.status_code": status,
            "page_view.duration_ms": int(took_s * 10_000 + 0.5) / 10,  # as `round`, which takes longer
        }
        if route is not None:
            attributes["http.route"] = route
        if status >= SERVER_ERROR or status == _NOT_FOUND:
            attributes["error.type"] = str(status)
        if request.query and (query := self.query(request)):
            attributes["url.query"] = query
        return attributes

    def opened(self, path: str, query: str, request: RequestFacts) -> dict[str, Scalar]:
        """The attributes of the view of a page that was prefetched, as a later request from it shows."""
        attributes: dict[str, Scalar] = {
            "url.path": self._paths.shown(path, request.mount),
            "http.request.method": "GET",
            "http.response.status_code": 200,
            PREFETCHED: True,
        }
        if query and (kept := masking.kept_query(query, self._query_parameters, self._paths.keep_names)):
            attributes["url.query"] = kept
        return attributes

    def query(self, request: RequestFacts) -> str | None:
        """The query parameters that the settings allow, as they may be kept."""
        return masking.kept_query(request.query, self._query_parameters, self._paths.keep_names)

    def origin(self, request: RequestFacts, path: str, *, is_anonymous: bool, is_cookieless: bool = False) -> Origin:
        """How a session began, from the request that began it."""
        address = request.client_address()
        referrer = self._paths.referrer(request.header("referer"))
        values: dict[str, Scalar | None] = {
            "url.path": path,
            "url.query": self.query(request),
            "http.request.header.referer": referrer,
            INTERNAL_REFERRER: True if referrer is not None and self._own_hosts.has(referrer, request) else None,
            "user_agent.original": masking.user_agent(request.header("user-agent")),
            "client.address": masking.masked_address(address) if self._mask_addresses or is_anonymous else address,
            VISITOR_KIND: COOKIELESS if is_cookieless else None,
            COUNTRY: None if is_anonymous else self._countries.of(request),
        }
        return {**self._service, **{name: value for name, value in values.items() if value is not None}}
