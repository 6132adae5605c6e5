"""`autotrace payload`: write what a container mounts to be traced, its image untouched.

The layout, which `sitecustomize` and `bootstrap.opentelemetry_api` know too:

    AUTOTRACE-PAYLOAD    marks the directory as ours, and lists what it holds
    bootstrap/           what goes on PYTHONPATH: sitecustomize.py alone
    opentelemetry/…      the same where OpenTelemetry's operator for Kubernetes looks for it
    autotrace/           the package; in `bundled/` what it needs, under names that no program asks for
    opentelemetry-api/   joins the program's path only where the program has none of its own

The SDK stays out: it serves plug-ins, and these are in the program's own environment, with their SDK.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from autotrace import __version__

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from typing import Any, Final

MARK: Final = "AUTOTRACE-PAYLOAD"
BOOTSTRAP: Final = "bootstrap"
FOR_OPERATOR: Final = "opentelemetry/instrumentation/auto_instrumentation"
API: Final = "opentelemetry-api"
ENTRIES: Final = frozenset({MARK, BOOTSTRAP, "opentelemetry", "autotrace", API})

_OLDEST_PYTHON: Final = "3.9"
_BUNDLED: Final = ("typing_extensions", "wrapt")
"""Copied to `autotrace/bundled`."""
_REPLACED: Final = ("importlib_metadata", "zipp")
"""`autotrace/bundled` has a stand-in of ours for the first, which is all that needs the second."""
_NOT_FOR_PROGRAMS: Final = frozenset({"analysis", "cli", "backend", "sitecustomize"})
"""Parts of autotrace that run in processes of their own."""

_NAMES: Final = "|".join((*_BUNDLED, "importlib_metadata"))
_IMPORT: Final = re.compile(
    rf"^([ \t]*)(?:from[ \t]+({_NAMES})(?=[.\s])|import[ \t]+({_NAMES})(?=[ \t]*(?:$|#|as\b)))", re.MULTILINE
)
_CHANGED: Final = "\n# Changed by `autotrace payload`: imports from autotrace.bundled.\n"
_FAILED: Final = 1


class PayloadError(Exception):
    """The payload cannot be made; the text says why."""


def add_to(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the subcommand."""
    parser = commands.add_parser(
        "payload",
        parents=[common],
        help="write a directory that traces containers without a change to their image",
        description="Write autotrace and all it needs to DIR, as pure Python for every CPython from 3.9 up."
        " A program with DIR/bootstrap on its PYTHONPATH is traced. The packages come from where pip finds"
        " them: its own settings, such as PIP_INDEX_URL and PIP_FIND_LINKS, are in force.",
    )
    parser.add_argument(
        "directory",
        metavar="DIR",
        type=Path,
        help="a new or empty directory, or an earlier payload to replace",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write."""
    target = arguments.directory.resolve()
    try:
        contents = write(target)
    except PayloadError as error:
        sys.stderr.write(f"autotrace: {error}\n")
        return _FAILED
    except OSError as error:
        sys.stderr.write(f"autotrace: cannot write {target}: {error.strerror or error}\n")
        return _FAILED
    print(f"{target} holds {', '.join(contents)}\n\nPYTHONPATH={target / BOOTSTRAP}")
    return 0


def write(target: Path) -> list[str]:
    """Make the payload beside `target`, then put it in its place.

    Returns:
        What it holds, as `name version`.

    Raises:
        PayloadError: `target` holds something else, or a dependency cannot be had.
    """
    _refuse_foreign(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        contents = _fill(new)
        _readable_for_all(new)
        _replace(target, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return contents


def _refuse_foreign(target: Path) -> None:
    if not target.exists():
        return
    if target.is_mount():
        raise PayloadError(f"{target} is a mount point and cannot be replaced: choose a directory in it")
    found = {entry.name for entry in target.iterdir()} if target.is_dir() else {target.name}
    foreign = sorted(found - ENTRIES if MARK in found else found)
    if foreign:
        raise PayloadError(
            f"{target} holds what is not a payload's ({foreign[0]}): choose an empty directory"
        )


def _replace(target: Path, new: Path) -> None:
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _fill(new: Path) -> list[str]:
    installed = new / "installed"
    _install(installed)
    _copy_package(Path(__file__).parents[1], new / "autotrace", _NOT_FOR_PROGRAMS)
    for directory in (BOOTSTRAP, FOR_OPERATOR):
        (new / directory).mkdir(parents=True)
        shutil.copyfile(_sitecustomize(), new / directory / "sitecustomize.py")
    contents = [f"autotrace {__version__}", *_distribute(installed, new)]
    shutil.rmtree(installed)
    (new / MARK).write_text("".join(f"{line}\n" for line in contents), encoding="utf-8")
    _redirect_imports(new)
    return contents


def _install(directory: Path) -> None:
    """Let pip choose versions that the oldest Python can run, whichever runs now."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-warn-conflicts", "--no-compile", "--only-binary=:all:", "--target", str(directory)]
    command += ["--python-version", _OLDEST_PYTHON, "--implementation=py", "--abi=none", "--platform=any"]
    pip = subprocess.run([*command, *_requirements()], capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if pip.returncode != 0:
        reason = (pip.stderr.strip() or pip.stdout.strip()).splitlines()
        raise PayloadError(
            "pip cannot install what a payload needs: " + (reason[-1] if reason else "no reason given")
        )


def _requirements() -> list[str]:
    """What autotrace says of the packages that a payload holds."""
    from importlib.metadata import PackageNotFoundError, requires  # noqa: PLC0415 - other subcommands do without

    try:
        declared = requires("autotrace") or []
    except PackageNotFoundError:
        raise PayloadError("autotrace is not installed here, its requirements are not known") from None
    return [text.partition(";")[0] for text in declared if re.match(rf"({API}|wrapt)\b", text)]


def _distribute(installed: Path, new: Path) -> Iterable[str]:
    """Put each installed distribution where it belongs."""
    for about in sorted(installed.glob("*.dist-info")):
        name, version = about.name[: -len(".dist-info")].split("-")
        if name in _REPLACED:
            continue
        if name == API.replace("-", "_"):
            _copy_package(installed / "opentelemetry", new / API / "opentelemetry")
            _copy_about(about, new / API / about.name)
        elif name in _BUNDLED:
            package = installed / name
            if package.is_dir():
                _copy_package(package, new / "autotrace" / "bundled" / name)
            else:
                shutil.copyfile(f"{package}.py", new / "autotrace" / "bundled" / f"{name}.py")
            _copy_about(about, new / "autotrace" / "bundled" / about.name)
        else:
            raise PayloadError(f"{name} is required by a dependency, and this version has no place for it")
        yield f"{name.replace('_', '-')} {version}"


def _copy_package(package: Path, target: Path, left_out: Iterable[str] = ()) -> None:
    """Copy the Python files of a package, without the subpackages left out."""
    for file in sorted(package.rglob("*.py")):
        inside = file.relative_to(package)
        if inside.parts[0] not in left_out:
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / inside)


