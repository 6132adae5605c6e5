"""What the drivers for PostgreSQL share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from autotrace.patching.patcher import Patcher

    StatusCode = Callable[[BaseException], str]

_SYSTEMS: Final = {"CockroachDB": "cockroachdb"}
_DEFAULT_PORT: Final = 5432


def database_of(info: Any, patcher: Patcher, status_code: StatusCode) -> Database:
    """The database of libpq's `ConnectionInfo`."""
    system = _SYSTEMS.get(getattr(info, "vendor", ""), "postgresql")
    return database_at(info.host or "", info.port, info.dbname or "", patcher, status_code, system)


def database_at(
    host: str, port: int, name: str, patcher: Patcher, status_code: StatusCode, system: str = "postgresql"
) -> Database:
    """The database of that name. The host may be the directory or the file of a Unix socket."""
    named = port != _DEFAULT_PORT and not host.startswith(("/", "@"))
    return Database(patcher, system, name, host, port if named else None, status_code, composed_text)


def composed_text(sql: Any) -> str:
    """What `psycopg2.sql` or `psycopg.sql` has composed, without the values in it."""
    kind = type(sql).__name__
    if kind == "Template":
        return "%s".join(sql.strings)
    held = getattr(sql, "_obj", None) or getattr(sql, "_wrapped", None)
    if held and kind == "Composed":
        return "".join(map(composed_text, held))
    if held and kind == "Identifier":
        return ".".join(map(_quoted, held))
    return str(held) if held and kind == "SQL" else "%s"


def copy_text(table: object, rest: str) -> str:
    """The statement of a `copy_from` or `copy_to`, which is given only the name of a table."""
    name = str(table)
    return f"COPY {name if name.isidentifier() else _quoted(name)} {rest}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def sqlstate(error: BaseException) -> str:
    """Of the errors of psycopg and asyncpg."""
    return getattr(error, "sqlstate", None) or ""
