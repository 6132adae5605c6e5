"""The query API of a Jaeger or a Zipkin server, read like the local store."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from autotrace.decoding import jaeger_json, zipkin_json
from autotrace.decoding.decoded import MalformedError
from autotrace.store.errors import StoreError
from autotrace.store.quantities import MILLISECOND, full_id
from autotrace.store.reader import TraceSummary
from autotrace.store.search import Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Final

    from typing_extensions import Self

    from autotrace.store.records import SpanRecord

_TIMEOUT: Final = 30.0
_MAX_BODY: Final = 256 * 1024 * 1024
_RECENT: Final = 200
"""Traces among which the first digits of an id are looked for: these APIs know whole ids only."""
_NOT_FOUND: Final = 404
_MAX_TIME: Final = 2**63 - 1


class Remote:
    """What the subcommands use of `store.reader.Reader`, from `url`.

    Raises:
        StoreError: From every method, when the server does not answer as one of the two does.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Accept": "application/json", **headers}
        self._api = self._recognised()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        pass  # nothing is held between two questions

    def search(self, query: Query) -> list[TraceSummary]:
        """The newest traces that match, newest first, as the server finds them."""
        return [summary_of(spans) for spans in self.traces(query)]

    def traces(self, query: Query) -> list[list[SpanRecord]]:
        """The same with all their spans."""
        found = [spans for spans in self._api.search(query) if spans]
        return sorted(found, key=lambda spans: min(span.start for span in spans), reverse=True)[: query.limit]

    def find(self, prefix: str, limit: int = 10) -> list[int]:
        """Ids of recent traces that begin with `prefix`, newest first; of any trace when it is a whole id."""
        digits = prefix.lower()
        if not digits or len(digits) > 32 or not set(digits) <= set("0123456789abcdef"):  # noqa: PLR2004
            return []
        if len(digits) in {16, 32} and self.trace(int(digits, 16)):
            return [int(digits, 16)]
        recent = [summary.trace_id for summary in self.search(Query(limit=_RECENT))]
        return [number for number in recent if full_id(number).startswith(digits)][:limit]

    def last(self) -> int | None:
        """The id of the trace that began last; None when there is none."""
        newest = self.search(Query(limit=1))
        return newest[0].trace_id if newest else None

    def summary(self, trace_id: int) -> TraceSummary | None:
        """The summary of one trace; None when it is not there."""
        spans = self.trace(trace_id)
        return summary_of(spans) if spans else None

    def trace(self, trace_id: int) -> list[SpanRecord]:
        """All spans of a trace; empty when it is not there."""
        return self._api.trace(trace_id)

    def get(self, path: str, parameters: Iterable[tuple[str, Any]] = ()) -> Any:
        """The JSON that the server answers with; None for 404."""
        question = urllib.parse.urlencode(
            [(name, value) for name, value in parameters if value not in {"", None}]
        )
        url = f"{self._url}{path}{'?' if question else ''}{question}"
        try:
            request = urllib.request.Request(url, headers=self._headers)  # noqa: S310 - checked by the option
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
                body = response.read(_MAX_BODY + 1)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == _NOT_FOUND:
                    return None
                raise StoreError(f"{self._url} answered {error.code} {error.reason}".rstrip()) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise StoreError(f"{self._url} does not answer: {reason}") from None
        if len(body) > _MAX_BODY:
            raise StoreError(f"{self._url} answered with too much: ask for fewer traces")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None

    def _recognised(self) -> _Jaeger | _Zipkin:
        answer = self.get("/api/services")
        if isinstance(answer, dict) and "data" in answer:
            return _Jaeger(self)
        if isinstance(self.get("/api/v2/services"), list):
            return _Zipkin(self)
        raise StoreError(f"{self._url} is neither the query API of Jaeger nor that of Zipkin")


