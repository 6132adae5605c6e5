"""How programs end, and that what had ended before arrives; the rest of the program's end is as it was."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from programs import LAUNCHER, backend

PRELUDE = """
import atexit, os, signal, sqlite3, sys, threading, time

def query(name):
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE {name} (a)")
    connection.close()

"""
"""Each query is a span."""


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def tables(arrivals):
    return [span.name.removeprefix("CREATE TABLE ") for span in arrivals.spans]


OURS = re.compile(r'  File "[^"]*/autotrace/[^"]*", line \d+, in \w+\n    .*\n(    [ ~^]+\n)?| at 0x\w+')
"""What may differ: frames of ours in a traceback, and addresses."""

ENDS = {
    "its last line": "",
    "sys.exit": "sys.exit(3)",
    "sys.exit with a text": "sys.exit('no such file')",
    "SystemExit in a thread": "t = threading.Thread(target=sys.exit, args=[4]); t.start(); t.join()",
    "an exception": "1 / 0",
    "an exception with a cause": """
        try:
            query("no such name")
        except sqlite3.Error as error:
            raise LookupError("not here") from error
        """,
    "an excepthook": "sys.excepthook = lambda *of: print('my own', of[0].__name__, file=sys.stderr); 1 / 0",
    "an exception in atexit": "atexit.register(lambda: 1 / 0)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "KeyboardInterrupt in a function": "(lambda: os.kill(os.getpid(), signal.SIGINT))(); time.sleep(9)",
    "stdin closed": "sys.stdin.close()",
    "stdout closed": "print('bye'); sys.stdout.close()",
    "a lock held by a daemon thread": """
        threading.Thread(target=lambda: (query("daemon"), time.sleep(3600)), daemon=True).start()
        while threading.active_count() < 2: time.sleep(0.01)
        """,
}


@pytest.mark.parametrize("end", ENDS)
def test_a_program_ends_as_it_would(sandbox, arrivals, end):
    sandbox.write("app.py", f'{PRELUDE}\nquery("first")\n{textwrap.dedent(ENDS[end])}')
    plain = sandbox.run("app.py", traced=False)
    traced = sandbox.run("app.py", **arrivals.environ)
    assert (traced.code, traced.out, traced.said) == (plain.code, plain.out, [])
    assert OURS.sub("", traced.err) == OURS.sub("", plain.err)
    assert tables(arrivals)[0] == "first"


def test_spans_made_while_the_program_ends(sandbox, arrivals):
    """By its own exit functions, whichever side was first, and by threads that it waits for."""
    sandbox.write(
        "app.py",
        """
        import atexit, threading, time

        def last(name):
            import sqlite3
            connection = sqlite3.connect(":memory:")
            connection.execute(f"CREATE TABLE {name} (a)")
            connection.close()

        atexit.register(last, "before_us")  # the tracer starts with the first library that is traced
        import sqlite3
        atexit.register(last, "after_us")
        threading._register_atexit(last, "with_threads") if hasattr(threading, "_register_atexit") else None

        def work():
            time.sleep(0.3)
            last("late_thread")

        threading.Thread(target=work).start()
        """,
    )
    done = sandbox.run("app.py", **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, "", "", [])
    assert sorted(tables(arrivals)) == ["after_us", "before_us", "late_thread", "with_threads"]


def test_a_program_that_clears_atexit(sandbox, arrivals):
    sandbox.write("app.py", f'{PRELUDE}\nquery("first")\natexit._clear()\nquery("second")')
    done = sandbox.run("app.py", **arrivals.environ)
    assert (done.code, done.out, done.err, done.said) == (0, "", "", [])
    assert tables(arrivals) == ["first", "second"]


def test_spans_of_daemon_threads_up_to_the_end(sandbox, arrivals):
    """They run while the interpreter closes: what they finish in time is sent or counted."""
    sandbox.write(
        "app.py",
        f"""{PRELUDE}
made = 0

def busy():
    global made
    while True:
        query(f"t{{made}}")
        made += 1

for _ in range(3):
    threading.Thread(target=busy, daemon=True).start()
while made < 20:
    time.sleep(0.01)
