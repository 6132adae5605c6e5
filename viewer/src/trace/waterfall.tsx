// The spans of a trace as rows over a common time line. Only the rows in sight are in the document.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { duration } from "../format";
import { Icon } from "../ui/icons";
import { memo } from "../ui/memo";
import { tint } from "../ui/swatch";
import { Axis, Grid, ticks } from "./axis";
import { Bar } from "./bar";
import { Divider, names } from "./divider";
import { useStretch } from "./drag";
import { folded, hueOf, serviceOf, type Span, type Trace } from "./model";
import { fold, select, type State, zoomTo } from "./state";

const ROW = 26;
/** Rows beyond the edges, and how many come and go at once. */
const MARGIN = 12;
const BLOCK = 8;

interface Props {
  trace: Trace;
  state: State;
  rows: number[];
  matches: ReadonlySet<number> | undefined;
}

function useWindow(rows: number) {
  const scroller = useRef<HTMLDivElement>(null);
  const [first, setFirst] = useState(0);
  const [height, setHeight] = useState(800);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const measure = () => setHeight(element.clientHeight);
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);
  const onScroll = (event: Event) =>
    setFirst(Math.floor((event.currentTarget as Element).scrollTop / ROW / BLOCK) * BLOCK);
  return {
    scroller,
    onScroll,
    from: Math.max(0, first - MARGIN),
    to: Math.min(rows, first + Math.ceil(height / ROW) + MARGIN + BLOCK),
  };
}

export function Waterfall({ trace, state, rows, matches }: Props) {
  const { scroller, onScroll, from, to } = useWindow(rows.length);
  const [wide, setWide] = useState(8);
  const lane = useRef<HTMLDivElement>(null);
  const { zoom } = state;
  const length = zoom.to - zoom.from;
  const at = ticks(zoom, wide);
  const { stretch, handlers } = useStretch((part) =>
    zoomTo(trace, { from: zoom.from + part.from * length, to: zoom.from + part.to * length }),
  );

  useLayoutEffect(() => {
    const element = lane.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWide(Math.max(2, Math.floor(element.clientWidth / 110))));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  // The selected row stays in sight, wherever the selection came from.
  useEffect(() => {
    const element = scroller.current;
    const row = rows.findIndex((index) => trace.spans[index]?.key === state.selected);
    if (!element || row < 0) return;
    const [top, bottom] = [row * ROW, (row + 1) * ROW];
    if (top < element.scrollTop) element.scrollTop = Math.max(0, top - ROW * 2);
    else if (bottom > element.scrollTop + element.clientHeight)
      element.scrollTop = bottom - element.clientHeight + ROW * 2;
  }, [state.selected, rows]);

  // One listener for all rows: they come and go too often for one each.
  const onClick = (event: MouseEvent) => {
    const target = event.target as Element;
    const span = trace.spans[Number(target.closest<HTMLElement>(".row")?.dataset["index"] ?? -1)];
    if (!span) return;
    if (target.closest("button.twist")) fold(span, state.folding);
    else select(span);
  };
  const chosen = rows.slice(from, to).some((index) => trace.spans[index]?.key === state.selected)
    ? state.selected
    : undefined;
  const indent = Math.min(14, Math.max(5, 170 / Math.max(1, trace.depth)));
  return (
    <div class="waterfall" style={names.value ? { "--names": `${names.value}%` } : undefined}>
      <div class="waterfall-head">
        <div class="name-head">Service and operation</div>
        <div class="lane-head" ref={lane} {...handlers} title="Drag to zoom">
          <Axis zoom={zoom} at={at} />
          {stretch && (
            <i
              class="frame active"
              style={{ left: `${stretch.from * 100}%`, width: `${(stretch.to - stretch.from) * 100}%` }}
            />
          )}
        </div>
      </div>
      <div
        class="rows"
        ref={scroller}
        onScroll={onScroll}
        onClick={onClick}
        role="treegrid"
        aria-label="Spans"
        aria-rowcount={rows.length}
        aria-activedescendant={chosen && `span-${chosen}`}
        tabIndex={0}
      >
        <div class="rows-inner" style={{ height: `${rows.length * ROW}px` }} role="presentation">
          <Grid zoom={zoom} at={at} />
          <Divider />
          {rows.slice(from, to).map((index, offset) => {
            const span = trace.spans[index] as Span;
            return (
              <Row
                key={index}
                trace={trace}
                span={span}
                row={from + offset}
                start={zoom.from}
                end={zoom.to}
                selected={span.key === state.selected}
                closed={folded(span, state.folding) && !state.only}
                critical={state.critical}
                indent={indent}
                match={matches?.has(index)}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

interface RowProps {
  trace: Trace;
  span: Span;
  row: number;
  start: number;
  end: number;
  selected: boolean;
  closed: boolean;
  critical: boolean;
  indent: number;
  match: boolean | undefined;
}

const Row = memo(({ trace, span, row, start, end, selected, closed, critical, indent, match }: RowProps) => {
  const service = serviceOf(trace, span);
  const above = trace.spans[span.above];
  const failed = span.status === "error";
  return (
    <div
      class={`row ${selected ? "selected" : ""} ${match === false ? "dimmed" : match ? "match" : ""} ${failed ? "failed" : ""}`}
      role="row"
      aria-level={span.depth + 1}
      aria-rowindex={row + 1}
      aria-expanded={span.children ? !closed : undefined}
      aria-selected={selected}
      aria-label={`${service} ${span.name}, ${duration(span.duration)}${failed ? ", error" : ""}`}
      id={`span-${span.key}`}
      data-index={span.index}
      data-span={span.id}
      style={{ transform: `translateY(${row * ROW}px)` }}
    >
      <div
        class="name"
        role="gridcell"
        style={{
          ...tint(hueOf(trace, span)),
          "--indent": `${span.depth * indent}px`,
          "--step": `${indent}px`,
        }}
      >
        {span.children ? (
          <button
            type="button"
            class={`twist ${closed ? "closed" : ""}`}
            tabIndex={-1}
            aria-label={closed ? "Expand" : "Collapse"}
          />
        ) : (
          <span class="twist" />
        )}
        <span class="stripe" aria-hidden="true" />
        {(!above || above.service !== span.service) && <span class="service">{service}</span>}
        <span class="operation" title={`${service}: ${span.name}`}>
          {span.name || "(no name)"}
        </span>
        {closed && <span class="hidden-count">{span.beyond - span.index - 1}</span>}
        {span.links.length > 0 && <Icon name="link" size={11} />}
        {span.note && <Icon name="warning" size={12} label={span.note} />}
        {failed && (
          <span class="bad">
            <Icon name="error" size={13} label="Error" />
          </span>
        )}
      </div>
      <div class="lane" role="gridcell">
        <Bar trace={trace} span={span} zoom={{ from: start, to: end }} critical={critical} />
      </div>
    </div>
  );
});
