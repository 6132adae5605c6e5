"""Who calls whom: services, and what they talk to that is not traced itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from autotrace.analysis.quantiles import percentile
from autotrace.store.codec import encode_attributes
from autotrace.store.records import KIND_CLIENT, KIND_PRODUCER, KIND_SERVER, STATUS_ERROR
from autotrace.store.search import matching

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from typing import Final

    from autotrace.store.records import SpanRecord
    from autotrace.store.search import Query

MAX_SPANS: Final = 40_000
"""The newest traces count, up to that many spans; half a second."""

SERVICE: Final = "service"
DATABASE: Final = "database"
EXTERNAL: Final = "external"
MESSAGING: Final = "messaging"

_CALLING: Final = frozenset({KIND_CLIENT, KIND_PRODUCER})
_DATABASES: Final = ("db.system.name", "db.system")
_MESSAGING: Final = ("messaging.system",)
_ADDRESSES: Final = ("server.address", "peer.service", "net.peer.name", "http.host", "rpc.service")


class MapSpan(NamedTuple):
    """What the map needs to know of a span."""

    trace: int
    span_id: int
    parent_id: int
    service: str
    kind: int
    duration: int | None
    """Nanoseconds."""
    status: int
    attributes: str | None
    """As stored, of client and producer spans."""


class Place(NamedTuple):
    """A node of the map."""

    name: str
    kind: str
    """What it is: a service, or something that sends no spans."""


class Traffic(NamedTuple):
    """An edge of the map."""

    caller: Place
    called: Place
    calls: int
    errors: int
    p50: int
    """Nanoseconds, of the called side where it is known; likewise below."""
    p95: int


class Share(NamedTuple):
    """What a place has to do with."""

    place: Place
    spans: int
    errors: int
    traces: int


class ServiceMap(NamedTuple):
    """Both sorted by name."""

    shares: list[Share]
    traffic: list[Traffic]


class Sample(NamedTuple):
    """Spans of the newest traces that match."""

    spans: list[MapSpan]
    start: int
    """Nanoseconds since the epoch: when the earliest of the traces began; 0 when there is none."""
    end: int
    """Likewise: when the last of them ended."""
    complete: bool
    """Whether these are all that match."""


def newest_spans(connection: sqlite3.Connection, query: Query) -> Sample:
    """The spans of the newest traces that match, `MAX_SPANS` or a few more."""
    services = dict(connection.execute("SELECT id, name FROM services"))
    kinds = dict(connection.execute("SELECT id, kind FROM operations"))
    spans: list[MapSpan] = []
    starts: list[int] = []
    ends: list[int] = []
    complete = True
    for number in matching(connection, query._replace(limit=MAX_SPANS)):
        if len(spans) >= MAX_SPANS:
            complete = False
            break
        trace_start, trace_end = connection.execute(
            "SELECT start, end FROM traces WHERE id = ?", (number,)
        ).fetchone()
        if trace_start:
            starts.append(trace_start)
            ends.append(trace_end)
        for span_id, parent_id, service, operation, duration, status, attributes in connection.execute(
            "SELECT span_id, parent_id, service, operation, duration, status, attributes"
            " FROM spans WHERE trace = ? LIMIT ?",
            (number, MAX_SPANS),
        ):
            kind = kinds.get(operation, 0)
            spans.append(
                MapSpan(
                    number,
                    span_id,
                    parent_id,
                    services.get(service, ""),
                    kind,
                    duration,
                    status,
                    attributes if kind in _CALLING else None,
                )
            )
    return Sample(spans, min(starts, default=0), max(ends, default=0), complete)


def spans_of(records: Sequence[SpanRecord], complete: bool) -> Sample:
    """The same from traces that came from elsewhere; `complete` as there."""
    timed = [record for record in records if record.start]
    return Sample(
        [
            MapSpan(
                record.trace_id,
                record.span_id,
                record.parent_id,
                record.resource.service,
                record.kind,
                record.duration,
                record.status,
                encode_attributes(record.attributes) if record.kind in _CALLING else None,
            )
            for record in records
        ],
        min((record.start for record in timed), default=0),
        max((record.end for record in timed), default=0),
        complete,
    )


def service_map(spans: Iterable[MapSpan]) -> ServiceMap:
    """The map that these spans draw; those of one trace in any order."""
    shares: dict[Place, list[Any]] = {}
    calls: dict[tuple[Place, Place], list[tuple[int, bool]]] = {}
    everyone = list(spans)
    parents: dict[tuple[int, int], list[MapSpan]] = {}
    for span in everyone:
        parents.setdefault((span.trace, span.span_id), []).append(span)
    answered: set[tuple[int, int]] = set()
    for span in everyone:
        here = Place(span.service, SERVICE)
        _count(shares, here, span)
        caller = _caller(span, parents)
        if caller is not None and caller.service != span.service:
            answered.add((span.trace, caller.span_id))
            calls.setdefault((Place(caller.service, SERVICE), here), []).append(_call(span))
    for span in everyone:
        if span.attributes is not None and (span.trace, span.span_id) not in answered:
            peer = _peer(span.attributes)
            if peer is not None and peer.name:
                _count(shares, peer, span)
                calls.setdefault((Place(span.service, SERVICE), peer), []).append(_call(span))
    return ServiceMap(
        [
            Share(place, spans, errors, len(traces))
            for place, (spans, errors, traces) in sorted(shares.items())
        ],
        [_traffic(caller, called, measured) for (caller, called), measured in sorted(calls.items())],
    )


def around(drawn: ServiceMap, service: str) -> ServiceMap:
    """The part of the map that shows `service` and its neighbours."""
    traffic = [each for each in drawn.traffic if service in {each.caller.name, each.called.name}]
    near = {place for each in traffic for place in (each.caller, each.called)}
    near.add(Place(service, SERVICE))
    return ServiceMap([share for share in drawn.shares if share.place in near], traffic)


def _count(shares: dict[Place, list[Any]], place: Place, span: MapSpan) -> None:
    share = shares.get(place)
    if share is None:
        share = shares[place] = [0, 0, set()]
    share[0] += 1
    share[1] += span.status == STATUS_ERROR
    share[2].add(span.trace)


def _caller(span: MapSpan, parents: dict[tuple[int, int], list[MapSpan]]) -> MapSpan | None:
    """The span that this one hangs from; the server half of a joined span has its client half."""
    twins = parents[span.trace, span.span_id]
    if len(twins) > 1 and span.kind == KIND_SERVER:
        for twin in twins:
            if twin.kind == KIND_CLIENT:
                return twin
    candidates = parents.get((span.trace, span.parent_id), ()) if span.parent_id else ()
    same_service = (each for each in candidates if each.service == span.service)
    return next(same_service, candidates[0] if candidates else None)


def _call(span: MapSpan) -> tuple[int, bool]:
    return max(0, span.duration or 0), span.status == STATUS_ERROR


def _traffic(caller: Place, called: Place, measured: list[tuple[int, bool]]) -> Traffic:
    durations = sorted(duration for duration, _ in measured)
    errors = sum(failed for _, failed in measured)
    return Traffic(
        caller, called, len(measured), errors, percentile(durations, 0.5), percentile(durations, 0.95)
    )


def _peer(text: str) -> Place | None:
    """What a span talks to, by its attributes."""
    attributes = json.loads(text)
    address = _first(attributes, _ADDRESSES)
    for kind, names in ((DATABASE, _DATABASES), (MESSAGING, _MESSAGING)):
        system = _first(attributes, names)
        if system:
            return Place(_named(system, _first(attributes, ("db.namespace", "db.name")), address), kind)
    return Place(address, EXTERNAL) if address else None


def _named(system: str, database: str, address: str) -> str:
    """`postgresql shop`, `kafka`: the same whichever way it was reached, told apart where it can be."""
    return f"{system} {database or address}".strip()


def _first(attributes: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((str(attributes[name]) for name in names if attributes.get(name)), "")
