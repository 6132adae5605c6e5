// Where the services and the arrows between them go.

import { Graph, layout } from "@dagrejs/dagre";

import type { MapEdge, MapService, ServiceMap } from "../api";
import * as format from "../format";

interface Point {
  x: number;
  y: number;
}

export interface Node {
  service: MapService;
  /** Its centre. */
  x: number;
  y: number;
  width: number;
}

export interface Arrow {
  edge: MapEdge;
  path: string;
  /** The middle of the arrow, for its label. */
  x: number;
  y: number;
}

export interface Picture {
  nodes: Map<string, Node>;
  arrows: Arrow[];
  width: number;
  height: number;
  /** Few enough arrows that each carries its figures. */
  labelled: boolean;
  /** Where to begin to read when not all of it fits: the busiest of those that nobody calls. */
  entry: Node | undefined;
}

export const NODE_HEIGHT = 46;
const LABELLED = 36;
const MANY = 60;

export const shortName = (name: string): string => (name.length > 26 ? `${name.slice(0, 25)}…` : name);

export const incoming = (map: ServiceMap, name: string): MapEdge[] =>
  map.edges.filter((edge) => edge.to === name && edge.from !== name);

/** What is said of a service below its name. */
export function load(map: ServiceMap, service: MapService): { calls: number; rate: string; errors: string } {
  const calls = incoming(map, service.name).reduce((sum, edge) => sum + edge.calls, 0) || service.traces;
  return {
    calls,
    rate: format.rate(calls, map.seconds),
    errors: service.errors ? ` · ${format.share(service.errors, service.spans)} err` : "",
  };
}

export const figures = (edge: MapEdge, seconds: number): [string, string] => [
  `${format.rate(edge.calls, seconds)}${edge.errors ? ` · ${format.share(edge.errors, edge.calls)} err` : ""}`,
  `${format.duration(edge.p50)} · ${format.duration(edge.p95)}`,
];

// Widths of letters at the sizes of styles/map.css, a little generous: text is not measured before it is drawn.
export const labelWidth = (lines: string[]): number =>
  Math.max(...lines.map((line) => line.length)) * 5.9 + 10;

function nodeWidth(map: ServiceMap, service: MapService): number {
  const { rate, errors } = load(map, service);
  const text = Math.max(shortName(service.name).length * 7.9, (rate + errors).length * 6.3);
  return Math.max(112, text + (service.kind ? 58 : 36));
}

/** From left to right; where there is more height than width, from top to bottom. */
export function arrange(map: ServiceMap, upright: boolean): Picture {
  const labelled = map.edges.length <= LABELLED;
  const graph = new Graph({ multigraph: false });
  const many = map.services.length > MANY;
  graph.setGraph({
    rankdir: upright ? "TB" : "LR",
    nodesep: many ? 10 : 26,
    ranksep: labelled ? 40 : 90,
    edgesep: 8,
    marginx: 24,
    marginy: 24,
    ranker: many ? "longest-path" : "network-simplex",
  });
  graph.setDefaultEdgeLabel(() => ({}));
  // A peer may bear the name of a service that sent spans of its own: one node, the service.
  const services = new Map(
    [...map.services]
      .sort((a, b) => (a.kind ? 0 : 1) - (b.kind ? 0 : 1))
      .map((service) => [service.name, service]),
  );
  for (const service of services.values()) {
    graph.setNode(service.name, { width: nodeWidth(map, service), height: NODE_HEIGHT });
  }
  const edges = map.edges.filter((edge) => services.has(edge.from) && services.has(edge.to));
  for (const edge of edges)
    if (edge.from !== edge.to)
      graph.setEdge(
        edge.from,
        edge.to,
        labelled ? { width: labelWidth(figures(edge, map.seconds)), height: 30, labelpos: "c" } : {},
      );
  layout(graph);

  const nodes = new Map<string, Node>();
  for (const service of services.values()) {
    const {
      x = 0,
      y = 0,
      width = 0,
    } = graph.node(service.name) as { x?: number; y?: number; width?: number };
    nodes.set(service.name, { service, x, y, width });
  }
  const arrows = edges.map((edge): Arrow => {
    if (edge.from === edge.to) return loop(edge, nodes.get(edge.from));
    const placed = graph.edge(edge.from, edge.to) as { points?: Point[] } & Partial<Point>;
    const { points = [] } = placed;
    // The label's centre where room was made for one.
    const middle =
      placed.x === undefined || placed.y === undefined
        ? (points[Math.floor(points.length / 2)] ?? { x: 0, y: 0 })
        : { x: placed.x, y: placed.y };
    const [from, to] = [nodes.get(edge.from), nodes.get(edge.to)];
    // From side to side rather than from wherever the straight line would cross the border.
    if (from && to && (upright ? from.y < to.y : from.x + from.width / 2 < to.x - to.width / 2)) {
      points.splice(
        0,
        1,
        upright ? { x: from.x, y: from.y + NODE_HEIGHT / 2 } : { x: from.x + from.width / 2, y: from.y },
      );
      points.splice(
        -1,
        1,
        upright ? { x: to.x, y: to.y - NODE_HEIGHT / 2 } : { x: to.x - to.width / 2, y: to.y },
      );
    }
    return { edge, path: smooth(points, upright), x: middle.x, y: middle.y };
  });
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const called = new Set(edges.map((edge) => edge.to));
  const entries = [...nodes.values()]
    .filter((node) => !called.has(node.service.name))
    .sort((a, b) => b.service.spans - a.service.spans);
  return { nodes, arrows, width, height, labelled, entry: entries[0] };
}

/** A service that calls itself. */
function loop(edge: MapEdge, node: Node | undefined): Arrow {
  const { x = 0, y = 0 } = node ?? {};
  const top = y - NODE_HEIGHT / 2;
  return {
    edge,
    path: `M${x + 18},${top} C${x + 30},${top - 30} ${x - 30},${top - 30} ${x - 18},${top}`,
    x,
    y: top - 26,
  };
}

function smooth(points: Point[], upright: boolean): string {
  const [first, ...rest] = points;
  if (!first) return "";
  const at = (x: number, y: number) => `${x.toFixed(1)},${y.toFixed(1)}`;
  let path = `M${at(first.x, first.y)}`;
  let before = first;
  for (const point of rest) {
    const [x, y] = [(before.x + point.x) / 2, (before.y + point.y) / 2];
    path += upright
      ? ` C${at(before.x, y)} ${at(point.x, y)} ${at(point.x, point.y)}`
      : ` C${at(x, before.y)} ${at(x, point.y)} ${at(point.x, point.y)}`;
    before = point;
  }
  return path;
}
