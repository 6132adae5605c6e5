"""Real SQLite under the instrumentation: one span per statement, and a driver that behaves as ever."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import os
import pickle
import re
import sqlite3
import subprocess
import sys
import threading
import warnings
import weakref

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from autotrace import notices
from autotrace.instrumentation import database
from autotrace.instrumentation import sqlite3 as instrumentation
from autotrace.patching import guard
from autotrace.patching.patcher import Patcher
from autotrace.sampling.standard import AlwaysOff, AlwaysOn
from autotrace.settings import parse
from autotrace.tracing.context import SPAN_KEY, attach, current, detach, suppressing
from autotrace.tracing.provider import TracerProvider
from autotrace.tracing.resource import Resource

PLAIN_CONNECT = sqlite3.connect
CREATE = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)"


def make_patcher(sink, sampler=None, environ=None):
    provider = TracerProvider(Resource({}), sampler or AlwaysOn(), sink)
    return Patcher(provider.get_tracer("autotrace.sqlite3"), parse(environ or {}), None, lambda *_: False)


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    monkeypatch.setattr(guard, "strict", True)


opened = []


def connect(*args, **kwargs):
    """`sqlite3.connect`; the test ends with the connection closed, as 3.13 insists."""
    opened.append(sqlite3.connect(*args, **kwargs))
    return opened[-1]


@pytest.fixture(autouse=True)
def closed():
    yield
    while opened:
        opened.pop().close()


@pytest.fixture
def finished():
    return []


@pytest.fixture
def patcher(finished):
    patcher = make_patcher(finished.append)
    instrumentation.install(sqlite3, patcher)
    yield patcher
    patcher.undo()
    assert sqlite3.connect is PLAIN_CONNECT
    assert sqlite3.dbapi2.connect is PLAIN_CONNECT


@pytest.fixture
def connection(patcher, finished):
    connection = connect(":memory:")
    connection.execute(CREATE)
    finished.clear()
    return connection


def names(spans):
    return [span.name for span in spans]


# What a span says.


def test_whole_span(connection, finished):
    connection.execute("INSERT INTO t (id, name) VALUES (?, 'bob')", (1,))
    (span,) = finished
    assert span.name == "INSERT t"
    assert span.kind is SpanKind.CLIENT
    assert span.parent_id == 0
    assert span.status_code is StatusCode.UNSET
    assert span.events == ()
    assert span.start_time <= span.end_time
    assert dict(span.attributes) == {
        "db.system.name": "sqlite",
        "db.namespace": ":memory:",
        "db.query.text": "INSERT INTO t (id, name) VALUES (?, ?)",
        "db.query.summary": "INSERT t",
        "db.operation.name": "INSERT",
    }


def test_span_is_a_child_of_the_current_one_and_not_current_itself(connection, finished, patcher):
    parent = patcher.tracer.start_span("parent")
    seen = []
    connection.create_function("look", 0, lambda: seen.append(trace.get_current_span()) or 1)
    with trace.use_span(parent, end_on_exit=False):
        connection.execute("SELECT look()").fetchall()
    assert finished[0].parent_id == parent.span_id
    assert finished[0].trace_id == parent.trace_id
    assert seen == [parent]


def test_failed_statement(connection, finished):
    connection.execute("INSERT INTO t VALUES (1, 'a')")
    finished.clear()
    with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE constraint failed: t\.name") as caught:
        connection.execute("INSERT INTO t VALUES (2, 'a')")
    (span,) = finished
    assert span.status_code is StatusCode.ERROR
    assert span.status_description == "UNIQUE constraint failed: t.name"
    assert span.attributes["error.type"] == "sqlite3.IntegrityError"
    if sys.version_info >= (3, 11):
        assert span.attributes["db.response.status_code"] == "SQLITE_CONSTRAINT_UNIQUE"
    (event,) = span.events
    assert event.name == "exception"
    assert event.attributes["exception.type"] == "sqlite3.IntegrityError"
    assert caught.value.args == ("UNIQUE constraint failed: t.name",)
    assert caught.traceback[0].path.name == os.path.basename(__file__)


def test_error_that_is_no_exception_passes(connection, finished):
    class Stop(BaseException):
        pass

    def parameters():
        raise Stop
        yield

    with pytest.raises(Stop):
        connection.executemany("INSERT INTO t (name) VALUES (?)", parameters())
    (span,) = finished
    assert span.status_code is StatusCode.UNSET  # as with KeyboardInterrupt: the database is not to blame


def test_error_leaves_no_cycle_behind(connection):
    class Parameter:
        pass

    parameter = Parameter()
    reference = weakref.ref(parameter)
    gc.collect()
    gc.disable()
    try:
        try:
            connection.execute("SELECT ?", (parameter,))
        except sqlite3.Error:
            pass
        del parameter
        assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("sql", ["", "-- nothing", "/* nothing */"])
def test_statement_without_content_is_named_after_the_system(connection, finished, sql):
    connection.execute(sql)
    assert names(finished) == ["sqlite"]
    assert "db.operation.name" not in finished[0].attributes


def test_sql_that_is_no_string_fails_as_ever(connection, finished):
    for sql in (None, 5, object(), ["SELECT"]):
        with pytest.raises(TypeError):
            connection.cursor().execute(sql)
    assert names(finished) == ["sqlite"] * 4


def test_string_subclass_is_told_by_what_it_holds(connection, finished):
    class Text(str):
        __slots__ = ()

        def __str__(self):
            return "SELECT 'secret'"

    connection.execute(Text("SELECT 1"))
    assert finished[0].attributes["db.query.text"] == "SELECT ?"


def test_old_names_beside_the_new(finished):
    patcher = make_patcher(finished.append, environ={"OTEL_SEMCONV_STABILITY_OPT_IN": "database/dup"})
    instrumentation.install(sqlite3, patcher)
    try:
        connect(":memory:").execute("SELECT 1")
    finally:
        patcher.undo()
    old = {"db.system": "sqlite", "db.name": ":memory:", "db.statement": "SELECT ?", "db.operation": "SELECT"}
    assert dict(finished[0].attributes) == {
        **old,
        "db.system.name": "sqlite",
        "db.namespace": ":memory:",
        "db.query.text": "SELECT ?",
        "db.query.summary": "SELECT",
        "db.operation.name": "SELECT",
    }


# Which calls make spans.


@pytest.mark.parametrize("parameters", [[("a",), ("b",)], (("a",), ("b",), ("c",)), []])
def test_batch(connection, finished, parameters):
    connection.executemany("INSERT INTO t (name) VALUES (?)", parameters)
    (span,) = finished
    assert span.name == "BATCH INSERT t"
    assert span.attributes["db.query.summary"] == "BATCH INSERT t"
    assert span.attributes["db.operation.name"] == "BATCH INSERT"
    assert span.attributes["db.operation.batch.size"] == len(parameters)
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (len(parameters),)


def test_batch_of_one_is_no_batch(connection, finished):
    connection.cursor().executemany("INSERT INTO t (name) VALUES (?)", [("a",)])
    (span,) = finished
    assert span.name == "INSERT t"
    assert span.attributes["db.operation.name"] == "INSERT"
    assert "db.operation.batch.size" not in span.attributes


def test_batch_from_an_iterator_is_consumed_by_the_driver_alone(connection, finished):
    open_during = []

    def parameters():
        for name in "abc":
            open_during.append(len(finished))
            yield (name,)

    connection.executemany("INSERT INTO t (name) VALUES (?)", parameters())
    (span,) = finished
    assert open_during == [0, 0, 0]
    assert span.name == "BATCH INSERT t"
    assert "db.operation.batch.size" not in span.attributes
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (3,)


def test_statements_that_feed_a_batch_have_their_own_spans(connection, finished):
    def parameters():
        yield connection.execute("SELECT 'a'").fetchone()

    connection.executemany("INSERT INTO t (name) VALUES (?)", parameters())
    assert names(finished) == ["SELECT", "BATCH INSERT t"]


def test_script(connection, finished):
    connection.executescript("CREATE TABLE a (x); INSERT INTO a VALUES (5); DROP TABLE a;")
    (span,) = finished
    assert span.name == "CREATE TABLE a INSERT a DROP TABLE a"
    assert span.attributes["db.query.text"] == "CREATE TABLE a (x); INSERT INTO a VALUES (?); DROP TABLE a;"
    assert "db.operation.name" not in span.attributes


def test_each_way_to_execute_makes_one_span(connection, finished):
    cursor = connection.cursor()
    assert cursor.execute("SELECT 1") is cursor
    assert cursor.executemany("INSERT INTO t (name) VALUES (?)", [("x",), ("y",)]) is cursor
    assert cursor.executescript("SELECT 2;") is cursor
    for made in (
        connection.execute("SELECT 3"),
        connection.executemany("INSERT INTO t (name) VALUES (?)", [("p",), ("q",)]),
        connection.executescript("SELECT 4;"),
    ):
        assert isinstance(made, sqlite3.Cursor)
        made.execute("SELECT 5")
    assert len(finished) == 9


def test_transactions_make_no_spans(connection, finished):
    with connection:
        connection.execute("INSERT INTO t (name) VALUES ('a')")
    connection.rollback()
    connection.commit()
    assert names(finished) == ["INSERT t"]


def test_context_manager_rolls_back(connection):
    with pytest.raises(ZeroDivisionError), connection:
        connection.execute("INSERT INTO t (name) VALUES ('a')")
        raise ZeroDivisionError
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_nothing_is_done_where_nothing_is_recorded(patcher, connection, finished):
    token = attach(suppressing())
    try:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        detach(token)
    assert finished == []


def test_unsampled(finished):
    patcher = make_patcher(finished.append, AlwaysOff())
    instrumentation.install(sqlite3, patcher)
    try:
        connection = connect(":memory:")
        assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.execute(CREATE)
        connection.executemany("DELETE FROM t", [])
    finally:
        patcher.undo()
    assert finished == []
    assert SPAN_KEY not in current()


def test_after_undo_existing_connections_fall_silent(finished):
    patcher = make_patcher(finished.append)
    instrumentation.install(sqlite3, patcher)
    connection = connect(":memory:")
    connection.execute(CREATE)
    finished.clear()
    cursor = connection.cursor()
    held = sqlite3.connect
    patcher.undo()
    assert sqlite3.connect is PLAIN_CONNECT
    cursor.execute("SELECT 1")
    cursor.executemany("DELETE FROM t", [])
    connection.execute("SELECT 1")
    assert type(connection.cursor()) is sqlite3.Cursor
    opened.append(held(":memory:"))
    assert type(opened[-1]) is sqlite3.Connection
    assert finished == []


def test_threads_that_share_a_connection(patcher, finished):
    connection = connect(":memory:", check_same_thread=False)

    def work():
        for _ in range(50):
            connection.cursor().execute("SELECT 1")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(finished) == 200


# The database's name.


def test_namespace_is_the_path_as_given(patcher, finished, tmp_path):
    path = tmp_path / "shop.db"
    uri = path.as_uri()
    given = [
        ((str(path),), {}, str(path)),
        ((path,), {}, str(path)),
        ((os.fsencode(path),), {}, str(path)),
        ((), {"database": str(path)}, str(path)),
        ((f"{uri}?mode=rwc&key=secret",), {"uri": True}, uri),
        ((f"{uri}?key=secret#frag",), {"uri": True}, uri),
    ]
    for args, kwargs, expected in given:
        finished.clear()
        connection = connect(*args, **kwargs)
        connection.execute("SELECT 1")
        connection.close()
        assert finished[0].attributes["db.namespace"] == expected
    connection = connect("")
    connection.execute("SELECT 1")
    assert "db.namespace" not in finished[-1].attributes


# Connections and cursors are what the driver makes.


def test_both_names_are_one_function(patcher):
    assert sqlite3.connect is sqlite3.dbapi2.connect
    assert sqlite3.connect.__wrapped__ is PLAIN_CONNECT
    assert sqlite3.connect.__name__ == "connect"
    assert sqlite3.connect.__doc__ == PLAIN_CONNECT.__doc__


def test_types_look_like_the_drivers(connection):
    cursor = connection.cursor()
    assert isinstance(connection, sqlite3.Connection)
    assert isinstance(cursor, sqlite3.Cursor)
    assert cursor.connection is connection
    for made, plain in ((connection, sqlite3.Connection), (cursor, sqlite3.Cursor)):
        kind = type(made)
        assert (kind.__name__, kind.__qualname__, kind.__module__) == (
            plain.__name__,
            plain.__qualname__,
            plain.__module__,
        )
        assert kind.__doc__ == plain.__doc__
        assert repr(made).startswith(f"<sqlite3.{plain.__name__} object at ")
        with pytest.raises(AttributeError):
            made.attribute_of_the_application = 1
        for protocol in (2, 4):
            with pytest.raises(TypeError, match=f"cannot pickle 'sqlite3.{plain.__name__}' object"):
                pickle.dumps(made, protocol)
        with pytest.raises(TypeError):
            copy.copy(made)


def test_row_and_text_factories(connection, finished):
    connection.row_factory = sqlite3.Row
    connection.text_factory = bytes
    for cursor in (connection.execute("SELECT 'a' AS x"), connection.cursor().execute("SELECT 'a' AS x")):
        row = cursor.fetchone()
        assert type(row) is sqlite3.Row
        assert row["x"] == b"a"
        assert cursor.row_factory is sqlite3.Row
    connection.row_factory = lambda cursor, row: (type(cursor).__name__, row)
    assert connection.execute("SELECT 1").fetchone() == ("Cursor", (1,))


def test_extras_of_the_driver(connection, finished):
    connection.execute("INSERT INTO t VALUES (1, 'a')")
    other = connect(":memory:")
    connection.commit()
    connection.backup(other)
    assert other.execute("SELECT name FROM t").fetchall() == [("a",)]
    plain = sqlite3.Connection(":memory:")
    connection.backup(plain)
    plain.close()
    dump = list(connection.iterdump())
    assert "INSERT INTO \"t\" VALUES(1,'a');" in dump
    if sys.version_info >= (3, 11):
        connection.execute("CREATE TABLE b (x)")
        connection.execute("INSERT INTO b VALUES (zeroblob(4))")
        with connection.blobopen("b", "x", 1) as blob:
            assert len(blob) == 4
    assert connection.total_changes
    assert connection.in_transaction in (True, False)
    other.close()


@pytest.mark.parametrize(
    "misuse",
    [
        connect,
        lambda: connect(5.5),
        lambda: connect(":memory:", nonsense=1),
        lambda: connect(":memory:", factory=5),
        lambda: connect(":memory:", factory=int),
        lambda: connect("/nonexistent/directory/file"),
        lambda: connect(":memory:").execute(),
        lambda: connect(":memory:").execute("SELECT 1", (), 3),
        lambda: connect(":memory:").execute("SELECT ?"),
        lambda: connect(":memory:").cursor(None),
        lambda: connect(":memory:").cursor(int),
        lambda: connect(":memory:").cursor(sqlite3.Cursor, 2),
        lambda: connect(":memory:").cursor(nonsense=1),
        lambda: connect(":memory:").cursor().executemany("SELECT 1"),
    ],
)
def test_misuse_fails_as_without_us(finished, misuse):
    def outcome():
        try:
            misuse()
        except Exception as error:
            # The driver names itself in its messages, by class or by function.
            return type(error), re.sub(r"sqlite3\.|Connection\.|Cursor\.", "", str(error))
        return None

    plain = outcome()
    patcher = make_patcher(finished.append)
    instrumentation.install(sqlite3, patcher)
    try:
        assert outcome() == plain
    finally:
        patcher.undo()


def test_closed_connection_fails_as_ever(patcher, finished):
    connection = connect(":memory:")
    cursor = connection.cursor()
    connection.close()
    for use in (
        lambda: connection.execute("SELECT 1"),
        lambda: cursor.execute("SELECT 1"),
        connection.cursor,
    ):
        with pytest.raises(sqlite3.ProgrammingError, match="Cannot operate on a closed database"):
            use()


def test_no_warnings_of_our_own(finished):
    def warned():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            connection = connect(":memory:", 5.0, 0, None, True, sqlite3.Connection, 100, False)
            connection.execute("SELECT 1")
            connection.close()
            with connect(":memory:", timeout=5.0, factory=sqlite3.Connection) as other:
                other.executescript("SELECT 1;")
            other.close()
            return [(warning.category, str(warning.message)) for warning in caught]

    plain = warned()
    patcher = make_patcher(finished.append)
    instrumentation.install(sqlite3, patcher)
    try:
        assert warned() == plain
    finally:
        patcher.undo()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`autocommit` came with 3.12")
def test_autocommit(patcher, finished):
    connection = connect(":memory:", autocommit=False)
    assert connection.autocommit is False
    connection.execute(CREATE)
    connection.commit()
    assert names(finished) == ["CREATE TABLE t"]
    connection.close()


# Classes of the application.


class AppConnection(sqlite3.Connection):
    """Documented."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.log = []
        self.execute("PRAGMA foreign_keys = ON")

    def execute(self, sql, *parameters):
        self.log.append(sql)
        return super().execute(sql, *parameters)


