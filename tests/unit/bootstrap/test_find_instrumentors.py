"""Which instrumentors of OpenTelemetry's are installed, and whose import each is for, told by files alone."""

from __future__ import annotations

import sys

import pytest

from autotrace.bootstrap.instrumentors import find
from autotrace.instrumentation.hooks import HOOKS


@pytest.fixture
def site(tmp_path):
    (tmp_path / "opentelemetry" / "instrumentation").mkdir(parents=True)
    return tmp_path


def library(site, name, record="", top_level="", kind="dist-info"):
    about = site / f"{name}-1.0.{kind}"
    about.mkdir()
    if record:
        (about / "RECORD").write_text("".join(f"{path},sha256=x,1\n" for path in record.split()))
    if top_level:
        (about / "top_level.txt").write_text(top_level)


def instrumentor(site, *requires, entry_points="kettle = kettle_tracing:KettleInstrumentor"):
    about = site / "kettle_tracing-1.0.dist-info"
    about.mkdir()
    lines = "".join(f"Requires-Dist: {text}\n" for text in requires)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: kettle-tracing\n{lines}\nRequires-Dist: no\n"
    )
    (about / "entry_points.txt").write_text(
        f"[console_scripts]\nkettle = kettle:main\n\n[opentelemetry_instrumentor]\n{entry_points}\n"
    )


INSTRUMENTS = "kettle (<2,>=1) ; extra == 'instruments'"


@pytest.mark.parametrize(
    ("record", "modules"),
    [
        ("kettle/__init__.py kettle/lid.py kettle/lid/__init__.py kettle-1.0.dist-info/RECORD", ["kettle"]),
        ("kettle.py ../../bin/kettle kettle-1.0.data/scripts/kettle.py", ["kettle"]),
        ("_kettle.py boil.cpython-311-x86_64-linux-gnu.so tests/__init__.py", ["boil"]),
        (
            "acme/kettle/__init__.py acme/kettle/v1/__init__.py acme/lid/__init__.py",
            ["acme.kettle", "acme.lid"],
        ),
        ("__editable__.kettle-1.0.pth", ["kettle"]),
    ],
    ids=["a package", "a module", "compiled", "in a package that others share", "editable"],
)
def test_whose_import_it_is_for(site, record, modules):
    library(site, "kettle", record)
    instrumentor(site, "opentelemetry-api~=1.12", INSTRUMENTS)
    (found,) = find([str(site)])
    assert (found.name, found.reference) == ("kettle", "kettle_tracing:KettleInstrumentor")
    assert (found.distribution, found.library) == ("kettle-tracing", "kettle")
    assert [row.module for row in found.rows()] == modules
    assert found.known(HOOKS) == ""


@pytest.mark.parametrize("marker", ["extra == 'instruments'", 'extra == "instruments-any"'])
def test_the_extra_that_names_the_library(site, marker):
    library(site, "Red.Kettle", "red_kettle/__init__.py")
    library(site, "lid", "lid/__init__.py")
    instrumentor(site, "lid", "stove; extra == 'test'", f"Red_Kettle[fast]>=1; {marker}")
    (found,) = find([str(site)])
    assert found.modules == ("red_kettle",)


def test_of_several_libraries_the_one_it_is_named_after(site):
    library(site, "ket_tle", "ket_tle/__init__.py")
    library(site, "lid", "lid/__init__.py")
    instrumentor(site, "lid; extra == 'instruments'", "ket-tle; extra == 'instruments'")
    (found,) = find([str(site)])
    assert (found.library, found.modules) == ("ket-tle", ("ket_tle",))


def test_as_distributions_of_linux_install_it(site):
    library(site, "kettle", top_level="_kettle\nkettle\n", kind="egg-info")
    instrumentor(site, INSTRUMENTS)
    assert find([str(site)])[0].modules == ("kettle",)


def test_a_library_that_is_not_installed(site):
    instrumentor(site, INSTRUMENTS)
    (found,) = find([str(site)])
    assert (found.library, found.rows()) == ("", [])


def test_one_that_we_serve(site):
    library(site, "Flask", "flask/__init__.py")
    instrumentor(site, "flask>=1.0; extra == 'instruments'", entry_points="flask=a.b:C [x]\nother = a : D")
    found = find([str(site)])
    assert [(one.name, one.reference, one.known(HOOKS)) for one in found] == [
        ("flask", "a.b:C", "flask"),
        ("other", "a:D", "flask"),
    ]


@pytest.mark.skipif(sys.version_info < (3, 10), reason="does not tell which modules are its own")
def test_a_module_of_pythons_own_starts_no_tracer(site):
    instrumentor(site, entry_points="asyncio = a:B")
    (row,) = find([str(site)])[0].rows()
    assert (row.module, row.waits) == ("asyncio", True)


def test_nothing_is_read_where_there_are_no_instrumentors(tmp_path):
    library(tmp_path, "kettle", "kettle/__init__.py")
    instrumentor(tmp_path, INSTRUMENTS)
    assert find([str(tmp_path)]) == []
    (tmp_path / "opentelemetry" / "instrumentation").mkdir(parents=True)
    assert len(find([str(tmp_path / "nowhere"), "", str(tmp_path)])) >= 1


def test_the_first_on_the_path_counts(site, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    library(site, "kettle", "kettle/__init__.py")
    library(other, "kettle", "another/__init__.py")
    instrumentor(site, INSTRUMENTS)
    assert find([str(other), str(site)])[0].modules == ("another",)
