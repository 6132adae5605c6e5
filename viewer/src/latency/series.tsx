// Percentiles, and calls with their failures, over time. A drag narrows the time.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

import type { Moment } from "../api";
import * as format from "../format";
import { token } from "../service-color";
import { dark } from "../theme";

export interface Curve {
  name: string;
  of: (moment: Moment) => number | null;
  /** A custom property of the theme. */
  color: string;
  bars?: boolean;
}

interface Props {
  label: string;
  moments: Moment[];
  curves: Curve[];
  height: number;
  show: (value: number) => string;
  onRange: (start: number, end: number) => void;
}

export function Series({ label, moments, curves, height, show, onRange }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const chosen = useRef(onRange);
  chosen.current = onRange;
  const isDark = dark.value;
  const [pointed, setPointed] = useState<Moment | undefined>();
  useEffect(() => {
    const element = root.current;
    if (!element) return;
    const axis: uPlot.Axis = {
      stroke: () => token("--muted"),
      ticks: { show: false },
      font: "11px system-ui",
    };
    const u = new uPlot(
      {
        width: element.clientWidth,
        height,
        padding: [8, 12, 0, 0],
        cursor: { drag: { x: true, y: false, setScale: false }, y: false },
        legend: { show: false },
        scales: { x: { time: true }, y: { range: (_, __, high) => [0, (high || 1) * 1.08] } },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 26,
            space: 90,
            values: (_, ticks) => ticks.map((tick) => format.clock(tick * 1e6).slice(0, 5)),
          },
          {
            ...axis,
            grid: { stroke: () => token("--line-soft"), width: 1 },
            size: 62,
            space: 32,
            values: (_, ticks) => ticks.map(show),
          },
        ],
        series: [
          {},
          ...curves.map((curve): uPlot.Series => ({
            stroke: () => token(curve.color),
            fill: curve.bars ? () => token(curve.color) : undefined,
            width: curve.bars ? 0 : 2,
            paths: curve.bars ? uPlot.paths.bars?.({ size: [0.7, 26] }) : undefined,
            points: { show: false },
            spanGaps: true,
          })),
        ],
        hooks: {
          setCursor: [(self) => setPointed(moments[self.cursor.idx ?? -1])],
          setSelect: [
            (self) => {
              const { left, width } = self.select;
              if (width < 6) return;
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              chosen.current(self.posToVal(left, "x") * 1e6, self.posToVal(left + width, "x") * 1e6);
            },
          ],
        },
      },
      [
        moments.map((one) => one.time / 1e6),
        ...curves.map((curve) => moments.map(curve.of)),
      ] as uPlot.AlignedData,
      element,
    );
    plot.current = u;
    const observer = new ResizeObserver(() => u.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      u.destroy();
    };
  }, [moments]);
  useEffect(() => plot.current?.redraw(false), [isDark]);
  return (
    <figure class="series">
      <figcaption>
        <strong>{label}</strong>
        {curves.map((curve) => {
          const value = pointed && curve.of(pointed);
          return (
            <span key={curve.name}>
              <i style={{ background: `var(${curve.color})` }} /> {curve.name}{" "}
              {value !== null && value !== undefined && <b>{show(value)}</b>}
            </span>
          );
        })}
        {pointed && <span>{format.moment(pointed.time)}</span>}
      </figcaption>
      <div ref={root} />
    </figure>
  );
}
