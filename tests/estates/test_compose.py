"""`integration_apps/docker-compose.yml`: what it names exists, and its Dockerfile makes images that start.

No engine is needed: the file is read, the steps of the Dockerfiles are performed in a scratch directory
(`dockerfile.py`), and the estate's services are started by their commands, on free ports of this machine.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from dockerfile import instructions, perform

from autotrace.settings.names import NAMES

APPS = Path(__file__).parents[2] / "integration_apps"
COMPOSE = yaml.safe_load((APPS / "docker-compose.yml").read_text())
COLLECTOR = yaml.safe_load((APPS / "collector.yaml").read_text())
SERVICES = COMPOSE["services"]
PYTHON = {name for name, service in SERVICES.items() if "x-python" and service.get("image") == COMPOSE["x-python"]["image"]}
NODE = {name for name, service in SERVICES.items() if name.startswith("node-")}
URL = re.compile(r"http://([\w-]+):(\d+)(?:/\S*)?")

every_service = pytest.mark.parametrize("name", SERVICES)


def test_every_service_of_the_directory_is_there():
    programs = {path.stem for where in ("shop", "polyglot") for path in (APPS / where).glob("*.py")} - {"demo"}
    assert {name.replace("-", "_") for name in PYTHON | NODE} == programs | {
        path.parent.name for path in APPS.glob("node_*/server.js")
    }


@every_service
def test_images_are_pinned_and_named_without_a_host(name):
    service = SERVICES[name]
    if "build" not in service:
        image, _, tag = service["image"].partition(":")
        assert re.fullmatch(r"\d+\.\d+\.\d+", tag)
        assert "." not in image.partition("/")[0]


@every_service
def test_files_exist(name):
    service = SERVICES[name]
    for volume in service.get("volumes", []):
        assert (APPS / volume.partition(":")[0]).is_file()
    if "build" in service:
        context = APPS / service["build"]["context"]
        file = context / service["build"]["dockerfile"]
        for word, rest in instructions(file):
            if word == "COPY" and "--from" not in rest:
                *sources, _ = [each for each in rest.split() if not each.startswith("--")]
                assert all((context / source).exists() for source in sources)
    assert set(service.get("depends_on", [])) <= set(SERVICES)


@every_service
def test_variables_are_read_by_the_program(name):
    for variable in SERVICES[name].get("environment", {}):
        if name in PYTHON and variable.startswith(("OTEL_", "AUTOTRACE_")):
            assert variable in NAMES
        elif variable not in {"JAEGER_AGENT_HOST", "OTEL_EXPORTER_OTLP_ENDPOINT"}:  # read by packages of Node's
            assert f'"{variable}"' in source_of(name) or re.search(rf"\b{variable}\b", source_of(name))


def source_of(name):
    service = SERVICES[name]
    directory = Path(service.get("working_dir", "/app/shop")).name if name in PYTHON else name.replace("-", "_")
    return (APPS / directory / ("server.js" if name in NODE else f"{name}.py")).read_text()


def listens(name):
    """The ports that a service listens on, inside of the network."""
    service = SERVICES[name]
    if name == "collector":
        return {int(port) for port in re.findall(r"0\.0\.0\.0:(\d+)", str(COLLECTOR["receivers"]))}
    if name == "jaeger":
        return {4317, 16686}
    if name == "zipkin":
        return {9411}
    if name in NODE:
        return {int(dict(part.split("=") for part in dict(instructions(APPS / "Dockerfile.node"))["ENV"].split())["PORT"])}
    port = re.search(r"(?:0\.0\.0\.0:|--port )(\d+)", " ".join(service["command"]))
    return {int(port[1] if port else service["environment"]["PORT"])}


@every_service
def test_urls_lead_to_a_service_and_a_port_that_it_has(name):
    urls = URL.findall(" ".join(map(str, SERVICES[name].get("environment", {}).values())))
    assert urls or name not in PYTHON | NODE
    assert all(int(port) in listens(host) for host, port in urls)


@every_service
def test_published_ports_are_listened_on_and_published_on_loopback_once(name):
    for published in SERVICES[name].get("ports", []):
        host, _, inside = published.rpartition(":")
        assert host.startswith("127.0.0.1:")
        assert int(inside) in listens(name)
    every = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len({port.rpartition(":")[0] for port in every}) == len(every)


def test_the_collector_uses_what_it_defines():
    pipeline = COLLECTOR["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert sorted(pipeline[kind]) == sorted(COLLECTOR[kind])
    endpoints = [exporter["endpoint"] for exporter in COLLECTOR["exporters"].values()]
    for host, port in re.findall(r"(?:http://)?([a-z]+):(\d+)", " ".join(endpoints)):
        assert int(port) in listens(host)
