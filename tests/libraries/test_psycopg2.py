"""psycopg2 on a real server: what is told of a statement, and an application that notices nothing."""

from __future__ import annotations

import gc
import io
import pickle
import threading
import weakref
from urllib.parse import urlsplit

import psycopg2
import pytest
from alike import Rows, alike, names, refused
from instrumented import instrumented
from psycopg2 import extensions, extras, pool, sql

LIBRARY = "psycopg2"


@pytest.fixture
def traced():
    with instrumented(LIBRARY) as traced:
        yield traced


@pytest.fixture
def connection(traced, postgresql_url):
    connection = psycopg2.connect(postgresql_url)
    yield connection
    connection.close()


@pytest.fixture
def cursor(connection, traced):
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE users (id int PRIMARY KEY, name text)")
    traced.spans.clear()
    return cursor


def test_a_statement(cursor, traced, postgresql_url):
    cursor.execute("SELECT name FROM users WHERE id = %s AND name <> 'secret'", [7])
    assert traced.span.kind.name == "CLIENT"
    assert traced.span.name == "SELECT users"
    assert dict(traced.span.attributes) == {
        "db.system.name": "postgresql",
        "db.namespace": "test",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT users",
        "db.query.text": "SELECT name FROM users WHERE id = %s AND name <> ?",
        "server.address": "127.0.0.1",
        "server.port": urlsplit(postgresql_url).port,
    }


def test_a_failing_statement_tells_its_sqlstate(cursor, traced):
    with pytest.raises(psycopg2.errors.SyntaxError):
        cursor.execute("SELEC 1")
    assert traced.span.status_code.name == "ERROR"
    assert traced.span.attributes["db.response.status_code"] == "42601"
    assert traced.span.attributes["error.type"] == "psycopg2.errors.SyntaxError"


def test_a_lost_connection_has_no_sqlstate(connection, traced):
    cursor = connection.cursor()
    connection.close()
    with pytest.raises(psycopg2.InterfaceError):
        cursor.execute("SELECT 1")
    assert traced.span.attributes["error.type"] == "psycopg2.InterfaceError"
    assert "db.response.status_code" not in traced.span.attributes


def test_each_way_to_pass_a_statement(cursor, traced):
    cursor.execute(query="SELECT 1 FROM users", vars=None)
    cursor.execute(b"SELECT 2 FROM users")
    composed = sql.SQL("SELECT {} FROM {} WHERE id = {} AND name = {}").format(
        sql.SQL(", ").join([sql.Identifier("id"), sql.Identifier("users", "name")]),
        sql.Identifier("users"),
        sql.Placeholder(),
        sql.Literal("secret"),
    )
    cursor.execute(composed, [1])
    assert [span.attributes["db.query.text"] for span in traced.spans] == [
        "SELECT ? FROM users",
        "SELECT ? FROM users",
        'SELECT "id", "users"."name" FROM "users" WHERE id = %s AND name = %s',
    ]
    assert traced.spans[2].name == 'SELECT "users"'


def test_a_batch_reads_its_rows_once(cursor, traced):
    rows = Rows([1, "ada"], [2, "bob"])
    cursor.executemany("INSERT INTO users VALUES (%s, %s)", rows)
    assert rows.passes == 1
    assert traced.span.name == "BATCH INSERT users"
    assert "db.operation.batch.size" not in traced.span.attributes
    traced.spans.clear()
    cursor.executemany(vars_list=[[3, "cy"], [4, "di"]], query="INSERT INTO users VALUES (%s, %s)")
    assert traced.span.attributes["db.operation.batch.size"] == 2


def test_extras_are_batches_of_the_statement_they_are_given(cursor, traced):
    rows = Rows(*[(number, f"name {number}") for number in range(250)])
    extras.execute_values(cursor, "INSERT INTO users VALUES %s", rows)
    assert rows.passes == 1
    assert (traced.span.name, traced.span.attributes["db.query.text"]) == (
        "BATCH INSERT users",
        "INSERT INTO users VALUES %s",
    )
    traced.spans.clear()
    extras.execute_batch(cursor, sql.SQL("DELETE FROM users WHERE id = %s"), [(1,), (2,), (3,)])
    assert traced.span.name == "BATCH DELETE users"
    assert traced.span.attributes["db.operation.batch.size"] == 3


