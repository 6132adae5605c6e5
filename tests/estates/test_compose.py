"""`integration_apps/docker-compose.yml`: what it names exists, and its Dockerfile makes images that start.

No engine is needed: the file is read, the steps of the Dockerfile are performed in a scratch directory
(`dockerfile.py`), and the shop is started out of it by its commands, on free ports of this machine.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from dockerfile import instructions, perform
from network_servers import free_port, wait_until
from payloads import mapped
from ui_process import stored_in, user_interface

from autotrace.settings.names import NAMES

yaml = pytest.importorskip("yaml", reason="in the extra `libraries`")

APPS = Path(__file__).parents[2] / "integration_apps"
COMPOSE = yaml.safe_load((APPS / "docker-compose.yml").read_text())
COLLECTOR = yaml.safe_load((APPS / "collector.yaml").read_text())
SERVICES = COMPOSE["services"]
IMAGE = COMPOSE["x-python"]["image"]
PYTHON = {name for name, service in SERVICES.items() if service.get("image") == IMAGE}
NODE = {name for name, service in SERVICES.items() if name.startswith("node-")}
URL = re.compile(r"http://([\w-]+):(\d+)(?:/\S*)?")

READ_BY_PACKAGES = {"JAEGER_AGENT_HOST", "OTEL_EXPORTER_OTLP_ENDPOINT"}
"""Of Node's: jaeger-client, and OpenTelemetry's SDK."""

every_service = pytest.mark.parametrize("name", SERVICES)


def test_every_service_of_the_directory_is_there():
    python = {path.stem for where in ("shop", "polyglot") for path in (APPS / where).glob("*.py")}
    node = {path.parent.name.replace("_", "-") for path in APPS.glob("node_*/server.js")}
    assert python - {"demo", "demo_ui"} == PYTHON
    assert node == NODE


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
        elif variable not in READ_BY_PACKAGES:
            assert re.search(rf"\b{variable}\b", source_of(name))


def source_of(name):
    if name in NODE:
        return (APPS / name.replace("-", "_") / "server.js").read_text()
    directory = Path(SERVICES[name].get("working_dir", "/app/shop")).name
    return (APPS / directory / f"{name}.py").read_text()


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
        return {int(rest) for word, rest in instructions(APPS / "Dockerfile.node") if word == "EXPOSE"}
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


@contextmanager
def started(name, image, places):
    """A Python service of the file, out of its image, where `places` says instead of the network's."""
    service = SERVICES[name]
    variables = {key: mapped(str(value), places) for key, value in service["environment"].items()}
    environ = {**image.environ, **variables, "PORT": places.get(f"port of {name}", ""), "HOST": "127.0.0.1"}
    command = [image.command[0], *(mapped(word, places) for word in service["command"])]
    workdir = image.root / Path(service.get("working_dir", "/app/shop")).relative_to("/")
    command[0] = shutil.which(command[0], path=environ["PATH"])
    with subprocess.Popen(command, cwd=workdir, env=environ, stderr=subprocess.DEVNULL) as process:
        try:
            yield
            process.terminate()
            process.wait(60)
        finally:
            process.kill()


def answers(port):
    """Whether something speaks HTTP there, be it to say that it has no such page."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/none", timeout=30).close()
    except urllib.error.HTTPError:
        pass
    except OSError:
        return False
    return True


@pytest.mark.slow
def test_the_shop_out_of_its_image_is_one_trace(tmp_path):
    image = perform(APPS / "Dockerfile", APPS.parent, tmp_path / "image")
    assert image.user == "app"
    front, stock = free_port(), free_port()
    with user_interface(tmp_path / "home") as collector:
        places = {
            "http://collector:4318": f"http://127.0.0.1:{collector.port('otlp')}",
            "http://collector:9411": f"http://127.0.0.1:{collector.port('zipkin')}",
            "http://inventory:5001": f"http://127.0.0.1:{stock}",
            "0.0.0.0:5000": f"127.0.0.1:{front}",
            "/tmp/inventory.db": str(tmp_path / "inventory.db"),
            "port of inventory": str(stock),
        }
        with started("inventory", image, places), started("storefront", image, places):
            wait_until(lambda: answers(front))
            wait_until(lambda: answers(stock))
            with urllib.request.urlopen(f"http://127.0.0.1:{front}/products/1", timeout=30) as answer:
                assert answer.status == 200
            spans = collector.stored("storefront", 3)
            (trace,) = {span.trace_id for span in spans if span.name == "GET /products/<int:number>"}

            def names():
                spans = stored_in(collector.home, "inventory")
                return {span.name for span in spans if span.trace_id == trace}

            wait_until(lambda: names() == {"GET /stock/<int:number>", "SELECT products"})