class AppCursor(sqlite3.Cursor):
    """Documented."""

    prefix = ""

    def execute(self, sql, *parameters):
        return super().execute(self.prefix + sql, *parameters)


@pytest.mark.parametrize("by_position", [True, False])
def test_connection_class_of_the_application(patcher, finished, by_position):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.13, for the positions
        if by_position:
            connection = connect(":memory:", 5.0, 0, None, True, AppConnection)
        else:
            connection = connect(":memory:", factory=AppConnection)
    connection.execute("SELECT 1").execute("SELECT 2")
    assert isinstance(connection, AppConnection)
    assert type(connection).__name__ == "AppConnection"
    assert type(connection).__qualname__ == AppConnection.__qualname__
    assert type(connection).__module__ == __name__
    assert type(connection).__doc__ == "Documented."
    assert connection.log == ["PRAGMA foreign_keys = ON", "SELECT 1"]
    assert names(finished) == ["PRAGMA foreign_keys", "SELECT", "SELECT"]
    assert finished[0].attributes["db.namespace"] == ":memory:"
    again = connect(":memory:", factory=AppConnection)
    assert type(again) is type(connection)


def test_connection_class_that_calls_the_driver_by_name(patcher, finished):
    class ByName(sqlite3.Connection):
        def execute(self, *args):
            return sqlite3.Connection.execute(self, *args)

        def cursor(self):
            return sqlite3.Connection.cursor(self, AppCursor)

    connection = connect(":memory:", factory=ByName)
    assert connection.execute("SELECT 1").fetchone() == (1,)
    assert type(connection.cursor()) is AppCursor
    assert len(finished) <= 1


