// The services as boxes, who calls whom as arrows.

import { useMemo, useState } from "preact/hooks";

import type { MapEdge, ServiceMap } from "../api";
import * as format from "../format";
import { hue } from "../service-color";
import { Icon } from "../ui/icons";
import { tint } from "../ui/swatch";
import { useCamera } from "./camera";
import { arrange, figures, labelWidth, load, type Node, NODE_HEIGHT, shortName } from "./layout";

/** Below this scale letters cannot be read: nodes are drawn as plain shapes in the colour of their service. */
const LEGIBLE = 0.36;

/** A phone's width. */
const NARROW = 720;

interface Props {
  map: ServiceMap;
  selected: string;
  find: string;
  onSelect: (name: string) => void;
  onOpen: (name: string) => void;
}

export function MapGraph({ map, selected, find, onSelect, onOpen }: Props) {
  const upright = window.innerWidth < window.innerHeight && window.innerWidth < NARROW;
  const picture = useMemo(() => arrange(map, upright), [map, upright]);
  const { frame, camera, fit, zoom, centre, handlers, wasDrag } = useCamera(
    picture.width,
    picture.height,
    picture.entry,
  );
  const [hover, setHover] = useState("");
  const focus = hover || selected;
  const near = useMemo(() => {
    const names = new Set<string>();
    for (const { from, to } of map.edges) {
      if (from === focus) names.add(to);
      if (to === focus) names.add(from);
    }
    return names.add(focus);
  }, [map, focus]);
  const wanted = find.trim().toLowerCase();
  const most = Math.max(1, ...map.edges.map((edge) => edge.calls));
  const found = (name: string) => !wanted || name.toLowerCase().includes(wanted);
  const first = wanted ? [...picture.nodes.values()].find((node) => found(node.service.name)) : undefined;

  return (
    <div class="map-frame" ref={frame} {...handlers} onClick={() => !wasDrag() && onSelect("")}>
      <svg
        class={`${focus ? "focused" : ""} ${camera.scale < LEGIBLE ? "far" : ""} ${picture.labelled ? "" : "many"}`}
        role="group"
        aria-label={`Map of ${format.plural(map.services.length, "service")}; the table has the same calls`}
      >
        <defs>
          {["", "near", "bad"].map((kind) => (
            <marker
              key={kind}
              id={`arrow${kind}`}
              class={`arrow-head ${kind}`}
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="8"
              markerHeight="8"
              markerUnits="userSpaceOnUse"
              orient="auto-start-reverse"
            >
              <path d="M0,0.5 L8,4 L0,7.5 Z" />
            </marker>
          ))}
        </defs>
        <g transform={`translate(${camera.x} ${camera.y}) scale(${camera.scale})`}>
          {picture.arrows.map(({ edge, path }) => {
            const close = edge.from === focus || edge.to === focus;
            const kind = edge.errors ? "bad" : close ? "near" : "";
            return (
              <path
                key={`${edge.from}\n${edge.to}`}
                class={`arrow ${kind} ${close ? "close" : ""}`}
                d={path}
                stroke-width={1.2 + 2.2 * (Math.log1p(edge.calls) / Math.log1p(most))}
                marker-end={`url(#arrow${kind})`}
              />
            );
          })}
          {[...picture.nodes.values()].map((node) => (
            <MapNode
              key={node.service.name}
              node={node}
              map={map}
              dim={(Boolean(focus) && !near.has(node.service.name)) || !found(node.service.name)}
              selected={node.service.name === selected}
              onHover={setHover}
              onSelect={(name) => !wasDrag() && onSelect(name)}
              onOpen={onOpen}
            />
          ))}
          {picture.arrows
            .filter(({ edge }) => (focus ? edge.from === focus || edge.to === focus : picture.labelled))
            .map(({ edge, x, y }) => (
              <Label key={`${edge.from}\n${edge.to}`} edge={edge} x={x} y={y} seconds={map.seconds} />
            ))}
        </g>
      </svg>
      <p class="map-legend muted">On arrows: calls · errors, p50 · p95</p>
      <div class="map-zoom" role="group" aria-label="Zoom" onClick={(event) => event.stopPropagation()}>
        {first && (
          <button type="button" class="button" onClick={() => centre(first.x, first.y)}>
            Go to {shortName(first.service.name)}
          </button>
        )}
        <button type="button" class="button" aria-label="Zoom in" onClick={() => zoom(1.3)}>
          +
        </button>
        <button type="button" class="button" aria-label="Zoom out" onClick={() => zoom(1 / 1.3)}>
          −
        </button>
        <button type="button" class="button" onClick={fit}>
          Fit
        </button>
      </div>
    </div>
  );
}

function Label({ edge, x, y, seconds }: { edge: MapEdge; x: number; y: number; seconds: number }) {
  const [first, second] = figures(edge, seconds);
  const width = labelWidth([first, second]);
  return (
    <g class="map-label" transform={`translate(${x} ${y})`}>
      <rect x={-width / 2} y="-15" width={width} height="30" rx="6" />
      <text y="-2.5" class={edge.errors ? "bad" : ""}>
        {first}
      </text>
      <text y="10.5" class="soft">
        {second}
      </text>
    </g>
  );
}

interface NodeProps {
  node: Node;
  map: ServiceMap;
  dim: boolean;
  selected: boolean;
  onHover: (name: string) => void;
  onSelect: (name: string) => void;
  onOpen: (name: string) => void;
}

function MapNode({ node, map, dim, selected, onHover, onSelect, onOpen }: NodeProps) {
  const { service, x, y, width } = node;
  const { calls, rate, errors } = load(map, service);
  const kind = service.kind ?? "service";
  return (
    <g
      class={`map-node is-${kind} ${dim ? "dim" : ""} ${selected ? "selected" : ""}`}
      style={tint(hue(service.name))}
      transform={`translate(${x - width / 2} ${y - NODE_HEIGHT / 2})`}
      role="button"
      tabIndex={0}
      aria-label={`${service.name}, ${kind}, ${format.plural(calls, "call")}${errors}`}
      aria-pressed={selected}
      data-service={service.name}
      onPointerEnter={() => onHover(service.name)}
      onPointerLeave={() => onHover("")}
      onFocus={() => onHover(service.name)}
      onBlur={() => onHover("")}
      onClick={(event) => {
        event.stopPropagation();
        onSelect(service.name);
      }}
      onDblClick={() => onOpen(service.name)}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        onSelect(service.name);
      }}
    >
      <title>{service.name}</title>
      <rect class="box" width={width} height={NODE_HEIGHT} rx={kind === "service" ? 8 : 23} />
      {kind === "service" ? (
        <rect class="stripe-mark" x="9" y="10" width="4" height="26" rx="2" />
      ) : (
        <g transform="translate(12 15)" class="kind-mark">
          <Icon name={kind === "database" ? "database" : kind === "messaging" ? "path" : "link"} size={16} />
        </g>
      )}
      <text x={kind === "service" ? 22 : 36} y="19" class="map-name">
        {shortName(service.name)}
      </text>
      <text x={kind === "service" ? 22 : 36} y="35" class="soft">
        {rate}
        {errors && <tspan class="bad">{errors}</tspan>}
      </text>
    </g>
  );
}
