"""Python services between Node services that trace as teams have it: one trace, with the right parents.

Node -> Flask -> Node -> FastAPI -> SQLite; each sends as it is used to, to one `autotrace ui`.
"""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from network_servers import PATIENCE, running, wait_until
from node_services import APPS, node_service
from programs import Sandbox
from ui_process import user_interface
from zipkin_server import zipkin_server  # noqa: F401 - a fixture

from autotrace.backend import ports
from autotrace.store import tree
from autotrace.store.errors import StoreMissingError
from autotrace.store.reader import Reader
from autotrace.store.search import Query

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
pytest.importorskip("fastapi", reason="without the extra `libraries`")


class Estate(NamedTuple):
    """Which Node services, and what is spoken."""

    first: str
    second: str
    propagators: str
    """Of the Python services; and of Node services with OpenTelemetry, where they can."""
    wide_ids: bool = False


ESTATES = {
    "uber-trace-id": Estate("node_jaeger", "node_jaeger", "jaeger"),
    "b3multi": Estate("node_zipkin", "node_zipkin", "b3multi"),
    "w3c": Estate("node_otel", "node_otel", "tracecontext,baggage", wide_ids=True),
    "b3": Estate("node_otel", "node_otel", "b3", wide_ids=True),
    "jaeger-to-zipkin": Estate(
        "node_jaeger", "node_zipkin", "tracecontext,baggage,b3multi,jaeger", wide_ids=True
    ),
    "zipkin-to-otel": Estate("node_zipkin", "node_otel", "tracecontext,baggage,jaeger,b3multi"),
    "otel-to-jaeger": Estate(
        "node_otel", "node_jaeger", "b3multi,jaeger,tracecontext,baggage", wide_ids=True
    ),
}


SERVICES = {"first", "orders", "second", "stock"}
CALLER = f"{7:016x}"


def get(url: str, **headers: str) -> int:
    """The status of the answer; names of headers with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=named), timeout=PATIENCE) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


class Chain:
    """The four services, and the store that their spans arrive in."""

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self._store = str(home / "traces.db")

    def get(self, path: str, **headers: str) -> int:
        """The status of the first service's answer."""
        return get(self.url + path, **headers)

    def traces(self) -> list[list[Any]]:
        """The spans of each trace but those of `stock`'s own start."""
        try:
            with Reader(self._store) as reader:
                traces = [reader.trace(found.trace_id) for found in reader.search(Query(limit=100))]
                return [trace for trace in traces if {span.resource.service for span in trace} != {"stock"}]
        except StoreMissingError:
            return []

    def trace(self, caller: str = "") -> list[Any]:
        """The only trace, once all its spans are there: `caller` is its root's parent, who sends none."""

        def arrived() -> Any:
            traces = self.traces()
            if len(traces) != 1 or {span.resource.service for span in traces[0]} != SERVICES:
                return None
            notes = [root.note for root in tree.build(traces[0])]
            return traces if notes == [f"its parent {caller} is not here" if caller else ""] else None

        try:
            (trace,) = wait_until(arrived)
        except AssertionError:
            told = [[(span.resource.service, span.name) for span in trace] for trace in self.traces()]
            raise AssertionError(told) from None
        return trace


@contextmanager
def chain(directory: Path, estate: Estate, **node: str) -> Any:
    """Start everything, from the last to the first."""
    home = directory / "home"
    home.mkdir()
    with user_interface(home) as ui:
        backend = {
            "JAEGER_AGENT_HOST": "127.0.0.1",
            "JAEGER_AGENT_PORT": str(ui.port(ports.JAEGER_BINARY)),
            "ZIPKIN_URL": f"http://127.0.0.1:{ui.port(ports.ZIPKIN)}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ui.port(ports.OTLP)}",
            "OTEL_TRACES_EXPORTER": "otlp",
        }
        with services(directory, estate, backend, **node) as url:
            yield Chain(url, home)


@contextmanager
def services(directory: Path, estate: Estate, backend: dict[str, str], **node: str) -> Any:
    """The URL of the first of the four."""
    with ExitStack() as stack:
        tracing = {
            **backend,
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_PROPAGATORS": estate.propagators
            if estate.propagators.count(",") < 2
            else "tracecontext,baggage",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_NODE_ENABLED_INSTRUMENTATIONS": "http,express",
            "OTEL_NODE_RESOURCE_DETECTORS": "env,host",  # others ask servers of cloud providers
            "TRACE_ID_128BIT": str(estate.wide_ids).lower(),
            **node,
        }
        sandboxes = {}
        for name in ("orders", "stock"):
            place = directory / name
            place.mkdir()
            shutil.copy(APPS / "polyglot" / f"{name}.py", place)
            sandboxes[name] = Sandbox(
                place,
                OTEL_SERVICE_NAME=name,
                **{key: text for key, text in backend.items() if key.startswith("OTEL_")},
                OTEL_PROPAGATORS=estate.propagators,
                STOCK_DB=str(place / "stock.db"),
            )
        stock = stack.enter_context(
            running(sandboxes["stock"], "uvicorn", "--port", "PORT", "--log-level", "warning", "stock:app")
        )
        second = stack.enter_context(
            node_service(
                estate.second,
                **tracing,
                SERVICE_NAME="second",
                OTEL_SERVICE_NAME="second",
                NEXT_URL=f"http://127.0.0.1:{stock.port}",
            )
        )
        orders = stack.enter_context(
            running(sandboxes["orders"], "flask", "--app", "orders", "run", "--port", "PORT", NEXT_URL=second)
        )
        first = stack.enter_context(
            node_service(
                estate.first,
                **tracing,
                SERVICE_NAME="first",
                OTEL_SERVICE_NAME="first",
                NEXT_URL=f"http://127.0.0.1:{orders.port}",
            )
        )
        yield first


