"""Programs started as users start them, and a collector that sees what arrives."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from autotrace.cli.run import bootstrap_directory

sys.path.append(str(Path(__file__).with_name("wire")))
from http_backend import Backend, backend

PYTHON = sys.executable
LAUNCHER = str(Path(sys.executable).with_name("autotrace-run"))
BOOTSTRAP = bootstrap_directory()


class Done(NamedTuple):
    """What a program left behind."""

    code: int
    out: str
    err: str
    """What others than we said on stderr."""
    said: list[str]
    """Our lines on stderr, without `autotrace: `."""
    seconds: float


class Sandbox:
    """A directory for programs, and the environment of a user who has configured `variables`."""

    def __init__(self, directory: Path, **variables: str) -> None:
        self.directory = directory
        kept = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(("OTEL_", "AUTOTRACE_", "PYTHON")) and not name.lower().endswith("_proxy")
        }
        self.environ = {
            **kept,
            "PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.defpath}",
            "AUTOTRACE_HOME": str(directory / "home"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
        }

    def write(self, name: str, text: str) -> Path:
        """A file; its text is dedented."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def install(self, name: str, entry_points: str, code: str) -> str:
        """A package with entry points in a directory of its own, which is to go on `PYTHONPATH`."""
        site = self.directory / f"site of {name}"
        self.write(f"{site.name}/{name}.py", code)
        about = f"{site.name}/{name}-1.0.dist-info"
        self.write(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        self.write(f"{about}/entry_points.txt", entry_points)
        return str(site)

    def run(self, *words: str, traced: bool = True, **variables: str) -> Done:
        """Run `python` with `words` to its end, under the launcher unless `traced` is false."""
        return self.execute(*[LAUNCHER][:traced], "python", *words, **variables)

    def execute(self, *command: str, **variables: str) -> Done:
        """Run a command to its end, as it is."""
        start = time.monotonic()
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            env={**self.environ, **variables},
            cwd=self.directory,
            timeout=60,
        )
        return _done(done.returncode, done.stdout, done.stderr, time.monotonic() - start)

    @contextmanager
    def serve(self, *words: str, **variables: str) -> Any:
        """Run a server under the launcher: it prints its URL first, and ends with its stdin."""
        with subprocess.Popen(
            [LAUNCHER, "python", *words],
            env={**self.environ, **variables},
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process.stdout.readline().strip()
            finally:
                process.stdin.close()
                code = process.wait(30)
            assert code == 0


def _done(code: int, out: str, err: str, seconds: float) -> Done:
    lines = err.splitlines(keepends=True)
    ours = [line for line in lines if line.startswith("autotrace: ")]
    others = "".join(line for line in lines if not line.startswith("autotrace: "))
    return Done(code, out, others, [line[11:].rstrip("\n") for line in ours], seconds)


class Arrived(NamedTuple):
    """A span as the backend got it."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    failed: bool
    scope: str
    service: str
    resource: dict[str, Any]


class Collector:
    """An OTLP backend."""

    def __init__(self, served: Backend) -> None:
        self._served = served
        self.environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": served.url(""), "OTEL_TRACES_EXPORTER": "otlp"}

    @property
    def raw(self) -> bytes:
        """Everything that was sent."""
        return b"".join(request.body for request in self._served.received)

    @property
    def spans(self) -> list[Arrived]:
        """What has arrived, in the order of starts."""
        found = []
        for request in list(self._served.received):
            for of_resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
                resource = _values(of_resource.resource.attributes)
                for of_scope in of_resource.scope_spans:
                    scope = of_scope.scope.name
                    found += [(span.start_time_unix_nano, scope, resource, span) for span in of_scope.spans]
        found.sort(key=lambda row: row[0])
        return [_arrived(span, scope, resource) for _, scope, resource, span in found]

    def named(self, name: str) -> Arrived:
        """The only span of that name."""
        spans = self.spans
        (span,) = [span for span in spans if span.name == name] or [spans]
        return span

    @property
    def tree(self) -> str:
        """The traces as indented lines `service scope KIND name`."""
        spans = self.spans
        known = {span.span_id for span in spans}

        def below(parent: str, indent: str) -> str:
            lines = ""
            for span in spans:
                if span.parent_id == parent or (not parent and span.parent_id not in known):
                    words = [span.service, span.scope, span.kind, span.name, *["ERROR"][: span.failed]]
                    lines += f"{indent}{' '.join(words)}\n{below(span.span_id, indent + '  ')}"
            return lines

        return below("", "")


def _arrived(span: Any, scope: str, resource: dict[str, Any]) -> Arrived:
    return Arrived(
        span.name,
        trace_pb2.Span.SpanKind.Name(span.kind)[len("SPAN_KIND_") :],
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _values(span.attributes),
        span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        scope,
        resource.get("service.name", ""),
        resource,
    )


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


@contextmanager
def collector(*answers: Any) -> Any:
    """An OTLP backend that takes everything, unless it is to answer something else."""
    with backend(*answers) as served:
        yield Collector(served)
