"""Imports that are watched, and rows of the hook table that are installed once their module is there."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import pickle
import subprocess
import sys
import threading
import types
import zipfile
from importlib import metadata

import pytest

from autotrace.patching.finder import ImportWatch
from autotrace.patching.hook import Hook
from autotrace.patching.patcher import Patcher
from autotrace.patching.registry import (
    DISABLED,
    FAILED,
    INSTALLED,
    STOOD_DOWN,
    UNSUPPORTED,
    WAITING,
    Registry,
)

LIBRARY = (
    "class Client:\n    def send(self, what):\n        return what\n\ndef send(what):\n    return what\n"
)
INSTALLERS = "installers_of_this_test"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Where the libraries of a test lie; what they put into `sys.modules` is taken out again."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(name, text=LIBRARY):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        importlib.invalidate_caches()
        return path

    yield write
    for name in set(sys.modules) - before:
        if not name.startswith("autotrace"):
            del sys.modules[name]


@pytest.fixture
def calls():
    """What observers have seen."""
    return []


@pytest.fixture
def installers(monkeypatch, calls):
    """The installers of a test: `send` patches what `LIBRARY` offers."""
    module = types.ModuleType(INSTALLERS)
    module.installed = []

    def send(library, patcher):
        module.installed.append(library)

        def observe(call):
            calls.append((library.__name__, call.args[-1]))
            yield

        patcher.wrap(library, "Client.send", observe)
        patcher.wrap(library, "send", observe)

    module.send = send
    monkeypatch.setitem(sys.modules, INSTALLERS, module)
    return module


def row(module, **fields):
    fields.setdefault("library", module)
    return Hook(module=module, installer=f"{INSTALLERS}:{fields.pop('installer', 'send')}", **fields)


@pytest.fixture
def new_registry(installers):
    """Makes registries that start with the first library, and takes them off again."""
    made = []

    def new(*hooks, disabled=(), wake=None, arm=True):
        def start():
            new.woken += 1
            registry.start(
                lambda _hook: Patcher(None, None, None, registry.stand_down), lambda name: name in disabled
            )

        registry = Registry(hooks, start if wake is None else lambda: wake(registry))
        made.append(registry)
        if arm:
            registry.arm()
        return registry

    new.woken = 0
    yield new
    for registry in made:
        registry.disarm()


def results(registry):
    return {hook.module: result for hook, (result, _reason) in registry.results.items()}


def works(module, calls):
    """That the module does its work, and that it is watched."""
    del calls[:]
    assert module.send(1) == 1
    assert module.Client().send(2) == 2
    return calls == [(module.__name__, 1), (module.__name__, 2)]


# A watched import changes nothing else.


def watched_and_not(site, name, text=LIBRARY):
    """The same module imported twice: without a watch, and with one."""
    site(f"{name}.py", text)
    plain = importlib.import_module(name)
    del sys.modules[name]
    told = []
    watch = ImportWatch(frozenset({name}), lambda *imported: told.append(imported))
    sys.meta_path.insert(0, watch)
    try:
        watched = importlib.import_module(name)
    finally:
        sys.meta_path.remove(watch)
    assert told == [(name, watched)]
    return plain, watched


def test_module_spec_and_loader_look_untouched(site):
    plain, watched = watched_and_not(site, "untouched")
    assert type(watched.__loader__) is type(plain.__loader__) is importlib.machinery.SourceFileLoader
    assert watched.__spec__.loader is watched.__loader__
    assert watched.__spec__ == plain.__spec__
    assert vars(watched).keys() == vars(plain).keys()
    assert repr(watched) == repr(plain)
    assert inspect.getsource(watched.send) == inspect.getsource(plain.send)
    assert inspect.getfile(watched) == inspect.getfile(plain)


def test_the_code_of_the_module_sees_its_own_loader(site):
    """Libraries look at `__loader__` and `__spec__` while they are imported."""
    seen = (
        "seen = (type(__loader__).__name__, type(__spec__.loader).__name__, __spec__.loader is __loader__)\n"
    )
    plain, watched = watched_and_not(site, "looks_at_itself", seen)
    assert watched.seen == plain.seen == ("SourceFileLoader", "SourceFileLoader", True)


def test_a_spec_that_is_only_looked_at(site, new_registry):
    site("looked_at.py")
    plain = importlib.util.find_spec("looked_at")
    new_registry(row("looked_at"))
    spec = importlib.util.find_spec("looked_at")
    assert isinstance(spec.loader, importlib.machinery.SourceFileLoader)
    assert spec.origin == plain.origin
    assert repr(spec) == repr(plain).replace(repr(plain.loader), repr(spec.loader))
    assert spec.loader.get_source("looked_at") == LIBRARY
    assert spec.loader.is_package("looked_at") is False
    assert hasattr(spec.loader, "create_module")
    assert not hasattr(spec.loader, "no_such_thing")
    assert "looked_at" not in sys.modules


def test_resources_of_a_watched_package(site, new_registry, calls):
    importlib_resources = pytest.importorskip("importlib.resources")
    site("with_data/__init__.py")
    site("with_data/data.txt", "contents")
    new_registry(row("with_data"))
    import with_data

    assert importlib_resources.files("with_data").joinpath("data.txt").read_text() == "contents"
    assert with_data.__spec__.submodule_search_locations == with_data.__path__
    assert works(with_data, calls)


def test_patched_functions_and_instances_can_be_pickled(site, new_registry, calls):
    site("pickled.py")
    new_registry(row("pickled"))
    import pickled

    assert pickle.loads(pickle.dumps(pickled.send)) is pickled.send
    assert pickle.loads(pickle.dumps(pickled.Client.send)) is pickled.Client.send
    assert type(pickle.loads(pickle.dumps(pickled.Client()))) is pickled.Client
    assert works(pickled, calls)


def test_an_import_error_of_the_library_is_its_own(site, new_registry):
    site("broken_library.py", "loaded = 1\nraise ImportError('needs a newer kernel', name='x', path='y')\n")
    registry = new_registry(row("broken_library"))
    with pytest.raises(ImportError) as raised:
        importlib.import_module("broken_library")
    assert raised.value.args == ("needs a newer kernel",)
    assert (raised.value.name, raised.value.path) == ("x", "y")
    last = inspect.getinnerframes(raised.value.__traceback__)[-1]
    assert last.filename.endswith("broken_library.py")
    assert last.lineno == 2
    assert "broken_library" not in sys.modules
    assert results(registry) == {"broken_library": WAITING}


def test_a_library_that_works_at_the_second_try(site, new_registry, calls):
    path = site("second_try.py", "raise RuntimeError('not yet')\n")
    new_registry(row("second_try"))
    with pytest.raises(RuntimeError, match="not yet"):
        import second_try
    path.write_text(LIBRARY)
    importlib.invalidate_caches()
    import second_try

    assert works(second_try, calls)


def test_a_library_that_is_missing(new_registry):
    registry = new_registry(row("there_is_no_such_library"))
    with pytest.raises(ModuleNotFoundError) as raised:
        importlib.import_module("there_is_no_such_library")
    assert str(raised.value) == "No module named 'there_is_no_such_library'"
    assert importlib.util.find_spec("there_is_no_such_library") is None
    assert results(registry) == {"there_is_no_such_library": WAITING}


def test_a_module_that_replaces_itself(site, new_registry, calls):
    """What lies in `sys.modules` afterwards is what the program gets, so that is patched."""
    site(
        "replaced.py",
        "import sys, types\nnew = types.ModuleType('another name')\n"
        f"exec({LIBRARY!r}, vars(new))\nsys.modules[__name__] = new\n",
    )
    registry = new_registry(row("replaced"))
    import replaced

    assert replaced.__name__ == "another name"
    assert works(replaced, calls)
    assert results(registry) == {"replaced": INSTALLED}


def test_a_module_that_puts_something_else_in_its_place(site, new_registry, capsys):
    site("odd.py", "import sys\nclass Odd:\n    x = 1\nsys.modules[__name__] = Odd()\n")
    registry = new_registry(row("odd"))
    import odd

    assert odd.x == 1
    assert results(registry) == {"odd": FAILED}
    assert "autotrace: odd is not traced" in capsys.readouterr().err


def test_a_module_that_takes_itself_out(site, new_registry):
    site("shy.py", "import sys\ndel sys.modules[__name__]\n" + LIBRARY)
    new_registry(row("shy"))
    with pytest.raises(KeyError):
        importlib.import_module("shy")


def test_finders_of_others_stay_in_force(site, new_registry, monkeypatch, calls):
    """Whoever stands in front of us or behind us, with whatever loader, is asked as before."""

    class Finder:
        asked = 0

        def find_spec(self, name, path=None, target=None):
            if name != "made_up":
                return None
            self.asked += 1
            return importlib.util.spec_from_loader(name, Loader())

    class Loader:
        def create_module(self, spec):
            return types.ModuleType(spec.name, "made by the loader")

        def exec_module(self, module):
            exec(LIBRARY, vars(module))

    finder = Finder()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    new_registry(row("made_up"))
    import made_up

    assert made_up.__doc__ == "made by the loader"
    assert type(made_up.__loader__) is Loader
    assert finder.asked == 1
    assert works(made_up, calls)


def test_finders_without_find_spec_are_passed_over(site, new_registry, monkeypatch, calls):
    class Ancient:
        pass

    monkeypatch.setattr(sys, "meta_path", [Ancient(), *sys.meta_path])
    site("modern.py")
    new_registry(row("modern"))
    import modern

    assert works(modern, calls)


def test_a_lazily_loaded_module(site, new_registry, calls):
    """`importlib.util.LazyLoader` runs the code at the first touch."""
    site("lazy.py")
    registry = new_registry(row("lazy"))
    spec = importlib.util.find_spec("lazy")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["lazy"] = module
    spec.loader.exec_module(module)
    assert results(registry) == {"lazy": WAITING}
    assert works(module, calls)


def test_a_namespace_package(site, new_registry, calls):
    site("spread/inner.py")
    registry = new_registry(row("spread"), row("spread.inner"))
    import spread.inner

    assert type(spread.__path__).__name__ == "_NamespacePath"
    assert works(spread.inner, calls)
    assert results(registry)["spread.inner"] == INSTALLED


def test_a_library_in_a_zip_file(tmp_path, site, new_registry, calls, monkeypatch):
    archive = tmp_path / "libraries.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped.py", LIBRARY)
    monkeypatch.syspath_prepend(str(archive))
    new_registry(row("zipped"))
    import zipped

    assert zipped.__file__.startswith(str(archive))
    assert "zipimporter" in repr(type(zipped.__loader__))
    # Before 3.10 the loader of zip files runs code in a way that cannot be watched.
    assert works(zipped, calls) is (sys.version_info >= (3, 10))


def test_a_builtin_module(new_registry, installers, monkeypatch):
    monkeypatch.delitem(sys.modules, "_symtable", raising=False)
    installers.note = lambda library, _patcher: installers.installed.append(library.__name__)
    new_registry(row("_symtable", installer="note"))
    module = importlib.import_module("_symtable")
    assert module.__loader__ is module.__spec__.loader is importlib.machinery.BuiltinImporter
    assert installers.installed == ["_symtable"]


# Reloading.


def test_a_reloaded_module_is_patched_again(site, new_registry, calls):
    path = site("reloaded.py")
    registry = new_registry(row("reloaded"))
    import reloaded

    old = reloaded.Client()
    path.write_text(LIBRARY + "new = True\n")
    importlib.invalidate_caches()
    assert importlib.reload(reloaded) is reloaded
    assert reloaded.new
    assert type(reloaded.__loader__) is importlib.machinery.SourceFileLoader
    assert reloaded.__spec__.loader is reloaded.__loader__
    assert works(reloaded, calls)
    del calls[:]
    assert old.send(3) == 3
    assert calls == [("reloaded", 3)], "objects of the old code live on"
    assert results(registry) == {"reloaded": INSTALLED}


def test_stand_down_after_a_reload_reaches_old_and_new_code(site, new_registry, calls):
    site("reloaded_too.py")
    registry = new_registry(row("reloaded_too"))
    import reloaded_too

    old = reloaded_too.Client()
    importlib.reload(reloaded_too)
    assert registry.stand_down("reloaded_too", "because")
    assert not works(reloaded_too, calls)
    old.send(1)
    assert calls == []
    importlib.reload(reloaded_too)
    assert not works(reloaded_too, calls)


def test_a_module_that_is_imported_afresh_is_patched_again(site, new_registry, calls):
    """As test suites do, and servers that load their code again."""
    site("afresh.py")
    new_registry(row("afresh"))
    import afresh

    first = afresh
    del sys.modules["afresh"]
    import afresh

    assert afresh is not first
    assert works(afresh, calls)
    assert works(first, calls)


# Rows.


def test_nothing_happens_before_a_library_comes(site, new_registry, installers):
    registry = new_registry(row("not_yet"))
    assert new_registry.woken == 0
    assert installers.installed == []
    assert results(registry) == {"not_yet": WAITING}


def test_modules_that_were_there_before(site, new_registry, calls):
    site("early.py")
    import early

    registry = new_registry(row("early"))
    assert works(early, calls)
    assert results(registry) == {"early": INSTALLED}
    assert new_registry.woken == 1


def test_every_row_of_a_module_is_installed_once(site, new_registry, installers):
    site("twice.py")
    installers.other = lambda library, _patcher: installers.installed.append("other")
    registry = new_registry(row("twice"), row("twice", library="other", installer="other"))
    import twice

    importlib.import_module("twice")
    registry.arm()
    sys.meta_path.remove(registry._watch)
    assert installers.installed == [twice, "other"]


def test_nested_imports(site, new_registry, installers, calls):
    """The inner one is complete, and patched, before the outer one goes on."""
    site("outer.py", "import inner\ninner.send('from outer')\n" + LIBRARY)
    site("inner.py")
    new_registry(row("outer"), row("inner"))
    import outer

    assert calls == [("inner", "from outer")]
    assert [library.__name__ for library in installers.installed] == ["inner", "outer"]
    assert new_registry.woken == 1
    assert works(outer, calls)


def test_a_library_that_is_needed_to_wake_is_served_afterwards(site, new_registry, calls):
    site("needed.py")
    site("first.py")

    def wake(registry):
        importlib.import_module("needed")
        registry.start(lambda _hook: Patcher(None, None, None, registry.stand_down), lambda _library: False)

    registry = new_registry(row("first"), row("needed"), wake=wake)
    import first

    assert works(first, calls)
    assert works(sys.modules["needed"], calls)
    assert results(registry) == {"first": INSTALLED, "needed": INSTALLED}


def test_rows_that_wait_sleep_until_a_tracer_exists(site, new_registry, calls):
    site("everywhere.py")
    site("rare.py")
    site("everywhere_too.py")
    registry = new_registry(row("everywhere", waits=True), row("rare"), row("everywhere_too", waits=True))
    import everywhere

    assert new_registry.woken == 0
    assert not works(everywhere, calls)
    import rare

    assert new_registry.woken == 1
    assert works(everywhere, calls)
    assert works(rare, calls)
    import everywhere_too

    assert works(everywhere_too, calls)
    assert set(results(registry).values()) == {INSTALLED}


def test_when_we_cannot_start_the_program_goes_on(site, new_registry, calls):
    site("one.py")
    site("two.py")
    attempts = []
    registry = new_registry(row("one"), row("two"), wake=attempts.append)
    import one
    import two

    assert attempts == [registry], "one attempt"
    assert not works(one, calls)
    assert not works(two, calls)
    assert results(registry) == {"one": WAITING, "two": WAITING}


def test_a_raising_installer_is_undone_and_costs_its_row_alone(site, new_registry, installers, calls, capsys):
    site("unlucky.py")

    def broken(library, patcher):
        installers.send(library, patcher)
        raise LookupError("no such method")

    installers.broken = broken
    registry = new_registry(row("unlucky", installer="broken"), row("unlucky", library="sound"))
    import unlucky

    ((_, reason), (sound, _)) = registry.results.values()
    assert reason == "LookupError('no such method')"
    assert sound == INSTALLED
    assert works(unlucky, calls), "patched by the sound row alone"
    assert capsys.readouterr().err.splitlines() == [
        "autotrace: unlucky is not traced: its instrumentation failed with LookupError('no such method')"
    ]
    registry.disarm()
    assert not works(unlucky, calls)


@pytest.mark.parametrize("installer", ["missing", "not_callable"])
def test_an_installer_that_is_not_there(site, new_registry, installers, installer, capsys):
    installers.not_callable = None
    site("hopeless.py")
    registry = new_registry(row("hopeless", installer=installer))
    import hopeless

    assert hopeless.send(1) == 1
    assert results(registry) == {"hopeless": FAILED}
    assert "autotrace: hopeless is not traced" in capsys.readouterr().err


def distribution(site, name, version):
    site(f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.mark.parametrize(
    ("version", "supported"),
    [
        ("2.0", True),
        ("2", True),
        ("2.0.0rc1", True),
        ("3.99.1", True),
        ("1.9.9", False),
        ("4", False),
        ("4.0.0", False),
    ],
)
def test_versions(site, new_registry, calls, capsys, version, supported):
    site("versioned.py")
    distribution(site, "versioned", version)
    registry = new_registry(row("versioned", versions=">=2.0,<4"))
    import versioned

    assert works(versioned, calls) is supported
    assert results(registry) == {"versioned": INSTALLED if supported else UNSUPPORTED}
    assert capsys.readouterr().err == (
        ""
        if supported
        else f"autotrace: versioned is not traced: version {version} is installed, >=2.0,<4 is supported\n"
    )


def test_a_library_without_metadata_is_tried(site, new_registry, calls):
    site("vendored.py")
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.version("vendored")
    new_registry(row("vendored", versions=">=2.0"))
    import vendored

    assert works(vendored, calls)


def test_a_distribution_of_another_name(site, new_registry, calls):
    site("importable.py")
    distribution(site, "Published_Name", "1.0")
    registry = new_registry(row("importable", versions=">=2", distribution="Published_Name"))
    import importable

    assert not works(importable, calls)
    assert results(registry) == {"importable": UNSUPPORTED}


def test_a_disabled_library(site, new_registry, calls, installers):
    site("unwanted.py")
    site("wanted.py")
    registry = new_registry(row("unwanted"), row("wanted"), disabled={"unwanted"})
    import unwanted
    import wanted

    assert not works(unwanted, calls)
    assert works(wanted, calls)
    assert results(registry) == {"unwanted": DISABLED, "wanted": INSTALLED}
    importlib.reload(unwanted)
    assert not works(unwanted, calls)


def test_standing_down_before_the_import(site, new_registry, calls):
    site("theirs.py")
    site("theirs_too.py")
    registry = new_registry(row("theirs"), row("theirs_too", library="theirs"))
    assert registry.stand_down("theirs", "served by another") is True
    assert registry.stand_down("theirs", "served by another") is False
    assert registry.stand_down("none of ours", "") is False
    import theirs
    import theirs_too

    assert not works(theirs, calls)
    assert not works(theirs_too, calls)
    assert set(registry.results.values()) == {(STOOD_DOWN, "served by another")}


def test_standing_down_after_the_import(site, new_registry, calls):
    site("taken_over.py")
    site("kept.py")
    registry = new_registry(row("taken_over"), row("kept"))
    import kept
    import taken_over

    assert works(taken_over, calls)
    assert registry.stand_down("taken_over", "served by another") is True
    assert not works(taken_over, calls)
    assert works(kept, calls)
    assert results(registry) == {"taken_over": STOOD_DOWN, "kept": INSTALLED}


def test_disarming_takes_everything_back(site, new_registry, calls):
    site("for_now.py")
    site("never.py")
    registry = new_registry(row("for_now"), row("never"))
    import for_now

    before = list(sys.meta_path)
    registry.disarm()
    registry.disarm()
    import never

    assert not works(for_now, calls)
    assert not works(never, calls)
    assert [finder for finder in before if finder not in sys.meta_path] == [registry._watch]


# Threads.


def test_threads_that_import_at_once(site, new_registry, calls, installers):
    """Each library is patched once, and one thread wakes us, however slow that is."""
    names = [f"parallel_{number}" for number in range(12)]
    for name in names:
        site(f"{name}.py", "import time; time.sleep(0.002)\n" + LIBRARY)
    barrier = threading.Barrier(len(names))
    woken = []

    def wake(registry):
        woken.append(threading.current_thread())
        threading.Event().wait(0.02)  # others end their imports meanwhile
        registry.start(lambda _hook: Patcher(None, None, None, registry.stand_down), lambda _library: False)

    registry = new_registry(
        *(row(name, waits=number % 3 == 0) for number, name in enumerate(names)), wake=wake
    )

    def work(name):
        barrier.wait(10)
        importlib.import_module(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(woken) == 1
    assert set(results(registry).values()) == {INSTALLED}
    assert sorted(library.__name__ for library in installers.installed) == sorted(names)
    for name in names:
        assert works(sys.modules[name], calls)


def test_threads_that_import_the_same_module(site, new_registry, installers):
    site("shared.py", "import time; time.sleep(0.01)\n" + LIBRARY)
    new_registry(row("shared"))
    threads = [threading.Thread(target=importlib.import_module, args=("shared",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(installers.installed) == 1


# At interpreter start.


def test_watching_imports_brings_in_nothing():
    """The registry is armed in every interpreter: it may cost no other module."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "import autotrace.patching.registry, autotrace.patching.hook\n"
        "print(*sorted(name for name in set(sys.modules) - before if not name.startswith('autotrace')))"
    )
    # -S: `site` imports what it likes.
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=inspect.getfile(Registry).rsplit("/autotrace/", 1)[0],
    )
    assert done.stdout.strip() == "__future__"
