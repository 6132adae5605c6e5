"""`autotrace payload DIR` and `PYTHONPATH=DIR/bootstrap`, for programs that have never heard of autotrace."""

from __future__ import annotations

import ast
import os
import shutil
import stat
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import pytest
from payloads import environment, interpreter, write_payload
from programs import PYTHON

from autotrace.cli.payload import redirected

QUERY = """
import sqlite3, sys
connection = sqlite3.connect(":memory:")
print(connection.execute("SELECT 42").fetchone())
connection.close()
sys.exit(3)
"""

INVENTORY = """
import importlib, os, sys

API = "opentelemetry.version opentelemetry.trace opentelemetry._events opentelemetry.propagators._envcarrier"
OTHERS = "wrapt typing_extensions importlib_metadata zipp google.protobuf sitecustomize bundled bootstrap"

def look(names):
    found = []
    for name in names.split():
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            print(name, "is not there:", error)
        else:
            print(name, getattr(module, "__file__", ""), getattr(module, "__version__", ""))
            found.append(name)
    return found

found = look(API)
look(OTHERS)
print(sys.path, os.environ.get("MARK"))
import sqlite3
connection = sqlite3.connect(":memory:")
print(connection.execute("SELECT 42").fetchone())
connection.close()
try:
    import requests
except ImportError:
    print("no requests")
else:
    print(requests.__version__, requests.__file__, requests.get(os.environ["ECHO"]).status_code)
look(OTHERS)
if found:
    look(API)
    print(sys.path)
"""
"""What the program finds under names that a payload might bring, before it uses two libraries that are
traced, and after; the API only where it has one of its own."""


@pytest.fixture
def bare(sandbox):
    """A Python without any package, and the program."""
    sandbox.write("app.py", INVENTORY)
    return environment(PYTHON)


