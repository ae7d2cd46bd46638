"""Where a PostgreSQL store is: what the driver needs to connect, and a name to show, without a password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sojourn.errors import StoreError

DEFAULT_SCHEMA: Final = "sojourn"

_FORM: Final = "postgresql://user:password@host/database"
_URL: Final = re.compile(r"postgres(?:ql)?(?:\+[a-z0-9_]+)?://([^?]*)(?:\?(.*))?", re.DOTALL)
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")

# A URL may override these. An unreachable server is noticed within half a minute, even in the middle of a statement.
_DEFAULTS: Final[dict[str, str | int | None]] = {
    "application_name": "sojourn",
    "client_encoding": "utf8",
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """`conninfo` is for the driver, and secret; `schema` holds our tables, apart from an application's."""

    name: str
    schema: str
    conninfo: str = field(repr=False)


def address(url: str) -> Address:
    """Read a URL as libpq does, except for `?schema=`, which is ours, and the driver's name, which is ignored.

    Raises `StoreError`, which never shows what may be a password.
    """
    form = _URL.fullmatch(url)
    if form is None:
        raise StoreError(f'a store in PostgreSQL has a URL such as "{_FORM}"')
    options = parse_qsl(form[2] or "", keep_blank_values=True)
    schema = dict(options).get("schema", DEFAULT_SCHEMA)
    if not _SCHEMA.fullmatch(schema):
        raise StoreError(f"schema={schema[:70]!r} in the store's URL: give a name of lower-case letters, digits and _")
    rest = urlencode([(key, value) for key, value in options if key != "schema"], quote_via=quote)
    try:
        parameters = conninfo_to_dict(f"postgresql://{form[1]}" + (f"?{rest}" if rest else ""))
    except psycopg.Error:
        # Without the error's text: the part that cannot be parsed may be a password with an unquoted character.
        raise StoreError(_unreadable()) from None
    host, database = (
        str(parameters.get("host") or parameters.get("hostaddr") or ""),
        str(parameters.get("dbname") or ""),
    )
    port = str(parameters.get("port") or "")
    if "@" in host + database or not all(each.isdigit() for each in port.split(",") if each):
        raise StoreError(_unreadable())
    if not database and "service" not in parameters:
        raise StoreError(f'the store\'s URL names no database; write it as "{_FORM}"')
    name = f"postgresql://{host}{':' if port else ''}{port}/{database}"
    if schema != DEFAULT_SCHEMA:
        name += f"?schema={schema}"
    conninfo = make_conninfo(
        "", **_DEFAULTS | {key: str(value) for key, value in parameters.items() if value is not None}
    )
    return Address(name=name, schema=schema, conninfo=conninfo)


def _unreadable() -> str:
    return (
        f'the store\'s URL cannot be read; write it as "{_FORM}", and any of @ : / ? # % in the user or password '
        "percent-encoded, such as %40 for @"
    )
