"""gRPC on real servers: every kind of call, threaded and asynchronous, from either side."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

import grpc
import pytest
from instrumented import instrumented
from opentelemetry import trace

LIBRARY = "grpc"
SERVICE = "shop.Orders"


def seen():
    """What a handler finds: whose span it runs in."""
    return trace.get_current_span().name.encode()


class Orders:
    """A service without generated code: requests and responses are bytes."""

    def __init__(self):
        self.left = threading.Event()
        self.go_on = threading.Event()

    def get(self, request, context):
        if request == b"missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such order")
        if request == b"broken":
            raise LookupError("out of stock")
        if request == b"internal":
            context.set_code(grpc.StatusCode.INTERNAL)
            context.set_details("disk full")
        return request + b" in " + seen()

    def list(self, request, context):
        for number in range(3):
            yield b"%d in %s" % (number, seen())
        if request == b"missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such list")
        if request == b"endless":
            context.add_callback(self.left.set)
            while self.left.wait(0.01) is False:
                yield b"more"

    def put(self, requests, _context):
        return b",".join(requests) + b" in " + seen()

    def chat(self, requests, _context):
        for request in requests:
            yield request.upper() + b" in " + seen()


class AsyncOrders:
    async def get(self, request, context):
        if request == b"missing":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such order")
        if request == b"broken":
            raise LookupError("out of stock")
        if request == b"internal":
            context.set_code(grpc.StatusCode.INTERNAL)
            context.set_details("disk full")
        if request == b"slow":
            await asyncio.sleep(60)
        return request + b" in " + seen()

    async def list(self, request, context):
        for number in range(3):
            yield b"%d in %s" % (number, seen())
        if request == b"missing":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such list")
        while request == b"endless":
            await asyncio.sleep(0.01)
            yield b"more"

    async def put(self, requests, _context):
        return b",".join([request async for request in requests]) + b" in " + seen()

    async def chat(self, requests, context):
        """By `read` and `write`."""
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(request.upper() + b" in " + seen())

    def plain(self, request, context):
        """Run in a thread."""
        if request == b"missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such order")
        return request + b" in " + seen()


def handlers(orders):
    methods = {
        "Get": grpc.unary_unary_rpc_method_handler(orders.get),
        "List": grpc.unary_stream_rpc_method_handler(orders.list),
        "Put": grpc.stream_unary_rpc_method_handler(orders.put),
        "Chat": grpc.stream_stream_rpc_method_handler(orders.chat),
    }
    if hasattr(orders, "plain"):
        methods["Plain"] = grpc.unary_unary_rpc_method_handler(orders.plain)
    return grpc.method_handlers_generic_handler(SERVICE, methods)


@contextmanager
def serving(orders=None, **options):
    """A server in threads; its port."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, (handlers(orders or Orders()),), **options)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait(30)


@asynccontextmanager
async def serving_async(**options):
    server = grpc.aio.server(ThreadPoolExecutor(2), (handlers(AsyncOrders()),), **options)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


@contextmanager
def channel_to(port, **options):
    with grpc.insecure_channel(f"127.0.0.1:{port}", **options) as channel:
        yield channel


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def call(channel, kind, method, *args, **kwargs):
    return getattr(channel, kind)(f"/{SERVICE}/{method}")(*args, **kwargs)


def pairs(traced, count):
    """The server's span below the client's, in the order of the calls; ends are told by other threads."""
    until(lambda: len(traced.spans) >= 2 * count)
    assert len(traced.spans) == 2 * count, traced.spans
    clients = [span for span in traced.spans if span.kind.name == "CLIENT"]
    found = []
    for client in sorted(clients, key=lambda span: span.start_time):
        (server,) = [span for span in traced.spans if span.parent_id == client.span_id]
        assert (server.kind.name, server.parent_is_remote) == ("SERVER", True)
        assert server.trace_id == client.trace_id
        found.append((client, server))
    return found


def told(span):
    failure = span.attributes.get("error.type")
    return span.attributes["rpc.response.status_code"], span.status_description, failure