def test_copy(cursor, traced):
    cursor.copy_from(io.StringIO("1\tada\n2\tbob\n"), "users")
    cursor.copy_expert(sql="COPY users (id, name) TO STDOUT", file=(out := io.StringIO()))
    assert out.getvalue() == "1\tada\n2\tbob\n"
    cursor.copy_to(io.StringIO(), table="users", sep="|")
    assert names(traced) == ["COPY users"] * 3
    assert [span.attributes["db.query.text"] for span in traced.spans] == [
        "COPY users FROM STDIN",
        "COPY users (id, name) TO STDOUT",
        "COPY users TO STDOUT",
    ]


def test_a_procedure(cursor, traced):
    cursor.callproc("lower", ["ADA"])
    assert cursor.fetchone() == ("ada",)
    assert traced.span.name == "CALL lower"
    assert traced.span.attributes["db.stored_procedure.name"] == "lower"
    assert "db.query.text" not in traced.span.attributes


def test_the_driver_takes_our_classes_for_its_own(connection):
    reader = extensions.new_type((23,), "READER", lambda value, _cursor: value and f"<{value}>")
    extensions.register_type(reader, connection)
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    assert cursor.fetchone() == ("<1>",)
    assert extensions.quote_ident('a"b', connection) == '"a""b"'
    assert extensions.quote_ident("a", cursor) == '"a"'
    extras.register_uuid(conn_or_curs=cursor)
    assert extensions.encrypt_password("p", "u", connection, "md5").startswith("md5")
    assert sql.SQL("{}").format(sql.Identifier("x")).as_string(connection) == '"x"'
    assert connection.get_dsn_parameters()["dbname"] == "test"


class ShopCursor(extras.DictCursor):
    """Overrides and calls itself, as applications' do."""

    def execute(self, query, vars=None):  # noqa: A002 - the name it has in the driver
        self.last = query
        return super().execute(query, vars)

    def find(self, name):
        self.execute("SELECT * FROM users WHERE name = %s", [name])
        return self.fetchone()


