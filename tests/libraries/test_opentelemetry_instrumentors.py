"""OpenTelemetry's own instrumentors at work under autotrace-run, for libraries that we have no module for."""

from __future__ import annotations

COMMAND_LINE = """
import asyncclick

@asyncclick.command()
@asyncclick.argument("name")
async def greet(name):
    print("hello", name)

greet(_anyio_backend="asyncio")
"""

ORM = """
from tortoise import Tortoise, fields, run_async
from tortoise.models import Model

class Kettle(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(50)

async def main():
    await Tortoise.init(db_url="sqlite://:memory:", modules={"models": ["__main__"]})
    await Tortoise.generate_schemas()
    await Kettle.create(name="red")
    print(await Kettle.all().values_list("name", flat=True))
    await Tortoise.close_connections()

run_async(main())
"""


def test_asyncclick(sandbox, arrivals):
    sandbox.write("greet.py", COMMAND_LINE)
    done = sandbox.run("greet.py", "ada", **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, "hello ada\n", "", [])
    assert arrivals.tree == "app opentelemetry.instrumentation.asyncclick INTERNAL greet.py\n"


def test_tortoise(sandbox, arrivals):
    """It needs pydantic too, which is imported in the midst of its own import."""
    sandbox.write("app.py", ORM)
    done = sandbox.run("app.py", **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, "['red']\n", "", [])
    tortoise = [span for span in arrivals.spans if span.scope == "opentelemetry.instrumentation.tortoiseorm"]
    assert [span.name for span in tortoise] == ["CREATE", "INSERT", "SELECT"]
    (inside,) = [span for span in arrivals.spans if span.parent_id == tortoise[-1].span_id]
    assert (inside.scope, inside.name) == ("autotrace.sqlite3", 'SELECT "kettle"')