def services_from_the_top(trace: list[Any]) -> list[str]:
    """The services along the longest path; each once per stay."""
    (root,) = tree.build(trace)
    longest: list[str] = []

    def descend(node: Any, path: list[str]) -> None:
        nonlocal longest
        service = node.span.resource.service
        path = path if path[-1:] == [service] else [*path, service]
        longest = max(longest, path, key=len)
        for child in node.children:
            descend(child, path)

    descend(root, [])
    return longest


@pytest.mark.parametrize("name", ESTATES)
def test_one_trace_with_the_right_parents(name, tmp_path):
    estate = ESTATES[name]
    with chain(tmp_path, estate) as services:
        assert services.get("/orders/7") == 200
        trace = services.trace()
        assert services_from_the_top(trace) == ["first", "orders", "second", "stock"]
        assert (trace[0].trace_id >> 64 != 0) == (estate.wide_ids or estate.first == "node_otel")
        assert not any(span.failed for span in trace)
        python = [span.name for span in trace if span.resource.service in {"orders", "stock"}]
        assert sorted(python) == ["GET", "GET /orders/<int:number>", "GET /orders/{number}", "SELECT stock"]


def test_errors_are_seen_where_they_are(tmp_path):
    with chain(tmp_path, ESTATES["uber-trace-id"]) as services:
        assert services.get("/orders/8") == 502
        trace = services.trace()
        assert services_from_the_top(trace) == ["first", "orders", "second", "stock"]
        failed = {(span.resource.service, span.name) for span in trace if span.failed}
        assert ("stock", "GET /orders/{number}") in failed
        assert ("orders", "GET /orders/<int:number>") in failed
        assert {("first", "call"), ("second", "call")} <= failed
        (server,) = [span for span in trace if span.name == "GET /orders/{number}"]
        assert any("is out of stock" in str(event.attributes) for event in server.events)


def test_baggage_goes_all_the_way(tmp_path):
    with chain(tmp_path, ESTATES["uber-trace-id"]) as services:
        assert services.get("/orders/7", jaeger_baggage="tenant=blue") == 200
        trace = services.trace()
        tenants = {
            span.resource.service: span.attributes["tenant"] for span in trace if "tenant" in span.attributes
        }
        assert tenants == {"first": "blue", "second": "blue"}


@pytest.mark.parametrize(
    ("name", "off", "debug"),
    [
        ("uber-trace-id", {"JAEGER_SAMPLER_PARAM": "0"}, {"jaeger_debug_id": "look here"}),
        ("b3multi", {"SAMPLED": "false"}, {"x_b3_flags": "1"}),
        (
            "w3c",
            {"OTEL_TRACES_SAMPLER": "parentbased_always_off"},
            {"traceparent": f"00-{7:032x}-{CALLER}-01"},
        ),
    ],
)
def test_what_the_first_service_decides_holds_for_all(name, off, debug, tmp_path):
    with chain(tmp_path, ESTATES[name], **off) as services:
        assert services.get("/orders/7") == 200
        assert services.get("/orders/7", **debug) == 200
        trace = services.trace(CALLER if name == "w3c" else "")
        if name == "uber-trace-id":
            assert any(span.attributes.get("jaeger-debug-id") == "look here" for span in trace)


def test_a_zipkin_server_takes_the_trace_and_draws_the_map(zipkin_server, tmp_path):  # noqa: F811
    base = f"http://127.0.0.1:{zipkin_server.port}"
    backend = {
        "ZIPKIN_URL": base,
        "ZIPKIN_JSON": "v2",
        "OTEL_TRACES_EXPORTER": "zipkin",
        "OTEL_EXPORTER_ZIPKIN_ENDPOINT": f"{base}/api/v2/spans",
    }
    with services(tmp_path, ESTATES["zipkin-to-otel"], backend) as url:
        assert get(f"{url}/orders/7") == 200

        def whole() -> Any:
            _, traces = zipkin_server.get("/api/v2/traces?serviceName=first&limit=10")
            (trace,) = traces or [[]]
            here = {span["id"] for span in trace}
            is_whole = all(span.get("parentId", span["id"]) in here for span in trace)
            return is_whole and {span["localEndpoint"]["serviceName"] for span in trace} == SERVICES

        wait_until(whole)
    _, links = zipkin_server.get(f"/api/v2/dependencies?endTs={time.time_ns() // 10**6}&lookback=600000")
    calls = {(link["parent"], link["child"]) for link in links}
    assert {("first", "orders"), ("orders", "second"), ("second", "stock")} <= calls
    assert not {("first", "second"), ("first", "stock"), ("orders", "stock")} & calls
