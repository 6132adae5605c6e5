"""The tables of `traces.db`, and the reasons for their shape.

**One writer format, many readers.** Every traced process of a user writes this file at the same
time, perhaps with different versions of autotrace, so the format must stand still. `VERSION` says
what a writer must know, and a higher one makes it refuse. An index, a further table or a nullable
column disturbs no writer (all statements name their columns) and needs no new version: a viewer may
add what it wants, and should keep what it can rebuild from the spans in a file of its own.

**Ids are arrival order.** `spans.id` and `traces.id` rise in the order of commits, for writers take
turns. Rows are appended, never inserted in the middle (trace ids are random: clustering by them would
dirty a page per trace and tear the file), the newest traces are the last, eviction frees whole pages
at the front, and a reader that remembers the last id it saw can follow the store: live tail, service
map or a tag index are built from `id > seen`. An emptied table starts at 1 again: a reader whose
mark lies beyond `max(id)` begins anew.

**The trace id, 16 bytes, is stored once**, in `traces`; spans carry the short integer. Span ids are
64-bit integers, signed because SQLite's are. Times are integer nanoseconds.

**What repeats is interned**: services, operations (service, name, kind: what query APIs list),
resources, scopes. Nobody counts references. Each interned row knows the `newest` span id that uses
it, so it is garbage when that lies before the oldest span: nothing to drift, no scan. Ids of
interned rows are good for one transaction; garbage may be collected, and ids given anew, after it.

**Attributes are one JSON text per span**, not a row per attribute: ten times fewer rows, and
encoding is one C call (2.4 us for eleven attributes; inserting the span with its indexes 6.5 us, 420
bytes). A tag search therefore scans text, 0.4 s for a million spans. An index entry per tag would
cost ten random page writes per span in somebody's program; a viewer that needs more keeps Bloom
filters over ranges of span ids, made once per range thanks to the arrival order.

**Two indexes on spans.** By trace, to read and to evict one. By service and start, which holds all
that a search filters on (operation, duration, status), so that it runs within the index, newest
first. Measured with a million spans of five services, while another process wrote 25,000 a second on
two cores: half of a mix of searches under 10 ms, 95 % under 60, none over 105.

**`traces` is the summary** for listings and for eviction; writers keep it up to date, as they look
the trace up anyway. A trace that goes on after its eviction begins a new row.

`auto_vacuum` is incremental, so that the file can shrink in small steps. WAL, so that readers and
the writer do not wait for each other.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 1
"""`PRAGMA user_version`."""

APPLICATION_ID: Final = 0x61747263
"""`PRAGMA application_id`: "atrc"."""

DDL: Final = """
CREATE TABLE traces (
    id INTEGER PRIMARY KEY,
    trace_id BLOB NOT NULL UNIQUE,  -- 16 bytes; a 64-bit id has eight leading zero bytes
    start INTEGER NOT NULL,         -- of the earliest span, ns since the epoch; 0: not known
    end INTEGER NOT NULL,           -- of the span that ends last, ns since the epoch
    spans INTEGER NOT NULL,
    errors INTEGER NOT NULL,        -- spans with status ERROR
    written INTEGER NOT NULL        -- seconds since the epoch, when its latest span arrived
);

CREATE TABLE services (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    newest INTEGER NOT NULL         -- in all interned tables: no later span uses this row
);

CREATE TABLE operations (
    id INTEGER PRIMARY KEY,
    service INTEGER NOT NULL REFERENCES services (id),
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,          -- OTLP's numbers, see records.py
    newest INTEGER NOT NULL,
    UNIQUE (service, name, kind)
);

CREATE TABLE resources (
    id INTEGER PRIMARY KEY,
    attributes TEXT NOT NULL,       -- JSON object, see codec.py
    schema_url TEXT NOT NULL,
    dropped_attributes INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    UNIQUE (attributes, schema_url, dropped_attributes)
);

CREATE TABLE scopes (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    attributes TEXT NOT NULL,
    schema_url TEXT NOT NULL,
    dropped_attributes INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    UNIQUE (name, version, attributes, schema_url, dropped_attributes)
);

CREATE TABLE spans (
    id INTEGER PRIMARY KEY,
    trace INTEGER NOT NULL REFERENCES traces (id),
    span_id INTEGER NOT NULL,       -- 64 bits read as a signed number
    parent_id INTEGER NOT NULL,     -- 0: root
    service INTEGER NOT NULL REFERENCES services (id),
    operation INTEGER NOT NULL REFERENCES operations (id),
    resource INTEGER NOT NULL REFERENCES resources (id),
    scope INTEGER NOT NULL REFERENCES scopes (id),
    start INTEGER NOT NULL,         -- ns since the epoch; 0: not known
    duration INTEGER,               -- ns; NULL: not known
    status INTEGER NOT NULL,        -- OTLP: 0 unset, 1 ok, 2 error
    flags INTEGER NOT NULL,         -- OTLP's 32 bits; bit 32: Zipkin shared, bit 33: debug
    status_message TEXT,            -- NULL: none; likewise below
    trace_state TEXT,
    attributes TEXT,                -- JSON object
    events TEXT,                    -- JSON array of [name, ns, attributes or null, dropped]
    links TEXT,                     -- JSON array of [trace, span, flags, state, attributes or null, dropped]
    dropped_attributes INTEGER NOT NULL,
    dropped_events INTEGER NOT NULL,
    dropped_links INTEGER NOT NULL
);

CREATE INDEX spans_by_trace ON spans (trace);
CREATE INDEX spans_by_service ON spans (service, start, operation, duration, status, trace);
"""
