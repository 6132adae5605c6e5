"""The backend of the benchmarks, in a process of its own: takes everything, counts spans when asked.

`POST /<agent>/v1/traces` keeps an OTLP body, a `POST` to anywhere else is read and thrown away, as datagrams
are. `GET /count/<agent>` answers with the number of spans received, any other `GET` is the peer of `/mix`.
Prints its HTTP and UDP ports. Ends when its standard input does.
"""

from __future__ import annotations

import gzip
import json
import socket
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

bodies: defaultdict[str, list[bytes]] = defaultdict(list)
counts: defaultdict[str, int] = defaultdict(int)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        agent, _, rest = self.path[1:].partition("/")
        if rest == "v1/traces":
            bodies[agent].append(
                gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
            )
            self.answer(b"", "200 OK")
        else:
            self.answer(b"", "202 Accepted")

    def do_GET(self) -> None:
        _, _, agent = self.path.partition("/count/")
        self.answer(str(count(agent)).encode() if agent else b"peer", "200 OK")

    def answer(self, body: bytes, status: str) -> None:
        # One write: header and body apart would meet the client's delayed acknowledgement, 40 ms each time.
        self.wfile.write(
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )


def count(agent: str) -> int:
    while bodies[agent]:
        counts[agent] += spans_in(bodies[agent].pop())
    return counts[agent]


def spans_in(request: bytes) -> int:
    """ExportTraceServiceRequest.resource_spans.scope_spans.spans: fields 1, 2 and 2."""
    return sum(
        1 for resource in members(request, 1) for scope in members(resource, 2) for _ in members(scope, 2)
    )


def members(message: bytes, wanted: int) -> list[bytes]:
    found, at = [], 0
    while at < len(message):
        tag, at = varint(message, at)
        if tag & 7 != 2:  # resources and scopes hold nothing else
            raise ValueError(f"unexpected wire type in {message!r:.80}")
        size, at = varint(message, at)
        if tag >> 3 == wanted:
            found.append(message[at : at + size])
        at += size
    return found


def varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def swallow(datagrams: socket.socket) -> None:
    while True:
        datagrams.recv(65536)


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    for target, argument in ((swallow, (datagrams,)), (server.serve_forever, ())):
        threading.Thread(target=target, args=argument, daemon=True).start()
    print(json.dumps({"http": server.server_port, "udp": datagrams.getsockname()[1]}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    Handler.log_message = lambda *_: None
    main()
