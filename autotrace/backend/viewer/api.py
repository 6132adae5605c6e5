"""The routes under /api/viewer. Times are integer microseconds since the epoch."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from autotrace import __version__
from autotrace.backend import otlp_encoding
from autotrace.backend.viewer import figures
from autotrace.backend.viewer.answers import NotHereError, answer, encoded, from_the_viewer, guarded
from autotrace.backend.viewer.document import document
from autotrace.backend.viewer.imports import Imports
from autotrace.backend.viewer.linked import linked_from
from autotrace.backend.viewer.live import Live
from autotrace.backend.viewer.parameters import ParameterError, last_hour_or, query, trace_id
from autotrace.backend.viewer.summaries import Summaries
from autotrace.store.reader import extent
from autotrace.store.records import KIND_NAMES
from autotrace.store.render import render
from autotrace.store.style import Style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final

    from starlette.requests import Request
    from starlette.responses import Response

    from autotrace.backend.archive import Archive
    from autotrace.backend.viewer.answers import Handler
    from autotrace.store.reader import Reader
    from autotrace.store.records import SpanRecord

_PREFIX: Final = "/api/viewer"
_GONE: Final = "there is no such trace: it may have been removed to make room"
_TEXT_WIDTH: Final = 120
"""Columns of a trace as text."""
_NEWEST: Final = 50
"""Traces among which the one that ends last is looked for: they arrive nearly in that order."""


def routes(
    archive: Archive,
    submit: Callable[[Sequence[SpanRecord]], bool],
    receiving: Callable[[], Mapping[str, Any]] = dict,
) -> list[Route]:
    """All of them.

    Args:
        archive: What is read.
        submit: Takes the spans of a file; False when it cannot at the moment.
        receiving: What `/status` says about the receivers: `receivers`, `received`, `dropped`.
    """
    summaries = Summaries()
    handlers = {
        **_names(archive),
        **_traces(archive, summaries),
        **_figures(archive),
        "/live": Live(archive, summaries).stream,
        "/status": _status(archive, receiving),
    }
    return [
        *(Route(_PREFIX + path, guarded(handler)) for path, handler in handlers.items()),
        *(
            Route(_PREFIX + path, guarded(from_the_viewer(handler)), methods=[method])
            for (method, path), handler in _changes(archive, submit).items()
        ),
    ]


def _changes(
    archive: Archive, submit: Callable[[Sequence[SpanRecord]], bool]
) -> dict[tuple[str, str], Handler]:
    async def remove(request: Request) -> Response:
        wanted = trace_id(request.path_params) if request.path_params else None
        removed = await archive.remove(wanted)
        if wanted is not None and not removed:
            raise NotHereError(_GONE)
        return answer(encoded({"removed": removed}))

    return {
        ("POST", "/import"): Imports(archive, submit).take,
        ("DELETE", "/traces"): remove,
        ("DELETE", "/traces/{id}"): remove,
    }


def _names(archive: Archive) -> dict[str, Handler]:
    async def services(_: Request) -> Response:
        return answer(encoded({"services": await archive.read(_services)}))

    async def operations(request: Request) -> Response:
        service = request.query_params.get("service", "")
        names = await archive.read(lambda reader: reader.operations(service))
        found = [{"name": name, "kind": KIND_NAMES[kind]} for name, kind in names]
        return answer(encoded({"operations": found}))

    return {"/services": services, "/operations": operations}


def _traces(archive: Archive, summaries: Summaries) -> dict[str, Handler]:
    async def traces(request: Request) -> Response:
        wanted = query(request.query_params)

        def listing(reader: Reader) -> bytes:
            found = archive.found(reader, wanted._replace(limit=wanted.limit + 1))
            with reader.snapshot() as connection:
                listed = summaries.of(connection, found[: wanted.limit])
            return encoded({"traces": listed, "complete": len(found) <= wanted.limit})

        return answer(await archive.read(listing))

    async def trace(request: Request) -> Response:
        wanted = trace_id(request.path_params)
        return answer(
            await archive.read(lambda reader: document(_spans(reader, wanted), linked_from(reader, wanted)))
        )

    async def text(request: Request) -> Response:
        wanted = trace_id(request.path_params)

        def rendered(reader: Reader) -> bytes:
            lines = render(_spans(reader, wanted), _TEXT_WIDTH, Style())
            return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")

        return answer(await archive.read(rendered), "text/plain")

    async def otlp(request: Request) -> Response:
        wanted = trace_id(request.path_params)
        return answer(
            await archive.read(lambda reader: encoded(otlp_encoding.request(_spans(reader, wanted))))
        )

    return {
        "/traces": traces,
        "/traces/{id}": trace,
        "/traces/{id}/text": text,
        "/traces/{id}/otlp": otlp,
    }


def _figures(archive: Archive) -> dict[str, Handler]:
    async def service_map(request: Request) -> Response:
        start, end = last_hour_or(request.query_params)
        service = request.query_params.get("service", "")
        return answer(
            await archive.read(lambda reader: encoded(figures.service_map(reader, start, end, service)))
        )

    async def latency(request: Request) -> Response:
        start, end = last_hour_or(request.query_params)
        service = request.query_params.get("service", "")
        operation = request.query_params.get("operation", "")
        if not service:
            raise ParameterError("service is required")
        return answer(
            await archive.read(
                lambda reader: encoded(figures.latency(reader, service, operation, start, end))
            )
        )

    return {"/map": service_map, "/latency": latency}


def _status(archive: Archive, receiving: Callable[[], Mapping[str, Any]]) -> Handler:
    async def status(_: Request) -> Response:
        store = await archive.read(_store)
        content = {
            "version": __version__,
            "store": {"path": archive.path, "bytes": _size(archive.path), **store},
            "receivers": [],
            "received": 0,
            "dropped": 0,
            **receiving(),
        }
        return answer(encoded(content))

    return status


def _store(reader: Reader) -> dict[str, Any]:
    with reader.snapshot() as connection:
        # Ids are given in order and evicted from the front, so their span is the number, but for a few.
        first, last, oldest = connection.execute(
            "SELECT ifnull(min(id), 1), ifnull(max(id), 0),"
            " (SELECT start FROM traces ORDER BY id LIMIT 1) FROM traces"
        ).fetchone()
        (newest,) = connection.execute(
            "SELECT max(end) FROM (SELECT end FROM traces ORDER BY id DESC LIMIT ?)", (_NEWEST,)
        ).fetchone()
        first_span, last_span = extent(connection)
    return {
        "traces": last - first + 1,
        "spans": last_span - first_span + bool(last_span),
        "oldest": (oldest or 0) // 1000,
        "newest": (newest or 0) // 1000,
    }


def _size(path: str) -> int:
    """Bytes on disk, with what has yet to be folded into the file."""
    total = 0
    for suffix in ("", "-wal"):
        with suppress(OSError):
            total += Path(path + suffix).stat().st_size
    return total


def _services(reader: Reader) -> list[dict[str, Any]]:
    with reader.snapshot() as connection:
        return [
            {"name": name, "operations": operations}
            for name, operations in connection.execute(
                "SELECT s.name, (SELECT count(DISTINCT o.name) FROM operations o WHERE o.service = s.id)"
                " FROM services s ORDER BY s.name"
            )
        ]


def _spans(reader: Reader, wanted: int) -> list[SpanRecord]:
    spans = reader.trace(wanted)
    if not spans:
        raise NotHereError(_GONE)
    return spans
