// The trace as a flame: width is time, callers above callees, what ran at once side by side.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import * as format from "../format";
import { barColor, token } from "../service-color";
import { dark } from "../theme";
import { Axis, ticks } from "./axis";
import { lanes, type Lanes } from "./lanes";
import { hueOf, serviceOf, type Span, type Trace } from "./model";
import { select, type State, type Zoom, zoomTo } from "./state";

const LANE = 20;

interface Hover {
  span: Span;
  x: number;
  y: number;
}

export function Flame({
  trace,
  state,
  matches,
}: {
  trace: Trace;
  state: State;
  matches: ReadonlySet<number> | undefined;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [hover, setHover] = useState<Hover | undefined>();
  const isDark = dark.value;
  const placed = useMemo(() => lanes(trace), [trace]);
  const { zoom } = state;

  useEffect(() => {
    const element = canvas.current?.parentElement;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    setWidth(element.clientWidth);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (canvas.current && width) draw(canvas.current, trace, placed, zoom, width, state.selected, matches);
  }, [trace, placed, zoom.from, zoom.to, width, isDark, state.selected, matches]);

  const spanAt = (event: MouseEvent): Span | undefined => {
    const lane = placed.rows[Math.floor(event.offsetY / LANE)];
    if (!lane || !width) return undefined;
    const perPixel = (zoom.to - zoom.from) / width;
    const time = zoom.from + event.offsetX * perPixel;
    let best: Span | undefined;
    for (const index of lane) {
      const span = trace.spans[index];
      if (!span || span.start > time + perPixel) continue;
      if (span.until >= time - perPixel) best = span;
    }
    return best;
  };
  return (
    <div class="flame">
      <Axis zoom={zoom} at={ticks(zoom, Math.max(2, Math.floor(width / 110)))} />
      <div class="flame-scroll">
        <div class="flame-canvas">
          <canvas
            ref={canvas}
            role="img"
            aria-label="Flame view. The waterfall shows the same spans as a table."
            onMouseMove={(event) => {
              const span = spanAt(event);
              setHover(span && { span, x: event.offsetX, y: event.offsetY });
            }}
            onMouseLeave={() => setHover(undefined)}
            onClick={(event) => select(spanAt(event))}
            onDblClick={(event) => {
              const span = spanAt(event);
              zoomTo(trace, span && { from: span.start, to: span.until });
            }}
          />
          {hover && (
            <div
              class={`tip ${hover.x > width / 2 ? "before" : ""}`}
              style={{ left: `${hover.x}px`, top: `${hover.y}px` }}
            >
              <strong>{hover.span.name}</strong>
              <span>{serviceOf(trace, hover.span)}</span>
              <span>
                {format.duration(hover.span.duration)}, self {format.duration(hover.span.self)}
              </span>
            </div>
          )}
        </div>
      </div>
    </div>
  );
}

function draw(
  canvas: HTMLCanvasElement,
  trace: Trace,
  { rows }: Lanes,
  zoom: Zoom,
  width: number,
  selected: string,
  matches: ReadonlySet<number> | undefined,
): void {
  const scale = window.devicePixelRatio || 1;
  const height = rows.length * LANE;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.scale(scale, scale);
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  const ink = token("--on-bar");
  const bad = token("--bad-fill");
  const ring = token("--text");
  const perUs = width / (zoom.to - zoom.from);
  for (const [lane, indexes] of rows.entries()) {
    for (const index of indexes) {
      const span = trace.spans[index];
      if (!span || span.until < zoom.from || span.start > zoom.to) continue;
      const left = Math.max(0, (span.start - zoom.from) * perUs);
      const right = Math.min(width, (span.until - zoom.from) * perUs);
      const wide = Math.max(1, right - left - 1);
      context.globalAlpha = matches && !matches.has(index) ? 0.25 : 1;
      context.fillStyle = barColor(hueOf(trace, span));
      context.fillRect(left, lane * LANE + 1, wide, LANE - 2);
      if (span.status === "error") {
        context.fillStyle = bad;
        context.fillRect(left, lane * LANE + LANE - 4, wide, 3);
      }
      if (span.key === selected) {
        context.strokeStyle = ring;
        context.lineWidth = 2;
        context.strokeRect(left + 1, lane * LANE + 2, Math.max(1, wide - 2), LANE - 4);
      }
      if (wide > 34) {
        context.fillStyle = ink;
        context.fillText(
          fitted(context, `${span.name}  ${format.duration(span.duration)}`, wide - 10),
          left + 5,
          lane * LANE + LANE / 2,
        );
      }
    }
  }
}

function fitted(context: CanvasRenderingContext2D, text: string, room: number): string {
  if (context.measureText(text).width <= room) return text;
  const each = context.measureText("e").width;
  return `${text.slice(0, Math.max(1, Math.floor(room / each) - 1))}…`;
}
