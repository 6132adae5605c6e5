// Where each span goes in the flame view: below its parent, in the first lane where nothing is in its way.

import type { Trace } from "./model";

export interface Lanes {
  /** Lane of each span. */
  of: Int32Array;
  /** Per lane the indexes of its spans, by start. */
  rows: number[][];
}

export function lanes(trace: Trace): Lanes {
  const of = new Int32Array(trace.spans.length);
  const rows: number[][] = [];
  // By start, parents first: then a lane is free as soon as its last span has ended.
  const order = trace.spans
    .map((span) => span.index)
    .sort((a, b) => {
      const [x, y] = [trace.spans[a], trace.spans[b]];
      return x && y ? x.start - y.start || a - b : 0;
    });
  const busy: number[] = [];
  for (const index of order) {
    const span = trace.spans[index];
    if (!span) continue;
    let lane = span.above < 0 ? 0 : (of[span.above] ?? 0) + 1;
    while ((busy[lane] ?? -1) > span.start + 1e-6) lane++;
    of[index] = lane;
    busy[lane] = span.until;
    while (rows.length <= lane) rows.push([]);
    rows[lane]?.push(index);
  }
  return { of, rows };
}
