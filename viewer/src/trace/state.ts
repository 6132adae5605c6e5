// The state of the trace view, read from the URL and written to it.

import { place, update } from "../location";
import { type Folding, shortKey, type Span, type Trace } from "./model";

export type View = "waterfall" | "flame" | "statistics";

export interface Zoom {
  from: number;
  to: number;
}

export interface State {
  view: View;
  selected: string;
  find: string;
  only: boolean;
  zoom: Zoom;
  zoomed: boolean;
  folding: Folding;
  critical: boolean;
}

export function read(trace: Trace): State {
  const { params } = place.value;
  const view = params.get("view");
  const from = Math.max(0, Number(params.get("from")) || 0);
  const to = Math.min(trace.duration, Number(params.get("to")) || trace.duration);
  const zoomed = (from > 0 || to < trace.duration) && to > from;
  const level = params.get("level");
  return {
    view: view === "flame" || view === "statistics" ? view : "waterfall",
    selected: params.get("span") ?? "",
    find: params.get("find") ?? "",
    only: params.get("only") === "true",
    zoom: zoomed ? { from, to } : { from: 0, to: trace.duration },
    zoomed,
    folding: {
      level: level === null ? undefined : Number(level) || 0,
      flipped: new Set((params.get("fold") ?? "").split(",").filter(Boolean)),
    },
    critical: params.get("critical") !== "off",
  };
}

export const select = (span: Span | undefined): void => update({ span: span?.key });

export function zoomTo(trace: Trace, zoom: Zoom | undefined): void {
  if (!zoom || (zoom.from <= 0 && zoom.to >= trace.duration)) return update({ from: null, to: null }, true);
  const from = Math.max(0, zoom.from);
  const to = Math.min(trace.duration, zoom.to);
  // A nanosecond is the finest that a span can tell.
  if (to - from < 0.001) return;
  update({ from: String(+from.toFixed(3)), to: String(+to.toFixed(3)) }, true);
}

export function fold(span: Span, { flipped }: Folding): void {
  const changed = new Set(flipped);
  if (!changed.delete(shortKey(span))) changed.add(shortKey(span));
  update({ fold: [...changed].join(",") });
}

export const foldFrom = (level: number | undefined): void =>
  update({ level: level === undefined ? null : String(level), fold: null });
