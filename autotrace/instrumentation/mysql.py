"""What the drivers for MySQL and MariaDB share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.database import ATTRIBUTE, Database

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_DEFAULT_PORT: Final = 3306


def database_of(
    patcher: Patcher, version: object, database: object, host: object, port: object, unix_socket: object
) -> Database:
    """The database of a connection, from what the driver knows when it is established.

    Args:
        patcher: Of the driver.
        version: What the server says of itself, where MariaDB gives its name.
        database: What the application chose, or nothing.
        host: A name or an address.
        port: A number, also as text.
        unix_socket: The path of a socket that is used instead.
    """
    system = "mariadb" if "mariadb" in str(version).lower() else "mysql"
    number = int(str(port or _DEFAULT_PORT))
    return Database(
        patcher,
        system,
        _text(database),
        _text(unix_socket) or _text(host),
        None if unix_socket or number == _DEFAULT_PORT else number,
        _status_code,
    )


def observe_select_db(call: Call) -> Generator[None, Outcome, None]:
    """Of `select_db`, whose argument is the name of another database."""
    outcome = yield
    database: Database | None = getattr(call.args[0], ATTRIBUTE, None)
    if outcome.error is None and database is not None:
        database.use(_text(call.get(1, "db")))


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name or "")


def _status_code(error: BaseException) -> str:
    """The number that all drivers give first, as in `ProgrammingError(1146, "Table … doesn't exist")`."""
    number = error.args[0] if error.args else None
    return str(number) if isinstance(number, int) else ""
