"""Readers of Jaeger's Thrift that nobody here wrote: Apache's library, thriftpy2, and Node's thriftrw.

Each gives the `Batch` of a message or of a body as plain values, so that what they read can be compared.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

CACHE = Path(__file__).parents[2] / ".cache"
CLIENT = "jaeger-client"
CLIENT_VERSION = "3.19.0"
TAG_FIELDS = ("vStr", "vDouble", "vBool", "vLong", "vBinary")

BINARY_BATCH = "binary batch"
BINARY_MESSAGE = "binary message"
COMPACT_MESSAGE = "compact message"


class Batch(NamedTuple):
    """As received; ids unsigned, times in microseconds, tags as (key, value) in order."""

    service: str
    process_tags: list
    spans: list


def missing(reason: str) -> None:
    if os.environ.get("AUTOTRACE_TEST_REQUIRED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def plain(batch: Any) -> Batch:
    """The same from the classes of either library, whose attributes have the names of the IDL."""
    process = batch.process
    return Batch(process.serviceName, tags(process.tags), [span(each) for each in batch.spans])


def span(given: Any) -> dict[str, Any]:
    return {
        "trace_id": unsigned(given.traceIdHigh) << 64 | unsigned(given.traceIdLow),
        "span_id": unsigned(given.spanId),
        "parent_id": unsigned(given.parentSpanId),
        "name": given.operationName,
        "follows_from": [reference(each) for each in given.references or ()],
        "flags": given.flags,
        "start": given.startTime,
        "duration": given.duration,
        "tags": tags(given.tags),
        "logs": [(each.timestamp, tags(each.fields)) for each in given.logs or ()],
    }


def unsigned(number: int) -> int:
    assert -(2**63) <= number < 2**63
    return number & 2**64 - 1


def reference(given: Any) -> tuple[int, int]:
    assert given.refType == 1, "FOLLOWS_FROM"
    return unsigned(given.traceIdHigh) << 64 | unsigned(given.traceIdLow), unsigned(given.spanId)


def tags(given: Any) -> list[tuple[str, Any]]:
    return [(tag.key, value(tag)) for tag in given or ()]


def value(tag: Any) -> Any:
    """By vType, which is how a server chooses; the other fields must be absent."""
    values = [getattr(tag, field) for field in TAG_FIELDS]
    chosen = values.pop(tag.vType)
    assert values == [None] * 4
    assert type(chosen) is (str, float, bool, int, bytes)[tag.vType]
    return chosen


@cache
def generated() -> tuple[Any, Any]:
    """The classes that Apache's compiler made for OpenTelemetry's retired exporter.

    They lie in a package that cannot be imported beside a current SDK, and import one another as
    top-level modules.
    """
    try:
        spec = importlib.util.find_spec("opentelemetry.exporter.jaeger.thrift")
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        missing("opentelemetry-exporter-jaeger-thrift is not installed: no generated classes")
    sys.path.append(str(Path(spec.origin).parent / "gen"))
    try:
        return importlib.import_module("agent.Agent"), importlib.import_module("jaeger.ttypes")
    finally:
        sys.path.pop()


def read_with_apache(form: str, data: bytes) -> Batch:
    from thrift.protocol.TBinaryProtocol import TBinaryProtocol
    from thrift.protocol.TCompactProtocol import TCompactProtocol
    from thrift.Thrift import TMessageType
    from thrift.transport.TTransport import TMemoryBuffer

    agent, structs = generated()
    buffer = TMemoryBuffer(data)
    protocol = (
        TCompactProtocol(buffer) if form == COMPACT_MESSAGE else TBinaryProtocol(buffer, strictRead=True)
    )
    if form == BINARY_BATCH:
        batch = structs.Batch()
        batch.read(protocol)
    else:
        assert protocol.readMessageBegin() == ("emitBatch", TMessageType.ONEWAY, 0)
        arguments = agent.emitBatch_args()
        arguments.read(protocol)
        protocol.readMessageEnd()
        batch = arguments.batch
    assert buffer.read(1) == b"", "bytes are left over"
    batch.validate()
    return plain(batch)


@cache
def client_package() -> Path:
    """The Node client as its registry has it; for its IDL."""
    directory = CACHE / f"{CLIENT}-{CLIENT_VERSION}"
    if not directory.exists():
        with fetching(directory) as scratch:
            npm("pack", f"{CLIENT}@{CLIENT_VERSION}", cwd=scratch)
            with tarfile.open(scratch / f"{CLIENT}-{CLIENT_VERSION}.tgz") as archive:
                archive.extractall(scratch, filter="data")
    return directory / "package"


@contextmanager
def fetching(directory: Path) -> Any:
    """A scratch directory that becomes `directory` when all is there, whoever else is at it."""
    scratch = directory.with_name(f"{directory.name}.{os.getpid()}")
    scratch.mkdir(parents=True)
    try:
        yield scratch
        if not directory.exists():
            scratch.rename(directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def npm(*arguments: str, cwd: Path) -> None:
    program = shutil.which("npm")
    if program is None:
        missing("npm is not installed: no IDL of the Node client")
    run = subprocess.run(
        [program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=180, check=False
    )
    if run.returncode != 0:
        missing(f"npm {arguments} failed: {run.stderr[-500:]}")


@cache
def idl() -> tuple[Any, Any]:
    import thriftpy2

    source = client_package() / "dist" / "src"
    agent = thriftpy2.load(str(source / "thriftrw-idl" / "agent.thrift"), module_name="agent_thrift")
    structs = thriftpy2.load(
        str(source / "jaeger-idl" / "thrift" / "jaeger.thrift"), module_name="jaeger_thrift"
    )
    return agent, structs


def read_with_thriftpy2(form: str, data: bytes) -> Batch:
    from thriftpy2.protocol.binary import TBinaryProtocol
    from thriftpy2.protocol.compact import TCompactProtocol
    from thriftpy2.thrift import TMessageType
    from thriftpy2.transport.memory import TMemoryBuffer

    agent, structs = idl()
    buffer = TMemoryBuffer(data)
    protocol = TCompactProtocol(buffer) if form == COMPACT_MESSAGE else TBinaryProtocol(buffer)
    if form == BINARY_BATCH:
        batch = structs.Batch()
        batch.read(protocol)
    else:
        assert protocol.read_message_begin() == ("emitBatch", TMessageType.ONEWAY, 0)
        arguments = agent.Agent.emitBatch_args()
        arguments.read(protocol)
        protocol.read_message_end()
        batch = arguments.batch
    assert buffer.read(1) == b"", "bytes are left over"
    return plain(batch)


READERS = {"apache": read_with_apache, "thriftpy2": read_with_thriftpy2}

NODE_SCRIPT = """
const { Thrift } = require('thriftrw');
const agent = new Thrift({ entryPoint: process.argv[2], allowFilesystemAccess: true });
const shown = (_, value) =>
  value && value.type === 'Buffer' ? Buffer.from(value.data).toString('hex') : value;
