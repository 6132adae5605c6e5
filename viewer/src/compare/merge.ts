// Two traces laid over each other: spans of the same service and operation below the same callers are one line.

import { serviceOf, type Span, type Trace } from "../trace/model";

export interface Side {
  count: number;
  total: number;
  errors: number;
}

export type Change = "added" | "removed" | "slower" | "faster" | "same";

export interface Line {
  path: string;
  depth: number;
  service: string;
  name: string;
  a: Side | undefined;
  b: Side | undefined;
  change: Change;
  delta: number;
}

/** A difference counts when it is this part of what it was, and can be seen at all beside the whole. */
const RELATIVE = 0.1;
const OF_WHOLE = 0.002;

function below(trace: Trace, parents: Span[] | undefined): Map<string, Span[]> {
  const groups = new Map<string, Span[]>();
  const add = (span: Span) => {
    const key = `${serviceOf(trace, span)}\n${span.name}`;
    const group = groups.get(key);
    if (group) group.push(span);
    else groups.set(key, [span]);
  };
  if (parents) {
    for (const parent of parents) {
      for (let at = parent.index + 1; at < parent.beyond;) {
        const span = trace.spans[at] as Span;
        add(span);
        at = span.beyond;
      }
    }
  } else {
    for (const span of trace.spans) if (span.depth === 0) add(span);
  }
  return groups;
}

function side(spans: Span[] | undefined): Side | undefined {
  if (!spans?.length) return undefined;
  const result: Side = { count: spans.length, total: 0, errors: 0 };
  for (const span of spans) {
    result.total += span.duration ?? 0;
    result.errors += span.status === "error" ? 1 : 0;
  }
  return result;
}

export function merge(a: Trace, b: Trace): Line[] {
  const lines: Line[] = [];
  const least = Math.max(a.duration, b.duration) * OF_WHOLE;
  const visit = (fromA: Map<string, Span[]>, fromB: Map<string, Span[]>, depth: number, path: string) => {
    for (const key of new Set([...fromA.keys(), ...fromB.keys()])) {
      const [spansA, spansB] = [fromA.get(key), fromB.get(key)];
      const [service = "", name = ""] = key.split("\n", 2);
      const [before, after] = [side(spansA), side(spansB)];
      const delta = (after?.total ?? 0) - (before?.total ?? 0);
      const matters = before && Math.abs(delta) > Math.max(least, before.total * RELATIVE);
      const change: Change = !before
        ? "added"
        : !after
          ? "removed"
          : !matters
            ? "same"
            : delta > 0
              ? "slower"
              : "faster";
      const own = `${path}\n${key}`;
      lines.push({ path: own, depth, service, name, a: before, b: after, change, delta });
      visit(spansA ? below(a, spansA) : new Map(), spansB ? below(b, spansB) : new Map(), depth + 1, own);
    }
  };
  visit(below(a, undefined), below(b, undefined), 0, "");
  return lines;
}