class _Jaeger:
    def __init__(self, remote: Remote) -> None:
        self._get = remote.get

    def search(self, query: Query) -> list[list[SpanRecord]]:
        services = [query.service] if query.service else (self._get("/api/services") or {}).get("data") or []
        traces: dict[int, list[SpanRecord]] = {}
        for service in services:  # it cannot be asked for those of all
            traces.update(_by_trace(self._decoded(self._get("/api/traces", self._asked(service, query)))))
        return list(traces.values())

    def trace(self, trace_id: int) -> list[SpanRecord]:
        return self._decoded(self._get(f"/api/traces/{full_id(trace_id)}", [("raw", "true")]))

    def _asked(self, service: str, query: Query) -> list[tuple[str, Any]]:
        longest = query.max_duration
        tags = {**dict(query.tags), **({"error": "true"} if query.errors_only else {})}
        return [
            ("service", service),
            ("operation", query.operation),
            ("tags", json.dumps(tags) if tags else ""),
            ("minDuration", f"{query.min_duration}ns" if query.min_duration else ""),
            ("maxDuration", "" if longest is None else f"{longest}ns"),
            ("start", query.start // 1000 or ""),
            ("end", query.end // 1000 if query.end < _MAX_TIME else ""),
            ("limit", query.limit),
            ("raw", "true"),
        ]

    def _decoded(self, answer: Any) -> list[SpanRecord]:
        return _read(jaeger_json.decode_value, {"data": []} if answer is None else answer)


class _Zipkin:
    def __init__(self, remote: Remote) -> None:
        self._get = remote.get

    def search(self, query: Query) -> list[list[SpanRecord]]:
        # It takes a longest duration only beside a shortest.
        shortest = max(query.min_duration // 1000, 0 if query.max_duration is None else 1)
        asked = [
            ("serviceName", query.service),
            ("spanName", query.operation),
            (
                "annotationQuery",
                " and ".join(["error"] * query.errors_only + [f"{key}={value}" for key, value in query.tags]),
            ),
            ("minDuration", shortest or ""),
            ("maxDuration", "" if query.max_duration is None else max(query.max_duration // 1000, 1)),
            *_range(query),
            ("limit", query.limit),
        ]
        answer = self._get("/api/v2/traces", asked)
        return [self._decoded(trace) for trace in answer or ()]

    def trace(self, trace_id: int) -> list[SpanRecord]:
        return self._decoded(self._get(f"/api/v2/trace/{full_id(trace_id)}") or [])

    def _decoded(self, trace: Any) -> list[SpanRecord]:
        return _read(zipkin_json.decode_value, trace)


def _range(query: Query) -> list[tuple[str, int]]:
    end = query.end if query.end < _MAX_TIME else time.time_ns()
    parameters = [("endTs", end // MILLISECOND)]
    if query.start:
        parameters.append(("lookback", max((end - query.start) // MILLISECOND, 1)))
    return parameters


def _read(decode: Any, answer: Any) -> list[SpanRecord]:
    try:
        spans: list[SpanRecord] = decode(answer).spans
    except MalformedError as error:
        raise StoreError(f"the answer cannot be read: {error}") from None
    return spans


def _by_trace(spans: Iterable[SpanRecord]) -> dict[int, list[SpanRecord]]:
    traces: dict[int, list[SpanRecord]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    return traces


def summary_of(spans: Sequence[SpanRecord]) -> TraceSummary:
    """One line about the spans of a trace; its root is chosen as in the store."""
    ordered = sorted(spans, key=lambda span: span.start)
    here = {span.span_id for span in spans}
    root = min(ordered, key=lambda span: (span.parent_id != 0, span.parent_id in here))
    return TraceSummary(
        root.trace_id,
        ordered[0].start,
        max(0, max(span.end for span in spans) - ordered[0].start),
        len(spans),
        sum(span.failed for span in spans),
        root.resource.service,
        root.name,
        tuple(sorted({span.resource.service for span in spans})),
    )