def test_every_kind_of_call_in_threads():
    with instrumented(LIBRARY) as traced, serving() as port, channel_to(port) as channel:
        assert call(channel, "unary_unary", "Get", b"a") == b"a in shop.Orders/Get"
        response, rpc = channel.unary_unary(f"/{SERVICE}/Get").with_call(b"b")
        assert (response, rpc.code()) == (b"b in shop.Orders/Get", grpc.StatusCode.OK)
        future = channel.unary_unary(f"/{SERVICE}/Get").future(b"c")
        assert isinstance(future, grpc.Future)
        assert future.result(30) == b"c in shop.Orders/Get"
        listed = b"0 in shop.Orders/List", b"1 in shop.Orders/List", b"2 in shop.Orders/List"
        assert tuple(call(channel, "unary_stream", "List", b"")) == listed
        assert call(channel, "stream_unary", "Put", iter([b"a", b"b"])) == b"a,b in shop.Orders/Put"
        said = list(call(channel, "stream_stream", "Chat", iter([b"a", b"b"])))
        assert said == [b"A in shop.Orders/Chat", b"B in shop.Orders/Chat"]
        found = pairs(traced, 6)
    names = [client.name.partition("/")[2] for client, _ in found]
    assert names == ["Get", "Get", "Get", "List", "Put", "Chat"]
    for client, server in found:
        assert client.name == server.name
        assert dict(client.attributes) == {
            "rpc.system.name": "grpc",
            "rpc.method": client.name,
            "rpc.response.status_code": "OK",
            "server.address": "127.0.0.1",
            "server.port": port,
        }
        assert server.attributes["rpc.response.status_code"] == "OK"
        assert server.attributes["network.peer.address"] == "127.0.0.1"


def test_failures_in_threads():
    with instrumented(LIBRARY) as traced, serving() as port, channel_to(port) as channel:
        for request in (b"missing", b"broken", b"internal"):
            with pytest.raises(grpc.RpcError):
                call(channel, "unary_unary", "Get", request)
        stream = call(channel, "unary_stream", "List", b"missing")
        with pytest.raises(grpc.RpcError) as caught:
            list(stream)
        assert caught.value is stream
        missing, broken, internal, listed = pairs(traced, 4)
    assert [told(span) for span in missing] == [
        ("NOT_FOUND", "no such order", "NOT_FOUND"),
        ("NOT_FOUND", None, None),
    ]
    details = "Exception calling application: out of stock"
    assert [told(span) for span in broken] == [
        ("UNKNOWN", details, "UNKNOWN"),
        ("UNKNOWN", "out of stock", "LookupError"),
    ]
    assert [event.name for event in broken[1].events] == ["exception"]
    assert [told(span) for span in internal] == 2 * [("INTERNAL", "disk full", "INTERNAL")]
    assert told(listed[0]) == ("NOT_FOUND", "no such list", "NOT_FOUND")
    assert told(listed[1]) == ("NOT_FOUND", None, None)


@pytest.mark.parametrize("how", ["cancelled", "dropped"])
@pytest.mark.parametrize("single_threaded", [False, True])
def test_a_stream_that_is_left_ends(how, single_threaded):
    options = [("SingleThreadedUnaryStream", 1)] if single_threaded else []
    orders = Orders()
    with (
        instrumented(LIBRARY) as traced,
        serving(orders) as port,
        channel_to(port, options=options) as channel,
    ):
        stream = call(channel, "unary_stream", "List", b"endless")
        assert [next(stream) for _ in range(4)][-1] == b"more"
        if how == "cancelled":
            stream.cancel()
            with pytest.raises(grpc.RpcError):
                list(stream)
        del stream
        gc.collect()
        assert orders.left.wait(30)
        ((client, server),) = pairs(traced, 1)
    assert told(client)[::2] == ("CANCELLED", "CANCELLED")
    assert told(server) == ("CANCELLED", None, None)


def test_what_there_is_not():
    with instrumented(LIBRARY) as traced, serving() as port, channel_to(port) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, "unary_unary", "Nothing", b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        ((client, server),) = pairs(traced, 1)
    assert client.name == "shop.Orders/Nothing"
    assert server.name == "grpc"
    assert server.attributes["rpc.method"] == "_OTHER"
    assert server.attributes["rpc.method_original"] == "shop.Orders/Nothing"
    assert told(server) == ("UNIMPLEMENTED", "", "UNIMPLEMENTED")
    with instrumented(LIBRARY) as traced, channel_to(1) as channel:
        with pytest.raises(grpc.RpcError):
            call(channel, "unary_unary", "Get", b"")
        with pytest.raises(TypeError):
            call(channel, "unary_unary", "Get")
    refused, misused = traced.spans
    assert told(refused)[::2] == ("UNAVAILABLE", "UNAVAILABLE")
    assert misused.attributes["error.type"] == "TypeError"


