"""Performs the steps of a Dockerfile in a scratch directory, so that a wrong path or name fails.

Where this machine takes the place of a base image: its interpreters, its shell and coreutils. Every
other absolute path is one below the scratch directory. Users are written down, not made.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from payloads import interpreter


class Image(NamedTuple):
    """What the last stage left."""

    root: Path
    environ: dict[str, str]
    workdir: Path
    user: str
    command: list[str]


def instructions(file: Path) -> list[tuple[str, str]]:
    lines = [
        line for line in file.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def perform(file: Path, context: Path, scratch: Path) -> Image:
    stage = _Stages(context, scratch)
    for word, rest in instructions(file):
        getattr(stage, f"do_{word.lower()}")(rest)
    command = stage.entrypoint + stage.cmd
    return Image(stage.root, stage.on_this_machine(), stage.path(stage.workdir), stage.user, command)


class _Stages:
    def __init__(self, context: Path, scratch: Path) -> None:
        self.context, self.scratch = context, scratch
        # One place for all stages, as in an image: scripts name their interpreter by its path.
        self.root = scratch / "root"
        self.finished: dict[str, Path] = {}
        self.name = ""

    def path(self, inside: str) -> Path:
        return self.root / self.workdir.lstrip("/") / inside if inside[0] != "/" else self.root / inside[1:]

    def on_this_machine(self) -> dict[str, str]:
        def directory(entry: str) -> str:
            if entry == "/usr/local/bin" and self.python:
                return str(Path(self.python).parent)
            return entry if entry in {"/usr/local/bin", "/usr/bin", "/bin"} else str(self.path(entry))

        path = ":".join(map(directory, self.environ["PATH"].split(":")))
        return {**self.environ, "PATH": path}

    def do_from(self, rest: str) -> None:
        if self.name:
            self.finished[self.name] = self.root.rename(self.scratch / self.name)
        image, _, name = rest.partition(" AS ")
        self.name = name or "last"
        self.root.mkdir(parents=True)
        base, _, tag = image.partition(":")
        assert tag, f"{image}: no version"
        self.python = interpreter(tag.removesuffix("-slim")) if base == "python" else ""
        self.environ = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        self.workdir, self.user, self.users = "/", "root", {"root"}
        self.entrypoint: list[str] = []
        self.cmd: list[str] = []

    def do_run(self, rest: str) -> None:
        words = shlex.split(rest)
        if words[0] == "useradd":
            self.users.add(words[-1])
            return
        command = re.sub(r"(?<=\s)/(?=\w)", f"{self.root}/", rest)
        done = subprocess.run(
            ["/bin/sh", "-ec", command],
            check=False,
            capture_output=True,
            text=True,
            env=self.on_this_machine(),
            cwd=self.path(self.workdir),
            timeout=110,
        )
        assert done.returncode == 0, f"RUN {rest}: {done.stderr}"

    def do_env(self, rest: str) -> None:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            self.environ[name] = re.sub(r"\$(\w+)", lambda found: self.environ[found[1]], value)

    def do_workdir(self, rest: str) -> None:
        self.workdir = rest
        self.path(rest).mkdir(parents=True, exist_ok=True)

    def do_copy(self, rest: str) -> None:
        *sources, target = rest.split()
        origin = self.context
        while sources[0].startswith("--"):
            option, _, value = sources.pop(0).partition("=")
            if option == "--from":
                origin = self.finished[value]
            else:
                assert (option, value in self.users) == ("--chown", True), f"COPY {rest}"
        destination = self.path(target)
        (destination if target.endswith("/") else destination.parent).mkdir(parents=True, exist_ok=True)
        for source in sources:
            found = [origin] if source == "." else sorted(origin.glob(source.lstrip("/")))
            assert found, f"COPY {rest}: there is no {source}"
            for path in found:
                if path.is_dir():
                    shutil.copytree(path, destination, symlinks=True, dirs_exist_ok=True)
                else:
                    shutil.copy(path, destination)

    def do_user(self, rest: str) -> None:
        user = rest.partition(":")[0]
        assert user.isdigit() or user in self.users, f"USER {rest}: nobody has made that user"
        self.user = user

    def do_expose(self, rest: str) -> None:
        assert rest.isdigit()

    def do_entrypoint(self, rest: str) -> None:
        self.entrypoint = json.loads(rest)

    def do_cmd(self, rest: str) -> None:
        self.cmd = json.loads(rest)
