"""`autotrace-run` as users start it: the program is itself, and finds the bootstrap directory."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from autotrace import __version__
from autotrace.cli.run import bootstrap_directory

LAUNCHER = str(Path(sys.executable).parent / "autotrace-run")
OURS = bootstrap_directory()
REPORT = (
    "import json, os, sys; "
    "print(json.dumps([os.environ.get('PYTHONPATH'), sys.argv, dict(os.environ), sys.executable]))"
)


@pytest.fixture
def environ(tmp_path):
    """The environment of a user who has configured nothing, with this interpreter first on the path."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("OTEL_", "AUTOTRACE_", "PYTHON"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
    return {**kept, "PATH": path, "AUTOTRACE_HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def run(environ, tmp_path):
    """Run the launcher in an empty directory; `variables` that are None are removed."""
    directory = tmp_path / "app"
    directory.mkdir()

    def start(*words, stdin="", **variables):
        changed = {name: text for name, text in {**environ, **variables}.items() if text is not None}
        return subprocess.run(
            [LAUNCHER, *words],
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            env=changed,
            cwd=directory,
            timeout=60,
        )

    start.directory = directory
    return start


def reported(done):
    assert done.returncode == 0, done.stderr
    names = ("python_path", "argv", "environ", "executable")
    return dict(zip(names, json.loads(done.stdout)))


def ours(stderr):
    """What the launcher itself said."""
    return [line for line in stderr.splitlines() if line.startswith(("autotrace-run:", "usage:"))]


def write(path, text, executable=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755 if executable else 0o644)
    return path


# The ways in which programs are started.


def test_a_python_script(run):
    write(run.directory / "app.py", REPORT)
    report = reported(run("python", "app.py", "--service_name", "its own"))
    assert report["python_path"] == OURS
    assert report["argv"] == ["app.py", "--service_name", "its own"]
    assert "OTEL_SERVICE_NAME" not in report["environ"]


def test_a_module(run):
    write(run.directory / "shop" / "__main__.py", REPORT)
    assert reported(run("python", "-m", "shop", "-I"))["python_path"] == OURS


def test_code(run):
    assert reported(run("python", "-c", REPORT, "-E"))["argv"] == ["-c", "-E"]


def test_a_script_with_a_shebang(run):
    write(run.directory / "app", f"#!{sys.executable}\n{REPORT}\n", executable=True)
    report = reported(run("./app", "x"))
    assert report["python_path"] == OURS
    assert report["argv"] == ["./app", "x"]


def test_a_script_with_env_in_its_shebang_found_on_the_path(run, environ):
    script = write(run.directory / "bin" / "app", f"#!/usr/bin/env python\n{REPORT}\n", executable=True)
    report = reported(run("app", PATH=f"{script.parent}:{environ['PATH']}"))
    assert report["argv"] == [str(script)]


def test_a_shell_script_that_starts_python(run):
    write(run.directory / "start.sh", f'#!/bin/sh\nexec python -c "{REPORT}" "$@"\n', executable=True)
    report = reported(run("./start.sh", "a b"))
    assert report["python_path"] == OURS
    assert report["argv"] == ["-c", "a b"]


def test_a_script_without_a_shebang_is_run_by_the_shell(run):
    write(run.directory / "start", 'echo "$0" "$1"; exit 3\n', executable=True)
    done = run("./start", "a b")
    assert (done.returncode, done.stdout, ours(done.stderr)) == (3, "./start a b\n", [])


def test_a_script_without_a_shebang_in_the_current_directory_of_the_path(run):
    write(run.directory / "-start", 'echo "$0"\n', executable=True)
    assert run("--", "-start", PATH="").stdout == "./-start\n"


def test_a_console_script(run):
    done = run("autotrace-run", "--version")
    assert (done.returncode, done.stdout) == (0, f"autotrace {__version__}\n")


def test_the_launcher_within_the_launcher_adds_nothing(run):
    assert reported(run("autotrace-run", "python", "-c", REPORT))["python_path"] == OURS


def test_a_program_that_is_not_python(run):
    done = run("printf", "%s", "a  b")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a  b", "")


def test_the_program_is_called_what_the_user_typed(run):
    assert run("sh", "-c", 'echo "$0"').stdout == "sh\n"
    assert reported(run("python", "-c", REPORT))["executable"] == str(Path(sys.executable).parent / "python")


# What belongs to the program.


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_the_exit_code_is_the_programs(run, code):
    assert run("python", "-c", f"raise SystemExit({code})").returncode == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_program_which_has_the_same_pid(environ, number):
    code = (
        "import os, signal, sys\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        "print(os.getpid(), flush=True)\n"
        "while True: signal.pause()\n"
    )
    with subprocess.Popen([LAUNCHER, "python", "-c", code], env=environ, stdout=subprocess.PIPE) as process:
        assert int(process.stdout.readline()) == process.pid
        process.send_signal(number)
        assert process.wait(30) == 42


def test_a_signal_that_ends_the_program_ends_it_as_before(environ):
    with subprocess.Popen([LAUNCHER, "sleep", "60"], env=environ, stderr=subprocess.PIPE) as process:
        while "sleep" not in Path(f"/proc/{process.pid}/cmdline").read_text():
            assert process.poll() is None
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_no_signal_is_ignored_that_was_not(run):
    def ignored(done):
        return next(line for line in done.stdout.splitlines() if line.startswith("SigIgn"))

    plain = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True)
    assert ignored(run("cat", "/proc/self/status")) == ignored(plain)


