"""`python -m compat.run`: run the suites, compare test by test, write docs/compatibility.md.

Each suite runs four times: twice as it is, which shows the tests that are not the same from run to run, or
depend on OpenTelemetry's variables themselves; under autotrace without trace headers, where not one test may
differ; and with trace headers, where those may that `suites.py` lists. Where a test differs, that run is done
again: what differs twice, differs.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections import Counter
from typing import NamedTuple

from compat.runs import ROOT, Outcomes, Place
from compat.suites import SUITES, Suite

CACHE = ROOT / ".cache" / "compat"
PAGE = ROOT / "docs" / "compatibility.md"

SILENT = {"OTEL_TRACES_EXPORTER": "none", "OTEL_PROPAGATORS": "none"}
PROPAGATING = {"OTEL_TRACES_EXPORTER": "none"}


class Verdict(NamedTuple):
    """What the runs of one suite have shown."""

    suite: Suite
    plain: Outcomes
    flaky: frozenset[str]
    """Not the same in two runs without autotrace."""
    silent: frozenset[str]
    """Not the same under autotrace without trace headers."""
    propagating: frozenset[str]
    """Not the same under autotrace with trace headers."""

    @property
    def unexpected(self) -> frozenset[str]:
        """What must not be."""
        expected = dict(self.suite.compare_headers)
        return self.silent | {name for name in self.propagating if function_of(name) not in expected}


def main() -> None:
    """Run what was asked for; 1 at exit when a test differs that must not."""
    parser = argparse.ArgumentParser(prog="python -m compat.run", description=str(__doc__).partition("\n")[0])
    parser.add_argument("suites", nargs="*", metavar="LIBRARY", help="all when none is given")
    parser.add_argument("--again", action="store_true", help="tell of the last runs, and write their page")
    asked = parser.parse_args()
    wanted = [suite for suite in SUITES if suite.name in asked.suites or not asked.suites]
    if not asked.again:
        for suite in wanted:
            run(Place(suite, CACHE))
    verdicts = [verdict for suite in SUITES if (verdict := judge(Place(suite, CACHE))) is not None]
    if len(verdicts) == len(SUITES):
        PAGE.write_text(page(verdicts), encoding="utf-8")
    for verdict in verdicts:
        _tell(verdict)
    sys.exit(any(verdict.unexpected for verdict in verdicts if verdict.suite in wanted))


def run(place: Place) -> None:
    """Run a suite in each of the ways."""
    place.prepare()
    plain = place.run("plain", traced=False, **PROPAGATING)
    flaky = differing(plain, place.run("plain again", traced=False, **SILENT))
    for label, variables in (("silent", SILENT), ("propagating", PROPAGATING)):
        if differing(plain, place.run(label, traced=True, **variables)) - flaky:
            place.run(f"{label} again", traced=True, **variables)


def judge(place: Place) -> Verdict | None:
    """Compare the last runs of a suite; None where it has not been run."""
    plain, again = place.last("plain"), place.last("plain again")
    silent, propagating = place.last("silent"), place.last("propagating")
    if plain is None or again is None or silent is None or propagating is None:
        return None
    flaky = differing(plain, again)

    def different(one: Outcomes, label: str) -> frozenset[str]:
        found = differing(plain, one) - flaky
        once_more = place.last(f"{label} again") if found else None
        return found if once_more is None else found & differing(plain, once_more)

    return Verdict(
        place.suite, plain, flaky, different(silent, "silent"), different(propagating, "propagating")
    )


def differing(one: Outcomes, other: Outcomes) -> frozenset[str]:
    """The tests that ended in another way, or are in one of them alone."""
    return frozenset(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def function_of(name: str) -> str:
    """The test without its parameters."""
    return name.partition("[")[0].partition(" (")[0]


def page(verdicts: list[Verdict]) -> str:
    """docs/compatibility.md."""
    version = platform.python_version()
    lines = [_INTRODUCTION.format(python=version), _HEAD]
    for verdict in verdicts:
        counts = Counter(verdict.plain.values())
        failed = sum(count for outcome, count in counts.items() if outcome not in ("passed", "skipped"))
        cells = (
            f"{verdict.suite.name} {verdict.suite.version}",
            len(verdict.plain),
            counts["passed"],
            counts["skipped"],
            failed,
            len(verdict.flaky),
            len(verdict.silent),
            len(verdict.propagating),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", *_differences(verdicts)]
    return "\n".join(lines) + "\n"


def _differences(verdicts: list[Verdict]) -> list[str]:
    found = []
    for verdict in verdicts:
        reasons = dict(verdict.suite.compare_headers)
        functions = Counter(map(function_of, verdict.silent | verdict.propagating))
        for name, count in sorted(functions.items()):
            file, _, path = name.partition("::")
            test = f"`{file}`: `{'.'.join(path.replace('::', '.').split('.')[-2:])}`"
            reason = reasons.get(name, "a bug of autotrace")
            found.append(f"| {verdict.suite.name} | {test} | {count} | {reason} |")
    if not found:
        return ["No test differs."]
    head = ["| library | test | how often | why |", "|---|---|---|---|"]
    return ["The tests that differ, each with its parameters counted:", "", *head, *found]


_INTRODUCTION = """\
# Compatibility

<!-- Made by `make compat`; edit compat/run.py instead. -->

autotrace does no harm: the libraries' own test suites, from their source distributions, are run with and
without it, and every single test has to end in the same way. Each suite runs under plain `pytest`, and under
`autotrace-run` with `OTEL_PROPAGATORS=none`, where nothing may differ, and with trace headers, where a test
may that depends on the exact headers of a request. Python {python}.

"Failed" are those that fail here without autotrace, most for want of a network. "Unstable" are those that do
not end alike in two runs without autotrace, one of them with `OTEL_PROPAGATORS=none` in the environment, as
some tests use OpenTelemetry's API; they are not compared.
"""

_HEAD = """\
| library | tests | passed | skipped | failed | unstable | differ without trace headers | differ with them |
|---|---|---|---|---|---|---|---|"""


def _tell(verdict: Verdict) -> None:
    counts = ", ".join(f"{count} {outcome}" for outcome, count in Counter(verdict.plain.values()).items())
    print(f"{verdict.suite.name} {verdict.suite.version}: {counts}; {len(verdict.unexpected)} differ")
    for label in ("flaky", "silent", "propagating"):
        for name in sorted(getattr(verdict, label)):
            print(f"  {label}: {name}")


if __name__ == "__main__":
    main()
