// One span on the time line: its bar, the critical path through it, its events, and how long it took.

import { duration } from "../format";
import { tint } from "../ui/swatch";
import { hueOf, type Span, type Trace } from "./model";
import type { Zoom } from "./state";

const EVENTS = 40;

export function Bar({
  trace,
  span,
  zoom,
  critical,
}: {
  trace: Trace;
  span: Span;
  zoom: Zoom;
  critical: boolean;
}) {
  const length = zoom.to - zoom.from;
  const place = (time: number) => ((time - zoom.from) / length) * 100;
  const left = place(span.start);
  const right = place(span.until);
  if (right < 0 || left > 100)
    return <span class={`elsewhere ${right < 0 ? "earlier" : "later"}`}>{right < 0 ? "‹" : "›"}</span>;
  const [from, to] = [Math.max(0, left), Math.min(100, right)];
  const label = duration(span.duration);
  const style =
    to <= 86
      ? { left: `calc(${to}% + 6px)` }
      : from >= 14
        ? { right: `calc(${100 - from}% + 6px)` }
        : { right: `calc(${100 - to}% + 6px)` };
  const inside = to > 86 && from < 14;
  return (
    <>
      <span
        class={`bar ${span.status === "error" ? "failed" : ""} ${span.duration === null ? "unfinished" : ""}`}
        style={{ ...tint(hueOf(trace, span)), left: `${from}%`, width: `${to - from}%` }}
      />
      {critical &&
        span.critical.map(([start, end]) => {
          const [a, b] = [Math.max(0, place(start)), Math.min(100, place(end))];
          return b < 0 || a > 100 ? null : (
            <span key={start} class="critical" style={{ left: `${a}%`, width: `${b - a}%` }} />
          );
        })}
      {span.events.slice(0, EVENTS).map((event, index) => {
        const at = place(event.time);
        return at < 0 || at > 100 ? null : (
          <span
            key={index}
            class={`tick ${event.name === "exception" ? "bad" : ""}`}
            style={{ left: `${at}%` }}
            title={event.name}
          />
        );
      })}
      <span class={`bar-label ${inside ? "inside" : ""}`} style={style}>
        {label}
      </span>
    </>
  );
}
