"""Who this process is: the resource of all its spans.

Spec: https://opentelemetry.io/docs/specs/semconv/resource/
"""

from __future__ import annotations

import os
import platform
import re
import sys
from typing import TYPE_CHECKING, Any

from autotrace import __version__, notices
from autotrace.bootstrap.plugins import load
from autotrace.tracing.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from autotrace.settings import Settings

_ARCHITECTURES: Final = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "i686": "x86"}
_CONTAINER_ID: Final = r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])"
_NAMESPACE_FILE: Final = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_KUBERNETES: Final = {
    "k8s.pod.name": ("OTEL_RESOURCE_ATTRIBUTES_POD_NAME", "POD_NAME", "HOSTNAME"),
    "k8s.pod.uid": ("OTEL_RESOURCE_ATTRIBUTES_POD_UID", "POD_UID"),
    "k8s.node.name": ("OTEL_RESOURCE_ATTRIBUTES_NODE_NAME", "NODE_NAME"),
    "k8s.namespace.name": ("POD_NAMESPACE",),
}


def detect(settings: Settings, environ: Mapping[str, str]) -> Resource:
    """Gather the facts of this process; what the operator has set wins. Again after a fork."""
    attributes: dict[str, Any] = {
        "telemetry.sdk.name": "autotrace",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": __version__,
        "service.instance.id": _instance_id(),
        **_process(),
        **_host(),
        **_container(),
        **_kubernetes(environ),
        **_detectors(settings.experimental_resource_detectors),
        **dict(settings.resource_attributes),
    }
    if settings.service_name:
        attributes["service.name"] = settings.service_name
    attributes.setdefault("service.name", f"unknown_service:{attributes['process.executable.name']}")
    return Resource(attributes)


def _instance_id() -> str:
    """A random UUID (version 4), without the 3 ms of importing `uuid`."""
    digits = bytearray(os.urandom(16))
    digits[6] = digits[6] & 0x0F | 0x40
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _process() -> dict[str, Any]:
    return {
        "process.pid": os.getpid(),
        "process.executable.name": os.path.basename(sys.executable or "python"),  # noqa: PTH119 - pathlib costs 4 ms
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": ".".join(str(part) for part in sys.version_info[:3]),
        "process.runtime.description": sys.version.replace("\n", ""),
    }


def _host() -> dict[str, Any]:
    machine = platform.machine()
    return {
        "host.name": platform.node(),
        "host.arch": _ARCHITECTURES.get(machine, machine),
        "os.type": sys.platform,
    }


def _container() -> dict[str, Any]:
    """Docker, containerd and CRI-O leave the id in the cgroup (v1) or in the mounts (v2)."""
    for path, marks in (("/proc/self/cgroup", ()), ("/proc/self/mountinfo", ("/containers/", "/sandboxes/"))):
        try:
            with open(path, encoding="utf-8", errors="replace") as lines:  # noqa: PTH123
                for line in lines:
                    found = re.search(_CONTAINER_ID, line)
                    if found and (not marks or any(mark in line for mark in marks)):
                        return {"container.id": found[1]}
        except OSError:
            continue
    return {}


def _kubernetes(environ: Mapping[str, str]) -> dict[str, Any]:
    if "KUBERNETES_SERVICE_HOST" not in environ:
        return {}
    facts = {}
    for attribute, names in _KUBERNETES.items():
        value = next((environ[name] for name in names if environ.get(name)), None)
        if value is not None:
            facts[attribute] = value
    if "k8s.namespace.name" not in facts:
        try:
            with open(_NAMESPACE_FILE, encoding="utf-8") as file:  # noqa: PTH123
                facts["k8s.namespace.name"] = file.read(256).strip()
        except OSError:
            pass
    return facts


def _detectors(names: tuple[str, ...]) -> dict[str, Any]:
    """Plug-ins of the SDK's protocol; `otel` stands for the facts above."""
    facts: dict[str, Any] = {}
    for name in names:
        if name == "otel":
            continue
        detector = load("opentelemetry_resource_detector", name)
        if detector is None:
            notices.warn(f"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS: {name!r} is not known and left out")
            continue
        try:
            facts.update(detector().detect().attributes)
        except Exception as error:
            notices.warn(f"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS: {name!r} failed with {error!r:.300}")
    return facts
