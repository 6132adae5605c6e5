"""Bottle and CherryPy by the servers they start themselves, under the launcher."""

from __future__ import annotations

import pytest
from network_servers import running, wait_until

pytest.importorskip("cherrypy", reason="without the extra `libraries`")
pytestmark = pytest.mark.slow

PROGRAMS = {
    "bottle": """
        import sys

        import bottle
        from opentelemetry.trace import get_current_span

        @bottle.get("/users/<number:int>")
        def user(number):
            return f"{get_current_span().get_span_context().span_id:016x}"

        @bottle.get("/broken")
        def broken():
            raise ValueError("no such thing")

        bottle.run(host="127.0.0.1", port=int(sys.argv[1]), quiet=True)
    """,
    "cherrypy": """
        import sys

        import cherrypy
        from opentelemetry.trace import get_current_span

        class Shop:
            @cherrypy.expose
            def users(self, number):
                return f"{get_current_span().get_span_context().span_id:016x}"

            @cherrypy.expose
            def broken(self):
                raise ValueError("no such thing")

        cherrypy.config.update({"server.socket_port": int(sys.argv[1]), "engine.autoreload.on": False})
        cherrypy.quickstart(Shop())
    """,
}
MADE_BY = {"bottle": ("wsgiref", "GET /users/<number:int>"), "cherrypy": ("cheroot", "GET /users")}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_server_makes_the_only_span_and_the_framework_names_it(name, sandbox, arrivals):
    sandbox.write("shop.py", PROGRAMS[name])
    with running(sandbox, "python", "shop.py", "PORT", **arrivals.environ) as server:
        caller = {"traceparent": f"00-{7:032x}-{5:016x}-01"}
        inside = server.get("/users/7", **caller)
        server.get("/broken")
        server.get("/nowhere")
        wait_until(lambda: len(arrivals.spans) >= 3)
    scope, named = MADE_BY[name]
    found, broken, nowhere = arrivals.spans
    assert [span.name for span in (found, broken, nowhere)] == [named, "GET /broken", "GET"]
    assert {(span.scope, span.kind) for span in arrivals.spans} == {(f"autotrace.{scope}", "SERVER")}
    assert (found.trace_id, found.parent_id, found.span_id) == (f"{7:032x}", f"{5:016x}", inside)
    assert (broken.failed, broken.attributes["error.type"]) == (True, "ValueError")
    assert (nowhere.failed, nowhere.attributes["http.response.status_code"]) == (False, 404)