def test_connection_class_with_its_own_cursor_method(patcher, finished):
    calls = []

    class WithCursor(sqlite3.Connection):
        def cursor(self, factory=AppCursor):
            calls.append(factory)
            return super().cursor(factory)

    def use(connection):
        calls.clear()
        assert isinstance(connection.cursor(), AppCursor)
        connection.cursor().execute(CREATE)
        connection.execute("SELECT 2")
        connection.executemany("DELETE FROM t", [])
        connection.executescript("SELECT 3;")
        connection.close()
        return list(calls)

    plain = use(PLAIN_CONNECT(":memory:", factory=WithCursor))
    assert use(connect(":memory:", factory=WithCursor)) == plain
    assert names(finished) == ["CREATE TABLE t", "SELECT", "BATCH DELETE t", "SELECT"]


def test_connection_class_with_slots_and_metaclass(patcher, finished):
    class Meta(type):
        pass

    class Slotted(sqlite3.Connection, metaclass=Meta):
        __slots__ = ("extra",)

    connection = connect(":memory:", factory=Slotted)
    connection.extra = 5
    connection.execute("SELECT 1")
    assert type(type(connection)) is Meta
    assert names(finished) == ["SELECT"]


@pytest.mark.tolerant
def test_class_that_cannot_be_composed_is_left_alone(patcher, finished, monkeypatch, capsys):
    monkeypatch.setattr(guard, "strict", False)

    class Final(sqlite3.Connection):
        def __init_subclass__(cls):
            raise TypeError("no subclasses")

    class FinalCursor(sqlite3.Cursor):
        def __init_subclass__(cls):
            raise TypeError("no subclasses")

    connection = connect(":memory:", factory=Final)
    assert type(connection) is Final
    assert connection.execute("SELECT 1").fetchone() == (1,)
    assert type(connect(":memory:").cursor(FinalCursor)) is FinalCursor
    assert finished == []
    assert "a span is lost, the program is unaffected" in capsys.readouterr().err


