// What the trace spent its time on, by service or by operation.

import { useMemo } from "preact/hooks";

import * as format from "../format";
import { place, update } from "../location";
import { type Column, parseOrder, Sortable } from "../ui/sortable";
import { Swatch } from "../ui/swatch";
import { serviceOf, type Trace } from "./model";

interface Line {
  key: string;
  service: string;
  hue: number;
  name: string;
  count: number;
  errors: number;
  total: number;
  self: number;
  critical: number;
  longest: number;
}

function summarize(trace: Trace, byOperation: boolean): Line[] {
  const lines = new Map<string, Line>();
  for (const span of trace.spans) {
    const service = serviceOf(trace, span);
    const key = byOperation ? `${service}\n${span.name}` : service;
    let line = lines.get(key);
    if (!line) {
      line = {
        key,
        service,
        hue: trace.hues[span.service] ?? 0,
        name: byOperation ? span.name : "",
        count: 0,
        errors: 0,
        total: 0,
        self: 0,
        critical: 0,
        longest: 0,
      };
      lines.set(key, line);
    }
    const took = span.duration ?? 0;
    line.count++;
    line.errors += span.status === "error" ? 1 : 0;
    line.total += took;
    line.self += span.self;
    line.longest = Math.max(line.longest, took);
    for (const [from, to] of span.critical) line.critical += to - from;
  }
  return [...lines.values()];
}

export function Statistics({ trace, onFind }: { trace: Trace; onFind: (query: string) => void }) {
  const { params } = place.value;
  const byOperation = params.get("group") !== "service";
  const rows = useMemo(() => summarize(trace, byOperation), [trace, byOperation]);
  const most = Math.max(1, ...rows.map((row) => row.self));
  const columns: Column<Line>[] = [
    {
      id: "name",
      title: byOperation ? "Operation" : "Service",
      by: (row) => row.name || row.service,
      show: (row) => (
        <span class="stat-name">
          <Swatch service={row.service} of={row.hue} />
          <span>
            {byOperation && <span class="muted">{row.service} </span>}
            {byOperation ? row.name : row.service}
          </span>
        </span>
      ),
    },
    {
      id: "count",
      title: "Count",
      number: true,
      by: (row) => row.count,
      show: (row) => format.count(row.count),
    },
    {
      id: "errors",
      title: "Errors",
      number: true,
      by: (row) => row.errors,
      show: (row) =>
        row.errors ? <b class="bad">{format.count(row.errors)}</b> : <span class="muted">0</span>,
    },
    {
      id: "total",
      title: "Total",
      number: true,
      by: (row) => row.total,
      show: (row) => format.duration(row.total),
    },
    {
      id: "self",
      title: "Self",
      number: true,
      by: (row) => row.self,
      show: (row) => (
        <span class="meter">
          <i style={{ width: `${(row.self / most) * 50}%` }} />
          <span>{format.duration(row.self)}</span>
        </span>
      ),
    },
    {
      id: "critical",
      title: "Critical",
      number: true,
      by: (row) => row.critical,
      show: (row) => format.duration(row.critical),
    },
    {
      id: "avg",
      title: "Average",
      number: true,
      by: (row) => row.total / row.count,
      show: (row) => format.duration(row.total / row.count),
    },
    {
      id: "max",
      title: "Longest",
      number: true,
      by: (row) => row.longest,
      show: (row) => format.duration(row.longest),
    },
  ];
  return (
    <div class="statistics">
      <div class="segments" role="group" aria-label="Group by">
        <button type="button" aria-pressed={byOperation} onClick={() => update({ group: null })}>
          By operation
        </button>
        <button type="button" aria-pressed={!byOperation} onClick={() => update({ group: "service" })}>
          By service
        </button>
      </div>
      <div class="table-scroll">
        <Sortable
          label="Statistics"
          columns={columns}
          rows={rows}
          order={parseOrder(params.get("order") ?? "-self")}
          onOrder={(order) => update({ order })}
          rowKey={(row) => row.key}
          onRow={(row) => onFind(`"service=${row.service}"${row.name ? ` "${row.name}"` : ""}`)}
        />
      </div>
    </div>
  );
}
