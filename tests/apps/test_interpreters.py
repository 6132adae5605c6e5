"""Under a debugger, coverage, pytest, and with the interpreter's options: nobody notices."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from programs import BOOTSTRAP, LAUNCHER, PYTHON

import autotrace

APP = """
import logging, sqlite3, sys

def work(number):
    connection = sqlite3.connect(":memory:")
    answer = connection.execute(f"SELECT {number}").fetchone()
    connection.close()
    return answer

def unused():
    return None

if __name__ == "__main__":
    print(work(42))
"""


def run(sandbox, words, environ=None, stdin="", traced=True):
    """A command as it is; where we are not to say anything."""
    done = subprocess.run(
        [*[LAUNCHER][:traced], *words],
        check=False,
        input=stdin,
        capture_output=True,
        text=True,
        env={**sandbox.environ, **(environ or {})},
        cwd=sandbox.directory,
        timeout=100,
    )
    return done.returncode, done.stdout, done.stderr


def names(arrivals):
    return [span.name for span in arrivals.spans]


# Debuggers.


def test_a_session_of_pdb(sandbox, arrivals):
    """Line by line through the program, into its own functions and not into ours."""
    sandbox.write("app.py", APP)
    commands = "break work\ncontinue\nargs\nnext\nnext\nnext\np answer\nstep\nwhere\nunt\ncontinue\nquit\n"
    words = ["python", "-m", "pdb", "app.py"]
    plain = run(sandbox, words, stdin=commands, traced=False)
    traced = run(sandbox, words, arrivals.environ, commands)
    assert "number = 42" in plain[1]
    assert traced == plain
    assert "SELECT" in names(arrivals)


def test_a_post_mortem_of_pdb(sandbox, arrivals):
    sandbox.write("app.py", APP.replace("return answer", "return answer[5]"))
    words = ["python", "-m", "pdb", "-c", "continue", "app.py"]
    commands = "p answer\nwhere\nquit\n"
    plain = run(sandbox, words, stdin=commands, traced=False)
    traced = run(sandbox, words, arrivals.environ, commands)
    assert "(42,)" in plain[1]
    assert traced == plain
    assert names(arrivals) == ["SELECT"]


def test_a_trace_function_sees_the_programs_own_lines_as_before(sandbox, arrivals):
    sandbox.write(
        "app.py",
        """
        import sqlite3, sys, threading

        seen = []

        def watch(frame, event, argument):
            if frame.f_code.co_filename == __file__:
                seen.append((frame.f_code.co_name, frame.f_lineno, event))
            return watch

        def work():
            connection = sqlite3.connect(":memory:")
            try:
                connection.execute("no statement")
            except sqlite3.Error as error:
                print(error)
            connection.close()

        sys.settrace(watch)
        threading.settrace(watch)
        work()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert sys.gettrace() is watch
        sys.settrace(None)
        print(seen)
        """,
    )
    plain = run(sandbox, ["python", "app.py"], traced=False)
    traced = run(sandbox, ["python", "app.py"], arrivals.environ)
    assert traced == plain
    assert len(arrivals.spans) == 2


# Options. Others are in test_start.py.

OPTIONS = {
    "isolated": ["-I"],
    "no environment": ["-E"],
    "no site": ["-S"],
    "fault handler": ["-X", "faulthandler"],
    "memory tracing": ["-X", "tracemalloc=5"],
    "utf-8": ["-X", "utf8"],
    "no docstrings": ["-OO"],
    "bytes warnings": ["-bb", "-W", "error"],
    "verbose warnings": ["-W", "always"],
}
UNREACHED = {"isolated", "no environment", "no site"}
"""The interpreter is told to look neither at PYTHONPATH nor for `sitecustomize`, and the launcher says so."""


@pytest.mark.parametrize("option", OPTIONS)
def test_options(sandbox, arrivals, option):
    sandbox.write("app.py", APP)
    words = ["python", *OPTIONS[option], "app.py"]
    plain = run(sandbox, words, traced=False)
    assert plain[:2] == (0, "(42,)\n")
    code, out, err = run(sandbox, words, arrivals.environ)
    said = ""
    if option in UNREACHED:
        said = f"autotrace-run: not traced: Python's option {OPTIONS[option][0]} keeps autotrace out\n"
    assert (code, out, err) == (*plain[:2], plain[2] + said)
    assert names(arrivals) == ([] if option in UNREACHED else ["SELECT"])


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1", "PYTHONWARNINGS": "error"},
        {"PYTHONFAULTHANDLER": "1", "PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1"},
        {"PYTHONSAFEPATH": "1", "PYTHONOPTIMIZE": "2", "PYTHONMALLOC": "debug"},
        {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_variables_of_the_interpreter(sandbox, arrivals, variables):
    sandbox.write(
        "app.py",
        """
        import asyncio, threading, urllib.request, os, sqlite3
        from concurrent.futures import ThreadPoolExecutor

        def fetch():
            with urllib.request.urlopen(os.environ["ECHO"]) as answer:
                return answer.status

        async def main():
            print(await asyncio.get_running_loop().run_in_executor(None, fetch))

        asyncio.run(main())
        with ThreadPoolExecutor(1) as pool:
            print(pool.submit(fetch).result())
        """,
    )
    plain = run(sandbox, ["python", "app.py"], variables, traced=False)
    assert plain == (0, "200\n200\n", "")
    assert run(sandbox, ["python", "app.py"], {**variables, **arrivals.environ}) == plain
    assert names(arrivals) == ["GET", "GET"]


# Logging.


def test_warnings_of_last_resort_still_appear(sandbox, arrivals):
    """A handler on the root logger would swallow what `logging` writes when nobody has configured it."""
    sandbox.write(
        "app.py",
        """
        import logging, sqlite3, warnings
        sqlite3.connect(":memory:").execute("SELECT 1")
        logging.getLogger("shop").warning("out of %s", "stock")
        logging.getLogger("shop").info("not shown")
        logging.getLogger("shop.deeper").error("broken")
        warnings.warn("old ways")
        print(logging.root.handlers, logging.root.level, logging.lastResort.level, logging.raiseExceptions)
        logging.basicConfig(format="mine: %(message)s")
        logging.getLogger("shop").warning("configured")
        """,
    )
    plain = run(sandbox, ["python", "app.py"], traced=False)
    traced = run(sandbox, ["python", "app.py"], arrivals.environ)
    assert plain[2].startswith("out of stock\nbroken\n")
    assert traced[0] == 0
    assert traced[2] == plain[2]
    assert traced[1].splitlines()[0] == plain[1].splitlines()[0]
    assert names(arrivals) == ["SELECT"]


# Coverage.


@pytest.fixture
def installed(sandbox):
    """An environment with autotrace among its packages: coverage takes a checkout for the program's own."""
    environment = sandbox.directory / "environment"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(environment)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    source = Path(autotrace.__file__).parent
    shutil.copytree(source, packages / "autotrace", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(BOOTSTRAP, packages / "autotrace" / "sitecustomize", dirs_exist_ok=True)
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return str(environment / "bin" / "python")


@pytest.mark.slow
@pytest.mark.parametrize("tracer", ["ctrace", "pytrace"])
def test_coverage_reports_what_it_would(sandbox, arrivals, installed, tracer):
    """Of the program's files; and none of ours, which run on its threads too."""
    sandbox.write("shop/app.py", APP)
    late = "import atexit\nimport app\n@atexit.register\ndef bye():\n    app.work(3)\n"
    sandbox.write("shop/late.py", late)
    figures = []
    for launcher in ([], ["-c", "from autotrace.cli.run import main; main()", installed]):
        environ = {"COVERAGE_FILE": f"data{len(launcher)}", "COVERAGE_CORE": tracer, **arrivals.environ}
        for options in (["shop/app.py"], ["-a", "shop/late.py"]):
            words = [installed, *launcher, "-m", "coverage", "run", "--branch", *options]
            assert run(sandbox, words, environ, traced=False) == (0, "(42,)\n" * (len(options) == 1), "")
        report = [installed, "-m", "coverage", "json", "-o", "-"]
        code, out, err = run(sandbox, report, environ, traced=False)
        assert (code, err) == (0, "")
        files = {name: file["executed_lines"] for name, file in json.loads(out)["files"].items()}
        figures.append({name: lines for name, lines in files.items() if "opentelemetry" not in name})
    plain, traced = figures
    assert sorted(plain) == ["shop/app.py", "shop/late.py"]
    assert traced == plain
    # Coverage keeps its data in SQLite, and saves it at the end of a traced program.
    assert names(arrivals).count("SELECT") == 2


# pytest.

TESTS = """
import logging, sqlite3, warnings
import pytest

def helper(number):
    connection = sqlite3.connect(":memory:")
    answer = connection.execute(f"SELECT {number}").fetchone()
    connection.close()
    return answer

def test_query():
    assert helper(4) == (4,)

def test_log(caplog):
    logging.getLogger("shop").warning("out of stock")
    assert caplog.messages == ["out of stock"]

def test_warning(recwarn):
    warnings.warn("old ways")
    assert len(recwarn) == 1

def test_output(capfd):
    helper(5)
    assert capfd.readouterr() == ("", "")

@pytest.mark.xfail(strict=True)
def test_rewritten():
    assert helper(1) == (2,)
"""


@pytest.mark.slow
@pytest.mark.parametrize("words", [["pytest", "-W", "error"], ["python", "-m", "pytest"]])
def test_a_run_of_pytest(sandbox, arrivals, words):
    sandbox.write("test_shop.py", TESTS)
    command = [*words, "-q", "-p", "no:cacheprovider", "--color=no"]
    plain = run(sandbox, command, traced=False)
    traced = run(sandbox, command, arrivals.environ)
    strip = re.compile(r"in [\d.]+s")
    assert plain[0] == 0
    assert [strip.sub("", str(part)) for part in traced] == [strip.sub("", str(part)) for part in plain]
    assert names(arrivals) == ["SELECT"] * 3


@pytest.mark.slow
def test_a_failure_in_pytest_is_explained_as_before(sandbox, arrivals):
    """Assertions are rewritten in the test and in its plug-ins, which must not have been imported by us."""
    sandbox.write("test_shop.py", TESTS.replace("@pytest.mark.xfail(strict=True)", ""))
    sandbox.write("conftest.py", "pytest_plugins = ['plugged']")
    sandbox.write(
        "plugged.py", "import pytest, flask, requests\n@pytest.fixture\ndef shop():\n    assert 1\n"
    )
    command = ["pytest", "-q", "-p", "no:cacheprovider", "--color=no", "-W", "error"]
    plain = run(sandbox, command, traced=False)
    traced = run(sandbox, command, arrivals.environ)
    strip = re.compile(r"in [\d.]+s|0x\w+")
    assert plain[0] == 1
    assert "assert (1,) == (2,)" in plain[1]
    assert [strip.sub("", str(part)) for part in traced] == [strip.sub("", str(part)) for part in plain]


def test_modules_that_pytest_plugins_rewrite_are_not_ours_to_import(sandbox, arrivals):
    """`anyio` has a plug-in, and pytest warns when it comes too late to rewrite its assertions."""
    code = """
        import sys, sqlite3, urllib.request, logging, concurrent.futures, multiprocessing.pool, asyncio
        sqlite3.connect(":memory:").execute("SELECT 1")
        rewritten = {"anyio", "hypothesis", "pytest", "_pytest", "pytest_timeout", "wrapt", "requests"}
        print(sorted({name.partition(".")[0] for name in sys.modules} & rewritten))
    """
    sandbox.write("app.py", code)
    assert run(sandbox, ["python", "app.py"], arrivals.environ) == (0, "[]\n", "")
