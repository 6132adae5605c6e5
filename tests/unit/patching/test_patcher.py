"""Patches go on once, look like what they cover, and come off again."""

from __future__ import annotations

import functools
import inspect
import types

import pytest

from autotrace.patching.patcher import MARK, Patcher


@pytest.fixture
def patcher():
    return Patcher(None, None, None, lambda _library, _reason: False)


@pytest.fixture
def seen():
    return []


@pytest.fixture
def observer(seen):
    def observe(call):
        seen.append(call.args)
        yield

    return observe


def library():
    """A module as a library would make it, new for each test."""
    module = types.ModuleType("library")
    source = '''
class Base:
    def method(self, a, b=2):
        """Docs."""
        return ("method", a, b)
    @classmethod
    def of_class(cls, a):
        return (cls.__name__, a)
    @staticmethod
    def static(a):
        return ("static", a)
    def inherited(self):
        return type(self).__name__

class Derived(Base):
    def method(self, a, b=2):
        return ("derived", *super().method(a, b))

class Other(Base):
    pass

def function(a, *, b: int = 2) -> tuple:
    return ("function", a, b)
'''
    exec(compile(source, "library", "exec"), vars(module))
    return module


@pytest.fixture
def module():
    return library()


def raw(owner, name):
    return vars(owner).get(name)


# Putting on.


def test_a_function_of_a_module(module, patcher, observer, seen):
    original = module.function
    patcher.wrap(module, "function", observer)
    assert module.function(1, b=5) == ("function", 1, 5)
    assert seen == [(1,)]
    assert module.function is not original
    assert inspect.signature(module.function) == inspect.signature(original)
    assert module.function.__annotations__ == original.__annotations__
    assert isinstance(module.function, types.FunctionType)


def test_a_method(module, patcher, observer, seen):
    instance = module.Base()
    bound_before = instance.method
    patcher.wrap(module, "Base.method", observer)
    assert instance.method(1) == ("method", 1, 2)
    assert seen == [(instance, 1)], "instances that were there before are traced, too"
    assert bound_before(1) == ("method", 1, 2)
    assert len(seen) == 1
    assert inspect.ismethod(instance.method)
    assert instance.method.__doc__ == "Docs."
    assert module.Base.method.__qualname__ == "Base.method"


def test_a_class_method_stays_one(module, patcher, observer, seen):
    patcher.wrap(module, "Base.of_class", observer)
    assert isinstance(raw(module.Base, "of_class"), classmethod)
    assert module.Base.of_class(1) == ("Base", 1)
    assert module.Base().of_class(1) == ("Base", 1)
    assert module.Derived.of_class(1) == ("Derived", 1)
    assert seen == [(module.Base, 1), (module.Base, 1), (module.Derived, 1)]


def test_a_static_method_stays_one(module, patcher, observer, seen):
    patcher.wrap(module, "Base.static", observer)
    assert isinstance(raw(module.Base, "static"), staticmethod)
    assert module.Base.static(1) == module.Base().static(1) == ("static", 1)
    assert seen == [(1,), (1,)]


def test_an_inherited_method_is_patched_where_it_was_asked_for(module, patcher, observer, seen):
    patcher.wrap(module, "Derived.inherited", observer)
    derived = module.Derived()
    assert derived.inherited() == "Derived"
    assert module.Base().inherited() == "Base"
    assert module.Other().inherited() == "Other"
    assert seen == [(derived,)]


@pytest.mark.parametrize("name", ["of_class", "static"])
def test_an_inherited_class_or_static_method(module, patcher, observer, seen, name):
    before = getattr(module.Derived, name)(1)
    patcher.wrap(module, f"Derived.{name}", observer)
    assert getattr(module.Derived, name)(1) == before
    assert len(seen) == 1
    assert getattr(module.Other, name)(1)
    assert len(seen) == 1
    patcher.undo()
    assert name not in vars(module.Derived)


def test_an_overridden_method_and_its_base_are_two(module, patcher, observer, seen):
    patcher.wrap(module, "Base.method", observer)
    patcher.wrap(module, "Derived.method", observer)
    assert module.Derived().method(1) == ("derived", "method", 1, 2)
    assert len(seen) == 2


def test_the_second_time_does_nothing(module, patcher, observer, seen):
    patcher.wrap(module, "Base.method", observer)
    patch = raw(module.Base, "method")
    patcher.wrap(module, "Base.method", observer)
    Patcher(None, None, None, patcher.stand_down).wrap(module, "Other.method", observer)
    assert raw(module.Base, "method") is patch
    assert "method" not in vars(module.Other), "it inherits the patch already"
    module.Other().method(1)
    assert len(seen) == 1


