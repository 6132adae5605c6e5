import { duration } from "../format";
import type { Zoom } from "./state";

/** Times at even steps of 1, 2 or 5, about `wanted` of them. */
export function ticks({ from, to }: Zoom, wanted: number): number[] {
  const rough = (to - from) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough) ?? rough;
  const result: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to + step * 1e-9; at += step)
    result.push(+at.toPrecision(12));
  return result;
}

export function Axis({ zoom, at }: { zoom: Zoom; at: number[] }) {
  return (
    <div class="axis" aria-hidden="true">
      {at.map((time) => {
        const place = ((time - zoom.from) / (zoom.to - zoom.from)) * 100;
        return place > 94 ? null : (
          <span key={time} style={{ left: `${place}%` }}>
            {duration(time)}
          </span>
        );
      })}
    </div>
  );
}

export function Grid({ zoom, at }: { zoom: Zoom; at: number[] }) {
  return (
    <div class="grid" aria-hidden="true">
      {at.map((time) => (
        <i key={time} style={{ left: `${((time - zoom.from) / (zoom.to - zoom.from)) * 100}%` }} />
      ))}
    </div>
  );
}
