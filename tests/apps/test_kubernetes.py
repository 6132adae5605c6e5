"""The manifests of integration_apps/kubernetes, executed as a kubelet would."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from jaeger_readers import BINARY_BATCH, read_with_apache
from payloads import environment, interpreter, mapped
from programs import backend

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "integration_apps" / "kubernetes"
POD = {"metadata.name": "inventory-7d9f-x2", "metadata.namespace": "shop", "spec.nodeName": "node-4"}

pytestmark = pytest.mark.slow


def documents(name):
    import yaml  # in the extra `libraries`

    return list(yaml.safe_load_all((MANIFESTS / f"{name}.yaml").read_text()))


def pod_of(name):
    (deployment,) = [document for document in documents(name) if document["kind"] == "Deployment"]
    return deployment["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", sorted(path.stem for path in MANIFESTS.glob("*.yaml")))
def test_manifests_are_what_kubernetes_understands(name):
    import kubernetes_validate  # in the extra `libraries`

    for document in documents(name):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def mounts(container, volumes, scratch):
    """Where the container's paths are on this machine."""
    assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in volumes}
    places = {}
    for mount in container["volumeMounts"]:
        directory = scratch / "volumes" / mount["name"]
        directory.mkdir(parents=True, exist_ok=True)
        places[mount["mountPath"]] = directory
    return places


def variables(container, places, kubelet):
    """The container's environment: the manifest's, with the pod's facts, and what a kubelet adds."""
    environ = dict(kubelet)
    for variable in container["env"]:
        source = variable.get("valueFrom")
        value = POD[source["fieldRef"]["fieldPath"]] if source else variable["value"]
        environ[variable["name"]] = mapped(value, places)
    return environ


@contextmanager
def running(command, **options):
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            said = ""
            for line in process.stderr:
                said += line
                found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", line)
                if found:
                    break
            else:
                pytest.fail(f"the server did not start: {said}")
            yield found[1]
        finally:
            process.kill()


def execute(name, python, payload, address, scratch):
    """Start the manifest's pod; gives the URL of its application."""
    pod = pod_of(name)
    image = {"/autoinstrumentation": payload}
    for container in pod["initContainers"]:
        places = {**image, **mounts(container, pod["volumes"], scratch)}
        subprocess.run([mapped(word, places) for word in container["command"]], check=True)
    (container,) = pod["containers"]
    places = mounts(container, pod["volumes"], scratch)
    # The names of services, and of addresses, are this machine's.
    places = {**places, address[0]: address[1], "0.0.0.0": "127.0.0.1", "5001": "0"}
    kubelet = {
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "PATH": str(Path(python).parent),
        "HOSTNAME": "inventory-7d9f-x2",
    }
    command = [python if word == "python" else word for word in container["command"]]
    directory = mapped(container["workingDir"], {"/app": ROOT / "integration_apps" / "shop"})
    return running(command, cwd=directory, env=variables(container, places, kubelet))


def arrived(backend, read):
    """The spans, once the request's are there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        spans = [span for request in list(backend.received) for span in read(request)]
        if {"GET /stock/<int:number>", "SELECT products"} <= {span[1] for span in spans}:
            return spans
        time.sleep(0.02)
    raise AssertionError(f"the trace did not arrive: {backend.received}")


def from_jaeger(request):
    assert request.line == "POST /api/traces HTTP/1.1"
    batch = read_with_apache(BINARY_BATCH, request.body)
    facts = dict(batch.process_tags)
    return [
        (
            batch.service,
            span["name"],
            f"{span['trace_id']:032x}",
            facts["k8s.pod.name"],
            facts["k8s.node.name"],
        )
        for span in batch.spans
    ]


def from_zipkin(request):
    assert request.line == "POST /api/v2/spans HTTP/1.1"
    return [
        (
            span["localEndpoint"]["serviceName"],
            # Zipkin has names in lower case.
            span["name"].replace("get", "GET").replace("select", "SELECT"),
            span["traceId"],
            span["tags"]["k8s.pod.name"],
            span["tags"]["k8s.node.name"],
        )
        for span in json.loads(request.body)
    ]


BACKENDS = {
    "jaeger": ("jaeger-collector:14268", from_jaeger, "uber-trace-id", "{trace}:{span}:0:1"),
    "zipkin": ("zipkin:9411", from_zipkin, "b3", "{trace}-{span}-1"),
}


@pytest.mark.parametrize("version", ["3.9", "3.13"])
@pytest.mark.parametrize("name", BACKENDS)
def test_a_manifest_traces_an_application_that_knows_nothing_of_it(tmp_path, payload, name, version):
    host, read, header, form = BACKENDS[name]
    python = environment(interpreter(version), "flask")
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with backend() as served:
        address = (host, f"127.0.0.1:{served.port}")
        with execute(name, python, payload, address, tmp_path) as url:
            headers = {header: form.format(trace=trace, span=span)}
            request = urllib.request.Request(f"{url}/stock/1", headers=headers)
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert json.load(answer)["name"] == "kettle"
            spans = arrived(served, read)
    in_trace = {found for found in spans if found[2] == trace}
    assert in_trace == {
        ("inventory", "GET /stock/<int:number>", trace, "inventory-7d9f-x2", "node-4"),
        ("inventory", "SELECT products", trace, "inventory-7d9f-x2", "node-4"),
    }
