"""What goes into the store comes out of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from opentelemetry.trace import SpanContext, TraceFlags, TraceState
from spans import END, START, TRACE_ID, finished_spans, make_span
from stores import fill, record

from autotrace.export.records import Records
from autotrace.store.reader import Reader
from autotrace.store.records import (
    FLAG_DEBUG,
    FLAG_PARENT_REMOTE,
    FLAG_SHARED,
    KIND_NAMES,
    EventRecord,
    LinkRecord,
    ResourceRecord,
    ScopeRecord,
    SpanRecord,
)


def typed(value: Any) -> Any:
    """With types: True would equal 1."""
    if isinstance(value, (tuple, list)):
        return tuple(typed(member) for member in value)
    return type(value), value


def typed_items(attributes: Any) -> Any:
    return {key: typed(value) for key, value in attributes.items()}


@settings(max_examples=60, deadline=None)
@given(finished_spans())
def test_a_finished_span_comes_back(span: Any) -> None:
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "traces.db"
        fill(path, Records().of(span))
        with Reader(str(path)) as reader:
            (back,) = reader.trace(span.trace_id)
            (summary,) = reader.find(f"{span.trace_id:032x}")

    assert summary == span.trace_id
    for slot in (
        "trace_id",
        "span_id",
        "parent_id",
        "name",
        "dropped_attributes",
        "dropped_events",
        "dropped_links",
    ):
        assert getattr(back, slot) == getattr(span, slot), slot
    assert (back.start, back.end) == (span.start_time, span.end_time)
    assert KIND_NAMES[back.kind] == span.kind.name.lower()
    assert back.status == span.status_code.value
    assert back.status_message == (span.status_description or "")
    assert back.flags & 0xFF == span.trace_flags
    assert bool(back.flags & FLAG_PARENT_REMOTE) == span.parent_is_remote
    assert typed_items(back.attributes) == typed_items(span._attributes)
    assert [
        (event.name, event.timestamp, typed_items(event.attributes), event.dropped_attributes)
        for event in back.events
    ] == [
        (event.name, event.timestamp, typed_items(event.attributes), event.dropped_attributes)
        for event in span.events
    ]
    assert [
        (link.trace_id, link.span_id, bool(link.flags & FLAG_PARENT_REMOTE), typed_items(link.attributes))
        for link in back.links
    ] == [
        (link.context.trace_id, link.context.span_id, link.context.is_remote, typed_items(link.attributes))
        for link in span.links
    ]
    assert back.resource == ResourceRecord(dict(span.resource.attributes))
    assert back.scope == ScopeRecord(
        span.instrumentation_scope.name, span.instrumentation_scope.version or "", {}
    )


def test_tracestate_and_link_flags_come_back(tmp_path: Path) -> None:
    state = TraceState([("vendor", "1")])
    links = [make_link(SpanContext(7, 8, True, TraceFlags(3), state))]
    fill(tmp_path / "traces.db", record(trace_state=state, links=links))
    with Reader(str(tmp_path / "traces.db")) as reader:
        (back,) = reader.trace(TRACE_ID)
    assert back.trace_state == "vendor=1"
    assert back.links == (LinkRecord(7, 8, 0x303, "vendor=1", {}, 0),)


def test_what_only_other_wires_can_say_comes_back(tmp_path: Path) -> None:
    """Zipkin: no kind, no duration, shared, debug. OTLP: counts and schema of resource and scope."""
    span = SpanRecord(
        trace_id=0x463AC35C9F6413AD,
        span_id=2**64 - 1,
        parent_id=2**63,
        name="",
        kind=0,
        start=0,
        duration=None,
        status=0,
        status_message="",
        flags=FLAG_SHARED | FLAG_DEBUG | 0xFFFFFFFF,
        trace_state="",
        attributes={},
        events=(EventRecord("e", 0, {}, 3),),
        links=(),
        dropped_attributes=2**32 - 1,
        dropped_events=1,
        dropped_links=2,
        resource=ResourceRecord({"service.name": "s", "nested": {"b": b"\0"}}, "https://r", 4),
        scope=ScopeRecord("lib", "1", {"a": 1}, "https://s", 5),
    )
    fill(tmp_path / "traces.db", span)
    with Reader(str(tmp_path / "traces.db")) as reader:
        assert reader.trace(span.trace_id) == [span]
        assert (
            reader.find("463ac35c9f6413ad")
            == reader.find("0000000000000000463AC35C9F6413AD")
            == [span.trace_id]
        )
        assert reader.operations("s") == [("", 0)]


def test_hostile_numbers_are_bounded_and_cost_nobody_else(tmp_path: Path) -> None:
    wild = record(start_time=-(10**30), end_time=10**30, dropped_events=2**70)
    fill(tmp_path / "traces.db", wild, record(span_id=1))
    with Reader(str(tmp_path / "traces.db")) as reader:
        first, second = reader.trace(TRACE_ID)
    assert (first.start, first.duration, first.dropped_events) == (-(2**63) + 1, 2**63 - 1, 2**63 - 1)
    assert (second.start, second.end) == (START, END)


def make_link(context: SpanContext) -> Any:
    span = make_span(end_time=None)
    span.add_link(context)
    return span.links[0]
