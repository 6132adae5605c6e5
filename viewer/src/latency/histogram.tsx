// How long it took how often, on a logarithmic axis, with the percentiles marked.

import type { Bucket, Latency } from "../api";
import * as format from "../format";

const HEIGHT = 190;

export function Histogram({ latency, onPick }: { latency: Latency; onPick: (bucket: Bucket) => void }) {
  const { histogram } = latency;
  const first = histogram[0];
  const last = histogram.at(-1);
  if (!first || !last) return null;
  const low = Math.log(Math.max(first.from, 0.5));
  const high = Math.log(Math.max(last.to, first.from + 1));
  const place = (us: number) =>
    Math.min(100, Math.max(0, ((Math.log(Math.max(us, 0.5)) - low) / (high - low)) * 100));
  const most = Math.max(1, ...histogram.map((bucket) => bucket.count));
  const marks = (["p50", "p95", "p99"] as const).map((name) => ({ name, us: latency[name] }));
  return (
    <div class="histogram">
      <div class="histogram-plot" style={{ height: `${HEIGHT}px` }}>
        {histogram.map((bucket) => (
          <button
            type="button"
            key={bucket.from}
            class="column"
            style={{
              left: `${place(bucket.from)}%`,
              width: `${Math.max(0.3, place(bucket.to) - place(bucket.from))}%`,
            }}
            disabled={!bucket.count}
            aria-label={`${format.duration(bucket.from)} to ${format.duration(bucket.to)}: ${format.count(bucket.count)}${bucket.errors ? `, ${format.plural(bucket.errors, "error")}` : ""}`}
            title={`${format.duration(bucket.from)} – ${format.duration(bucket.to)}\n${format.count(bucket.count)}${bucket.errors ? `, ${format.plural(bucket.errors, "error")}` : ""}`}
            onClick={() => onPick(bucket)}
          >
            <i style={{ height: `${bucket.count ? Math.max(1.2, (bucket.count / most) * 100) : 0}%` }} />
            <i
              class="errors"
              style={{ height: `${bucket.errors ? Math.max(1.2, (bucket.errors / most) * 100) : 0}%` }}
            />
          </button>
        ))}
        {marks.map(({ name, us }, index) => (
          <span
            key={name}
            class={`mark ${place(us) > 84 ? "before" : ""}`}
            style={{ left: `${place(us)}%`, "--row": String(index) }}
          >
            <b>
              {name} {format.duration(us)}
            </b>
          </span>
        ))}
      </div>
      <div class="histogram-axis" aria-hidden="true">
        {axis(Math.exp(low), Math.exp(high)).map((us) => (
          <span key={us} style={{ left: `${place(us)}%` }}>
            {format.duration(us)}
          </span>
        ))}
      </div>
    </div>
  );
}

function axis(low: number, high: number): number[] {
  const steps = high / low > 300 ? [1] : high / low > 12 ? [1, 3] : [1, 2, 5];
  const result: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const step of steps)
      if (step * 10 ** power >= low && step * 10 ** power <= high * 0.97) result.push(step * 10 ** power);
  }
  return result;
}
