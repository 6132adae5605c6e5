"""The floor: what recording and sending the same spans costs at least, with hard-coded calls.

No patching, no guards, no limits, no settings, one place of use each. The numbers of autotrace are judged
against this; nobody should write a program so.
"""

from __future__ import annotations

import http.client
import os
import threading
import urllib.parse
from collections import deque
from random import getrandbits
from struct import Struct
from time import time_ns

from opentelemetry.context import _RUNTIME_CONTEXT, Context
from opentelemetry.trace.propagation import _SPAN_KEY

context_var = _RUNTIME_CONTEXT._current_context
current, attach, detach = context_var.get, context_var.set, context_var.reset
BATCH = 512


class Span:
    __slots__ = ("attributes", "end", "kind", "name", "parent_id", "span_id", "start", "trace_id")

    def __init__(self, name: str, kind: int, trace_id: int, parent_id: int, attributes: dict) -> None:
        self.name = name
        self.kind = kind
        self.trace_id = trace_id
        self.span_id = getrandbits(64)
        self.parent_id = parent_id
        self.attributes = attributes
        self.start = time_ns()


class Sender:
    def __init__(self, endpoint: str) -> None:
        self.url = urllib.parse.urlsplit(endpoint)
        self.queue: deque[Span] = deque()
        self.bell = threading.Event()
        self.sending = threading.Lock()
        self.connection = http.client.HTTPConnection(self.url.netloc)
        threading.Thread(target=self.work, daemon=True).start()

    def end(self, span: Span) -> None:
        span.end = time_ns()
        self.queue.append(span)
        if len(self.queue) == BATCH:
            self.bell.set()

    def work(self) -> None:
        while True:
            self.bell.wait(1)
            self.bell.clear()
            self.flush()

    def flush(self) -> None:
        with self.sending:
            while self.queue:
                self.post(encode([self.queue.popleft() for _ in range(min(BATCH, len(self.queue)))]))

    def post(self, body: bytes) -> None:
        self.connection.request("POST", self.url.path, body, {"Content-Type": "application/x-protobuf"})
        self.connection.getresponse().read()


# Encoding: ExportTraceServiceRequest by hand, attribute pairs remembered.

times = Struct("<BQBQ").pack
ids = Struct(">2s16s2sQ").pack
parent = Struct(">2sQ").pack


def sized(tag: bytes, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return tag + bytes((size,)) + content
    length = b""
    while size >= 0x80:
        length += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return tag + length + bytes((size,)) + content


class Pairs(dict):
    def __missing__(self, pair: tuple[str, object]) -> bytes:
        key, value = pair
        if isinstance(value, int):
            number = b""
            while value >= 0x80:
                number += bytes((value & 0x7F | 0x80,))
                value >>= 7
            content = b"\x18" + number + bytes((value,))
        else:
            content = sized(b"\x0a", str(value).encode())
        encoded = sized(b"\x4a", sized(b"\x0a", key.encode()) + sized(b"\x12", content))
        if len(self) < 5000:
            self[pair] = encoded
        return encoded


pairs = Pairs()
RESOURCE = sized(
    b"\x0a", sized(b"\x0a", sized(b"\x0a", b"service.name") + sized(b"\x12", sized(b"\x0a", b"bench")))
)
SCOPE = sized(b"\x0a", sized(b"\x0a", b"floor"))


def encode(spans: list[Span]) -> bytes:
    pair = pairs.__getitem__
    encoded = [
        sized(
            b"\x12",
            b"".join(
                (
                    ids(b"\x0a\x10", span.trace_id.to_bytes(16, "big"), b"\x12\x08", span.span_id),
                    parent(b"\x22\x08", span.parent_id) if span.parent_id else b"",
                    sized(b"\x2a", span.name.encode()),
                    b"\x30%c" % span.kind,
                    times(0x39, span.start, 0x41, span.end),
                    b"".join(map(pair, span.attributes.items())),
                )
            ),
        )
        for span in spans
    ]
    return sized(b"\x0a", RESOURCE + sized(b"\x12", SCOPE + b"".join(encoded)))


# The application of apps.py, traced by hand.


def install(apps: object) -> Sender:
    """Wrap what `apps` offers; returns the sender, to flush and count by."""
    sender = Sender(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces")
    wsgi_app, plain_query, plain_get = apps.app.wsgi_app, apps.query, apps.session.get

    class Body:
        __slots__ = ("body", "finish")

        def __init__(self, body: object, finish: object) -> None:
            self.body = body
            self.finish = finish

        def __iter__(self) -> object:
            return iter(self.body)

        def close(self) -> None:
            self.body.close()
            self.finish()

    def serve(environ: dict, start_response: object) -> object:
        get = environ.get
        path, header, context = get("PATH_INFO"), get("HTTP_TRACEPARENT"), current()
        if header:
            trace_id, parent_id = int(header[3:35], 16), int(header[36:52], 16)
        else:
            trace_id, parent_id = getrandbits(128), 0
        attributes = {
            "http.request.method": get("REQUEST_METHOD"),
            "url.scheme": get("wsgi.url_scheme"),
            "url.path": path,
            "server.address": get("SERVER_NAME"),
            "server.port": int(get("SERVER_PORT")),
            "network.peer.address": get("REMOTE_ADDR"),
            "client.address": get("REMOTE_ADDR"),
            "user_agent.original": get("HTTP_USER_AGENT"),
            "network.protocol.version": "1.1",
            "http.route": path,
        }
        span = Span("GET " + path, 2, trace_id, parent_id, attributes)
        token = attach(Context({**context, _SPAN_KEY: span}))

        def started(status: str, headers: list, exc_info: object = None) -> object:
            attributes["http.response.status_code"] = int(status[:3])
            return start_response(status, headers, exc_info)

        body = wsgi_app(environ, started)
        detach(token)
        return Body(body, lambda: sender.end(span))

    def query(sql: str, *values: object) -> tuple:
        parent_span = current()[_SPAN_KEY]
        attributes = {
            "db.system.name": "sqlite",
            "db.namespace": ":memory:",
            "db.query.text": sql,
            "db.query.summary": "SELECT item",
            "db.operation.name": "SELECT",
        }
        span = Span("SELECT item", 3, parent_span.trace_id, parent_span.span_id, attributes)
        row = plain_query(sql, *values)
        sender.end(span)
        return row

    def fetch(url: str) -> str:
        context = current()
        parent_span = context[_SPAN_KEY]
        attributes = {
            "http.request.method": "GET",
            "url.full": url,
            "server.address": "127.0.0.1",
            "server.port": 80,
            "network.protocol.version": "1.1",
        }
        span = Span("GET", 3, parent_span.trace_id, parent_span.span_id, attributes)
        token = attach(Context({**context, _SPAN_KEY: span}))
        headers = {"traceparent": f"00-{span.trace_id:032x}-{span.span_id:016x}-01"}
        response = plain_get(url, timeout=5, headers=headers)
        detach(token)
        attributes["http.response.status_code"] = response.status_code
        sender.end(span)
        return response.text

    apps.app.wsgi_app, apps.query, apps.fetch = serve, query, fetch
    return sender
