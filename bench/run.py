"""`python -m bench.run`: what autotrace costs, beside OpenTelemetry and a hand-written floor.

One interleaved run: see `measure.py`. Prints Markdown; progress goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from importlib.metadata import version

from bench import table
from bench.measure import Sink
from bench.rows import ROWS, Size

FULL = Size(starts=12, rounds=3, cycles=18)
QUICK = Size(starts=3, rounds=1, cycles=6)
PEERS = ("opentelemetry-sdk", "opentelemetry-instrumentation", "flask", "requests")


def main() -> None:
    arguments = _arguments()
    size = QUICK if arguments.quick else FULL
    if arguments.blocks:
        size = size._replace(cycles=arguments.blocks)
    wanted = arguments.rows.split(",") if arguments.rows else [row.key for row in ROWS]
    if unknown := set(wanted) - {row.key for row in ROWS}:
        sys.exit(f"no such row: {', '.join(unknown)}; there are {', '.join(row.key for row in ROWS)}")

    sink, began = Sink(), time.monotonic()
    print(_setting(), table.HEAD, sep="\n\n", flush=True)
    complaints, raw = [], {}
    for row in ROWS:
        if row.key in wanted:
            result = row.measure(sink, size)
            print(table.line(row, result), flush=True)
            complaints += table.losses(row, result)
            raw[row.key] = result.samples
    sink.close()

    print("\nMinimum / median of the blocks; for the agents: what they add to the plain program.")
    print("\n".join(complaints) or "Nothing lost: the backend received every span made.")
    print(f"{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(raw, file)
    sys.exit(1 if complaints else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", help="comma-separated keys; all when not given")
    parser.add_argument("--blocks", type=int, help="blocks of each process")
    parser.add_argument("--quick", action="store_true", help="a look in less than a minute")
    parser.add_argument("--json", metavar="FILE", help="where to write every sample")
    return parser.parse_args()


def _setting() -> str:
    peers = ", ".join(f"{name} {version(name)}" for name in PEERS)
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}; {peers}."
    )


if __name__ == "__main__":
    main()
