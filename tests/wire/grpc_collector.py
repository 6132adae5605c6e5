"""Send one span over gRPC to a collector in this process, and print what it received.

Argument: the scheme to write before the collector's address, or nothing.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from spans import make_span  # noqa: E402 - the path comes first

from autotrace.export.otlp import from_settings  # noqa: E402


class Collector(service.TraceServiceServicer):
    def __init__(self):
        self.names = []
        self.metadata = {}

    def Export(self, request, context):
        self.metadata = dict(context.invocation_metadata())
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                self.names += [span.name for span in scope_spans.spans]
        return messages.ExportTraceServiceResponse()


def main(scheme):
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(1))
    service.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    settings = SimpleNamespace(
        exporter_otlp_traces_endpoint=f"{scheme}127.0.0.1:{port}",
        exporter_otlp_traces_protocol="grpc",
        exporter_otlp_traces_headers=(("api-key", "k"),),
        exporter_otlp_traces_compression="gzip",
        exporter_otlp_traces_timeout=5.0,
        exporter_otlp_traces_insecure=not scheme,
    )
    exporter = from_settings(settings)
    losses = exporter.export([make_span()], time.monotonic() + 5)
    exporter.shutdown()
    server.stop(0).wait()
    received = {
        "type": type(exporter).__name__,
        "losses": losses,
        "api-key": collector.metadata.get("api-key"),
        "names": collector.names,
    }
    print(json.dumps(received))


if __name__ == "__main__":
    main(sys.argv[1])
