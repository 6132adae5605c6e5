"""Runs at the start of every interpreter that has this directory on its path; alone in it.

Written for any Python, 2.7 included: `PYTHONPATH` reaches them all. One that is too old is left
alone, with one line on stderr.
"""

import os
import sys


def _chain(own_directory):
    # type: (str) -> None
    """Run the program's own `sitecustomize`, which this one hides; it takes this one's place.

    What it raises is raised here too: the interpreter reports it as it would without us. Where there is
    none, that is what is raised, and the interpreter passes over it in silence.
    """
    # importlib's public names bring in contextlib and collections: 3 ms at every start.
    from _frozen_importlib import module_from_spec  # noqa: PLC0415
    from _frozen_importlib_external import PathFinder  # noqa: PLC0415

    path = [entry for entry in sys.path if _real(entry) != own_directory]
    sys.path[:] = path
    spec = PathFinder.find_spec("sitecustomize", path)
    if spec is None or spec.origin is None or spec.loader is None:  # nothing, or a namespace without code
        raise ImportError("No module named 'sitecustomize'", name="sitecustomize")
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _real(path):
    # type: (str) -> str
    return os.path.realpath(path or os.curdir)


def _arm(own_directory):
    # type: (str) -> None
    parent = os.path.dirname(own_directory)
    # In a checkout the package lies beside this directory, in a wheel around it.
    root = parent if os.path.isdir(os.path.join(parent, "autotrace")) else os.path.dirname(parent)
    try:
        try:
            import autotrace.bootstrap as bootstrap  # noqa: PLC0415, PLR0402
        except ImportError:
            # Another interpreter than the one autotrace is installed for. At the end of the path:
            # what the program has wins, what it lacks comes from us.
            sys.path.append(root)
            import autotrace.bootstrap as bootstrap  # noqa: PLC0415, PLR0402
        bootstrap.arm()
    except Exception as error:
        sys.stderr.write("autotrace: could not start, the program runs untraced: %r\n" % (error,))


def _main():
    # type: () -> None
    own_directory = _real(os.path.dirname(__file__))
    try:
        if sys.version_info >= (3,):
            _chain(own_directory)
    finally:
        if sys.version_info < (3, 9):
            sys.stderr.write("autotrace: needs Python 3.9 or newer, this program runs untraced\n")
        else:
            _arm(own_directory)


_main()