for (const line of require('fs').readFileSync(0, 'utf8').split('\\n')) {
  const result = agent.Agent.emitBatch.argumentsMessageRW.readFrom(Buffer.from(line, 'hex'), 0);
  if (result.err) throw result.err;
  if (2 * result.offset !== line.length) throw new Error('bytes are left over');
  console.log(JSON.stringify(result.value, shown));
}
"""


def read_with_node(messages: list[bytes]) -> list[Batch]:
    """Binary messages as thriftrw reads them, which the Node client of Jaeger is built on."""
    node = shutil.which("node")
    if node is None:
        missing("node is not installed")
    directory = CACHE / f"{CLIENT}-{CLIENT_VERSION}-installed"
    if not directory.exists():
        with fetching(directory) as scratch:
            options = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix=.")
            npm("install", *options, f"{CLIENT}@{CLIENT_VERSION}", cwd=scratch)
    idl_file = directory / "node_modules" / CLIENT / "dist" / "src" / "thriftrw-idl" / "agent.thrift"
    run = subprocess.run(
        [node, "-e", NODE_SCRIPT, "-", str(idl_file)],
        cwd=directory,
        input="\n".join(message.hex() for message in messages),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return [node_batch(json.loads(line)) for line in run.stdout.strip("\n").split("\n")]


def node_batch(message: dict[str, Any]) -> Batch:
    assert (message["name"], message["type"], message["id"]) == ("emitBatch", "ONEWAY", 0)
    batch = message["body"]["batch"]
    process = batch["process"]
    return Batch(
        process["serviceName"], node_tags(process["tags"]), [node_span(each) for each in batch["spans"]]
    )


def node_span(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "trace_id": int(given["traceIdHigh"] + given["traceIdLow"], 16),
        "span_id": int(given["spanId"], 16),
        "parent_id": int(given["parentSpanId"], 16),
        "name": given["operationName"],
        "follows_from": [
            (int(each["traceIdHigh"] + each["traceIdLow"], 16), int(each["spanId"], 16))
            for each in given["references"] or ()
            if each["refType"] == "FOLLOWS_FROM"
        ],
        "flags": given["flags"],
        "start": int(given["startTime"], 16),
        "duration": int(given["duration"], 16),
        "tags": node_tags(given["tags"]),
        "logs": [(int(each["timestamp"], 16), node_tags(each["fields"])) for each in given["logs"] or ()],
    }


def node_tags(given: Any) -> list[tuple[str, Any]]:
    return [(tag["key"], node_value(tag)) for tag in given or ()]


def node_value(tag: dict[str, Any]) -> Any:
    kind = tag["vType"]
    if kind == "LONG":
        return int.from_bytes(bytes.fromhex(tag["vLong"]), "big", signed=True)
    if kind == "BINARY":
        return bytes.fromhex(tag["vBinary"])
    if kind == "DOUBLE":
        return float(tag["vDouble"])
    return tag["vStr"] if kind == "STRING" else tag["vBool"]
