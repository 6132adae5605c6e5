// The selected service: who calls it, whom it calls, and the way to its traces.

import { useEffect, useRef } from "preact/hooks";

import type { MapEdge, ServiceMap } from "../api";
import * as format from "../format";
import { href, update } from "../location";
import type { Range } from "../search/query";
import { Icon } from "../ui/icons";
import { Swatch } from "../ui/swatch";
import { incoming } from "./layout";

function Calls({
  title,
  edges,
  other,
  seconds,
}: {
  title: string;
  edges: MapEdge[];
  other: (edge: MapEdge) => string;
  seconds: number;
}) {
  if (!edges.length) return null;
  return (
    <section class="section">
      <h3>{title}</h3>
      <ul class="calls">
        {[...edges]
          .sort((a, b) => b.calls - a.calls)
          .map((edge) => (
            <li key={other(edge)}>
              <button type="button" class="link" onClick={() => update({ node: other(edge) })}>
                {other(edge)}
              </button>
              <span>
                {format.rate(edge.calls, seconds)}
                {edge.errors > 0 && <b class="bad"> {format.share(edge.errors, edge.calls)} err</b>}
              </span>
              <span class="muted">
                p50 {format.duration(edge.p50)} · p95 {format.duration(edge.p95)}
              </span>
            </li>
          ))}
      </ul>
    </section>
  );
}

export function Panel({ map, name, range }: { map: ServiceMap; name: string; range: Range }) {
  const first = useRef<HTMLAnchorElement>(null);
  // A node, and Enter, and there are its traces.
  useEffect(() => first.current?.focus({ preventScroll: true }), [name]);
  const service = map.services.find((one) => one.name === name);
  if (!service) return null;
  const callers = incoming(map, name);
  const called = map.edges.filter((edge) => edge.from === name && edge.to !== name);
  return (
    <aside class="details" aria-label={`About ${name}`}>
      <header>
        <div class="details-title">
          <span class="details-service">
            <Swatch service={name} />
            {service.kind ?? "service"}
          </span>
          <h2>{name}</h2>
        </div>
        <button type="button" class="button bare" aria-label="Close" onClick={() => update({ node: null })}>
          <Icon name="close" size={14} />
        </button>
      </header>
      <div class="details-body">
        <div class="details-actions">
          {service.kind ? (
            callers[0] && (
              <a ref={first} class="button primary" href={href("/", { ...range, service: callers[0].from })}>
                <Icon name="search" size={13} /> Traces of {callers[0].from}
              </a>
            )
          ) : (
            <>
              <a ref={first} class="button primary" href={href("/", { ...range, service: name })}>
                <Icon name="search" size={13} /> Traces
              </a>
              <a class="button" href={href("/", { ...range, service: name, errors: "true" })}>
                <Icon name="error" size={13} /> Failed
              </a>
              <a class="button" href={href("/latency", { ...range, service: name })}>
                <Icon name="latency" size={13} /> Latency
              </a>
            </>
          )}
        </div>
        <dl class="facts">
          <div>
            <dt>Spans</dt>
            <dd>{format.compact(service.spans)}</dd>
          </div>
          <div>
            <dt>Errors</dt>
            <dd class={service.errors ? "bad" : ""}>{format.share(service.errors, service.spans)}</dd>
          </div>
          <div>
            <dt>Traces</dt>
            <dd>{format.compact(service.traces)}</dd>
          </div>
        </dl>
        <Calls title="Called by" edges={callers} other={(edge) => edge.from} seconds={map.seconds} />
        <Calls title="Calls" edges={called} other={(edge) => edge.to} seconds={map.seconds} />
      </div>
    </aside>
  );
}