def test_factory_that_is_a_function_is_left_alone(patcher, finished):
    made = []

    def factory(*args, **kwargs):
        kwargs.pop("factory", None)
        made.append(sqlite3.Connection(*args, **kwargs))
        return made[-1]

    connection = connect(":memory:", factory=factory)
    assert made == [connection]
    assert connection.execute("SELECT 1").fetchone() == (1,)
    cursors = connect(":memory:").cursor(functools.partial(AppCursor))
    assert type(cursors) is AppCursor
    cursors.execute("SELECT 1")
    assert finished == []


@pytest.mark.parametrize("by_position", [True, False])
def test_cursor_class_of_the_application(connection, finished, by_position):
    cursor = connection.cursor(AppCursor) if by_position else connection.cursor(factory=AppCursor)
    assert isinstance(cursor, AppCursor)
    assert (type(cursor).__name__, type(cursor).__module__) == ("AppCursor", __name__)
    cursor.prefix = "EXPLAIN "
    assert cursor.execute("SELECT 1") is cursor
    cursor.executescript("SELECT 2;")
    assert names(finished) == ["SELECT", "SELECT"]
    assert type(connection.cursor(AppCursor)) is type(cursor)
    assert type(connection.cursor(type(cursor))) is type(cursor)


def test_cursor_class_that_calls_the_driver_by_name(connection, finished):
    class ByName(sqlite3.Cursor):  # as Django's was up to 4.1
        def execute(self, query, parameters=()):
            return sqlite3.Cursor.execute(self, query.replace("%s", "?"), parameters)

    assert connection.cursor(ByName).execute("SELECT %s", (5,)).fetchone() == (5,)
    assert names(finished) == ["SELECT"]


