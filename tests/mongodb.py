"""Just enough of a MongoDB server for a client: Debian has none to install.

It speaks the wire protocol, keeps documents by `_id`, and finds them again by equality.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from contextlib import contextmanager

QUERY, REPLY, MESSAGE = 2004, 1, 2013


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Connection)
        self.collections = {}
        self.holding = threading.Event()
        """Set when a command `hold` has arrived, which is answered when its connection ends: never."""


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            while header := self.rfile.read(16):
                size, number, _, kind = struct.unpack("<iiii", header)
                self.serve(number, kind, self.rfile.read(size - 16))
        except (ConnectionError, ValueError):
            pass

    def serve(self, number, kind, body):
        import bson

        if kind == QUERY:  # the handshake's first words
            document = bson.decode(body[body.index(b"\0", 4) + 9 :])
            answer = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(self.answer(document))
            reply = REPLY
        else:
            document = _read_message(body)
            if "hold" in document:
                self.server.holding.set()
                return
            answer = struct.pack("<ib", 0, 0) + bson.encode(self.answer(document))
            reply = MESSAGE
        self.wfile.write(struct.pack("<iiii", 16 + len(answer), 0, number, reply) + answer)

    def answer(self, document):
        command = next(iter(document))
        kept = self.server.collections.setdefault(str(document[command]), {})
        if command.lower() in ("hello", "ismaster"):
            versions = {"minWireVersion": 0, "maxWireVersion": 21}
            limits = {
                "maxBsonObjectSize": 1 << 24,
                "maxMessageSizeBytes": 48000000,
                "maxWriteBatchSize": 100000,
            }
            sessions = {"logicalSessionTimeoutMinutes": 30}
            return {"ok": 1, "isWritablePrimary": True, "ismaster": True, **versions, **limits, **sessions}
        if command == "insert":
            refused = [
                {"index": index, "code": 11000, "errmsg": f"E11000 duplicate key, dup key: {{ _id: {new} }}"}
                for index, new in enumerate(document["documents"])
                if kept.setdefault(new["_id"], new) is not new
            ]
            added = {"ok": 1, "n": len(document["documents"]) - len(refused)}
            return {**added, "writeErrors": refused} if refused else added
        if command == "find":
            wanted = document["filter"].items()
            found = [one for one in kept.values() if wanted <= one.items()]
            return {"ok": 1, "cursor": self.cursor(document, found[:2], len(found) > 2)}
        if command == "getMore":
            rest = list(self.server.collections[document["collection"]].values())[2:]
            cursor = {"id": 0, "ns": f"{document['$db']}.{document['collection']}", "nextBatch": rest}
            return {"ok": 1, "cursor": cursor}
        if command == "drop":
            kept.clear()
            return {"ok": 1}
        if command in ("ping", "endSessions"):
            return {"ok": 1}
        return {"ok": 0, "code": 59, "codeName": "CommandNotFound", "errmsg": f"no such command: {document}"}

    def cursor(self, document, found, more):
        return {"id": 42 * more, "ns": f"{document['$db']}.{document['find']}", "firstBatch": found}


def _read_message(body):
    """A command, whose documents may follow it in sections of their own."""
    import bson

    at, document, listed = 4, {}, {}
    while at < len(body):
        kind, size = body[at], struct.unpack_from("<i", body, at + 1)[0]
        section = body[at + 1 : at + 1 + size]
        if kind == 0:
            document = bson.decode(section)
        else:
            name, _, documents = section[4:].partition(b"\0")
            listed[name.decode()] = bson.decode_all(documents)
        at += 1 + size
    return {**document, **listed}


@contextmanager
def mongodb():
    """A server; its URL is that of `mongodb_url`."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