def test_stdin_is_the_programs(run):
    assert run("cat", stdin="all\nof it").stdout == "all\nof it"


def test_the_terminal_is_the_programs(environ):
    ours_end, theirs = pty.openpty()
    code = "import os; print(os.ttyname(0) == os.ttyname(1) == os.ttyname(2), input())"
    command = [LAUNCHER, "python", "-c", code]
    with subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.write(ours_end, b"typed\n")
        assert process.wait(30) == 0
    assert b"True typed" in os.read(ours_end, 1024)
    os.close(ours_end)
    os.close(theirs)


def test_open_files_and_the_directory_are_the_programs(environ, tmp_path):
    reader, writer = os.pipe()
    code = "import os, sys; os.write(int(sys.argv[1]), os.getcwdb())"
    command = [LAUNCHER, "python", "-c", code, str(writer)]
    subprocess.run(command, env=environ, pass_fds=[writer], cwd=tmp_path, check=True)
    os.close(writer)
    with open(reader) as pipe:
        assert pipe.read() == os.path.realpath(tmp_path)


def test_the_environment_is_the_same_but_for_the_python_path(run, environ):
    report = reported(run("python", "-c", REPORT, EMPTY="", BYTES="\udcff"))
    assert report["environ"].pop("PYTHONPATH") == OURS
    added_by_the_interpreter = {"LC_CTYPE"}  # PEP 538, with or without us
    assert {k: v for k, v in report["environ"].items() if k not in added_by_the_interpreter} == {
        **{k: v for k, v in environ.items() if k not in added_by_the_interpreter},
        "EMPTY": "",
        "BYTES": "\udcff",
    }


# PYTHONPATH.


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, OURS),
        ("", OURS),
        ("/a", f"{OURS}:/a"),
        ("/b:/a:/b", f"{OURS}:/b:/a:/b"),
        (OURS, OURS),
        (f"/a:{OURS}:/b", f"{OURS}:/a:/b"),
        (f"{OURS}:{OURS}:/a", f"{OURS}:/a"),
        (":/a", f"{OURS}::/a"),  # an empty entry is the current directory: it stays, none is added
        ("/a:", f"{OURS}:/a:"),
    ],
)
def test_the_python_path_keeps_its_order(run, before, after):
    assert run("printenv", "PYTHONPATH", PYTHONPATH=before).stdout == f"{after}\n"


def test_the_bootstrap_directory_holds_nothing_else_that_can_be_imported():
    assert {entry.name for entry in Path(OURS).iterdir()} - {"__pycache__"} == {"sitecustomize.py"}


@pytest.mark.parametrize("text", ["false", "FALSE", "0"])
def test_switched_off_the_program_is_left_as_it_is(run, text):
    done = run("printenv", "PYTHONPATH", AUTOTRACE_ENABLED=text, PYTHONPATH="/a:/b")
    assert done.stdout == "/a:/b\n"
    assert run("printenv", "PYTHONPATH", AUTOTRACE_ENABLED=text).returncode == 1
    assert run("--enabled=false", "printenv", "PYTHONPATH").returncode == 1


# What does not work.


@pytest.mark.parametrize("name", ["no-such-command", "./no/such", "", "app\n.py"])
def test_an_unknown_command(run, name):
    done = run("--", name)
    line = name.replace("\n", " ")
    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr == f"autotrace-run: {line}: command not found\n"


def test_a_script_that_is_not_a_command_gets_a_hint(run):
    write(run.directory / "app.py", "")
    done = run("app.py")
    assert done.returncode == 127
    assert done.stderr == (
        "autotrace-run: app.py: command not found; did you mean: autotrace-run python app.py\n"
    )
    done = run("./app.py")
    assert done.returncode == 126
    assert done.stderr.endswith(": permission denied; did you mean: autotrace-run python ./app.py\n")


def test_a_file_that_is_not_executable(run):
    file = write(run.directory / "data", "x")
    for words, path in ((["./data"], None), (["data"], str(file.parent))):
        done = run(*words, **({} if path is None else {"PATH": path + ":/usr/bin:/bin"}))
        assert done.returncode == 126
        assert done.stderr == f"autotrace-run: {words[0]}: permission denied\n"


