"""What happens to traces where a process becomes another one, splits, or leaves in a hurry.

Patched: `os.execv` and `os.execve`, which the other `exec` functions and, in the child, the `spawn` functions
call; `os.posix_spawn`, `os.posix_spawnp`, `os.system`: the trace goes along in the environment. Before an
`exec` and in `os._exit`, which pass `atexit` by, spans that wait are sent, within the exit budget.

Spec: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from autotrace.patching.guard import absorbed
from autotrace.propagation.environment import continued, said

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Final

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_LONGEST_COMMAND: Final = 65_536
"""Characters of a shell command that is still rewritten: the system takes 128 KiB."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `os`."""
    _install_exit(module, patcher)
    _install_exec(module, patcher)
    if patcher.settings.propagate_to_children:
        for name in ("posix_spawn", "posix_spawnp"):
            if hasattr(module, name):
                _replace(module, name, patcher, lambda original: _spawn(original, patcher))
        if os.name == "posix":
            _replace(module, "system", patcher, lambda original: _system(original, patcher))


def _replace(module: ModuleType, name: str, patcher: Patcher, make: Callable[[Function], Function]) -> None:
    def named(original: Function) -> Function:
        made = make(original)

        @functools.wraps(original)
        def function(*args: Any, **kwargs: Any) -> Any:
            return (made if patcher.enabled else original)(*args, **kwargs)

        function.__module__ = module.__name__  # where pickle finds it; the original says `posix`
        return function

    patcher.replace(module, name, named)


def _install_exit(module: ModuleType, patcher: Patcher) -> None:
    provider = patcher.tracer.provider

    def make(original: Function) -> Function:
        def _exit(*args: Any, **kwargs: Any) -> Any:
            try:
                if provider.at_exit is not None:
                    provider.at_exit()
            except Exception as error:
                absorbed(error)
            return original(*args, **kwargs)

        return _exit

    _replace(module, "_exit", patcher, make)


def _install_exec(module: ModuleType, patcher: Patcher) -> None:
    with_environment = module.execve

    def handed_over(given: Any) -> dict[Any, Any] | None:
        """Send what waits; the environment with the trace in it."""
        try:
            patcher.flush()
            if patcher.settings.propagate_to_children:
                return continued(given, patcher.propagator, os.environ)
        except Exception as error:
            absorbed(error)
        return None

    def make_execv(original: Function) -> Function:
        def execv(*args: Any) -> Any:
            environ = handed_over(None)
            return original(*args) if environ is None else with_environment(*args, environ)

        return execv

    def make_execve(original: Function) -> Function:
        def execve(path: Any, argv: Any, env: Any) -> Any:
            environ = handed_over(env)
            return original(path, argv, env if environ is None else environ)

        return execve

    _replace(module, "execv", patcher, make_execv)
    _replace(module, "execve", patcher, make_execve)


def _spawn(original: Function, patcher: Patcher) -> Function:
    def spawn(path: Any, argv: Any, env: Any, /, **kwargs: Any) -> Any:
        try:
            environ = continued(env, patcher.propagator, os.environ)
            if environ is not None:
                env = environ
        except Exception as error:
            absorbed(error)
        return original(path, argv, env, **kwargs)

    return spawn


def _system(original: Function, patcher: Patcher) -> Function:
    def system(command: Any) -> Any:
        try:
            command = _exporting(command, said(patcher.propagator))
        except Exception as error:
            absorbed(error)
        return original(command)

    return system


def _exporting(command: Any, variables: dict[str, str]) -> Any:
    """A shell command that sets variables and becomes what `command` would have been.

    By `exec`, so that there is no process more, and with the name that the shell has in its messages.
    """
    if not variables or not isinstance(command, str) or len(command) > _LONGEST_COMMAND:
        return command
    import shlex  # noqa: PLC0415 - few programs need it

    settings = " ".join(f"{name}={shlex.quote(text)}" for name, text in variables.items())
    return f"export {settings}; exec /bin/sh -c {shlex.quote(command)} sh"
