"""ClickHouse's own engine, in this process (chdb), behind a server that speaks its HTTP interface as documented.

Not of the engine, but of this file: the log-in, the statuses (as in `exceptionCodeToHTTPStatus` of ClickHouse's source) and the
headers. Prints its port. `POST /-/trouble?rate=0.2&seed=1` makes a fifth of the calls fail; with `after=1` the statement is run
and the connection closed without a response.
"""

import gzip
import random
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from chdb import ChdbError, session

LOG_IN = "Basic c29qb3VybjpwZWFjaA=="  # sojourn:peach
BAD_REQUEST = {6, 25, 26, 27, 36, 38, 41, 44, 53, 62, 72, 117, 321, 376, 8, 15}
NOT_FOUND = {46, 47, 50, 56, 60, 63, 73, 78, 81, 82, 115}
OTHERS = {48: 501, 159: 408, 192: 403, 193: 403, 194: 401, 209: 503, 439: 503, 497: 403, 516: 403}
NO_SETTINGS = {"database", "query", "query_id", "user", "password", "wait_end_of_query", "default_format"}

engine = session.Session(sys.argv[1])
lock = threading.Lock()


class Trouble:
    def __init__(self, rate=0.0, seed=0, after=0):
        self.rate, self.after = float(rate), bool(int(after))
        self.random = random.Random(int(seed))


trouble = Trouble()


def run(statement, parameters):
    """Run a statement in a database, with settings that hold for it alone."""
    settings = {name: value for name, value in parameters.items() if name not in NO_SETTINGS}
    made = []
    with lock:
        try:
            engine.query(f"USE `{parameters.get('database', 'default')}`")
            for name, value in settings.items():
                text = value.replace("\\", "\\\\").replace("'", "\\'")
                engine.query(f"SET {name} = '{text}'")
                made.append(name)
            return engine.query(statement, "TabSeparated").bytes()
        finally:
            for name in made:
                engine.query(f"SET {name} = DEFAULT")


def status_of(code):
    return 400 if code in BAD_REQUEST else 404 if code in NOT_FOUND else OTHERS.get(code, 500)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        address = urlsplit(self.path)
        parameters = dict(parse_qsl(address.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if address.path == "/-/trouble":
            trouble.__init__(**parameters)
            return self.reply(200, b"")
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        fails = trouble.random.random() < trouble.rate
        if fails and not trouble.after:
            return self.reply(503, b"Code: 439. DB::Exception: cannot schedule a task. (CANNOT_SCHEDULE_TASK)", 439)
        if self.headers.get("authorization") != LOG_IN:
            return self.reply(403, b"Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", 516)
        statement = parameters.get("query", "").encode() + (b"\n" if "query" in parameters else b"") + body
        try:
            result = run(statement.decode("utf-8", "surrogateescape"), parameters)
        except ChdbError as error:
            code = int(re.search(r"Code: (\d+)", str(error))[1])
            return self.reply(status_of(code), str(error).encode("utf-8", "replace"), code)
        if fails:
            self.close_connection = True
            return None
        return self.reply(200, result)

    def reply(self, status, body, code=None):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Query-Id", str(uuid4()))
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
