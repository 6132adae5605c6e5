"""Other programs that a program starts: they continue its trace, and are otherwise as they were."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

TRACE = """
import asyncio, os, subprocess, sys, time
from opentelemetry import trace

tracer = trace.get_tracer("app")
CHILD = [sys.executable, "child.py"]
COMMAND = f"{sys.executable} child.py"
"""

CHILD = """
import sys
from opentelemetry import trace

with trace.get_tracer("child").start_as_current_span(sys.argv[1]):
    pass
"""

WAYS = {
    "run": "subprocess.run([*CHILD, name], check=True)",
    "shell": "subprocess.run(f'{COMMAND} {name}', shell=True, check=True)",
    "shells": "subprocess.run(['sh', '-c', f'sh -c \"{COMMAND} {name}; true\"'], check=True)",
    "check_output": "subprocess.check_output([*CHILD, name])",
    "os.popen": "os.popen(f'{COMMAND} {name}').close()",
    "own environment": "subprocess.run([*CHILD, name], check=True, env={**os.environ, 'MARK': '1'})",
    "in bytes": "subprocess.run([*CHILD, name], check=True, env=dict(os.environb))",
    "positions": "subprocess.Popen([*CHILD, name], -1, *[None] * 5, True, False, '.', None).wait()",
    "without close_fds": "subprocess.run([*CHILD, name], check=True, close_fds=False)",
    "asyncio exec": "asyncio.run(in_asyncio(asyncio.create_subprocess_exec, *CHILD, name))",
    "asyncio shell": "asyncio.run(in_asyncio(asyncio.create_subprocess_shell, f'{COMMAND} {name}'))",
    "os.system": "assert os.system(f'{COMMAND} {name}') == 0",
    "os.spawnv": "assert os.spawnv(os.P_WAIT, sys.executable, [*CHILD, name]) == 0",
    "os.spawnlpe": "assert os.spawnlpe(os.P_WAIT, sys.executable, *CHILD, name, os.environ) == 0",
    "os.posix_spawn": "os.waitpid(os.posix_spawn(sys.executable, [*CHILD, name], os.environ), 0)",
    "os.posix_spawnp": "os.waitpid(os.posix_spawnp(sys.executable, [*CHILD, name], os.environ), 0)",
    "fork and exec": "if os.fork() == 0: os.execvp(sys.executable, [*CHILD, name])\n    os.wait()",
    "fork and exece": "if os.fork() == 0: os.execle(sys.executable, *CHILD, name, os.environ)\n    os.wait()",
}
"""How a program starts another one."""


@pytest.mark.slow
def test_a_child_continues_the_trace_whichever_way_it_is_started(sandbox, arrivals):
    calls = "".join(
        f"name = {name!r}\nwith tracer.start_as_current_span('above ' + name):\n    {way}\n"
        for name, way in ((name.replace(" ", "_"), way) for name, way in WAYS.items())
    )
    sandbox.write("child.py", CHILD)
    helper = "async def in_asyncio(start, *words):\n    await (await start(*words)).wait()\n"
    sandbox.write("app.py", TRACE + helper + calls + "print(sorted(set(os.environ) - {'LC_CTYPE'}))")
    plain = sandbox.run("-c", "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))", **arrivals.environ)
    done = sandbox.run("app.py", **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, plain.out, "", [])
    above = {span.span_id: span.name for span in arrivals.spans if span.scope == "app"}
    found = {span.name: above.get(span.parent_id) for span in arrivals.spans if span.scope == "child"}
    assert found == {name: f"above {name}" for name in found}
    assert len(arrivals.spans) == 2 * len(WAYS)


def test_a_program_that_becomes_another_one(sandbox, arrivals):
    sandbox.write("child.py", CHILD)
    sandbox.write(
        "app.py",
        TRACE
        + textwrap.dedent("""
        with tracer.start_as_current_span("done"):
            pass
        with tracer.start_as_current_span("never ended"):
            try:
                os.execv("/not/there", ["there"])
            except FileNotFoundError:
                os.execv(sys.executable, [*CHILD, "other"])
        """),
    )
    done = sandbox.run("app.py", **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, "", "", [])
    assert [span.name for span in arrivals.spans] == ["done", "other"]
    assert arrivals.named("other").parent_id


ENVIRONMENT = """
import json, os, subprocess, sys
from opentelemetry import trace

NAMES = "TRACEPARENT", "TRACESTATE", "BAGGAGE"

def seen(**options):
    code = "import json, os; print(json.dumps({name: os.environ.get(name) for name in %r}))" % (NAMES,)
    return json.loads(subprocess.check_output([sys.executable, "-S", "-c", code], **options))