def test_interceptors_and_metadata_of_the_application():
    metadata = [("tenant", "blue"), ("traceparent", "nonsense"), ("id-bin", b"\x00\xff")]
    received, order = [], []

    class Client(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, details, request):
            order.append(details.metadata)
            return continuation(details, request)

    class Server(grpc.ServerInterceptor):
        def intercept_service(self, continuation, details):
            received.extend(details.invocation_metadata)
            return continuation(details)

    with instrumented(LIBRARY) as traced, serving(interceptors=[Server()]) as port:
        with channel_to(port) as channel:
            intercepted = grpc.intercept_channel(channel, Client())
            assert isinstance(channel, grpc.Channel)
            answer = call(intercepted, "unary_unary", "Get", b"a", metadata=metadata, timeout=30)
        assert answer == b"a in shop.Orders/Get"
        ((client, _server),) = pairs(traced, 1)
    assert order == [metadata]
    assert metadata == [("tenant", "blue"), ("traceparent", "nonsense"), ("id-bin", b"\x00\xff")]
    got = [(key, value) for key, value in received if key != "user-agent"]
    parent = f"00-{client.trace_id:032x}-{client.span_id:016x}-{client.trace_flags:02x}"
    assert sorted(got) == [("id-bin", b"\x00\xff"), ("tenant", "blue"), ("traceparent", parent)]


def test_what_is_suppressed_or_switched_off():
    from autotrace.tracing.context import attach, detach, suppressing

    with instrumented(LIBRARY) as traced, serving() as port, channel_to(port) as channel:
        token = attach(suppressing())
        assert call(channel, "unary_unary", "Get", b"a").startswith(b"a in ")
        detach(token)
        until(lambda: traced.spans)
        assert (traced.span.kind.name, traced.span.parent_id) == ("SERVER", 0)
        traced.spans.clear()
        for patcher in traced.patchers:
            patcher.undo()
        with pytest.raises(AttributeError):  # no span there that has a name
            seen()
        with pytest.raises(grpc.RpcError):
            call(channel, "unary_unary", "Get", b"a")
        assert traced.spans == []


def test_a_host_that_may_not_receive_trace_headers():
    with instrumented(LIBRARY, AUTOTRACE_PROPAGATE_TO="*.shop.example") as traced, serving() as port:
        with channel_to(port) as channel:
            call(channel, "unary_unary", "Get", b"a")
        until(lambda: len(traced.spans) == 2)
    assert {span.parent_id for span in traced.spans} == {0}


def test_every_kind_of_call_in_asyncio():
    async def work():
        async with serving_async() as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            rpc = call(channel, "unary_unary", "Get", b"a", metadata=(("tenant", "blue"),))
            assert isinstance(rpc, grpc.aio.UnaryUnaryCall)
            assert await rpc == b"a in shop.Orders/Get"
            stream = call(channel, "unary_stream", "List", b"")
            assert len([response async for response in stream]) == 3
            rpc = call(channel, "stream_unary", "Put", iter([b"a", b"b"]))
            assert await rpc == b"a,b in shop.Orders/Put"
            chat = call(channel, "stream_stream", "Chat")
            await chat.write(b"a")
            assert await chat.read() == b"A in shop.Orders/Chat"
            await chat.done_writing()
            assert await chat.read() is grpc.aio.EOF
            assert await call(channel, "unary_unary", "Plain", b"a") == b"a in shop.Orders/Plain"
            await asyncio.to_thread(pairs, traced, 5)
            return port

    with instrumented(LIBRARY) as traced:
        port = asyncio.run(work())
        found = pairs(traced, 5)
    assert [client.name.partition("/")[2] for client, _ in found] == ["Get", "List", "Put", "Chat", "Plain"]
    for client, server in found:
        assert (client.name, told(client), told(server)) == (
            server.name,
            ("OK", None, None),
            ("OK", None, None),
        )
        assert client.attributes["server.address"] == "127.0.0.1"
        assert client.attributes["server.port"] == port


