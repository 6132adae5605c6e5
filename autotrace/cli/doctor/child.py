"""A question to another interpreter: code to run there, and what it answers, in bounded time."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple

from autotrace.cli.doctor import probe
from autotrace.cli.doctor.probe import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

_OURS = "autotrace: "


class Answer(NamedTuple):
    """What came back."""

    told: list[dict[str, Any]]
    """In the order of telling; short when the time was over."""
    said: list[str]
    """Our lines on its stderr, without their prefix."""
    failure: str
    """Why it ended badly, empty when it did not."""


def ask(python: str, code: str, environ: Mapping[str, str], timeout: float) -> Answer:
    """Run `code` with `python` for `timeout` seconds at most."""
    # Files, not pipes: a grandchild that lives on would hold a pipe open, and us with it.
    with TemporaryFile() as out, TemporaryFile() as err:
        failure = _run([python, "-c", code], environ, timeout, out, err)
        told = [json.loads(line[len(MARK) :]) for line in _lines(out) if line.startswith(MARK)]
        errors = _lines(err)
    if failure and not told and errors:
        failure = f"{failure}: {errors[-1][:300]}"
    return Answer(told, [line[len(_OURS) :] for line in errors if line.startswith(_OURS)], failure)


def probe_code() -> str:
    """The text of the module that looks around."""
    assert probe.__file__ is not None
    return Path(probe.__file__).read_text(encoding="utf-8")


def _run(words: list[str], environ: Mapping[str, str], timeout: float, out: IO[bytes], err: IO[bytes]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the user's own interpreter
            words,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=dict(environ),
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {timeout:g} s"
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    return f"ended with code {done.returncode}" if done.returncode else ""


def _lines(file: IO[bytes]) -> list[str]:
    file.seek(0)
    return file.read().decode("utf-8", "replace").splitlines()
