"""Just enough of Elasticsearch and OpenSearch for a client: Debian has neither to install."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Handler(BaseHTTPRequestHandler):
    """Keeps documents; `/busy` answers 503 once, `/hold` never."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.headers_seen.append(dict(self.headers))
        path = urlsplit(self.path).path
        kept = self.server.kept
        if path.startswith("/hold"):
            self.server.holding.set()
            self.server.over.wait()
            self.close_connection = True
            return
        status, found = 200, {}
        if path.startswith("/busy") and not self.server.was_busy:
            self.server.was_busy, status = True, 503
        elif "/_doc/" in path and self.command == "PUT":
            kept[path] = json.loads(content)
            found = {"result": "created"}
        elif "/_doc/" in path:
            status = 200 if path in kept else 404
            found = {"_source": kept.get(path)}
        elif path.endswith("/_search"):
            found = {"hits": {"hits": [{"_source": source} for source in kept.values()]}}
        elif path.endswith("/_bulk"):
            found = {"errors": False, "items": [{"index": {"status": 201, "_id": "1"}}]}
        elif path == "/":
            found = {"version": {"number": "8.0.0", "distribution": "opensearch"}}
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

    def log_message(self, *_arguments):
        pass


@contextmanager
def search_engine():
    """A server with `url`; `headers_seen` are those of the requests it got."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        server.kept, server.headers_seen, server.was_busy = {}, [], False
        server.holding, server.over = threading.Event(), threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
