"""Runs at the start of every interpreter that has this directory on its path; alone in it.

Written for any Python, 2.7 included: `PYTHONPATH` reaches them all. One that is too old is left
alone, with one line on stderr.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType  # noqa: F401
    from typing import Optional  # noqa: F401


def _chain():
    # type: () -> None
    """Run the program's own `sitecustomize`, which this one hides; it takes this one's place.

    What it raises is raised here too: the interpreter reports it as it would without us. Where there is
    none, that is what is raised, and the interpreter passes over it in silence; another `sitecustomize`
    that has run this one would not.
    """
    # importlib's public names bring in contextlib and collections: 3 ms at every start.
    from _frozen_importlib import module_from_spec  # noqa: PLC0415
    from _frozen_importlib_external import PathFinder  # noqa: PLC0415

    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.origin is None or spec.loader is None:  # nothing, or a namespace without code
        if _runs_for_another():
            return
        raise ImportError("No module named 'sitecustomize'", name="sitecustomize")
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _runs_for_another():
    # type: () -> bool
    """Whether the `sitecustomize` of another tool is above us in the stack."""
    frame = sys._getframe()  # type: Optional[FrameType]  # noqa: SLF001
    while frame is not None:
        file = frame.f_code.co_filename
        if file != __file__ and os.path.basename(file) == "sitecustomize.py":
            return True
        frame = frame.f_back
    return False


def _real(path):
    # type: (str) -> str
    return os.path.realpath(path or os.curdir)


def _home(directory):
    # type: (str) -> str
    """The directory that holds the package: beside this one in a checkout, else around it."""
    home = os.path.dirname(directory)
    while not os.path.isdir(os.path.join(home, "autotrace")) and home != os.path.dirname(home):
        home = os.path.dirname(home)
    return home


def _arm(home, is_payload):
    # type: (str, bool) -> None
    try:
        try:
            import autotrace.bootstrap as bootstrap  # noqa: PLC0415, PLR0402
        except ImportError:
            # Another interpreter than the one autotrace is installed for. At the end of the path:
            # what the program has wins, what it lacks comes from us.
            sys.path.append(home)
            try:
                import autotrace.bootstrap as bootstrap  # noqa: PLC0415, PLR0402
            finally:
                if is_payload:  # imported once, a package finds its parts without the path
                    sys.path.remove(home)
        bootstrap.arm()
    except Exception as error:
        _say("could not start, the program runs untraced: %r" % (error,))


def _say(text):
    # type: (str) -> None
    """For the operator, who asked for the program at the top, and not for what that starts."""
    if "_AUTOTRACE_ARMED" not in os.environ:
        sys.stderr.write("autotrace: %s\n" % (text,))


def _main():
    # type: () -> None
    own_directory = _real(os.path.dirname(__file__))
    home = _home(own_directory)
    is_payload = os.path.isfile(os.path.join(home, "AUTOTRACE-PAYLOAD"))
    # OpenTelemetry's operator puts all of a payload on the path, and before the program's packages.
    ours = (own_directory, home) if is_payload else (own_directory,)
    sys.path[:] = [entry for entry in sys.path if _real(entry) not in ours]
    try:
        if sys.version_info >= (3, 5):
            _chain()
        else:
            own = sys.modules.pop(__name__)  # noqa: F841 - without a reference its globals would be gone
            import sitecustomize  # noqa: F401, PLC0415
    finally:
        if sys.version_info < (3, 9):
            _say("needs Python 3.9 or newer, this program runs untraced")
        else:
            _arm(home, is_payload)


_main()
