"""Django's own tests, with our middleware in front: none fails, but those that list every header of a response.

`scripts/django-tests` fetches their source, and runs this.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PLACE = Path(os.environ.get("SOJOURN_DJANGO_TESTS", Path(__file__).parent / "not fetched"))
ROOT = Path(__file__).parents[2]
LABELS = (
    "asgi",
    "async",
    "auth_tests",
    "conditional_processing",
    "csrf_tests",
    "handlers",
    "httpwrappers",
    "messages_tests",
    "middleware",
    "middleware_exceptions",
    "requests_tests",
    "responses",
    "servers",
    "sessions_tests",
    "signed_cookies_tests",
    "test_client",
    "test_client_regress",
    "wsgi",
)
SEES_OUR_COOKIE = {
    "asgi.tests.ASGITest.test_file_response",
    "asgi.tests.ASGITest.test_get_asgi_application",
    "asgi.tests.ASGITest.test_headers",
    "middleware.tests.ConditionalGetMiddlewareTest.test_not_modified_headers",
    "wsgi.tests.WSGITest.test_get_wsgi_application",
}
"""They compare all headers or all cookies of a response with what they expect."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("SOJOURN_DJANGO_TESTS" not in os.environ, reason="scripts/django-tests fetches Django's tests"),
]


def test_djangos_own_tests_pass_behind_our_middleware() -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("SOJOURN_")}
    done = subprocess.run(
        [sys.executable, "runtests.py", "--settings=tests.doors.django_own_settings", "--parallel=1", *LABELS],
        cwd=PLACE,
        env={**own, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    ran = re.search(r"^Ran (\d+) tests", done.stderr, re.MULTILINE)
    assert ran is not None, done.stderr[-3000:]
    assert int(ran[1]) > 1000
    print(f"{ran[1]} tests of Django")
    broken = set(re.findall(r"^(?:FAIL|ERROR): \S+ \((.+?)\)", done.stderr, re.MULTILINE))
    assert broken == SEES_OUR_COOKIE, done.stderr[-6000:]
