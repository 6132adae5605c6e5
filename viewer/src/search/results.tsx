// The traces found, one row each: what was asked for, how long it took, and who worked on it.

import type { ServicePart, Summary } from "../api";
import * as format from "../format";
import { Icon } from "../ui/icons";
import { Swatch, tint } from "../ui/swatch";
import { hue } from "../service-color";

const CHIPS = 6;

export const SORTS: { id: string; title: string; by: (trace: Summary) => number }[] = [
  { id: "", title: "Newest", by: (trace) => trace.start },
  { id: "longest", title: "Longest", by: (trace) => trace.duration },
  { id: "shortest", title: "Shortest", by: (trace) => -trace.duration },
  { id: "spans", title: "Most spans", by: (trace) => trace.spans },
  { id: "errors", title: "Most errors", by: (trace) => trace.errors },
];

export function arranged(traces: Summary[], sort: string): Summary[] {
  const order = SORTS.find((one) => one.id === sort) ?? SORTS[0];
  return order ? [...traces].sort((a, b) => order.by(b) - order.by(a)) : traces;
}

/** Who had the time: each service's own share, as one stacked bar. */
function Shares({ trace, longest }: { trace: Summary; longest: number }) {
  const total = trace.services.reduce((sum, part) => sum + part.duration, 0);
  return (
    <span class="shares">
      <span style={{ width: `${(trace.duration / longest) * 100}%` }}>
        {total > 0 ? (
          trace.services.map((part) => (
            <i key={part.name} style={{ ...tint(hue(part.name)), flexGrow: part.duration / total }} />
          ))
        ) : (
          <i style={{ ...tint(hue(trace.root.service)), flexGrow: 1 }} />
        )}
      </span>
    </span>
  );
}

function Chip({ part }: { part: ServicePart }) {
  return (
    <span
      class="chip"
      title={`${part.name}: ${format.plural(part.spans, "span")}, ${format.duration(part.duration)} of its own${part.errors ? `, ${format.plural(part.errors, "error")}` : ""}`}
    >
      <Swatch service={part.name} />
      <span class="chip-name">{part.name}</span>
      <span class="muted">
        {format.compact(part.spans)} · {format.duration(part.duration)}
      </span>
      {part.errors > 0 && <b class="bad">{part.errors}</b>}
    </span>
  );
}

export function Row(props: {
  trace: Summary;
  longest: number;
  chosen: boolean;
  picked: boolean;
  onPick: (on: boolean) => void;
  fresh: boolean;
}) {
  const { trace } = props;
  const parts = [...trace.services].sort((a, b) => b.duration - a.duration);
  return (
    <li
      class={`result ${props.chosen ? "chosen" : ""} ${trace.errors ? "failed" : ""} ${props.fresh ? "fresh" : ""}`}
      data-trace={trace.id}
    >
      <label class="pick" title="Choose two to compare">
        <input
          type="checkbox"
          checked={props.picked}
          aria-label={`Compare ${trace.root.name}`}
          onChange={(event) => props.onPick(event.currentTarget.checked)}
        />
      </label>
      <a href={`/trace/${trace.id}`} class="result-body">
        <span class="result-name">
          <Swatch service={trace.root.service} />
          <span class="result-service">{trace.root.service}</span>
          <strong>{trace.root.name || "(no name)"}</strong>
        </span>
        <span class="result-bar">
          <span class="result-duration">{format.duration(trace.duration)}</span>
          <Shares trace={trace} longest={props.longest} />
        </span>
        <span class="result-facts">
          {trace.errors > 0 && (
            <span class="bad">
              <Icon name="error" size={13} /> {format.plural(trace.errors, "error")}
            </span>
          )}
          <span>{format.plural(trace.spans, "span")}</span>
          <time title={new Date(trace.start / 1e3).toISOString()}>{format.moment(trace.start)}</time>
        </span>
        <span class="chips">
          {parts.slice(0, CHIPS).map((part) => (
            <Chip key={part.name} part={part} />
          ))}
          {parts.length > CHIPS && <span class="chip muted">{parts.length - CHIPS} more</span>}
        </span>
      </a>
    </li>
  );
}
