// Every trace found as a point: when it was, and how long it took. A click opens it, a drag narrows the search.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

import type { Summary } from "../api";
import * as format from "../format";
import { navigate } from "../location";
import { token } from "../service-color";
import { dark } from "../theme";

const NEAR = 14;
const HEIGHT = 148;

interface Point {
  trace: Summary;
  x: number;
  y: number;
}

export interface Brush {
  start: number;
  end: number;
  min: number;
  max: number;
}

export function Scatter({ traces, onBrush }: { traces: Summary[]; onBrush: (brush: Brush) => void }) {
  const root = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const points = useRef<Point[]>([]);
  const shown = useRef(traces);
  shown.current = traces;
  const brushed = useRef(onBrush);
  brushed.current = onBrush;
  const [hover, setHover] = useState<Point | undefined>();
  const isDark = dark.value;

  useEffect(() => {
    const element = root.current;
    if (!element) return;
    const nearest = (u: uPlot): Point | undefined => {
      const { left = -1, top = -1 } = u.cursor;
      let best: Point | undefined;
      let distance = NEAR * NEAR;
      for (const point of points.current) {
        const from = (point.x - left) ** 2 + (point.y - top) ** 2;
        if (from <= distance) [best, distance] = [point, from];
      }
      return best;
    };
    const u = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        padding: [10, 12, 0, 0],
        legend: { show: false },
        cursor: {
          drag: { x: true, y: true, setScale: false, uni: 16 },
          points: { show: false },
          x: false,
          y: false,
        },
        scales: {
          x: { time: true, range: (_, low, high) => padded(low, high) },
          y: { distr: 3, range: (_, low, high) => [low / 1.6, high * 1.6] },
        },
        axes: [
          {
            stroke: () => token("--muted"),
            grid: { show: false },
            ticks: { show: false },
            size: 26,
            font: "11px system-ui",
            space: 90,
            values: (_, ticks) => ticks.map((tick) => axisTime(tick, ticks)),
          },
          {
            stroke: () => token("--muted"),
            grid: { stroke: () => token("--line-soft"), width: 1 },
            ticks: { show: false },
            size: 62,
            font: "11px system-ui",
            splits: (_, __, low, high) => decades(low, high),
            filter: (_, splits) => splits,
            values: (_, ticks) => ticks.map((tick) => format.duration(tick)),
          },
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: {
          draw: [(self) => (points.current = drawPoints(self, shown.current))],
          setCursor: [(self) => setHover(nearest(self))],
          setSelect: [
            (self) => {
              const { left, top, width, height } = self.select;
              if (width < 6 && height < 6) return;
              const wide = width >= 6;
              const tall = height >= 6 && height < self.over.clientHeight;
              const at = (position: number, scale: string) => self.posToVal(position, scale);
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              brushed.current({
                start: wide ? at(left, "x") * 1e6 : 0,
                end: wide ? at(left + width, "x") * 1e6 : 0,
                max: tall ? at(top, "y") : 0,
                min: tall ? at(top + height, "y") : 0,
              });
            },
          ],
        },
      },
      [[], []],
      element,
    );
    plot.current = u;
    let down: [number, number] = [0, 0];
    u.over.addEventListener("mousedown", (event) => (down = [event.clientX, event.clientY]));
    u.over.addEventListener("click", (event) => {
      if (Math.hypot(event.clientX - down[0], event.clientY - down[1]) > 4) return;
      const point = nearest(u);
      if (point) navigate(`/trace/${point.trace.id}`);
    });
    u.over.addEventListener("mouseleave", () => setHover(undefined));
    const observer = new ResizeObserver(() => u.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      u.destroy();
    };
  }, []);

  useEffect(() => {
    const ordered = [...traces].sort((a, b) => a.start - b.start);
    plot.current?.setData([
      ordered.map((trace) => trace.start / 1e6),
      ordered.map((trace) => Math.max(trace.duration, 1)),
    ]);
  }, [traces]);
  useEffect(() => plot.current?.redraw(false), [isDark]);

  const width = root.current?.clientWidth ?? 0;
  const over = plot.current?.over;
  return (
    <div
      class={`scatter ${hover ? "hit" : ""}`}
      ref={root}
      role="img"
      aria-label={`Duration over time of ${format.plural(traces.length, "trace")}; the list below has the same traces`}
    >
      {hover && over && (
        <div
          class={`tip ${hover.x > width / 2 ? "before" : ""}`}
          style={{ left: `${hover.x + over.offsetLeft}px`, top: `${hover.y + over.offsetTop}px` }}
        >
          <strong>{hover.trace.root.name}</strong>
          <span>{hover.trace.root.service}</span>
          <span>
            {format.duration(hover.trace.duration)} · {format.plural(hover.trace.spans, "span")}
            {hover.trace.errors > 0 && <b class="bad"> · {format.plural(hover.trace.errors, "error")}</b>}
          </span>
          <span>{format.moment(hover.trace.start)}</span>
        </div>
      )}
    </div>
  );
}

function padded(low: number, high: number): [number, number] {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [Date.now() / 1e3 - 3600, Date.now() / 1e3];
  const pad = Math.max((high - low) * 0.03, 0.5);
  return [low - pad, high + pad];
}

/** Powers of ten; where there are few, threes between them. */
function decades(low: number, high: number): number[] {
  const steps = Math.log10(high / low) > 2.2 ? [1] : Math.log10(high / low) > 1.2 ? [1, 3] : [1, 2, 5];
  const result: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const step of steps)
      if (step * 10 ** power >= low && step * 10 ** power <= high) result.push(step * 10 ** power);
  }
  return result;
}

function axisTime(tick: number, ticks: number[]): string {
  const us = tick * 1e6;
  const step = (ticks[1] ?? tick + 60) - (ticks[0] ?? tick);
  if (step >= 86400) return format.day(us);
  if (step < 1) return format.clock(us, step < 0.1 ? 3 : 1);
  const time = format.clock(us);
  if (step >= 60)
    return new Date(us / 1e3).getHours() === 0 && time.startsWith("00:00")
      ? format.day(us)
      : time.slice(0, 5);
  return time;
}

function drawPoints(u: uPlot, traces: Summary[]): Point[] {
  const { ctx } = u;
  const scale = devicePixelRatio;
  const good = token("--point");
  const bad = token("--bad-fill");
  const result: Point[] = [];
  ctx.save();
  // Failures last, so that none is hidden.
  for (const trace of [...traces].sort((a, b) => Math.min(a.errors, 1) - Math.min(b.errors, 1))) {
    const x = u.valToPos(trace.start / 1e6, "x");
    const y = u.valToPos(Math.max(trace.duration, 1), "y");
    if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
    result.push({ trace, x, y });
    ctx.beginPath();
    ctx.arc(
      x * scale + u.bbox.left,
      y * scale + u.bbox.top,
      (trace.errors ? 4 : 3.5) * scale,
      0,
      Math.PI * 2,
    );
    ctx.globalAlpha = trace.errors ? 0.95 : 0.6;
    ctx.fillStyle = trace.errors ? bad : good;
    ctx.fill();
  }
  ctx.restore();
  return result;
}
