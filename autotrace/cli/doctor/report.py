"""What the doctor found: facts under headings, as text for people and as JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from autotrace import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from autotrace.store.style import Style

_MAX_INDENT: Final = 40


class Fact(NamedTuple):
    """One line."""

    name: str
    value: str
    wrong: bool = False
    advice: str = ""
    """What to do about it. A wrong fact without is the consequence of another one."""


class Section(NamedTuple):
    """The answers to one question."""

    title: str
    facts: list[Fact]


def problems(sections: list[Section]) -> list[Fact]:
    """The facts that need somebody to act."""
    return [fact for section in sections for fact in section.facts if fact.wrong and fact.advice]


def as_json(sections: list[Section]) -> dict[str, Any]:
    """Everything, for `--json`."""
    return {
        "version": __version__,
        "ok": not problems(sections),
        "problems": [fact._asdict() for fact in problems(sections)],
        "sections": {
            section.title.lower(): [fact._asdict() for fact in section.facts] for section in sections
        },
    }


def as_text(sections: list[Section], style: Style) -> Iterator[str]:
    """Line by line; what is wrong is marked, and repeated at the end with what to do."""
    yield style.bold(f"autotrace {__version__}")
    for section in sections:
        yield ""
        yield style.bold(section.title)
        width = min(max((len(fact.name) for fact in section.facts), default=0), _MAX_INDENT)
        for fact in section.facts:
            mark = style.red(style.cross) if fact.wrong else " "
            yield f"{mark} {fact.name:{width}}  {_printable(fact.value)}".rstrip()
    yield ""
    yield from _verdict(problems(sections), style)


def _verdict(found: list[Fact], style: Style) -> Iterator[str]:
    if not found:
        yield "Nothing is wrong, as far as can be seen from here."
        return
    things = "One thing is" if len(found) == 1 else f"{len(found)} things are"
    yield style.bold(f"{things} wrong.")
    for number, fact in enumerate(found, 1):
        yield f"{number}. {fact.name}: {_printable(fact.value)}"
        yield f"   {_printable(fact.advice)}"


def _printable(text: str) -> str:
    """On one line, and without what would steer a terminal: names and answers come from anywhere."""
    return "".join(character if character.isprintable() else " " for character in text)