def test_a_hand_written_patch_is_marked_and_described(module, patcher):
    def make(original):
        def replacement(*args, **kwargs):
            return ("replaced", original(*args, **kwargs))

        return replacement

    original = module.function
    patcher.replace(module, "function", make)
    assert module.function(1) == ("replaced", ("function", 1, 2))
    assert module.function.__wrapped__ is original
    assert module.function.__name__ == "function"
    assert getattr(module.function, MARK) is True
    assert not hasattr(original, MARK)
    patcher.undo()
    assert module.function is original


@pytest.mark.parametrize("path", ["missing", "Base.missing", "Missing.method"])
def test_what_is_not_there_cannot_be_patched(module, patcher, observer, path):
    before = dict(vars(module.Base))
    with pytest.raises(AttributeError):
        patcher.wrap(module, path, observer)
    assert dict(vars(module.Base)) == before


def test_a_c_function(patcher, observer, seen):
    module = types.ModuleType("compiled")
    module.loads = len
    patcher.wrap(module, "loads", observer)
    assert module.loads([1, 2]) == 2
    assert seen == [([1, 2],)]
    assert module.loads.__name__ == "len"
    patcher.undo()
    assert module.loads is len


def test_a_value_is_put_and_taken_back(module, patcher):
    module.setting = None
    patcher.put(module, "setting", "ours")
    assert module.setting == "ours"
    patcher.undo()
    assert module.setting is None


def test_an_inherited_value_is_put_where_it_was_asked_for(module, patcher):
    module.Base.setting = "inherited"
    patcher.put(module.Derived, "setting", "ours")
    assert (module.Derived.setting, module.Other.setting) == ("ours", "inherited")
    patcher.undo()
    assert "setting" not in vars(module.Derived)
    with pytest.raises(AttributeError):
        patcher.put(module, "missing", "ours")


def test_a_value_that_was_changed_since_stays(module, patcher):
    module.setting = None
    patcher.put(module, "setting", "ours")
    module.setting = "the application's"
    patcher.undo()
    assert module.setting == "the application's"


# Taking off.


def test_undo_restores_everything(module, patcher, observer, seen):
    before = {owner: dict(vars(owner)) for owner in (module.Base, module.Derived, module.Other)}
    function = module.function
    for path in (
        "Base.method",
        "Base.of_class",
        "Base.static",
        "Derived.inherited",
        "Derived.method",
        "function",
    ):
        patcher.wrap(module, path, observer)
    patcher.undo()
    patcher.undo()
    assert {owner: dict(vars(owner)) for owner in before} == before
    assert module.function is function
    module.Derived().method(1)
    assert seen == []


def test_undo_under_a_wrapper_of_somebody_else_falls_silent(module, patcher, observer, seen):
    patcher.wrap(module, "Base.method", observer)
    ours = raw(module.Base, "method")

    @functools.wraps(ours)
    def theirs(*args, **kwargs):
        return ("theirs", *ours(*args, **kwargs))

    module.Base.method = theirs
    patcher.undo()
    assert raw(module.Base, "method") is theirs
    assert module.Base().method(1) == ("theirs", "method", 1, 2)
    assert seen == []


def test_undo_when_somebody_has_put_the_original_back(module, patcher, observer):
    original = module.function
    patcher.wrap(module, "function", observer)
    module.function = original
    patcher.undo()
    assert module.function is original


def test_undo_when_somebody_has_deleted_it(module, patcher, observer):
    patcher.wrap(module, "Derived.inherited", observer)
    del module.Derived.inherited
    patcher.undo()
    assert module.Derived().inherited() == "Derived"


def test_a_call_in_progress_is_observed_to_its_end(module, patcher):
    ended = []

    def observer(_call):
        outcome = yield
        ended.append(outcome.result)

    patcher.wrap(module, "function", observer)
    original = module.function.__wrapped__

    def meanwhile(_call):
        patcher.undo()
        yield

    other = Patcher(None, None, None, patcher.stand_down)
    outer = module.function
    module.function = original
    other.wrap(module, "function", meanwhile)
    assert outer(1) == ("function", 1, 2)
    assert ended == [("function", 1, 2)]


def test_patched_again_after_undo(module, patcher, observer, seen):
    patcher.wrap(module, "function", observer)
    patcher.undo()
    again = Patcher(None, None, None, patcher.stand_down)
    again.wrap(module, "function", observer)
    module.function(1)
    assert seen == [(1,)]
