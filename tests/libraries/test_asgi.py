"""ASGI without a framework: one server span per request, however it ends, and an application as ever."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress

import pytest
from instrumented import instrumented
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from autotrace.instrumentation.asgi import Asgi
from autotrace.instrumentation.asgi import traced as trace_asgi
from autotrace.tracing.context import attach, detach, suppressing

TRACE = "ff00aa11bb22cc330123456789abcdef"
TRACEPARENT = f"00-{TRACE}-fedcba9876543210-01"

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
BODY = {"type": "http.response.body", "body": b"x"}


@pytest.fixture
def traced():
    with instrumented("uvicorn") as traced:
        yield traced


def make_scope(headers=(), **fields):
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/users/7",
        "query_string": b"",
        "headers": [(b"host", b"shop:8000"), *headers],
        "client": ("192.0.2.1", 50000),
        "server": ("127.0.0.1", 8000),
        **fields,
    }


class Server:
    """Calls applications as a server does, and keeps what they send."""

    def __init__(self, traced, *messages):
        self.sent = []
        self.messages = list(messages)
        self._asgi = Asgi(traced.patchers[0], "uvicorn")

    async def receive(self):
        return self.messages.pop(0)

    async def send(self, message):
        self.sent.append(message)

    async def call(self, app, scope):
        return await trace_asgi(app, self._asgi)(scope, self.receive, self.send)

    def run(self, app, scope=None):
        return asyncio.run(self.call(app, make_scope() if scope is None else scope))


async def plain(_scope, _receive, send):
    await send(START)
    await send(BODY)


# What a span says.


def test_the_span_of_a_request(traced):
    headers = [(b"user-agent", b"curl/8"), (b"x-forwarded-for", b"203.0.113.9, 10.0.0.1")]
    Server(traced).run(plain, make_scope(headers, query_string=b"a=1&password=x", path="/käse"))
    assert (traced.span.name, traced.span.kind) == ("GET", SpanKind.SERVER)
    assert traced.span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/käse",
        "url.query": "a=1&password=REDACTED",
        "server.address": "shop",
        "server.port": 8000,
        "network.peer.address": "192.0.2.1",
        "client.address": "203.0.113.9",
        "user_agent.original": "curl/8",
        "network.protocol.version": "1.1",
    }


def test_behind_a_proxy_that_says_forwarded(traced):
    forwarded = (b"forwarded", b'for="[2001:db8::1]:4711";proto=https;host=shop.example')
    Server(traced).run(plain, make_scope([forwarded]))
    attributes = traced.span.attributes
    assert (attributes["url.scheme"], attributes["client.address"]) == ("https", "2001:db8::1")
    assert (attributes["server.address"], attributes["server.port"]) == ("shop.example", 443)


def test_a_scope_with_the_least_there_may_be(traced):
    scope = {"type": "http", "method": "BREW", "path": "/", "server": ("/run/app.sock", None), "client": None}
    Server(traced).run(plain, {**scope, "headers": iter([])})
    assert traced.span.name == "HTTP"
    assert traced.span.attributes["http.request.method_original"] == "BREW"
    assert traced.span.attributes["server.address"] == "/run/app.sock"


def test_trace_headers_make_the_parent_even_when_sent_in_several_lines(traced):
    headers = [(b"traceparent", TRACEPARENT.encode()), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    Server(traced).run(plain, make_scope(headers))
    assert (f"{traced.span.trace_id:032x}", f"{traced.span.parent_id:016x}") == (TRACE, "fedcba9876543210")
    assert traced.span.trace_state.to_header() == "a=1,b=2"


def test_chosen_headers_are_captured():
    environ = {
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "x-tenant",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": "content-type",
    }
    with instrumented("uvicorn", **environ) as traced:
        Server(traced).run(plain, make_scope([(b"x-tenant", b"blue"), (b"x-tenant", b"red")]))
    assert traced.span.attributes["http.request.header.x-tenant"] == ["blue", "red"]
    assert traced.span.attributes["http.response.header.content-type"] == ["text/plain"]


# When a span ends.


def test_the_span_covers_the_streamed_body_and_what_comes_after_is_its_child(traced):
    async def app(_scope, _receive, send):
        await send(START)
        await send({**BODY, "more_body": True})
        assert traced.spans == []
        await send({**BODY, "more_body": False})
        assert len(traced.spans) == 1
        with traced.tracer.start_as_current_span("background"):
            pass

    server = Server(traced)
    server.run(app)
    request, background = traced.spans
    assert background.parent_id == request.span_id
    assert server.sent == [START, {**BODY, "more_body": True}, {**BODY, "more_body": False}]


def test_the_span_waits_for_a_slow_client(traced):
    async def slow(_message):
        assert traced.spans == []
        await asyncio.sleep(0)
        assert traced.spans == []

    server = Server(traced)
    server.send = slow
    server.run(plain)
    assert len(traced.spans) == 1


@pytest.mark.parametrize(
    "messages",
    [
        [{**START, "trailers": True}, BODY, {"type": "http.response.trailers", "headers": []}],
        [START, {"type": "http.response.pathsend", "path": "/etc/hosts"}],
        [START, {"type": "http.response.zerocopysend", "file": 1, "more_body": True}, BODY],
    ],
    ids=["trailers", "pathsend", "zerocopysend"],
)
def test_the_last_message_of_an_extension(traced, messages):
    async def app(_scope, _receive, send):
        for message in messages:
            assert traced.spans == []
            await send(message)
        assert len(traced.spans) == 1

    Server(traced).run(app)


def test_an_application_that_never_finishes_its_response(traced):
    async def app(_scope, _receive, send):
        await send(START)

    Server(traced).run(app)
    assert traced.span.attributes["http.response.status_code"] == 200


# Errors, and what is none.


@pytest.mark.parametrize("answers_first", [False, True])
def test_an_exception_is_recorded_once_and_leaves_as_it_came(traced, answers_first):
    error = ValueError("no")

    async def app(_scope, _receive, send):
        if answers_first:  # as Starlette does
            await send({**START, "status": 500})
            await send(BODY)
        raise error

    with pytest.raises(ValueError, match="no") as caught:
        Server(traced).run(app)
    assert caught.value is error
    assert error.__cause__ is error.__context__ is None
    assert traced.span.status.status_code is StatusCode.ERROR
    assert traced.span.attributes["error.type"] == "ValueError"
    assert traced.span.attributes["http.response.status_code"] == 500
    assert [event.name for event in traced.span.events] == ["exception"]


def test_an_exception_in_the_middle_of_a_response(traced):
    async def app(_scope, _receive, send):
        await send(START)
        raise RuntimeError("late")

    with pytest.raises(RuntimeError):
        Server(traced).run(app)
    assert traced.span.status.status_code is StatusCode.ERROR
    assert traced.span.attributes["http.response.status_code"] == 200


def test_an_exception_of_a_background_task_is_not_of_the_request(traced):
    async def app(_scope, _receive, send):
        await plain(_scope, _receive, send)
        raise RuntimeError("late")

    with pytest.raises(RuntimeError):
        Server(traced).run(app)
    assert traced.span.status.status_code is StatusCode.UNSET


def test_a_server_error_without_an_exception(traced):
    async def app(_scope, _receive, send):
        await send({**START, "status": 503})
        await send(BODY)

    Server(traced).run(app)
    assert traced.span.attributes["error.type"] == "503"
    assert traced.span.status.status_code is StatusCode.ERROR


def test_a_cancelled_request_is_no_error(traced):
    async def app(_scope, _receive, _send):
        await asyncio.Event().wait()

    async def cancel():
        task = asyncio.ensure_future(Server(traced).call(app, make_scope()))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(cancel())
    assert traced.span.status.status_code is StatusCode.UNSET
    assert "http.response.status_code" not in traced.span.attributes


def test_a_client_that_has_gone_is_no_error(traced):
    from starlette.requests import ClientDisconnect

    async def app(_scope, _receive, _send):
        raise ClientDisconnect

    with pytest.raises(ClientDisconnect):
        Server(traced).run(app)
    assert traced.span.status.status_code is StatusCode.UNSET
    assert traced.span.events == ()


# Websockets.


def test_a_websocket_is_one_span_with_its_messages_counted(traced):
    async def app(_scope, receive, send):
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        for _ in range(2):
            text = (await receive())["text"]
            await send({"type": "websocket.send", "text": text})
            await send({"type": "websocket.send", "text": text})
        assert (await receive())["type"] == "websocket.disconnect"

    texts = [{"type": "websocket.receive", "text": text} for text in "ab"]
    server = Server(
        traced, {"type": "websocket.connect"}, *texts, {"type": "websocket.disconnect", "code": 1001}
    )
    scope = make_scope(type="websocket", scheme="ws")
    del scope["method"]
    server.run(app, scope)
    assert traced.span.name == "GET"
    attributes = traced.span.attributes
    assert attributes["http.response.status_code"] == 101
    assert attributes["url.scheme"] == "ws"
    assert attributes["network.protocol.name"] == "websocket"
    assert attributes["websocket.messages.received"] == 2
    assert attributes["websocket.messages.sent"] == 4
    assert attributes["websocket.close_code"] == 1001
    assert [message.get("text") for message in server.sent] == [None, "a", "a", "b", "b"]


@pytest.mark.parametrize(
    ("messages", "status", "code"),
    [
        ([{"type": "websocket.close"}], 403, None),
        ([{"type": "websocket.http.response.start", "status": 401}], 401, None),
        ([{"type": "websocket.accept"}, {"type": "websocket.close", "code": 1013}], 101, 1013),
    ],
    ids=["refused", "denied", "closed"],
)
def test_how_a_websocket_ends(traced, messages, status, code):
    async def app(_scope, _receive, send):
        for message in messages:
            await send(message)

    Server(traced).run(app, make_scope(type="websocket"))
    assert traced.span.attributes["http.response.status_code"] == status
    assert traced.span.attributes.get("websocket.close_code") == code


def test_a_websocket_that_fails_and_one_whose_client_has_gone(traced):
    from starlette.websockets import WebSocketDisconnect

    for error in (ValueError("no"), WebSocketDisconnect(1006)):

        async def app(_scope, _receive, send, error=error):
            await send({"type": "websocket.accept"})
            raise error

        with pytest.raises(type(error)):
            Server(traced).run(app, make_scope(type="websocket"))
    failed, gone = traced.spans
    assert (failed.status.status_code, failed.attributes["error.type"]) == (StatusCode.ERROR, "ValueError")
    assert (gone.status.status_code, gone.events) == (StatusCode.UNSET, ())


# What the application sees.


def test_a_lifespan_is_left_alone(traced):
    async def app(scope, receive, send):
        assert (receive, send) == (server.receive, server.send)
        return scope

    server = Server(traced)
    scope = {"type": "lifespan"}
    assert server.run(app, scope) is scope
    assert (traced.spans, scope) == ([], {"type": "lifespan"})


def test_receive_is_the_servers_own_and_the_scope_is_left_as_it_was(traced):
    async def app(scope, receive, send):
        assert scope is given
        assert receive == server.receive
        await plain(scope, receive, send)
        return "result"

    server = Server(traced)
    given = make_scope()
    assert server.run(app, given) == "result"
    assert given == make_scope()


def test_what_send_raises_reaches_the_application(traced):
    async def broken(_message):
        raise OSError("gone")

    async def app(_scope, _receive, send):
        for message in (START, BODY):
            with pytest.raises(OSError, match="gone"):
                await send(message)

    server = Server(traced)
    server.send = broken
    server.run(app)
    assert traced.span.status.status_code is StatusCode.UNSET


@pytest.mark.tolerant
@pytest.mark.parametrize("message", [{}, None, {"type": "http.response.start"}, {"type": None}])
def test_a_message_that_is_none_reaches_the_server(traced, message):
    async def app(_scope, _receive, send):
        await send(message)

    server = Server(traced)
    server.run(app)
    assert server.sent == [message]


def test_nothing_leaks_from_one_request_to_the_next_on_the_same_task(traced):
    async def keep_alive():
        server = Server(traced)
        with suppress(ValueError):
            await server.call(failing, make_scope([(b"traceparent", TRACEPARENT.encode())]))
        assert trace.get_current_span() is trace.INVALID_SPAN
        await server.call(plain, make_scope())
        assert trace.get_current_span() is trace.INVALID_SPAN

    async def failing(_scope, _receive, _send):
        raise ValueError

    asyncio.run(keep_alive())
    first, second = traced.spans
    assert first.trace_id != second.trace_id
    assert second.parent_id == 0


def test_what_is_current_where_a_server_calls_is_a_remnant_and_stays(traced):
    """But for a wish that nothing be traced."""
    app = trace_asgi(plain, Asgi(traced.patchers[0], "uvicorn", serves=True))
    server = Server(traced)

    async def call():
        with traced.tracer.start_as_current_span("remnant") as remnant:
            await app(make_scope(), server.receive, server.send)
            assert trace.get_current_span() is remnant
        token = attach(suppressing())
        await app(make_scope(), server.receive, server.send)
        detach(token)

    asyncio.run(call())
    assert [span.name for span in traced.spans] == ["GET", "remnant"]
    assert traced.spans[0].parent_id == 0


def test_requests_at_the_same_time_have_traces_of_their_own(traced):
    async def app(scope, receive, send):
        with traced.tracer.start_as_current_span(scope["path"]):
            await asyncio.sleep(0)
        await plain(scope, receive, send)

    async def together():
        server = Server(traced)
        await asyncio.gather(*(server.call(app, make_scope(path=f"/{number}")) for number in range(5)))

    asyncio.run(together())
    requests = {span.span_id: span.attributes["url.path"] for span in traced.spans if span.name == "GET"}
    inside = {span.parent_id: span.name for span in traced.spans if span.name != "GET"}
    assert inside == requests
    assert len(requests) == 5


def test_a_request_is_freed_when_it_is_over(traced):
    class Connection(Server):
        """In which a server's `send` knows the scope, as uvicorn's does."""

    async def app(scope, receive, send):
        await plain(scope, receive, send)
        with suppress(ValueError):
            raise ValueError

    gc.collect()
    gc.disable()
    try:
        connection = Connection(traced)
        connection.scope = make_scope()
        connection.run(app, connection.scope)
        gone = weakref.ref(connection)
        del connection
        assert gone() is None
    finally:
        gc.enable()


# Layers.


def test_the_outermost_entry_point_makes_the_span(traced):
    server = Server(traced)
    inner = trace_asgi(plain, Asgi(traced.patchers[0], "starlette"))

    async def mount(scope, receive, send):
        await inner({**scope, "path": "/7"}, receive, send)

    server.run(mount)
    assert traced.span.attributes["url.path"] == "/users/7"


def test_a_request_that_the_application_makes_to_itself_has_a_span_of_its_own(traced):
    server = Server(traced)

    async def app(scope, receive, send):
        if scope["path"] == "/users/7":
            await server.call(app, make_scope(path="/inner"))
        await plain(scope, receive, send)

    server.run(app)
    inner, outer = traced.spans
    assert inner.attributes["url.path"] == "/inner"
    assert inner.parent_id == outer.span_id


@pytest.mark.parametrize("library", ["UVICORN", "STARLETTE"])
def test_what_a_framework_or_its_server_excludes_is_not_recorded(library):
    with instrumented("uvicorn", **{f"OTEL_PYTHON_{library}_EXCLUDED_URLS": "users"}) as traced:
        inner = trace_asgi(plain, Asgi(traced.patchers[0], "starlette"))

        async def app(scope, receive, send):
            await inner(scope, receive, send)
            with traced.tracer.start_as_current_span("child"):
                pass

        Server(traced).run(app)
        assert traced.spans == []
        Server(traced).run(app, make_scope(path="/orders"))
        assert len(traced.spans) == 2
        assert trace.get_current_span() is trace.INVALID_SPAN


def test_what_is_not_sampled_costs_the_application_nothing():
    async def app(scope, receive, send):
        assert (receive, send) == (server.receive, server.send)
        await plain(scope, receive, send)

    with instrumented("uvicorn", OTEL_TRACES_SAMPLER="always_off") as traced:
        server = Server(traced)
        server.run(app)
        server.run(app, make_scope(type="websocket"))
    assert traced.spans == []
