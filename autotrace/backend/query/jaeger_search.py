"""The traces that a search in Jaeger finds, and their spans, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.backend.query.jaeger_tags import is_special, meets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from autotrace.backend.archive import Archive
    from autotrace.store.reader import Reader
    from autotrace.store.records import SpanRecord
    from autotrace.store.search import Query

_MAX_SPANS: Final = 200_000
"""Of one answer: some 400 MiB while it is made."""
_MAX_EXAMINED: Final = 20_000
"""Traces that are read to see whether they have tags that no index knows."""
_STEP: Final = 4
"""How much wider each look is than the one before, as long as too few match."""

TOO_MANY_SPANS: Final = f"the answer ends after {_MAX_SPANS} spans; ask for fewer traces"


async def found_traces(archive: Archive, query: Query) -> Sequence[int]:
    """Ids of the traces with a span that meets all of `query`, newest first."""
    if ("error", "true") in query.tags:
        query = query._replace(errors_only=True)
    indexed = tuple(tag for tag in query.tags if not is_special(tag[0]))
    candidates = query._replace(tags=indexed)
    if not query.tags:
        return await archive.find(candidates)
    examined: set[int] = set()
    found: list[int] = []
    limit = query.limit * (_STEP if len(indexed) < len(query.tags) else 1)
    while True:
        trace_ids = await archive.find(candidates._replace(limit=limit))
        fresh = [number for number in trace_ids if number not in examined]

        def matching(reader: Reader, fresh: Sequence[int] = fresh) -> list[int]:
            with reader.snapshot():
                return [
                    number for number in fresh if any(meets(span, query) for span in reader.trace(number))
                ]

        found += await archive.read(matching)
        examined.update(fresh)
        if len(found) >= query.limit or len(trace_ids) < limit or limit >= _MAX_EXAMINED:
            return found[: query.limit]
        limit = min(limit * _STEP, _MAX_EXAMINED)


def traces_of(reader: Reader, trace_ids: Sequence[int]) -> tuple[dict[int, list[SpanRecord]], bool]:
    """The spans of each trace, all from one state of the store; whether it ends early."""
    traces: dict[int, list[SpanRecord]] = {}
    count = 0
    with reader.snapshot():
        for trace_id in trace_ids:
            traces[trace_id] = reader.trace(trace_id)
            count += len(traces[trace_id])
            if count > _MAX_SPANS:
                return traces, len(traces) < len(trace_ids)
    return traces, False