def files(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


# What is written.


def test_a_payload_is_pure_python_that_every_interpreter_from_3_9_up_can_read(payload):
    for name in files(payload):
        path = payload / name
        if name.endswith(".py"):
            ast.parse(path.read_text(), feature_version=(3, 9))
        else:
            assert path.name in {"AUTOTRACE-PAYLOAD", "METADATA", "entry_points.txt", "LICENSE"}, name
    assert [path.name for path in (payload / "bootstrap").iterdir()] == ["sitecustomize.py"]
    assert {path.name for path in payload.iterdir()} == {
        "AUTOTRACE-PAYLOAD",
        "autotrace",
        "bootstrap",
        "opentelemetry",
        "opentelemetry-api",
    }
    # The oldest Python that is served decides about the version.
    metadata = next((payload / "opentelemetry-api").glob("*.dist-info")) / "METADATA"
    assert "Requires-Python: >=3.9\n" in metadata.read_text()


@pytest.mark.slow
def test_a_payload_is_replaced_as_a_whole_and_nothing_else_is_touched(tmp_path, payload):
    target = tmp_path / "payload"
    shutil.copytree(payload, target)
    (target / "autotrace" / "left_over.py").write_text("")
    before = os.umask(0o077)
    try:
        done = write_payload(target)
    finally:
        os.umask(before)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"\nPYTHONPATH={target}/bootstrap\n")
    assert not (target / "autotrace" / "left_over.py").exists()

    # Everybody can read it, whatever the umask.
    for path in [target, *target.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path

    # Failing, it changes nothing.
    (target / "autotrace" / "left_over.py").write_text("")
    done = write_payload(target, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("autotrace: pip cannot install what a payload needs: ")
    assert (target / "autotrace" / "left_over.py").exists()

    # What somebody else has put there stays.
    (target / "theirs").write_text("")
    done = write_payload(target)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"autotrace: {target} holds what is not a payload's (theirs): choose an empty directory\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["payload"]


@pytest.mark.parametrize("what", ["a directory", "a file", "not a payload"])
def test_a_directory_of_somebody_else_is_refused(tmp_path, what):
    target = tmp_path / "target"
    if what == "a file":
        target.write_text("")
    else:
        target.mkdir()
        (target / ("autotrace" if what == "not a payload" else "theirs")).mkdir()
    before = list(tmp_path.rglob("*"))
    done = write_payload(target)
    assert done.returncode == 1
    assert "choose an empty directory" in done.stderr
    assert list(tmp_path.rglob("*")) == before


IMPORT_ALL = """
import importlib, pathlib, sys

home = pathlib.Path(sys.argv[1])
sys.path[:0] = [str(home), str(home / "opentelemetry-api")]
for file in sorted(home.joinpath("autotrace").rglob("*.py")):
    name = ".".join(file.relative_to(home).with_suffix("").parts).replace(".__init__", "")
    try:
        importlib.import_module(name)
    except ImportError as error:
        # What plug-ins bring, and what a library that is traced brings.
        print(name, error.name)
from autotrace.bundled import wrapt
proxy = wrapt.ObjectProxy([1])
proxy.append(2)
assert (list(proxy), isinstance(proxy, list)) == ([1, 2], True)
assert not any(name in sys.modules for name in ("wrapt", "typing_extensions", "importlib_metadata"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_part_of_it_can_be_imported(sandbox, payload, version):
    sandbox.write("all.py", IMPORT_ALL)
    done = sandbox.execute(environment(interpreter(version)), "all.py", str(payload))
    assert (done.code, done.err) == (0, "")
    print(done.out)
    lacking = {line.split()[1].partition(".")[0] for line in done.out.splitlines()}
    assert not lacking & {"autotrace", "wrapt", "typing_extensions", "importlib_metadata", "zipp"}


@pytest.mark.parametrize(
    ("line", "turned"),
    [
        ("from wrapt import a", "from autotrace.bundled.wrapt import a"),
        ("    from typing_extensions import (", "    from autotrace.bundled.typing_extensions import ("),
        ("from wrapt.proxies import a", "from autotrace.bundled.wrapt.proxies import a"),
        ("import wrapt  # why", "from autotrace.bundled import wrapt  # why"),
        ("import wrapt as w", "from autotrace.bundled import wrapt as w"),
        ("from importlib_metadata import a", "from autotrace.bundled.importlib_metadata import a"),
        ("from wrapture import a", "from wrapture import a"),
        ("from .wrapt import a", "from .wrapt import a"),
        ("import wrapt.proxies", "import wrapt.proxies"),  # which fails when the payload is written
        ("name = 'import wrapt'", "name = 'import wrapt'"),
    ],
)
def test_imports_are_turned(line, turned):
    assert redirected(f"import sys\n{line}\n") == f"import sys\n{turned}\n"


def test_a_mount_point_is_refused():
    done = write_payload(Path("/proc"))
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == "autotrace: /proc is a mount point and cannot be replaced: choose a directory in it\n"
    )


# A program that it is injected into.


def test_a_program_without_any_package_is_traced_and_finds_none(sandbox, arrivals, payload, bare):
    plain = sandbox.execute(bare, "app.py")
    done = sandbox.execute(bare, "app.py", PYTHONPATH=str(payload / "bootstrap"), **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, plain.out, "", [])
    assert [span.name for span in arrivals.spans] == ["SELECT"]
    assert "no requests" in done.out


def test_where_a_program_has_no_opentelemetry_api_the_payloads_serves_it_too(sandbox, arrivals, payload):
    """Even where it has other parts of that namespace."""
    sandbox.write("own/opentelemetry/proto/__init__.py", "")
    sandbox.write(
        "app.py",
        """
        import sys
        before = list(sys.path)
        import sqlite3
        import opentelemetry.proto
        connection = sqlite3.connect(":memory:")
        from opentelemetry import trace
        with trace.get_tracer("mine").start_as_current_span("by hand"):
            connection.execute("SELECT 42")
        connection.close()
        print(opentelemetry.proto.__file__, sys.path[:-1] == before, sys.path[-1])
        """,
    )
    own = str(sandbox.directory / "own")
    path = os.pathsep.join([str(payload / "bootstrap"), own])
    done = sandbox.execute(environment(PYTHON), "app.py", PYTHONPATH=path, **arrivals.environ)
    joined = payload / "opentelemetry-api"
    assert done[:4] == (0, f"{own}/opentelemetry/proto/__init__.py True {joined}\n", "", [])
    assert arrivals.tree == "app mine INTERNAL by hand\n  app autotrace.sqlite3 CLIENT SELECT\n"


@pytest.mark.parametrize("where", ["on PYTHONPATH", "in site-packages"])
def test_its_own_sitecustomize_and_python_path_stay_in_force(sandbox, arrivals, payload, where):
    python = environment(PYTHON)
    sandbox.write("app.py", INVENTORY)
    own = "import os; os.environ['MARK'] = __file__\n"
    first, second = sandbox.directory / "first", sandbox.directory / "second"
    second.mkdir()
    sandbox.write("first/mine.py", "")
    path = os.pathsep.join([str(first), str(second)])
    if where == "on PYTHONPATH":
        sandbox.write("second/sitecustomize.py", own)
    else:
        python = (
            shutil.copytree(Path(python).parents[1], sandbox.directory / "env", symlinks=True) / "bin/python"
        )
        (site,) = python.parents[1].glob("lib/*/site-packages")
        (site / "sitecustomize.py").write_text(own)
    plain = sandbox.execute(str(python), "app.py", PYTHONPATH=path)
    of_the_distribution = Path(sysconfig.get_path("stdlib"), "sitecustomize.py")  # Debian's comes first
    if where == "on PYTHONPATH" or not of_the_distribution.exists():
        assert str(sandbox.directory) in plain.out.rsplit("] ", 1)[1]  # the mark
    path = os.pathsep.join([str(payload / "bootstrap"), path])
    done = sandbox.execute(str(python), "app.py", PYTHONPATH=path, **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, plain.out, "", [])
    assert [span.name for span in arrivals.spans] == ["SELECT"]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7", "3.8"])
def test_an_interpreter_that_is_too_old_runs_on_with_one_line(sandbox, payload, version):
    sandbox.write("app.py", "import os, sys, sitecustomize; print(sitecustomize.__file__); sys.exit(3)")
    own = sandbox.write("own/sitecustomize.py", "")
    path = os.pathsep.join([str(payload / "bootstrap"), str(own.parent)])
    done = sandbox.execute(interpreter(version), "app.py", PYTHONPATH=path)
    assert (done.code, done.out, done.err) == (3, f"{own}\n", "")
    assert done.said == ["needs Python 3.9 or newer, this program runs untraced"]


def test_sitecustomize_is_written_in_the_python_of_old(payload):
    """Where those interpreters are not at hand: the grammar, and the branch."""
    for directory in ("bootstrap", "opentelemetry/instrumentation/auto_instrumentation"):
        file = payload / directory / "sitecustomize.py"
        ast.parse(file.read_text(), feature_version=(3, 4))
        code = f"""
import sys
import sysconfig
sys.version_info = (3, 8, 20, "final", 0)
try:
    exec(compile(open({str(file)!r}).read(), {str(file)!r}, "exec"), {{"__file__": {str(file)!r}}})
except ImportError:
    pass
assert not any(name.startswith("autotrace") for name in sys.modules)
"""
        done = subprocess.run([PYTHON, "-S", "-c", code], check=False, capture_output=True, text=True, env={})
        assert done.returncode == 0, done.stderr
        assert done.stderr == "autotrace: needs Python 3.9 or newer, this program runs untraced\n"


def test_from_a_read_only_directory_for_a_user_without_a_home(sandbox, arrivals, payload):
    """Who runs as root tries it as nobody; others at least without the right to write."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        mounted = shutil.copytree(payload, Path(scratch) / "mounted")
        for path in [mounted, *mounted.rglob("*")]:
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o555)
        python, user = PYTHON, []
        if os.getuid() == 0:
            python = "/usr/bin/python3"  # ours may be in a home
            user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        environ = {**arrivals.environ, "PYTHONPATH": str(mounted / "bootstrap"), "HOME": "/nonexistent"}
        if os.getuid() == 0 and not (Path(python).exists() and shutil.which("setpriv")):
            pytest.skip("no interpreter that another user may run")
        done = subprocess.run(
            [*user, python, "-W", "error", "-c", QUERY],
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": os.defpath, **environ},
            cwd="/",
        )
        assert (done.returncode, done.stdout, done.stderr) == (3, "(42,)\n", "")
        assert [span.name for span in arrivals.spans] == ["SELECT"]
        # The default, a store in the home, cannot be: the program runs on all the same.
        del environ["OTEL_TRACES_EXPORTER"], environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
        done = subprocess.run(
            [*user, python, "-W", "error", "-c", QUERY],
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": os.defpath, **environ},
            cwd="/",
        )
        assert (done.returncode, done.stdout) == (3, "(42,)\n")
        assert all(line.startswith("autotrace: ") for line in done.stderr.splitlines())
        assert not list(mounted.rglob("__pycache__"))


# Where PYTHONPATH cannot be set.


@pytest.mark.parametrize("of", ["a payload", "an installation"])
def test_a_line_in_site_packages_serves_where_the_environment_is_ignored(sandbox, arrivals, payload, of):
    sandbox.write("app.py", INVENTORY)
    original = Path(environment(PYTHON)).parents[1]
    python = str(shutil.copytree(original, sandbox.directory / "env", symlinks=True) / "bin" / "python")
    home = shutil.copytree(payload, sandbox.directory / "autotrace payload")
    if of == "an installation":
        (site,) = Path(python).parents[1].glob("lib/*/site-packages")
        for directory in (home / "autotrace", home / "opentelemetry-api" / "opentelemetry"):
            shutil.copytree(directory, site / directory.name)
        shutil.copytree(
            next((home / "opentelemetry-api").glob("*.dist-info")), site / "opentelemetry_api-1.dist-info"
        )
        home = site
    plain = sandbox.execute(python, "-I", "app.py")
    written = sandbox.execute(python, "-m", "autotrace.write_pth", PYTHONPATH=str(home))
    assert written.code == 0, written.err
    file = Path(written.out.strip())

    # With -I there is no PYTHONPATH, nor the directory of the program.
    done = sandbox.execute(python, "-I", "app.py", **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, plain.out, "", [])
    assert [span.name for span in arrivals.spans] == ["SELECT"]
    # Both ways at once are one.
    both = {"PYTHONPATH": str(payload / "bootstrap"), **arrivals.environ}
    assert sandbox.execute(python, "app.py", **both).said == []
    assert [span.name for span in arrivals.spans] == ["SELECT", "SELECT"]

    # Where the payload is not mounted, nothing happens.
    shutil.move(home / "autotrace", sandbox.directory / "away")
    if of == "a payload":
        shutil.rmtree(home)
        done = sandbox.execute(python, "-I", "app.py", **arrivals.environ)
        assert (done.code, done.out, done.err, done.said) == (0, plain.out, "", [])

    removed = sandbox.execute(python, "-m", "autotrace.write_pth", "--remove", PYTHONPATH=str(payload))
    assert (removed.code, file.exists()) == (0, False)


# Programs whose environment pins what autotrace needs, old or incompatible.

OLD = {
    "without OpenTelemetry": (
        "3.9",
        [
            "wrapt==1.13.3",
            "typing_extensions==3.7.4.3",
            "importlib-metadata==1.7.0",
            "zipp==1.2.0",
            "protobuf==3.20.3",
            "requests==2.25.1",
        ],
        ["SELECT", "GET"],
    ),
    "with an OpenTelemetry of the past": (
        "3.9",
        ["opentelemetry-api==1.20.0", "requests"],
        ["SELECT", "GET"],
    ),
    "with an OpenTelemetry that is too old": (
        "3.9",
        ["opentelemetry-api==1.0.0", "setuptools<80", "requests"],
        [],
    ),
    "on a newer Python": (
        "3.13",
        ["wrapt==1.17.0", "importlib-metadata==4.13.0", "requests==2.32.0"],
        ["SELECT", "GET"],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("pins", OLD)
def test_a_program_gets_the_versions_that_it_pins(sandbox, arrivals, payload, pins):
    version, packages, names = OLD[pins]
    python = environment(interpreter(version), *packages)
    sandbox.write("app.py", INVENTORY)
    plain = sandbox.execute(python, "app.py")
    done = sandbox.execute(python, "app.py", PYTHONPATH=str(payload / "bootstrap"), **arrivals.environ)
    assert (done.code, done.out, done.err) == (0, plain.out, plain.err)
    assert [span.name for span in arrivals.spans] == names
    if names:
        assert done.said == []
    else:
        (line,) = done.said
        assert line == (
            "could not start, the program runs untraced: "
            "ImportError('opentelemetry-api 1.0.0 is installed, 1.20 or newer is needed')"
        )
