"""Each row of the hook table: traced in either import order, harmless when broken, taken back as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from glob import glob
from importlib.util import find_spec
from pathlib import Path

import pytest
from scenarios import SCENARIOS

from autotrace.cli.run import bootstrap_directory
from autotrace.instrumentation.hooks import HOOKS

CHILD = str(Path(__file__).with_name("child.py"))


def is_installed(hook):
    """Whether the module is there; looked up by its file, as `find_spec` would import what is above it."""
    package, *below = hook.module.split(".")
    spec = find_spec(package)
    if spec is None or not below:
        return spec is not None
    return any(glob(f"{place}/{'/'.join(below)}*") for place in spec.submodule_search_locations or ())


# Every interpreter has the libraries of the extra `test`; one has those of `libraries` too.
ROWS = [hook for hook in HOOKS if is_installed(hook)]
every_row = pytest.mark.parametrize("hook", ROWS, ids=lambda hook: hook.module)


@pytest.fixture
def url_for(request):
    """The server that a row's scenario works with."""
    return lambda hook: request.getfixturevalue(SCENARIOS[hook.module].server)


def environment(*python_path):
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("OTEL_", "AUTOTRACE_", "PYTHON")) and not name.lower().endswith("_proxy")
    }
    path = os.pathsep.join([*python_path, str(Path(CHILD).parent)])
    # eventlet's own DNS client imports trio where that is installed, which then fails on its sockets.
    # gRPC tells on stderr of connections that end, when it happens to notice.
    plain = {"PYTHONDONTWRITEBYTECODE": "1", "EVENTLET_NO_GREENDNS": "yes", "GRPC_VERBOSITY": "NONE"}
    return {**kept, **plain, "PYTHONPATH": path, "OTEL_TRACES_EXPORTER": "none"}


@pytest.fixture
def once(url_for):
    """Run a scenario in a fresh interpreter that `sitecustomize` has armed."""

    def run(hook, **variables):
        words = [sys.executable, CHILD, "once", json.dumps({"module": hook.module, "url": url_for(hook)})]
        environ = {**environment(bootstrap_directory()), **variables}
        done = subprocess.run(words, check=False, capture_output=True, text=True, env=environ, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def forks():
    """An interpreter that serves each job in a fork of its own, where the row's library comes first."""
    everywhere = [
        hook.module for hook in HOOKS if not hook.versions
    ]  # the standard library's, OpenTelemetry's
    words = [sys.executable, CHILD, "forks", *everywhere]
    child = subprocess.Popen(
        words, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    with child:
        assert child.stdout.readline() == "ready\n"
        yield child
        child.stdin.close()
        assert child.wait(60) == 0


@pytest.fixture
def late(forks, url_for):
    """Run a scenario with the library imported already: untraced, armed, and disarmed."""

    def run(hook, **job):
        forks.stdin.write(json.dumps({"module": hook.module, "url": url_for(hook), **job}) + "\n")
        report = json.loads(forks.stdout.readline())
        assert "failed" not in report, report["failed"]
        return report

    return run


def tree(text):
    return textwrap.dedent(text).lstrip("\n").rstrip() + "\n" if text.strip() else ""


def begin_alike(said, beginnings):
    return len(said) == len(beginnings) and all(map(str.startswith, said, beginnings))


def test_every_row_has_a_scenario_and_every_scenario_a_row():
    assert sorted(SCENARIOS) == sorted(hook.module for hook in HOOKS)


@pytest.mark.skipif(find_spec("gunicorn") is None, reason="without the extra `libraries`")
def test_the_extra_libraries_has_every_library_of_the_table():
    # One needs a client library of the system to be built.
    wanted = [hook for hook in HOOKS if hook.library != "mysqlclient" or hook in ROWS]
    assert wanted == ROWS


@every_row
def test_a_library_imported_later_is_traced(once, hook):
    scenario = SCENARIOS[hook.module]
    report = once(hook)
    assert report["early"] == (hook.module == "os")  # which Python itself imports
    assert report["trace"] == tree(scenario.trace)
    assert begin_alike(report["said"], scenario.says), report["said"]


@every_row
def test_a_library_imported_before_is_traced_and_left_as_it_was(late, hook):
    scenario = SCENARIOS[hook.module]
    report = late(hook)
    assert report["results"][hook.module] == ["instrumented", ""]
    assert report["trace"] == tree(scenario.trace)
    assert begin_alike(report["said"], scenario.says), report["said"]
    assert report["output"] == report["plain"]
    # Undo.
    assert report["patched"]
    assert report["left"] == []
    assert report["trace after"] == ""
    assert report["output after"] == report["plain"]
    assert report["said after"] == []


@every_row
@pytest.mark.parametrize("where", ["before", "after"])
def test_a_broken_observer_is_invisible(late, hook, where):
    report = late(hook, broken=where)
    assert report["output"] == report["plain"]
    assert report["output after"] == report["plain"]
    if where == "after" and not SCENARIOS[hook.module].after:
        return
    assert len([line for line in report["said"] if "broken on purpose" in line]) == 1, report["said"]
    assert report["said after"] == []


@every_row
def test_a_broken_installer_costs_that_row_alone(late, hook):
    report = late(hook, broken="installer")
    name, (state, reason) = hook.module, report["results"][hook.module]
    assert (state, reason) == ("failed", "RuntimeError('broken on purpose')")
    assert report["said"][0] == f"{hook.library} is not traced: its instrumentation failed with {reason}"
    others = {module: result for module, (result, _) in report["results"].items() if module != name}
    assert set(others.values()) <= {"instrumented", "not imported"}
    assert others.get("http.client", "instrumented") == "instrumented"
    assert report["output"] == report["plain"]
    assert report["left"] == []


@every_row
def test_a_library_can_be_switched_off(late, hook):
    report = late(hook, environ={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": hook.library})
    assert report["results"][hook.module] == ["disabled", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"]
    assert report["trace"] == tree(SCENARIOS[hook.module].without)
    assert report["output"] == report["plain"]
    assert report["said"] == []


@pytest.mark.parametrize("hook", [hook for hook in ROWS if hook.versions], ids=lambda hook: hook.module)
def test_an_unsupported_version_is_reported_and_left_alone(late, hook, tmp_path):
    installed = tmp_path / f"{hook.distribution.replace('-', '_')}-0.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {hook.distribution}\nVersion: 0.1.0\n")
    report = late(hook, path=[str(tmp_path)])
    reason = f"version 0.1.0 is installed, {hook.versions} is supported"
    assert report["results"][hook.module] == ["unsupported version", reason]
    assert f"{hook.library} is not traced: {reason}" in report["said"]
    assert report["trace"] == tree(SCENARIOS[hook.module].without)
    assert report["output"] == report["plain"]