def _copy_about(about: Path, target: Path) -> None:
    """What others ask of a distribution, and its licence; not the list of its files, which has changed."""
    for file in about.rglob("*"):
        if file.is_file() and (file.parent != about or file.name in {"METADATA", "entry_points.txt"}):
            (target / file.relative_to(about)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / file.relative_to(about))


def _redirect_imports(new: Path) -> None:
    """Let everything import the bundled packages where they are."""
    for file in new.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        changed = redirected(text)
        _make_sure(changed, file.relative_to(new))
        if changed != text:
            file.write_text(changed + _CHANGED, encoding="utf-8")


def redirected(text: str) -> str:
    """`from wrapt import x` and `import wrapt`, turned to `autotrace.bundled`."""

    def turn(found: re.Match[str]) -> str:
        indent, from_, import_ = found.groups()
        return f"{indent}from autotrace.bundled" + (f".{from_}" if from_ else f" import {import_}")

    return _IMPORT.sub(turn, text)


def _make_sure(text: str, file: Path) -> None:
    """No other form of import is left."""
    import ast  # noqa: PLC0415 - other subcommands do without

    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        for name in names:
            if name.partition(".")[0] in {*_BUNDLED, *_REPLACED}:
                raise PayloadError(f"{file}: this import of {name} cannot be turned to autotrace.bundled")


def _sitecustomize() -> Path:
    from autotrace.cli.run import bootstrap_directory  # noqa: PLC0415 - the launcher's

    directory = bootstrap_directory()
    if not directory:
        raise PayloadError("sitecustomize.py is missing from this installation")
    return Path(directory) / "sitecustomize.py"


def _readable_for_all(new: Path) -> None:
    """Whatever the umask: the program's user is not ours."""
    new.chmod(0o755)
    for path in new.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
