"""The rows of the table: what is measured, by which agents, and what autotrace may add."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from bench.agents import EXEC_ONLY, LAUNCHERS, PYTHON, environment, injected_by
from bench.measure import Samples, Sink, Worker, cpu_of, in_turns
from bench.postgresql import postgresql

if TYPE_CHECKING:
    from collections.abc import Callable

IMPORTS = "import flask, requests, sqlite3"
MANY = ["plain", "plain again", "otel", "ours", "floor"]
ALONE = ["otel", "ours", "floor"]


class Size(NamedTuple):
    """How long to measure."""

    starts: int
    """Starts of each program."""
    rounds: int
    """Sets of fresh processes: where code and data happen to lie in memory is worth a microsecond."""
    cycles: int
    """Turns of each process in a round."""


class Result(NamedTuple):
    samples: Samples
    lost: dict[str, tuple[int, int]]
    """By agent: spans received and spans made, where the two differ."""


class Row(NamedTuple):
    key: str
    title: str
    unit: str
    budget: float | None
    measure: Callable[[Sink, Size], Result]


def starts(code: str, launched: bool) -> Callable[[Sink, Size], Result]:
    """CPU of an interpreter that runs `code` and ends."""

    def measure(sink: Sink, size: Size) -> Result:
        program, directories = [PYTHON, "-c", code], injected_by()
        hand_made = [PYTHON, "-c", f"{code}\nimport opentelemetry.trace"] if code != "pass" else program

        def one(agent: str) -> float:
            if not launched:
                path = {"PYTHONPATH": directories[agent]} if agent in directories else {}
                return cpu_of(program, environment(agent, sink.ports, **path))
            command = [*EXEC_ONLY, *hand_made] if agent == "floor" else [*LAUNCHERS.get(agent, []), *program]
            return cpu_of(command, environment(agent, sink.ports))

        agents = MANY if launched else MANY[:-1]
        for agent in agents:
            one(agent)
        return Result(in_turns(agents, size.starts, one), {})

    return measure


def blocks(
    job: str,
    count: int,
    spans: int,
    clock: str = "cpu",
    agents: list[str] = MANY,
    otel_spans: int | None = None,
    **settings: str,
) -> Callable[[Sink, Size], Result]:
    """Time per operation, in blocks of `count`.

    Args:
        job: As `worker.py` knows it.
        count: Of operations in a block; the spans of a block must fit every agent's queue (2048).
        spans: In one operation, where an agent records.
        otel_spans: The peer's, where it makes more.
        clock: `cpu` of the process until all is sent, or `thread` of the caller.
        agents: Who takes part.
        settings: Environment variables for all of them.
    """

    def measure(sink: Sink, size: Size) -> Result:
        samples: Samples = {agent: [] for agent in agents}
        lost: dict[str, tuple[int, int]] = {}
        for number in range(size.rounds):
            workers = {
                agent: Worker(
                    agent, job, environment(_path(agent), sink.ports, PYTHONHASHSEED=str(number), **settings)
                )
                for agent in agents
            }
            for worker in workers.values():
                worker.run(0)  # sends the spans of the program's own start, which are not counted
            before = {agent: sink.count(_path(agent)) for agent in agents}
            for worker in workers.values():
                for _ in range(3):
                    worker.run(count)
            one = lambda agent: workers[agent].run(count)[clock] / count / 1000  # noqa: E731, B023
            for agent, values in in_turns(agents, size.cycles, one).items():
                samples[agent] += values
            for agent, worker in workers.items():
                worker.close()
                of_one = otel_spans if agent == "otel" and otel_spans is not None else spans
                made = 0 if agent.startswith("plain") else worker.made * of_one
                received = sink.count(_path(agent)) - before[agent]
                if received != made:
                    earlier = lost.get(agent, (0, 0))
                    lost[agent] = (earlier[0] + received, earlier[1] + made)
        return Result(samples, lost)

    return measure


def with_postgresql(measure: Callable[[Sink, Size], Result]) -> Callable[[Sink, Size], Result]:
    """The same beside a database, whose URL the workers inherit."""

    def with_it(sink: Sink, size: Size) -> Result:
        with postgresql() as url:
            os.environ["BENCH_POSTGRESQL"] = url
            return measure(sink, size)

    return with_it


def exports(wire: str, agents: list[str], **settings: str) -> Callable[[Sink, Size], Result]:
    """Time per span of the exporters alone."""

    def measure(sink: Sink, size: Size) -> Result:
        ports = {key: str(port) for key, port in sink.ports.items()}
        filled = {key: value.format(**ports) for key, value in settings.items()}
        return blocks(f"export {wire}", 1024, int(wire == "otlp"), "cpu", agents, **filled)(sink, size)

    return measure


def resident(sink: Sink, size: Size) -> Result:
    """Memory of the application in service, in MiB."""
    samples: Samples = {agent: [] for agent in MANY}
    for _ in range(size.rounds):
        for agent in MANY:
            worker = Worker(agent, "hello", environment(_path(agent), sink.ports))
            for _ in range(4):
                kibibytes = worker.run(300)["rss"]
            worker.close()
            samples[agent].append(kibibytes / 1024)
    return Result(samples, {})


def _path(agent: str) -> str:
    return agent.replace(" ", "-")


ROWS = (
    Row("pass", "`python -c pass` with the launcher", "CPU ms", 20, starts("pass", launched=True)),
    Row(
        "injected", "`python -c pass`, injected by `PYTHONPATH`", "CPU ms", 6, starts("pass", launched=False)
    ),
    Row(
        "imports", f"`python -c '{IMPORTS}'` with the launcher", "CPU ms", 35, starts(IMPORTS, launched=True)
    ),
    Row("rss", "memory of a Flask application in service", "MiB", 6, resident),
    Row("hello", "Flask `/hello` (1 span)", "us", 18, blocks("hello", 512, 1)),
    Row("db", "Flask `/db` (server + 3 SQL)", "us", 35, blocks("db", 256, 4)),
    Row("mix", "Flask `/mix` (server, 2 SQL, 1 call out)", "us", 45, blocks("mix", 64, 4)),
    Row(
        "off",
        "Flask `/hello`, sampler `always_off`",
        "us",
        6,
        blocks("hello", 512, 0, agents=MANY[:-1], OTEL_TRACES_SAMPLER="always_off"),
    ),
    Row(
        "rules",
        "Flask `/hello`, left out by `rules`",
        "us",
        6,
        blocks(
            "hello",
            512,
            0,
            agents=["plain", "plain again", "ours"],
            OTEL_TRACES_SAMPLER="rules",
            OTEL_TRACES_SAMPLER_ARG="drop=/health;drop=/metrics;ratio=0@GET /hello;fallback=always_on",
        ),
    ),
    Row(
        "rate_limited",
        "Flask `/hello`, left out by `rate_limited`",
        "us",
        6,
        blocks(
            "hello",
            512,
            0,
            agents=["plain", "plain again", "ours"],
            OTEL_TRACES_SAMPLER="rate_limited",
            OTEL_TRACES_SAMPLER_ARG="0",
        ),
    ),
    Row(
        "unsampled",
        "Flask `/hello`, unsampled upstream",
        "us",
        6,
        blocks("hello unsampled", 512, 0, agents=MANY[:-1]),
    ),
    Row(
        "fastapi",
        "FastAPI `/hello` (1 span; OpenTelemetry: 3)",
        "us",
        25,
        blocks("fastapi hello", 256, 1, agents=MANY[:-1], otel_spans=3),
    ),
    Row(
        "fastapi_mix",
        "FastAPI `/mix` (server, 2 SQL by asyncpg, 1 call out by httpx)",
        "us",
        45,
        with_postgresql(blocks("fastapi mix", 64, 4, agents=MANY[:-1], otel_spans=7)),
    ),
    Row(
        "span",
        "one internal span, five attributes, caller's thread",
        "us",
        2.5,
        blocks("span", 1000, 1, "thread"),
    ),
    Row("span_set", "the same with five `set_attribute`", "us", None, blocks("span set", 1000, 1, "thread")),
    Row("otlp", "encode and send one span of ten attributes: OTLP", "us", 4, exports("otlp", ALONE)),
    Row(
        "zipkin",
        "the same: Zipkin",
        "us",
        4,
        exports("zipkin", ALONE, OTEL_EXPORTER_ZIPKIN_ENDPOINT="http://127.0.0.1:{http}/api/v2/spans"),
    ),
    Row(
        "jaeger_http",
        "the same: Jaeger, Thrift over HTTP",
        "us",
        4,
        exports("jaeger http", ["ours"], OTEL_EXPORTER_JAEGER_ENDPOINT="http://127.0.0.1:{http}/api/traces"),
    ),
    Row(
        "jaeger_udp",
        "the same: Jaeger, Thrift over UDP",
        "us",
        4,
        exports(
            "jaeger udp",
            ["ours"],
            OTEL_EXPORTER_JAEGER_AGENT_HOST="127.0.0.1",
            OTEL_EXPORTER_JAEGER_AGENT_PORT="{udp}",
        ),
    ),
)