def test_cursor_class_that_builds_one_call_from_others(connection, finished):
    class Looping(sqlite3.Cursor):
        def executemany(self, sql, parameters):
            for each in parameters:
                self.execute(sql, each)
            return self

    cursor = connection.cursor(Looping)
    cursor.executemany("INSERT INTO t (name) VALUES (?)", [("a",), ("b",)])
    cursor.execute("SELECT 1")
    assert names(finished) == ["BATCH INSERT t", "SELECT"]


def test_application_classes_are_remembered_within_bounds(connection):
    for n in range(200):
        connection.cursor(type(f"Cursor{n}", (sqlite3.Cursor,), {})).execute("SELECT 1")
    classes = inspect.getclosurevars(type(connection).cursor).nonlocals["self"]
    assert len(classes._twins) <= 64


# The family's own promises.


@pytest.mark.tolerant
@pytest.mark.parametrize("where", ["start", "start_batch", "finish"])
def test_a_bug_of_ours_costs_a_span_and_nothing_else(connection, finished, monkeypatch, capsys, where):
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(notices, "_spoken", {})

    def broken(*_args):
        raise RuntimeError("bug")

    if where == "finish":
        connection.execute("SELECT 1")  # so that the statement is known
        monkeypatch.setattr(database, "time_ns", broken)
    else:
        monkeypatch.setattr(database.Database, where, broken)
    assert connection.execute("SELECT 1").fetchone() == (1,)
    connection.executemany("INSERT INTO t (name) VALUES (?)", [("a",), ("b",)])
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (2,)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        connection.execute("SELECT * FROM missing")
    assert "the program is unaffected: RuntimeError('bug')" in capsys.readouterr().err


def test_server_and_code_of_other_drivers(finished):
    class DriverError(Exception):
        sqlstate = "23505"

    patcher = make_patcher(finished.append, environ={"OTEL_SEMCONV_STABILITY_OPT_IN": "database/dup"})
    made = database.Database(
        patcher, "oracle.db", "shop", "db.example", 1521, lambda error: getattr(error, "sqlstate", "")
    )
    made.finish(made.start(b"SELECT q'[x]' FROM dual"), DriverError("x"))
    made.finish(made.start(object()))
    failed, unknown = finished
    assert failed.attributes["db.query.text"] == "SELECT ? FROM dual"
    assert failed.attributes["db.response.status_code"] == "23505"
    assert failed.attributes["db.system"] == "oracle"
    assert failed.attributes["server.address"] == failed.attributes["net.peer.name"] == "db.example"
    assert failed.attributes["server.port"] == failed.attributes["net.peer.port"] == 1521
    assert unknown.name == "oracle.db"
    assert "db.query.text" not in unknown.attributes


def test_importing_the_instrumentation_does_not_import_the_driver():
    code = "import sys, autotrace.instrumentation.sqlite3; assert 'sqlite3' not in sys.modules, sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