class ShopConnection(extensions.connection):
    """Has state, an `__init__` that talks to the server, and cursors of its own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.shop = "corner"
        with super().cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE users (name text)")

    def cursor(self, *args, **kwargs):
        kwargs.setdefault("cursor_factory", ShopCursor)
        return super().cursor(*args, **kwargs)


def shop(url):
    connection = psycopg2.connect(url, connection_factory=ShopConnection)
    with connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO users VALUES ('ada')")
        found = cursor.find("ada")
        seen = [
            isinstance(connection, ShopConnection),
            isinstance(cursor, ShopCursor),
            type(connection).__qualname__,
            type(cursor).__name__,
            connection.shop,
            cursor.last,
            dict(found),
            cursor.connection is connection,
            repr(type(cursor)),
            connection.status,
        ]
    connection.close()
    return seen


def test_classes_of_the_application_are_composed(postgresql_url):
    traced = alike(LIBRARY, shop, postgresql_url)
    assert names(traced) == ["CREATE TABLE users", "INSERT users", "SELECT users"]


def every_kind_of_cursor(url):
    connection = psycopg2.connect(url, cursor_factory=extras.RealDictCursor)
    seen = [connection.cursor_factory.__name__]
    for made in (
        connection.cursor(),
        connection.cursor("by_name", extras.NamedTupleCursor),
        connection.cursor(cursor_factory=extensions.cursor),
        connection.cursor("scrolled", None, True, True),
        connection.cursor(cursor_factory=ShopCursor),
    ):
        with made as cursor:
            cursor.execute("SELECT 1 AS a UNION SELECT 2 ORDER BY 1")
            seen.append([str(type(cursor)), cursor.name, repr(cursor.fetchall()), cursor.rowcount])
            seen.append([cursor.query, cursor.statusmessage, cursor.scrollable, cursor.withhold])
    connection.cursor_factory = None
    seen.append(str(type(connection.cursor())))
    wrongs = ({"name": 5}, {"nonsense": 1}, {"cursor_factory": int}, {"cursor_factory": lambda *_: 5})
    seen += [refused(connection.cursor, **wrong) for wrong in wrongs]
    connection.close()
    seen.append(refused(connection.cursor))
    return seen


def test_every_kind_of_cursor(postgresql_url):
    assert len(alike(LIBRARY, every_kind_of_cursor, postgresql_url).spans) == 5


def odds_and_ends(url):
    connection = psycopg2.connect(url)
    cursor = connection.cursor()
    seen = [
        connection.cursor_factory,
        type(connection) is type(psycopg2.connect(url)),
        refused(setattr, connection, "own", 1)[0],
        refused(setattr, cursor, "own", 1)[0],
        refused(pickle.dumps, connection),
        refused(pickle.dumps, cursor),
        refused(cursor.execute),
        refused(cursor.execute, None)[0],
        refused(cursor.execute, "SELECT %s", [object()]),
        refused(cursor.executemany, "SELECT 1")[0],
        refused(cursor.copy_from, 5, "users"),
        refused(cursor.callproc),
        refused(psycopg2.connect, url, connection_factory=int)[0],
        refused(psycopg2.connect, "nonsense"),
        refused(extras.execute_values, cursor, "no place for them", [(1,)]),
        cursor.mogrify("SELECT %s", ["a'b"]),
        [callable(getattr(connection, name)) for name in dir(extensions.connection)],
        [callable(getattr(cursor, name)) for name in dir(extensions.cursor) if name != "fetchone"],
        psycopg2.connect.__doc__,
        cursor.execute.__doc__,
    ]
    with connection:
        cursor.execute("SELECT 1; SELECT 2")
        seen.append([cursor.fetchall(), refused(cursor.nextset)])
    with pytest.raises(ZeroDivisionError), connection:
        cursor.execute("CREATE TABLE rolled_back (a int)")
        raise ZeroDivisionError
    cursor.execute("SELECT to_regclass('rolled_back')")
    seen.append(cursor.fetchall())
    connection.rollback()
    connection.autocommit = True
    connection.notices.clear()
    cursor.execute("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
    seen.append(connection.notices)
    seen.append([extensions.connection(url).info.dbname, connection.closed, cursor.closed])
    connection.close()
    return seen


def test_odds_and_ends(postgresql_url):
    alike(LIBRARY, odds_and_ends, postgresql_url)


def test_a_connection_that_is_let_go_is_closed_at_once(postgresql_url, traced):
    gc.disable()
    try:
        connection = psycopg2.connect(postgresql_url)
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        with pytest.raises(psycopg2.Error):
            cursor.execute("SELEC")
        gone = [weakref.ref(connection), weakref.ref(cursor)]
        del connection, cursor
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()


def test_an_asynchronous_connection(postgresql_url, traced):
    connection = psycopg2.connect(postgresql_url, async_=True)
    extras.wait_select(connection)
    cursor = connection.cursor()
    cursor.execute("SELECT 42 FROM pg_class LIMIT 1")
    extras.wait_select(connection)
    assert cursor.fetchone() == (42,)
    assert traced.span.name == "SELECT pg_class"
    connection.close()


def test_a_pool(postgresql_url, traced):
    threads = pool.ThreadedConnectionPool(1, 2, postgresql_url)
    connection = threads.getconn()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    threads.putconn(connection)
    threads.closeall()
    assert names(traced) == ["SELECT"]


def test_a_unix_socket_is_the_address(postgresql_url, traced):
    connection = psycopg2.connect(postgresql_url)
    cursor = connection.cursor()
    cursor.execute("SHOW unix_socket_directories")
    directory, port = cursor.fetchone()[0], connection.info.port
    connection.close()
    traced.spans.clear()
    with psycopg2.connect(host=directory, port=port, dbname="test", user="tester") as connection:
        connection.cursor().execute("SELECT 1")
    connection.close()
    assert traced.span.attributes["server.address"] == directory
    assert "server.port" not in traced.span.attributes


def test_nothing_is_left_when_it_is_undone(postgresql_url):
    with instrumented(LIBRARY) as traced:
        connection = psycopg2.connect(postgresql_url)
    connection.cursor().execute("SELECT 1")
    connection.close()
    assert type(psycopg2.connect(postgresql_url)) is extensions.connection
    assert not traced.spans


def test_old_names(postgresql_url):
    with instrumented(LIBRARY, OTEL_SEMCONV_STABILITY_OPT_IN="database/dup") as traced:
        connection = psycopg2.connect(postgresql_url)
        connection.cursor().callproc("now")
        connection.close()
    assert traced.span.attributes["db.system"] == "postgresql"
    assert traced.span.attributes["db.operation"] == "CALL"


def replication(url):
    connection = psycopg2.connect(url, connection_factory=extras.LogicalReplicationConnection)
    cursor = connection.cursor()
    cursor.execute("IDENTIFY_SYSTEM")
    seen = [type(connection).__name__, repr(type(cursor)), len(cursor.fetchone()), cursor.feedback_timestamp]
    connection.close()
    return seen


def test_a_replication_connection(postgresql_url):
    assert names(alike(LIBRARY, replication, postgresql_url)) == ["IDENTIFY_SYSTEM"]


def test_threads_on_one_connection(connection, traced):
    def work():
        with connection.cursor() as cursor:
            for _ in range(20):
                cursor.execute("SELECT 1 FROM pg_class LIMIT 1")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(traced) == ["SELECT pg_class"] * 80
