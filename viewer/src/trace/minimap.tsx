// The whole trace at a glance. A drag zooms to a part, a double click shows all again.

import { useEffect, useRef } from "preact/hooks";

import { barColor, token } from "../service-color";
import { dark } from "../theme";
import { useStretch } from "./drag";
import { hueOf, type Trace } from "./model";
import { type Zoom, zoomTo } from "./state";

const HEIGHT = 52;

export function Minimap({ trace, zoom, zoomed }: { trace: Trace; zoom: Zoom; zoomed: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const isDark = dark.value;
  const { stretch, handlers } = useStretch(({ from, to }) =>
    zoomTo(trace, { from: from * trace.duration, to: to * trace.duration }),
  );
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const observer = new ResizeObserver(() => draw(element, trace));
    observer.observe(element);
    return () => observer.disconnect();
  }, [trace, isDark]);
  const percent = (time: number) => `${(time / trace.duration) * 100}%`;
  return (
    <div
      class="minimap"
      {...handlers}
      onDblClick={() => zoomTo(trace, undefined)}
      title="Drag to zoom, double-click to show all"
    >
      <canvas ref={canvas} height={HEIGHT} role="img" aria-label="Overview of the trace" />
      {zoomed && (
        <>
          <i class="shade" style={{ left: 0, width: percent(zoom.from) }} />
          <i class="shade" style={{ left: percent(zoom.to), right: 0 }} />
          <i class="frame" style={{ left: percent(zoom.from), width: percent(zoom.to - zoom.from) }} />
        </>
      )}
      {stretch && (
        <i
          class="frame active"
          style={{ left: `${stretch.from * 100}%`, width: `${(stretch.to - stretch.from) * 100}%` }}
        />
      )}
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, trace: Trace): void {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth * scale;
  const height = HEIGHT * scale;
  if (!width) return;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) return;
  const room = height - 8 * scale;
  const step = Math.min(4 * scale, room / trace.spans.length);
  const thick = Math.max(scale, step - scale);
  const bad = token("--bad-fill");
  const colors = trace.hues.map((one) => barColor(one));
  for (const span of trace.spans) {
    const left = (span.start / trace.duration) * width;
    const wide = Math.max(scale, ((span.until - span.start) / trace.duration) * width);
    context.fillStyle =
      span.status === "error" ? bad : (colors[span.service] ?? barColor(hueOf(trace, span)));
    context.fillRect(left, 4 * scale + span.index * step, wide, thick);
  }
}
