"""SQLAlchemy with its drivers: one span per statement, whoever makes it."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from threading import Thread

import pytest
import sqlalchemy
from alike import names
from instrumented import instrumented
from sqlalchemy import orm
from sqlalchemy.ext.asyncio import create_async_engine

from autotrace.instrumentation.database import Database
from autotrace.instrumentation.sqlalchemy import of_driver

SYNC = [("psycopg2", "psycopg2"), ("psycopg", "psycopg"), ("pg8000", "")]
ASYNC = [("asyncpg", "asyncpg"), ("psycopg_async", "psycopg")]
WAIT = "db.client.connection.wait_time"


Base = orm.declarative_base()


class User(Base):
    __tablename__ = "shop_users"
    id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
    name = sqlalchemy.Column(sqlalchemy.String)


@pytest.fixture
def clean(postgresql_url):
    engine = sqlalchemy.create_engine(postgresql_url.replace("://", "+psycopg2://"))
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    engine.dispose()


@pytest.fixture
def traced_by():
    """`instrumented` for several libraries, whose spans come into one list."""
    with ExitStack() as stack:
        yield lambda *libraries: stack.enter_context(instrumented(*filter(None, libraries)))


def of_application(traced):
    """Without what dialects ask a new server for themselves."""
    return [span for span in traced.spans if "shop_users" in span.name or "nowhere" in span.name]


def orm_work(engine):
    with orm.Session(engine) as session:
        session.add_all([User(id=1, name="ada"), User(id=2, name="bob")])
        session.commit()
        found = session.scalars(sqlalchemy.select(User).where(User.name == "ada")).one().id
        with pytest.raises(sqlalchemy.exc.ProgrammingError) as refused:
            session.execute(sqlalchemy.text("SELECT * FROM nowhere"))
    return found, type(refused.value.orig).__name__


@pytest.mark.parametrize(("dialect", "driver"), SYNC)
def test_the_orm(dialect, driver, postgresql_url, clean, traced_by):
    traced = traced_by("sqlalchemy", driver)
    engine = sqlalchemy.create_engine(postgresql_url.replace("://", f"+{dialect}://"))
    assert orm_work(engine)[0] == 1
    engine.dispose()
    spans = of_application(traced)
    assert [span.name.removeprefix("BATCH ") for span in spans] == [
        "INSERT shop_users",
        "SELECT shop_users",
        "SELECT nowhere",
    ]
    scope = "autotrace." + (driver or "sqlalchemy")
    assert {span.instrumentation_scope.name for span in spans} == {scope}
    assert {span.attributes["db.system.name"] for span in spans} == {"postgresql"}
    assert {span.attributes["db.namespace"] for span in spans} == {"test"}
    assert {span.attributes["server.address"] for span in spans} == {"127.0.0.1"}
    assert spans[2].attributes["db.response.status_code"] == "42P01"
    assert WAIT not in spans[2].attributes


def test_the_spans_are_sqlalchemys_when_the_driver_is_switched_off(postgresql_url, clean, traced_by):
    traced = traced_by("sqlalchemy")
    engine = sqlalchemy.create_engine(postgresql_url.replace("://", "+psycopg2://"))
    orm_work(engine)
    engine.dispose()
    spans = of_application(traced)
    assert {span.instrumentation_scope.name for span in spans} == {"autotrace.sqlalchemy"}
    assert spans[-1].attributes["db.response.status_code"] == "42P01"
    assert "shop_users" in spans[0].attributes["db.query.text"]


@pytest.mark.parametrize(("dialect", "driver"), SYNC)
def test_the_wait_for_the_pool_is_told_once(dialect, driver, postgresql_url, traced_by):
    traced = traced_by("sqlalchemy", driver)
    engine = sqlalchemy.create_engine(
        postgresql_url.replace("://", f"+{dialect}://"), pool_size=1, max_overflow=0
    )
    holder = engine.connect()
    thread = Thread(target=lambda: (time.sleep(0.1), holder.close()))
    thread.start()
    traced.spans.clear()
    started = time.perf_counter()
    connection = engine.connect()
    waited = time.perf_counter() - started
    with connection:
        connection.execute(sqlalchemy.text("SELECT 1"))
        connection.execute(sqlalchemy.text("SELECT 2"))
    thread.join()
    first, second = traced.spans
    assert waited / 2 < first.attributes[WAIT] <= waited
    assert WAIT not in second.attributes
    engine.dispose()


async def async_work(engine):
    async with engine.begin() as connection:
        await connection.execute(
            sqlalchemy.insert(User), [{"id": 1, "name": "ada"}, {"id": 2, "name": "bob"}]
        )
        found = (await connection.execute(sqlalchemy.select(User.id).where(User.name == "ada"))).scalar_one()
        stream = await connection.stream(sqlalchemy.select(User.name).order_by(User.id))
        streamed = [row.name async for row in stream]
    async with engine.connect() as connection:
        with pytest.raises(sqlalchemy.exc.ProgrammingError):
            await connection.execute(sqlalchemy.text("SELECT * FROM nowhere"))
    await engine.dispose()
    return found, streamed


@pytest.mark.parametrize(("dialect", "driver"), ASYNC)
def test_asynchronous_engines(dialect, driver, postgresql_url, clean, traced_by):
    traced = traced_by("sqlalchemy", driver)

    async def run():
        with traced.tracer.start_as_current_span("shop_users request") as parent:
            return parent, await async_work(
                create_async_engine(postgresql_url.replace("://", f"+{dialect}://"))
            )

    parent, result = asyncio.run(run())
    assert result == (1, ["ada", "bob"])
    spans = of_application(traced)
    assert [span.name.removeprefix("BATCH ") for span in spans] == [
        *("INSERT shop_users", "SELECT shop_users", "SELECT shop_users", "SELECT nowhere"),
        "shop_users request",
    ]
    assert {span.parent_id for span in spans[:-1]} == {parent.span_id}
    assert spans[3].status_code.name == "ERROR"


def test_sqlite_in_memory(traced_by):
    traced = traced_by("sqlalchemy", "sqlite3")
    engine = sqlalchemy.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.select(User))
    assert names(traced)[-2:] == ["CREATE TABLE shop_users", "SELECT shop_users"]
    assert {span.instrumentation_scope.name for span in traced.spans} == {"autotrace.sqlite3"}


def test_aiosqlite_keeps_the_parent_in_its_thread(traced_by):
    traced = traced_by("sqlalchemy", "sqlite3", "aiosqlite")

    async def run():
        engine = create_async_engine("sqlite+aiosqlite://")
        async with engine.connect() as connection:
            with traced.tracer.start_as_current_span("request") as parent:
                await connection.execute(sqlalchemy.text("SELECT name FROM sqlite_master"))
        await engine.dispose()
        return parent

    parent = asyncio.run(run())
    span = traced.by_name("SELECT sqlite_master")
    assert span.parent_id == parent.span_id
    assert span.instrumentation_scope.name == "autotrace.sqlite3"
    assert WAIT in span.attributes


def test_pyodbc_is_found_below_both_its_adapters(postgresql_odbc):
    """SQLAlchemy uses aioodbc with SQL Server only, which does not run here."""
    aioodbc = pytest.importorskip("aioodbc")
    adapter = pytest.importorskip("sqlalchemy.connectors.aioodbc", reason="of SQLAlchemy 2")

    async def run():
        connection = await aioodbc.connect(dsn=postgresql_odbc)
        try:
            return of_driver(adapter.AsyncAdapt_aioodbc_connection(aioodbc, connection))
        finally:
            await connection.close()

    with instrumented("pyodbc"):
        assert isinstance(asyncio.run(run()), Database)


def test_events_and_errors_of_the_application_are_as_before(postgresql_url, clean):
    def work():
        engine = sqlalchemy.create_engine(postgresql_url.replace("://", "+pg8000://"))
        heard = []
        sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *args: heard.append(args[2]))
        sqlalchemy.event.listen(engine, "handle_error", lambda context: heard.append(context.statement))
        orm_work(engine)
        with engine.begin() as connection:
            connection.execute(sqlalchemy.delete(User))
        engine.dispose()
        return heard

    plain = work()
    with instrumented("sqlalchemy"):
        assert work() == plain
