// `/map`: who calls whom, how often, how well.

import { useRef } from "preact/hooks";

import { api, type MapEdge } from "../api";
import * as format from "../format";
import { useShortcuts } from "../keyboard";
import { useLoading } from "../loading";
import { href, navigate, place, update } from "../location";
import { RangeSelect } from "../search/filters";
import { chosenRange, RECENT, timeRange } from "../search/query";
import { Icon } from "../ui/icons";
import { Failure, Message, Waiting } from "../ui/message";
import { type Column, parseOrder, Sortable } from "../ui/sortable";
import { Swatch } from "../ui/swatch";
import { MapGraph } from "./graph";
import { Panel } from "./panel";

export function MapView() {
  const { params } = place.value;
  const field = useRef<HTMLInputElement>(null);
  const range = chosenRange(params);
  const { data, error, again } = useLoading(`map ${JSON.stringify(range)}`, (signal) =>
    api.map(new URLSearchParams(timeRange(params)), signal),
  );
  const table = params.get("view") === "table";
  const node = params.get("node") ?? "";
  const find = params.get("find") ?? "";
  const close = () => {
    update({ node: null, find: null });
    document.querySelector<SVGElement>(`.map-node[data-service="${CSS.escape(node)}"]`)?.focus();
  };
  useShortcuts([
    { keys: ["/"], what: "Find a service", run: () => field.current?.select() },
    { keys: ["t"], what: "Graph or table", run: () => update({ view: table ? null : "table" }, true) },
    { keys: ["Escape"], what: "Close the panel", run: close },
  ]);
  const open = (name: string) => navigate(href("/", { ...range, service: name }));
  return (
    <div class="map">
      <div class="map-head">
        <h1>Service map</h1>
        {data && (
          <span class="muted">
            {format.plural(data.services.length, "node")}, {format.plural(data.edges.length, "connection")}
            {data.note && `, ${data.note}`}
          </span>
        )}
        <span class="grow" />
        <div class="finder">
          <Icon name="search" size={13} />
          <input
            ref={field}
            class="input"
            value={find}
            placeholder="Find a service"
            aria-label="Find a service"
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => update({ find: event.currentTarget.value })}
          />
        </div>
        <RangeSelect otherwise={RECENT} />
        <div class="segments" role="group" aria-label="Show as">
          <button type="button" aria-pressed={!table} onClick={() => update({ view: null }, true)}>
            Graph
          </button>
          <button type="button" aria-pressed={table} onClick={() => update({ view: "table" }, true)}>
            Table
          </button>
        </div>
      </div>
      <div class="map-body">
        {error ? (
          <Failure error={error} what="The map" again={again} />
        ) : !data ? (
          <Waiting what="the map" />
        ) : !data.services.length ? (
          <Message icon="map" title="No services in this time">
            <p>
              The map shows every service that sent spans, and what they call. Start one with{" "}
              <code>autotrace-run python app.py</code>.
            </p>
          </Message>
        ) : table ? (
          <Calls
            edges={data.edges.filter((edge) =>
              `${edge.from}\n${edge.to}`.toLowerCase().includes(find.trim().toLowerCase()),
            )}
            seconds={data.seconds}
          />
        ) : (
          <>
            <MapGraph
              map={data}
              selected={node}
              find={find}
              onSelect={(name) => update({ node: name })}
              onOpen={open}
            />
            {node && <Panel map={data} name={node} range={range} />}
          </>
        )}
      </div>
    </div>
  );
}

function Calls({ edges, seconds }: { edges: MapEdge[]; seconds: number }) {
  const name = (service: string) => (
    <span class="stat-name">
      <Swatch service={service} />
      <span>{service}</span>
    </span>
  );
  const columns: Column<MapEdge>[] = [
    { id: "from", title: "From", by: (edge) => edge.from, show: (edge) => name(edge.from) },
    { id: "to", title: "To", by: (edge) => edge.to, show: (edge) => name(edge.to) },
    {
      id: "calls",
      title: "Calls",
      number: true,
      by: (edge) => edge.calls,
      show: (edge) => format.count(edge.calls),
    },
    {
      id: "rate",
      title: "Rate",
      number: true,
      by: (edge) => edge.calls,
      show: (edge) => format.rate(edge.calls, seconds),
    },
    {
      id: "errors",
      title: "Errors",
      number: true,
      by: (edge) => edge.errors / Math.max(1, edge.calls),
      show: (edge) => (
        <span class={edge.errors ? "bad" : "muted"}>{format.share(edge.errors, edge.calls)}</span>
      ),
    },
    {
      id: "p50",
      title: "p50",
      number: true,
      by: (edge) => edge.p50,
      show: (edge) => format.duration(edge.p50),
    },
    {
      id: "p95",
      title: "p95",
      number: true,
      by: (edge) => edge.p95,
      show: (edge) => format.duration(edge.p95),
    },
  ];
  return (
    <div class="statistics">
      <div class="table-scroll">
        <Sortable
          label="Calls between services"
          columns={columns}
          rows={edges}
          order={parseOrder(place.value.params.get("order") ?? "-calls")}
          onOrder={(order) => update({ order })}
          rowKey={(edge) => `${edge.from}\n${edge.to}`}
          onRow={(edge) => update({ view: null, node: edge.to }, true)}
        />
      </div>
    </div>
  );
}
