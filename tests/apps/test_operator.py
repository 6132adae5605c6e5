"""The payload as the image of OpenTelemetry's operator for Kubernetes: what it does to a pod, done here.

The init container copies the image's directory to a volume; the variables are those that the operator
adds to the container's own, by its rules.
"""

from __future__ import annotations

import re
import subprocess

import pytest
from payloads import environment, interpreter, mapped

MOUNT = "/otel-auto-instrumentation-python"
LOADER = f"{MOUNT}/opentelemetry/instrumentation/auto_instrumentation"
POD = {"metadata.name": "inventory-7d9f-x2", "metadata.uid": "11-22", "spec.nodeName": "node-4"}

PROGRAM = """
import importlib, os, sys

names = "opentelemetry.version opentelemetry.trace opentelemetry._events opentelemetry.instrumentation.flask"
names += " opentelemetry.sdk.version typing_extensions importlib_metadata wrapt mine autotrace"
for name in names.split():
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        print(name, "is not there:", error)
    else:
        print(name, getattr(module, "__file__", ""), getattr(module, "__version__", ""))
print(sys.path, os.environ.get("MARK"))
import sqlite3
connection = sqlite3.connect(":memory:")
print(connection.execute("SELECT 42").fetchone())
connection.close()
"""


def image(payload, root):
    """The root of the payload image's file system, as Dockerfile.payload makes it."""
    root.mkdir()
    (root / "autoinstrumentation").symlink_to(payload)
    (root / "autoinstrumentation-musl").symlink_to("autoinstrumentation")
    return root


def injected(container):
    """What the operator makes of a container's environment, where its resource names all it can."""
    environ = {"OTEL_NODE_IP": "10.1.0.4", "OTEL_POD_IP": "10.2.0.9", **container}
    own = environ.get("PYTHONPATH")
    environ["PYTHONPATH"] = ":".join([LOADER, *[own][: own is not None], MOUNT])
    absent = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_SERVICE_NAME": "inventory",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_PROPAGATORS": "tracecontext,baggage,b3",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "1",
    }
    environ = {**absent, **environ}
    environ["OTEL_RESOURCE_ATTRIBUTES_POD_NAME"] = POD["metadata.name"]
    environ["OTEL_RESOURCE_ATTRIBUTES_POD_UID"] = POD["metadata.uid"]
    environ["OTEL_RESOURCE_ATTRIBUTES_NODE_NAME"] = POD["spec.nodeName"]
    facts = [environ.pop("OTEL_RESOURCE_ATTRIBUTES")] if "OTEL_RESOURCE_ATTRIBUTES" in environ else []
    facts += ["k8s.container.name=inventory", "k8s.deployment.name=inventory", "k8s.namespace.name=shop"]
    facts += [
        "k8s.node.name=$(OTEL_RESOURCE_ATTRIBUTES_NODE_NAME)",
        "k8s.pod.name=$(OTEL_RESOURCE_ATTRIBUTES_POD_NAME)",
        "k8s.pod.uid=$(OTEL_RESOURCE_ATTRIBUTES_POD_UID)",
    ]
    environ["OTEL_RESOURCE_ATTRIBUTES"] = ",".join(facts)
    # Kubernetes puts in what stands before it.
    return {
        name: re.sub(r"\$\((\w+)\)", lambda found: environ[found[1]], value)
        for name, value in environ.items()
    }


pytestmark = pytest.mark.slow


@pytest.fixture
def start(sandbox, arrivals, payload, tmp_path):
    """Run the program in a pod without the operator, and in one with it; gives what both did."""
    volume = tmp_path / "volume"
    volume.mkdir()
    sandbox.write("app.py", PROGRAM)

    def start(python, source="/autoinstrumentation", **own):
        places = {source: image(payload, tmp_path / "image") / source[1:], MOUNT: volume}
        command = ["cp", "-r", f"{source}/.", MOUNT]
        subprocess.run([mapped(word, places) for word in command], check=True)
        places["http://collector:4318"] = arrivals.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
        environ = {name: mapped(value, places) for name, value in injected(own).items()}
        kubelet = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
        return sandbox.execute(python, "app.py", **own), sandbox.execute(
            python, "app.py", **kubelet, **environ
        )

    return start


def without_autotrace(out):
    return [line for line in out.splitlines() if not line.startswith("autotrace ")]


def test_the_layout_is_the_operators(payload):
    loader = payload / "opentelemetry" / "instrumentation" / "auto_instrumentation"
    assert [path.name for path in loader.iterdir()] == ["sitecustomize.py"]
    # As namespaces they merge with the packages of a program; with one of these they would hide them.
    assert list((payload / "opentelemetry").rglob("__init__.py")) == []


@pytest.mark.parametrize("libc", ["", "-musl"])
def test_a_pod_of_the_operator_is_traced(start, arrivals, libc):
    python = environment(interpreter("3.9"))
    plain, done = start(python, f"/autoinstrumentation{libc}", OTEL_RESOURCE_ATTRIBUTES="team=blue")
    assert (done.code, done.err, done.said) == (0, "", [])
    assert without_autotrace(done.out) == without_autotrace(plain.out)
    (span,) = arrivals.spans
    assert (span.name, span.service) == ("SELECT", "inventory")
    facts = {name: value for name, value in span.resource.items() if name.startswith(("k8s.", "team"))}
    assert facts == {
        "team": "blue",
        "k8s.container.name": "inventory",
        "k8s.deployment.name": "inventory",
        "k8s.namespace.name": "shop",
        "k8s.node.name": "node-4",
        "k8s.pod.name": "inventory-7d9f-x2",
        "k8s.pod.uid": "11-22",
    }


def test_what_the_container_says_itself_wins(start, sandbox, arrivals):
    own = str(sandbox.directory / "own")
    sandbox.write("own/mine.py", "")
    sandbox.write("own/sitecustomize.py", "import os, sys; os.environ['MARK'] = repr(sys.path)")
    python = environment(interpreter("3.13"))
    plain, done = start(python, PYTHONPATH=own, OTEL_SERVICE_NAME="mine")
    assert (done.code, done.err, done.said) == (0, "", [])
    assert f"mine {own}/mine.py" in done.out
    assert without_autotrace(done.out) == without_autotrace(plain.out)
    assert [(span.name, span.service) for span in arrivals.spans] == [("SELECT", "mine")]


@pytest.mark.parametrize(
    ("version", "packages"),
    [
        (
            "3.9",
            ["opentelemetry-sdk==1.20.0", "opentelemetry-instrumentation-flask==0.41b0", "setuptools<80"],
        ),
        ("3.13", ["opentelemetry-sdk", "opentelemetry-instrumentation-flask"]),
    ],
)
def test_a_programs_own_opentelemetry_is_the_one_it_gets(start, arrivals, version, packages):
    plain, done = start(environment(interpreter(version), *packages))
    assert (plain.code, done.code, done.err, done.said) == (0, 0, plain.err, [])
    assert "opentelemetry.sdk.version " in done.out
    assert without_autotrace(done.out) == without_autotrace(plain.out)
    assert [span.name for span in arrivals.spans] == ["SELECT"]
