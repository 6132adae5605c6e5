"""`autotrace-run COMMAND`: become that command, with the bootstrap directory first on its `PYTHONPATH`.

The program is `exec`ed, so that its signals, exit code, stdin and terminal are its own. Every start
pays for what is imported here: `autotrace.settings` is made for that, the table comes with an option.
"""
# Importing pathlib costs more than everything else here.
# ruff: noqa: PTH100, PTH112, PTH113, PTH118, PTH119, PTH120, PTH123

from __future__ import annotations

import os
import sys

from autotrace import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final, NoReturn

USAGE: Final = "usage: autotrace-run [--option VALUE ...] COMMAND [ARGUMENT ...]"

# What a shell answers in these cases.
_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126
_MISUSED: Final = 2

_SHEBANG_LENGTH: Final = 256
"""Bytes of a script that Linux looks at."""
_CLOSED_LAUNCHERS: Final = frozenset({"elasticapm-run"})
"""Commands that attach another tracer by a `sitecustomize` that runs no other."""


class CommandError(Exception):
    """A command that cannot be run; the text says why."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code
        """What a shell would end with."""


def main() -> None:
    """The console script: ends or replaces the process."""
    environ = dict(os.environ)
    command = sys.argv[1:]
    if command and command[0].startswith("-"):
        command = _take_options(command, environ)
    if not command:
        raise _refusal(USAGE, _MISUSED)
    try:
        path = find(command[0], environ.get("PATH", os.defpath))
    except CommandError as error:
        raise _refusal(f"autotrace-run: {error}", error.code) from None
    if settings.switched_off(environ) is None:
        _let_in(path, command, environ)
    _become(path, command, environ)


def bootstrap_directory() -> str:
    """The directory that holds our `sitecustomize.py` and nothing else that can be imported.

    Beside the package in a checkout, inside it where a wheel was installed; empty when it is missing.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for parent in (package, os.path.dirname(package)):
        directory = os.path.join(parent, "sitecustomize")
        if os.path.isfile(os.path.join(directory, "sitecustomize.py")):
            return directory
    return ""


def python_path(first: str, existing: str) -> str:
    """`PYTHONPATH` with `first` at its head, once, and everything else in its order.

    No empty entry is added: Python would read it as the current directory.
    """
    rest = [entry for entry in existing.split(os.pathsep) if entry != first] if existing else []
    return os.pathsep.join([first, *rest])


def _take_options(arguments: list[str], environ: dict[str, str]) -> list[str]:
    """Put options into `environ`, answer questions, and return the command."""
    from autotrace.settings.options import UsageError, described, understood  # noqa: PLC0415 - the whole table

    try:
        line = understood(arguments)
    except UsageError as error:
        raise _refusal(f"autotrace-run: {error}", _MISUSED) from None
    if line.question:
        _restore_signals()  # whoever reads the answer may go away before its end
    if line.question == "help":
        print(f"{USAGE}\n\nOptions, each also an environment variable:\n{described()}")
        sys.exit(0)
    if line.question == "version":
        from autotrace import __version__  # noqa: PLC0415 - beside the other answer

        print(f"autotrace {__version__}")
        sys.exit(0)
    environ.update(line.variables)
    return line.command


def find(name: str, search_path: str) -> str:
    """Find a command as a shell does.

    Raises:
        CommandError: There is none, or it must not be executed.
    """
    if "/" in name:
        candidates = [name]
        if os.path.isdir(name):
            raise CommandError(f"{name}: is a directory", _NOT_EXECUTABLE)
    else:
        candidates = [os.path.join(directory or ".", name) for directory in search_path.split(os.pathsep)]
    files = [candidate for candidate in candidates if os.path.isfile(candidate)]
    for file in files:
        if os.access(file, os.X_OK):
            return file
    is_script = name.endswith(".py") and os.path.isfile(name)
    hint = f"; did you mean: autotrace-run python {name}" if is_script else ""
    if files:
        raise CommandError(f"{name}: permission denied{hint}", _NOT_EXECUTABLE)
    raise CommandError(f"{name}: command not found{hint}", _NOT_FOUND)


def _let_in(path: str, command: list[str], environ: dict[str, str]) -> None:
    """Open the way for autotrace, or say that there is none."""
    launcher = os.path.basename(command[0])
    if launcher in _CLOSED_LAUNCHERS:
        _say(
            f"autotrace-run: not traced: {launcher} keeps other tracers out; start the program with one alone"
        )
        return
    directory = bootstrap_directory()
    if not directory:
        _say("autotrace-run: not traced: sitecustomize.py is missing from this installation")
        return
    environ["PYTHONPATH"] = python_path(directory, environ.get("PYTHONPATH", ""))
    words = command if is_python(path) else shebang(path)
    option = closing_option(words[1:]) if words and is_python(words[0]) else ""
    if option:
        _say(f"autotrace-run: not traced: Python's option {option} keeps autotrace out")


def is_python(path: str) -> bool:
    """Whether a program is a Python interpreter, as its name says."""
    name = os.path.basename(path)
    return name.startswith("python") and not name[len("python") :].strip("0123456789.tdmw")


def shebang(path: str) -> list[str]:
    """The words of a script's first line, from the interpreter on."""
    line = _head(path).partition(b"\n")[0]
    words = os.fsdecode(line[2:]).split() if line.startswith(b"#!") else []
    if words and os.path.basename(words[0]) == "env":
        del words[0]
        while words and (words[0].startswith("-") or "=" in words[0]):
            del words[0]
    return words


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_SHEBANG_LENGTH)
    except OSError:  # executable need not mean readable
        return b""


def closing_option(words: Iterable[str]) -> str:
    """The option before the script that makes Python ignore `PYTHONPATH` or `sitecustomize`."""
    remaining = iter(words)
    for word in remaining:
        if word == "-" or not word.startswith("-"):
            return ""
        if word == "--check-hash-based-pycs":
            next(remaining, "")
        letters = "" if word.startswith("--") else word[1:]
        for position, letter in enumerate(letters, 1):
            if letter in "IES":
                return f"-{letter}"
            if letter in "cm":  # the rest is the program's
                return ""
            if letter in "WX":  # takes what follows, in this word or as the next
                if position == len(letters):
                    next(remaining, "")
                break
    return ""


def _become(path: str, command: list[str], environ: dict[str, str]) -> NoReturn:
    """Replace this process by the command."""
    import errno  # noqa: PLC0415 - built in

    _restore_signals()
    try:
        try:
            os.execve(path, command, environ)  # noqa: S606 - what this program is for
        except OSError as error:
            if error.errno != errno.ENOEXEC or b"\0" in _head(path).partition(b"\n")[0]:
                raise
            # A script without `#!`: a shell would run it itself.
            os.execve("/bin/sh", ["sh", path, *command[1:]], environ)  # noqa: S606 - likewise
    except FileNotFoundError:
        raise _refusal(f"autotrace-run: {command[0]}: its interpreter does not exist", _NOT_FOUND) from None
    except OSError as error:
        raise _refusal(f"autotrace-run: {command[0]}: {error.strerror}", _NOT_EXECUTABLE) from None


def _restore_signals() -> None:
    """Undo what this interpreter did: ignored signals stay ignored across `exec`."""
    import _signal  # type: ignore[import-not-found]  # noqa: PLC0415 - `signal` brings in `enum`

    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(_signal, name):
            _signal.signal(getattr(_signal, name), _signal.SIG_DFL)


def _refusal(message: str, code: int) -> SystemExit:
    _say(message)
    return SystemExit(code)


def _say(message: str) -> None:
    sys.stderr.write(message.replace("\n", " ") + "\n")
