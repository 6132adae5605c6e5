"""What the documentation names exists: files, headings, variables, options, and lines on stderr."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
from functools import cache
from pathlib import Path

import pytest

from autotrace.cli.main import _parser
from autotrace.settings.names import NAMES, library_in
from autotrace.settings.options import UsageError, understood
from autotrace.settings.variable import LIBRARY

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "Dockerfile.example"])
SOURCES = [*sorted((ROOT / "autotrace").rglob("*.py")), ROOT / "sitecustomize" / "sitecustomize.py"]
GENERATED = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@cache
def text_of(page):
    return page.read_text(encoding="utf-8")


# Generated pages.


@pytest.mark.parametrize("name", GENERATED)
def test_generated_pages_are_what_the_code_says(name):
    assert text_of(DOCS / "reference" / name) == GENERATED[name](), "run `make reference`"


def test_every_generated_page_is_there():
    assert sorted(GENERATED) == sorted(page.name for page in (DOCS / "reference").iterdir())


# Links.


def anchors(page):
    """What GitHub makes of the headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```", "", text_of(page)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@every_page
def test_links_resolve(page):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_index():
    reached = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for link in re.findall(r"\]\(([^)#\s]+)", text_of(page)):
            target = (page.parent / link).resolve()
            if target.exists():
                waiting.append(target)
    assert {page for page in PAGES if page.suffix == ".md"} - reached <= {DOCS / "README.md"}


# Variables.

ELSEWHERE = {
    "OTEL_RESOURCE_ATTRIBUTES_POD_NAME",
    "OTEL_RESOURCE_ATTRIBUTES_POD_UID",
    "OTEL_RESOURCE_ATTRIBUTES_NODE_NAME",
    *re.findall(r"\bAUTOTRACE_TEST_\w+", text_of(ROOT / ".ci" / "run")),
}
"""Read in other places than the settings."""

MISSPELT = {"AUTOTRACE_HOEM", "OTEL_EXPORTR_OTLP_ENDPOINT"}
"""Shown as a mistake, beside the name that was meant."""

PATTERNS = [name for name in NAMES if LIBRARY in name]


def is_known(name):
    if name.endswith("_"):  # a family, as in `OTEL_EXPORTER_JAEGER_*`
        return any(known.startswith(name) for known in NAMES)
    return name in NAMES or name in ELSEWHERE or any(library_in(name, pattern) for pattern in PATTERNS)


@every_page
def test_variables_exist(page):
    names = set(re.findall(r"\b(?:OTEL|AUTOTRACE)_[A-Z0-9_]+", text_of(page)))
    assert {name for name in names if not is_known(name)} <= MISSPELT


# Commands.


def code(page):
    """Every line of a block with the block's kind, and every piece of code within a line."""
    text = text_of(page)
    for kind, block in re.findall(r"(?ms)^ *```(\w*)\n(.*?)^ *```", text):
        for line in block.splitlines():
            yield kind, line.strip()
    for piece in re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^ *```.*?^ *```", "", text)):
        yield "inline", piece


def commands(page, program):
    """The arguments wherever `program` is called."""
    call = re.compile(rf"(?:[A-Z_]+=\S* )*{program}(?: (?P<arguments>[^…]*))?")
    for kind, line in code(page):
        if kind == "console" and not line.startswith("$ "):
            continue  # output
        found = call.fullmatch(line.removeprefix("$ "))
        if found and kind not in {"python", "dockerfile"}:
            yield shlex.split(found["arguments"] or "", comments=True)


def placeholder(words):
    return any(re.fullmatch(r"\[?[A-Z]+\]?|\[--option.*", word) for word in words)


def all_commands(program):
    return [words for page in PAGES for words in commands(page, program)]


def test_options_of_autotrace_run_exist():
    tried = [words for words in all_commands("autotrace-run") if words and not placeholder(words)]
    assert len(tried) > 20
    for words in tried:
        line = understood(words)
        assert line.command or line.question


def test_an_unknown_option_would_be_noticed():
    with pytest.raises(UsageError):
        understood(["--no_such_option", "1", "python"])


def test_commands_of_autotrace_exist(capsys):
    tried = [words for words in all_commands("autotrace") if words and not placeholder(words)]
    assert len(tried) > 8
    for words in tried:
        complete = {"show": ["show", "last"], "diff": ["diff", "aa", "last"]}.get(" ".join(words), words)
        assert _parser().parse_args(complete).run, capsys.readouterr().err


# Lines on stderr.


PROGRAM = re.compile(r"\Aautotrace(-run)?: ")


@cache
def templates():
    """Every text in the code, as an expression: what it puts in matches anything."""
    found = []
    for source in SOURCES:
        for node in ast.walk(ast.parse(text_of(source))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "" for part in node.values]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts = [part for text in node.value.split("%r") for part in (text, "")][:-1]
            else:
                continue
            parts[:1] = [PROGRAM.sub("", part) for part in parts[:1]]
            if sum(map(str.isalpha, "".join(parts))) >= 6:  # fewer would match nearly anything
                found.append("".join(re.escape(part.rstrip("\n")) or ".+" for part in parts))
    return re.compile("|".join(found))


def is_said(line):
    message = PROGRAM.sub("", line)
    candidates = [message]
    setting = re.fullmatch(r"[A-Z_]+='.*?' (.+)", message)
    if setting:  # what is wrong with it, and what is done instead
        candidates += [setting[1], setting[1].rpartition(": ")[0]]
    return any(map(templates().fullmatch, candidates))


@every_page
def test_quoted_messages_are_in_the_code(page):
    quoted = [line for _, line in code(page) if re.match(r"autotrace(-run)?: \S|no traces yet", line)]
    assert [line for line in quoted if not is_said(line)] == []


DOCTOR = re.compile(r"✗ (?:[\w .-]+?(?:  +|: ))?(?P<said>.+)")


def is_found(line):
    """Whether a line is a finding of the doctor's: what it is about, and what is wrong with it."""
    said = DOCTOR.fullmatch(line)["said"]
    return any(map(is_said, [said, said.partition(": ")[2], said.rpartition(": ")[2]]))


@every_page
def test_quoted_findings_of_the_doctor_are_in_the_code(page):
    quoted = [line for _, line in code(page) if line.startswith("✗ ") and "━" not in line]
    quoted += [f"✗ {line}" for line in re.findall(r"✗ `([^`\n]+)`", text_of(page))]
    assert [line for line in quoted if not is_found(line)] == []


def test_an_invented_message_would_be_noticed():
    assert not is_said("autotrace: the flux capacitor is out of tune: 12 spans were sent back in time")
    assert not is_found("✗ wrong year  http://localhost:1955: 12 spans were sent back in time")


@pytest.mark.parametrize("reason", re.findall(r"(?m)^\| (`.+?`) \|", text_of(DOCS / "troubleshooting.md")))
def test_reasons_are_in_the_code(reason):
    for text in re.findall(r"`(.+?)`", reason):
        said = re.sub(r"^http \d+$", "http {", text)
        assert any(f'"{said}' in source.read_text(encoding="utf-8") for source in SOURCES), text


# The rest.


def test_the_walk_through_shows_the_module_as_it_is():
    page = text_of(DOCS / "adding-an-instrumentation.md")
    assert f"```python\n{text_of(ROOT / 'autotrace' / 'instrumentation' / 'wsgiref.py')}```" in page
    for source in ("autotrace/instrumentation/hooks.py", "tests/contract/scenarios/http_servers.py"):
        blocks = re.findall(r"(?ms)^```python\n(.*?)^```", page)
        assert [block for block in blocks if block.strip() in text_of(ROOT / source)], source


def test_the_comparison_has_the_figures_of_the_readme():
    readme = text_of(ROOT / "README.md")
    measured = readme[readme.index("<!-- bench:begin -->") : readme.index("<!-- bench:end -->")]
    figures = re.findall(r"[+-]?\d[\d.]* / [+-]?\d[\d.]*", text_of(DOCS / "comparison.md"))
    assert len(figures) > 10
    assert [figure for figure in figures if figure not in measured] == [], "copy them from README.md anew"


def test_the_readme_has_room_for_the_benchmarks():
    readme = text_of(ROOT / "README.md")
    assert readme.index("<!-- bench:begin -->") < readme.index("<!-- bench:end -->")


@every_page
def test_no_path_of_one_machine(page):
    assert re.findall(r"(?<![\w.])/(?:home|root|tmp|Users)/\S*", text_of(page)) == []


def test_targets_exist():
    targets = set(re.findall(r"(?m)^([a-z-]+):", text_of(ROOT / "Makefile")))
    named = {words[0] for page in PAGES for words in commands(page, "make") if words}
    assert named
    assert named <= targets