""",
    )
    done = sandbox.run("app.py", **arrivals.environ)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert len(arrivals.spans) >= 20
    assert all("not sent before exit" in line or "queue full" in line for line in done.said)


# Signals.


class Running:
    """A program that has said `ready`, under the launcher."""

    def __init__(self, sandbox, code, environ):
        sandbox.write("app.py", PRELUDE + code)
        self.process = subprocess.Popen(
            [LAUNCHER, "python", "app.py"],
            env={**sandbox.environ, **environ},
            cwd=sandbox.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n", self.process.communicate()

    def end(self, number):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def running(sandbox, arrivals):
    programs = []

    def start(code):
        programs.append(Running(sandbox, code, arrivals.environ))
        return programs[-1]

    yield start
    for program in programs:
        if program.process.poll() is None:
            program.process.kill()
            program.process.communicate()


SERVES = """
query("before")
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


def test_interrupted_in_the_middle_of_a_span(running, arrivals):
    program = running(
        """
from opentelemetry import trace
query("before")
with trace.get_tracer("app").start_as_current_span("interrupted"):
    print("ready", flush=True)
    while True:
        time.sleep(0.05)
"""
    )
    code, _, err = program.end(signal.SIGINT)
    assert code == -signal.SIGINT
    assert err.splitlines()[0] == "Traceback (most recent call last):"
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert "autotrace" not in err
    assert tables(arrivals) == ["before", "interrupted"]


def test_interrupted_while_what_is_left_is_being_sent(sandbox):
    """Who presses Ctrl-C while the program is ending wants it to end, and no traceback of ours."""
    with backend(lambda _connection: dead.over.wait()) as dead:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": dead.url(""), "AUTOTRACE_EXIT_TIMEOUT": "60000"}
        program = Running(sandbox, 'query("last")\nprint("ready", flush=True)', environ)
        wait_until(lambda: dead.connections)
        time.sleep(0.5)  # the connection may come a moment before the program has reached its end
        code, out, err = program.end(signal.SIGINT)
        dead.over.set()
    # Since 3.14 the program's own end counts, which had gone well.
    assert (code, out) == (0 if sys.version_info >= (3, 14) else -signal.SIGINT, "")
    assert err == "autotrace: interrupted while what was left was being sent: it is lost\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_by_a_signal_what_ended_half_a_second_before_has_arrived(running, arrivals, number):
    """Without a word: by the time that it is killed, nothing of the past is in its hands."""
    program = running(SERVES)
    wait_until(lambda: tables(arrivals) == ["before"])
    assert program.end(number) == (-number, "", "")
    assert tables(arrivals) == ["before"]


def test_sigterm_with_a_handler_of_the_programs_own(running, arrivals):
    program = running(
        """
def stop(number, frame):
    query("in_handler")
    sys.exit(5)

signal.signal(signal.SIGTERM, stop)
"""
        + SERVES
    )
    assert program.end(signal.SIGTERM) == (5, "", "")
    assert tables(arrivals) == ["before", "in_handler"]


def test_handlers_are_as_the_program_left_them(sandbox, arrivals):
    code = (
        "import signal, sqlite3; sqlite3.connect(':memory:').execute('SELECT 1');"
        "print([repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())])"
    )
    strip = re.compile(r" at 0x\w+")
    plain, traced = (sandbox.run("-c", code, traced=t, **arrivals.environ) for t in (False, True))
    assert strip.sub("", traced.out) == strip.sub("", plain.out)
    assert traced.err == plain.err


@pytest.mark.parametrize(("how", "code"), [("os.abort()", -signal.SIGABRT), ("os._exit(6)", 6)])
def test_an_end_without_an_end_takes_only_what_waits(running, arrivals, how, code):
    program = running(f'query("before")\nprint("ready", flush=True)\nsys.stdin.readline()\n{how}')
    wait_until(lambda: tables(arrivals) == ["before"])
    out, err = program.process.communicate("go on\n", timeout=60)
    assert (program.process.returncode, out, err) == (code, "", "")
    assert tables(arrivals) == ["before"]


@pytest.mark.parametrize("where", ["atexit.register", "late_thread"])
def test_the_very_first_span_comes_when_no_thread_can_be_started_any_more(sandbox, arrivals, where):
    """Python 3.12 and newer start none while they close; neither to send nor to resolve a name."""
    sandbox.write(
        "app.py",
        f"""{PRELUDE}
def late_thread(target, name):
    threading.Thread(target=lambda: (threading.main_thread().join(), target(name))).start()

{where}(query, "first")
""",
    )
    url = arrivals.environ["OTEL_EXPORTER_OTLP_ENDPOINT"].replace("127.0.0.1", "localhost")
    done = sandbox.run("app.py", **{**arrivals.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": url})
    assert (done.code, done.out, done.err, done.said) == (0, "", "", [])
    assert tables(arrivals) == ["first"]