def test_an_executable_further_down_the_path_counts(run, tmp_path):
    write(tmp_path / "first" / "tool", "x")
    (tmp_path / "zeroth" / "tool").mkdir(parents=True)
    write(tmp_path / "second" / "tool", "#!/bin/sh\necho second\n", executable=True)
    path = ":".join(str(tmp_path / name) for name in ("zeroth", "first", "second"))
    assert run("tool", PATH=path).stdout == "second\n"


def test_a_directory(run):
    (run.directory / "shop").mkdir()
    done = run("./shop")
    assert (done.returncode, done.stderr) == (126, "autotrace-run: ./shop: is a directory\n")


def test_a_binary_for_another_machine(run):
    write(run.directory / "alien", "\0\0garbage", executable=True)
    done = run("./alien")
    assert done.returncode == 126
    assert done.stderr.lower() == "autotrace-run: ./alien: exec format error\n"


def test_a_script_whose_interpreter_is_missing(run):
    write(run.directory / "app", "#!/no/such/python\n", executable=True)
    done = run("./app")
    assert (done.returncode, done.stderr) == (127, "autotrace-run: ./app: its interpreter does not exist\n")


@pytest.mark.parametrize("words", [[], ["--"], ["--sdk_disabled"]])
def test_no_command(run, words):
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: autotrace-run ")


# Options.


def test_options_become_variables(run):
    words = [
        "--service_name=shop",
        "--exporter-jaeger-agent-host",
        "j",
        "--sdk_disabled",
        "--flask_excluded_urls=",
    ]
    environ = reported(run(*words, "python", "-c", REPORT, OTEL_SERVICE_NAME="other"))["environ"]
    assert environ["OTEL_SERVICE_NAME"] == "shop"
    assert environ["OTEL_EXPORTER_JAEGER_AGENT_HOST"] == "j"
    assert environ["OTEL_SDK_DISABLED"] == "true"
    assert environ["OTEL_PYTHON_FLASK_EXCLUDED_URLS"] == ""


def test_an_unknown_option(run):
    done = run("--servce_name", "x", "python", "-c", "print(1)")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "autotrace-run: unknown option --servce_name: did you mean --service_name?\n"


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help(run, word):
    done = run(word)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: autotrace-run ")
    assert "--exporter_jaeger_agent_host" in done.stdout


# Programs that autotrace cannot reach.


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["-I"], "-I"),
        (["-E"], "-E"),
        (["-S"], "-S"),
        (["-sE"], "-E"),
        (["-IS"], "-I"),
        (["-W", "ignore", "-B", "-E"], "-E"),
        (["-Wignore", "-E"], "-E"),
        (["-X", "utf8", "--check-hash-based-pycs", "never", "-S"], "-S"),
    ],
)
def test_an_interpreter_that_ignores_us_runs_with_one_line(run, words, option):
    done = run("python", *words, "-c", "print('ran')")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert ours(done.stderr) == [f"autotrace-run: not traced: Python's option {option} keeps autotrace out"]


@pytest.mark.parametrize(
    "words",
    [["-s"], ["-B", "-u"], ["-WE", "-u"], ["-X", "importtime"], ["-Xfrozen_modules"], ["-cE=1", "-E"]],
)
def test_other_options_of_python_are_no_hindrance(run, words):
    tail = [] if words[0].startswith("-c") else ["-c", "1"]
    assert ours(run("python", *words, *tail).stderr) == []


def test_options_of_the_script_are_no_hindrance(run):
    write(run.directory / "app.py", "")
    for words in (["app.py", "-I"], ["-m", "this", "-E"], ["-", "-S"]):
        assert ours(run("python", *words).stderr) == []
    assert ours(run("sh", "-c", ":", "-E").stderr) == []


@pytest.mark.parametrize("line", [f"#!{sys.executable} -sE", "#!/usr/bin/env -S python -E"])
def test_a_script_whose_interpreter_ignores_us(run, line):
    write(run.directory / "app", f"{line}\nprint('ran')\n", executable=True)
    done = run("./app", "-I")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert ours(done.stderr) == ["autotrace-run: not traced: Python's option -E keeps autotrace out"]


def test_switched_off_there_is_nothing_to_say_about_that(run):
    assert ours(run("python", "-I", "-c", "1", AUTOTRACE_ENABLED="false").stderr) == []


# The price.


def test_the_launcher_imports_next_to_nothing():
    code = (
        "import sys; before = set(sys.modules); import autotrace.cli.run; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = {"__future__", "autotrace", "autotrace.cli", "autotrace.cli.run", "autotrace.settings"}
    assert set(done.stdout.split()) == expected