"""


def test_what_the_application_says_to_a_child_is_left_as_it_is(sandbox):
    old, new = "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "00-" + "3" * 32 + "-" + "4" * 16 + "-01"
    sandbox.write(
        "app.py",
        ENVIRONMENT
        + textwrap.dedent(f"""
        assert seen()["TRACEPARENT"] == {old!r}
        assert seen(env={{}}) == dict.fromkeys(NAMES)
        with trace.get_tracer("app").start_as_current_span("work") as span:
            ids = span.get_span_context()
            assert format(ids.trace_id, "032x") == "1" * 32
            ours = f"00-{{ids.trace_id:032x}}-{{ids.span_id:016x}}-01"
            given = {{**os.environ, "MARK": "1"}}
            before = dict(given)
            for options in ({{}}, {{"env": given}}, {{"env": {{}}}}):
                said = seen(**options)
                assert said == {{"TRACEPARENT": ours, "TRACESTATE": "a=b", "BAGGAGE": None}}, options
            assert given == before
            for other in {new!r}, "":
                assert seen(env={{**given, "TRACEPARENT": other}})["TRACEPARENT"] == other
            assert os.environ["TRACEPARENT"] == {old!r}
        """),
    )
    environ = {"OTEL_TRACES_EXPORTER": "none", "TRACEPARENT": old, "TRACESTATE": "a=b"}
    done = sandbox.run("-W", "error", "app.py", **environ)
    assert (done.code, done.out, done.err, done.said) == (0, "", "", [])


def test_switched_off(sandbox):
    sandbox.write(
        "app.py",
        ENVIRONMENT
        + textwrap.dedent("""
        with trace.get_tracer("app").start_as_current_span("work"):
            assert seen() == dict.fromkeys(NAMES)
            os.system("echo ${TRACEPARENT-none}")
            os.execv("/bin/sh", ["sh", "-c", "echo ${TRACEPARENT-none}"])
        """),
    )
    done = sandbox.run("app.py", OTEL_TRACES_EXPORTER="none", AUTOTRACE_PROPAGATE_TO_CHILDREN="false")
    assert (done.code, done.out, done.err, done.said) == (0, "none\nnone\n", "", [])


SHELL = r"""
echo "it's $0 $# \$HOME" | cat; echo $TRACEPARENT | wc -c
nowhere --at all
read line; echo "$line"
"""


def test_a_shell_command_is_what_it_was(sandbox):
    """Its output, its name in messages, its standard input, its end by a signal or with a code."""
    sandbox.write("command", SHELL)
    sandbox.write(
        "app.py",
        """
        import contextlib, os, pickle, sys
        from opentelemetry import trace
        command = open("command").read()
        assert pickle.loads(pickle.dumps(os.system)) is os.system and os.system.__module__ in ("os", "posix")
        tracer = trace.get_tracer("app")
        with tracer.start_as_current_span("work") if sys.argv[1:] else contextlib.nullcontext():
            for words in (command, "exit 7", "kill -9 $$", "(", "", "exec true", "# nothing"):
                print(os.system(words), flush=True)
        """,
    )
    sandbox.write("input", "one\ntwo\n")

    def run(*words):
        with (sandbox.directory / "input").open() as given:
            return subprocess.run(
                [*words[:-1], "app.py", *([words[-1]] if words[-1] else [])],
                check=False,
                stdin=given,
                capture_output=True,
                text=True,
                cwd=sandbox.directory,
                env={**sandbox.environ, "OTEL_TRACES_EXPORTER": "none"},
            )

    plain, traced = run("python", ""), run("autotrace-run", "python", "traced")
    assert traced.stderr == plain.stderr
    assert "sh: 3: nowhere: not found" in plain.stderr
    assert plain.stdout.splitlines()[1] == "1"
    assert traced.stdout.splitlines()[1] == "56"
    assert traced.stdout.replace("\n56\n", "\n1\n") == plain.stdout


@pytest.mark.slow
@pytest.mark.parametrize("how", ["other", "bare"])
def test_an_interpreter_that_cannot_load_us_says_nothing(sandbox, how):
    if how == "bare":
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", str(sandbox.directory / "bare")], check=True
        )
        python = str(sandbox.directory / "bare/bin/python")
    else:
        python = sys.executable
        sandbox.write("other/opentelemetry/__init__.py", "raise RuntimeError('not today')")
    code = "import sqlite3; print(sqlite3.connect(':memory:').execute('SELECT 42').fetchone())"
    sandbox.write(
        "app.py",
        f"""
        import os, subprocess, sys
        from opentelemetry import trace
        environ = {{**os.environ}}
        environ["PYTHONPATH"] += os.pathsep + "other"
        with trace.get_tracer("app").start_as_current_span("work"):
            done = subprocess.run([{python!r}, "-c", {code!r}], env=environ, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "(42,)\\n", ""), done
        """,
    )
    done = sandbox.run("app.py", OTEL_TRACES_EXPORTER="none")
    assert (done.code, done.out, done.err, done.said) == (0, "", "", [])


def test_a_library_that_is_not_imported_is_not_imported_for_this(sandbox):
    code = "import sys, opentelemetry.trace; print({'subprocess', 'multiprocessing'} & set(sys.modules))"
    plain = sandbox.run("-c", code, traced=False)
    assert sandbox.run("-c", code, OTEL_TRACES_EXPORTER="none")[:4] == plain[:4]
