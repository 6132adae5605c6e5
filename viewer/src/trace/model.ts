// A trace as the views need it: spans in the order of the waterfall, each knowing where its subtree ends.

import type { Attributes, WireSpan, WireTrace } from "../api";
import { text } from "../format";
import { hue } from "../service-color";

export interface Span extends WireSpan {
  index: number;
  /** The id; where several spans bear the same (both halves of a Zipkin call), those after the first are numbered. */
  key: string;
  /** Of the parent in the list; -1 for a root. */
  above: number;
  /** One past the last span below this one. */
  beyond: number;
  /** When it ended; the end of the trace for one that never did. */
  until: number;
}

export interface Trace extends Omit<WireTrace, "spans"> {
  spans: Span[];
  hues: number[];
  depth: number;
}

export function prepare(wire: WireTrace): Trace {
  let total = wire.duration;
  for (const span of wire.spans) total = Math.max(total, span.start + (span.duration ?? 0));
  const spans: Span[] = [];
  const open: Span[] = [];
  const seen = new Map<string, number>();
  let depth = 0;
  for (const [index, one] of wire.spans.entries()) {
    while (open.length > one.depth) (open.pop() as Span).beyond = index;
    const before = seen.get(one.id) ?? 0;
    seen.set(one.id, before + 1);
    const key = before ? `${one.id}.${before}` : one.id;
    const span: Span = {
      ...one,
      index,
      key,
      above: open.at(-1)?.index ?? -1,
      beyond: wire.spans.length,
      until: one.duration === null ? total : one.start + one.duration,
    };
    spans.push(span);
    open.push(span);
    depth = Math.max(depth, one.depth);
  }
  return { ...wire, spans, duration: Math.max(total, 1), hues: wire.services.map(hue), depth };
}

export const serviceOf = (trace: Trace, span: Span): string => trace.services[span.service] ?? "";
export const hueOf = (trace: Trace, span: Span): number => trace.hues[span.service] ?? 0;

export function attribute(attributes: Attributes, ...names: string[]): string | undefined {
  for (const name of names) {
    const found = attributes.find(([key]) => key === name);
    if (found && found[1] !== null && found[1] !== "") return text(found[1]);
  }
  return undefined;
}

/** Whether the span's children are hidden: `level` closes all from a depth on, `flipped` are the exceptions. */
export interface Folding {
  level: number | undefined;
  flipped: ReadonlySet<string>;
}

/** Enough of a key to tell the spans of a trace apart in a URL. */
export const shortKey = (span: Span): string => span.key.slice(0, 8) + span.key.slice(16);

export const folded = (span: Span, folding: Folding): boolean =>
  span.children > 0 &&
  (folding.level !== undefined && span.depth >= folding.level) !== folding.flipped.has(shortKey(span));

/** Indexes of the spans to show, in order. With `only`, just those and what is above them. */
export function visible(trace: Trace, folding: Folding, only: ReadonlySet<number> | undefined): number[] {
  const rows: number[] = [];
  if (only) {
    const kept = new Set<number>();
    for (const match of only)
      for (let at = match; at >= 0 && !kept.has(at); at = trace.spans[at]?.above ?? -1) kept.add(at);
    return [...kept].sort((a, b) => a - b);
  }
  for (let index = 0; index < trace.spans.length;) {
    const span = trace.spans[index] as Span;
    rows.push(index);
    index = folded(span, folding) ? span.beyond : index + 1;
  }
  return rows;
}
