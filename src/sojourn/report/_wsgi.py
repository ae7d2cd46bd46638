"""The report as a WSGI app (PEP 3333). Thin: reads the environ, sends the response."""

from __future__ import annotations

import io
from collections.abc import Iterable
from http import HTTPStatus

from sojourn.errors import SettingsError
from sojourn.tracking.forwarded import Proxies
from sojourn.tracking.frameworks import Framework
from sojourn.tracking.visit import VISIT_KEY
from sojourn.wsgi import Environ, StartResponse, WsgiFacts, decoded, read_body

from ._access import is_async, verdict_of
from ._app import Report
from ._exclusion import exclude
from ._web import MAX_BODY, Request, base_of


class WsgiReport:
    """The app that `report_wsgi()` returns. `framework` turns an environ into the request that `allow` gets."""

    def __init__(self, core: Report, proxies: Proxies, framework: Framework | None = None) -> None:
        if core.access.allow is not None and is_async(core.access.allow):
            raise SettingsError("allow: a WSGI app cannot await; give a sync function")
        self.core = core
        self._proxies = proxies
        self._framework = framework if framework is not None else Framework()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        exclude(environ.get(VISIT_KEY))
        facts = WsgiFacts(environ, self._proxies)
        path = decoded(environ.get("PATH_INFO", "")) or "/"
        body = read_body(environ, MAX_BODY + 1) if facts.method == "POST" else b""
        environ["wsgi.input"] = io.BytesIO(body)  # allow may read the form as well
        request = Request(
            facts=facts,
            base=base_of(decoded(environ.get("SCRIPT_NAME", ""))),
            path=path,
            is_allowed=self._verdict(environ) if self.core.needs_verdict(path) else None,
            body=body,
        )
        response = self.core.handle(request)
        status = HTTPStatus(response.status)
        start_response(f"{status.value} {status.phrase}", response.header_list())
        if not isinstance(response.body, bytes):
            return response.body
        return [b""] if request.method == "HEAD" else [response.body]

    def _verdict(self, environ: Environ) -> bool:
        allow = self.core.access.allow
        return allow is not None and verdict_of(allow(self._framework.request(environ)))
