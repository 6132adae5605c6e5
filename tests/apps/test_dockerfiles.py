"""Dockerfile.example and Dockerfile.payload: their steps performed, and what they make started."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import urllib.request
from contextlib import nullcontext
from pathlib import Path

import pytest
from dockerfile import perform
from payloads import environment, interpreter, mapped
from programs import PYTHON

ROOT = Path(__file__).resolve().parents[2]

APP = """
from flask import Flask

app = Flask(__name__)

@app.get("/hello/<name>")
def hello(name):
    return f"hello {name}"
"""

QUERY = "import sqlite3; sqlite3.connect(':memory:').execute('SELECT 42').fetchone()"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    directory = tmp_path_factory.mktemp("wheel")
    command = [PYTHON, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(directory), str(ROOT)]
    subprocess.run(command, check=True, timeout=110)
    (wheel,) = directory.iterdir()
    return wheel


@pytest.mark.slow
def test_the_example_is_an_application_that_is_traced_and_not_root(tmp_path, arrivals, wheel):
    context = tmp_path / "context"
    context.mkdir()
    (context / "app.py").write_text(APP)
    (context / "requirements.txt").write_text("flask\ngunicorn\n")
    shutil.copy(wheel, context)
    image = perform(ROOT / "Dockerfile.example", context, tmp_path / "image")
    assert image.user == "app"
    assert image.command[0] == "autotrace-run"

    places = {
        "http://collector:4318": arrivals.environ["OTEL_EXPORTER_OTLP_ENDPOINT"],
        "0.0.0.0:8000": "127.0.0.1:0",
    }
    command = [mapped(word, places) for word in image.command]
    environ = {name: mapped(value, places) for name, value in image.environ.items()}
    command[0] = shutil.which(command[0], path=environ["PATH"])
    with subprocess.Popen(
        command, cwd=image.workdir, env=environ, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said = ""
            for line in process.stderr:
                said += line
                if found := re.search(r"Listening at: (http://127\.0\.0\.1:\d+)", line):
                    break
            else:
                pytest.fail(f"the server did not start: {said}")
            # The container's first process is the server itself.
            assert b"gunicorn" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
            with urllib.request.urlopen(f"{found[1]}/hello/you", timeout=30) as answer:
                assert answer.read() == b"hello you"
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        finally:
            process.kill()
    (span,) = arrivals.spans
    assert (span.kind, span.name, span.service) == ("SERVER", "GET /hello/<name>", "shop")


@pytest.mark.slow
def test_the_payload_image_serves_an_init_container_and_the_operator(tmp_path, sandbox, arrivals, wheel):
    context = tmp_path / "context"
    context.mkdir()
    shutil.copy(wheel, context)
    image = perform(ROOT / "Dockerfile.payload", context, tmp_path / "image")
    assert image.user == "65534"
    python = environment(interpreter("3.9"))
    copy = ["busybox", "cp"] if shutil.which("busybox") else ["cp"]  # the image's own, where it is at hand
    for source, bootstrap in (
        ("autoinstrumentation", "bootstrap"),
        ("autoinstrumentation-musl", "opentelemetry/instrumentation/auto_instrumentation"),
    ):
        volume = tmp_path / source
        volume.mkdir()
        subprocess.run([*copy, "-r", f"{image.root / source}/.", str(volume)], check=True)
        path = {"PYTHONPATH": str(volume / bootstrap), **arrivals.environ}
        done = sandbox.execute(python, "-c", QUERY, **path)
        assert (done.code, done.err, done.said) == (0, "", [])
    assert [span.name for span in arrivals.spans] == ["SELECT", "SELECT"]


RIGHT = """
FROM busybox:1 AS build
RUN mkdir /made
RUN echo it > /made/it
FROM busybox:1
RUN useradd --system app
COPY --from=build /made /opt
COPY --chown=app own.txt /opt/
WORKDIR /opt
USER app
RUN test -f it -a -f /opt/own.txt
"""


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("", ""),
        ("COPY --from=build /made", "COPY --from=build /mad"),
        ("/made /opt", "/made /usr"),
        ("own.txt /opt/", "one.txt /opt/"),
        ("--chown=app", "--chown=application"),
        ("WORKDIR /opt", "WORKDIR /made"),
        ("USER app", "USER application"),
    ],
)
def test_a_wrong_path_or_name_would_be_noticed(tmp_path, line, wrong):
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "own.txt").write_text("")
    file = tmp_path / "Dockerfile"
    file.write_text(RIGHT.replace(line, wrong))
    with pytest.raises(AssertionError) if line else nullcontext():
        perform(file, tmp_path / "context", tmp_path / "image")