def test_failures_and_cancellation_in_asyncio():
    async def work():
        async with serving_async() as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for request in (b"missing", b"broken", b"internal"):
                with pytest.raises(grpc.aio.AioRpcError):
                    await call(channel, "unary_unary", "Get", request)
            with pytest.raises(grpc.aio.AioRpcError):
                [_ async for _ in call(channel, "unary_stream", "List", b"missing")]
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(channel, "unary_unary", "Get", b"slow", timeout=0.5)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            stream = call(channel, "unary_stream", "List", b"endless")
            assert await stream.read() == b"0 in shop.Orders/List"
            stream.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stream.read()
            await asyncio.to_thread(pairs, traced, 6)

    with instrumented(LIBRARY) as traced:
        asyncio.run(work())
        missing, broken, internal, listed, late, left = pairs(traced, 6)
    assert [told(span)[::2] for span in missing] == [("NOT_FOUND", "NOT_FOUND"), ("NOT_FOUND", None)]
    assert [told(span)[::2] for span in broken] == [("UNKNOWN", "UNKNOWN"), ("UNKNOWN", "LookupError")]
    assert [told(span) for span in internal] == 2 * [("INTERNAL", "disk full", "INTERNAL")]
    assert [told(span)[::2] for span in listed] == [("NOT_FOUND", "NOT_FOUND"), ("NOT_FOUND", None)]
    assert [told(span)[::2] for span in late] == [
        ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
        ("CANCELLED", None),
    ]
    assert [told(span)[::2] for span in left] == [("CANCELLED", "CANCELLED"), ("CANCELLED", None)]


def test_interceptors_of_the_application_in_asyncio():
    class Client(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            return await continuation(details, request)

    class Server(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation, details):
            return await continuation(details)

    async def work():
        async with serving_async(interceptors=[Server()]) as port:
            target = f"localhost:{port}"
            async with grpc.aio.insecure_channel(target, interceptors=[Client()]) as channel:
                assert await call(channel, "unary_unary", "Get", b"a") == b"a in shop.Orders/Get"
                await asyncio.to_thread(pairs, traced, 1)
        with pytest.raises(ValueError, match="Interceptor must be"):
            grpc.aio.server(interceptors=[object()])

    with instrumented(LIBRARY) as traced:
        asyncio.run(work())
        pairs(traced, 1)


@pytest.mark.parametrize(
    ("target", "server"),
    [
        ("shop:50051", ("shop", 50051)),
        ("shop", ("shop", 0)),
        ("dns:shop:50051", ("shop", 50051)),
        ("dns:///shop:50051", ("shop", 50051)),
        ("dns://8.8.8.8/shop:50051", ("shop", 50051)),
        ("ipv4:10.0.0.1:80,10.0.0.2:80", ("10.0.0.1", 80)),
        ("ipv6:[::1]:80", ("::1", 80)),
        ("[::1]:80", ("::1", 80)),
        ("::1", ("::1", 0)),
        ("unix:/run/shop.sock", ("/run/shop.sock", 0)),
        ("unix:///run/shop.sock", ("/run/shop.sock", 0)),
        ("xds:///shop", ("shop", 0)),
        ("", ("", 0)),
    ],
)
def test_the_server_of_a_target(target, server):
    from autotrace.instrumentation.grpc import _server

    assert _server(target) == server


PROGRAM = """
from concurrent.futures import ThreadPoolExecutor
import grpc
from opentelemetry import trace

handler = grpc.unary_unary_rpc_method_handler(lambda request, _context: request.upper())
with ThreadPoolExecutor(2) as pool:
    server = grpc.server(pool, [grpc.method_handlers_generic_handler("shop.Orders", {"Get": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        print(channel.unary_unary("/shop.Orders/Get")(b"a", timeout=60))
    server.stop(None).wait(60)
trace.get_tracer_provider().force_flush()
"""


def export_handler(received):
    def export(request, _context):
        received.append(request)
        return b""

    methods = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    return grpc.method_handlers_generic_handler(
        "opentelemetry.proto.collector.trace.v1.TraceService", methods
    )


@pytest.mark.slow
def test_a_program_that_sends_its_spans_by_grpc_does_not_trace_that(sandbox):
    """Started as a user starts it; the collector is a gRPC server as well."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    received = []
    with ThreadPoolExecutor(2) as pool:
        collector = grpc.server(pool, (export_handler(received),))
        port = collector.add_insecure_port("127.0.0.1:0")
        collector.start()
        sandbox.write("program.py", PROGRAM)
        environ = {
            **sandbox.environ,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        }
        done = sandbox.run("program.py", **environ)
        collector.stop(None).wait(30)
    assert (done.code, done.out) == (0, "b'A'\n"), done
    spans = [
        (span.kind, span.name)
        for body in received
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert sorted(spans) == [(2, "shop.Orders/Get"), (3, "shop.Orders/Get")]
