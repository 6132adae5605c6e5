// `/trace/<id>`: one trace, as a waterfall, a flame, or statistics.

import { useEffect, useMemo, useRef } from "preact/hooks";

import { api } from "../api";
import { count } from "../format";
import { useShortcuts } from "../keyboard";
import { useLoading } from "../loading";
import { place, update } from "../location";
import { Icon, type IconName } from "../ui/icons";
import { Failure, Message, Waiting } from "../ui/message";
import { Details } from "./details";
import { find } from "./find";
import { Flame } from "./flame";
import { Header } from "./header";
import { Minimap } from "./minimap";
import { folded, prepare, serviceOf, type Trace, visible } from "./model";
import { fold, foldFrom, read, select, type View, zoomTo } from "./state";
import { Statistics } from "./statistics";
import { Waterfall } from "./waterfall";

export function TraceView({ id }: { id: string }) {
  const { data, error, again } = useLoading(id, async (signal) => prepare(await api.trace(id, signal)));
  useEffect(() => {
    const root = data?.spans[0];
    document.title =
      data && root ? `${serviceOf(data, root)}: ${root.name} · autotrace` : "Trace · autotrace";
  }, [data]);
  if (error) return <Failure error={error} what="The trace" again={again} />;
  if (!data) return <Waiting what="the trace" />;
  if (!data.spans.length) return <Message title="The trace has no spans" />;
  return <Loaded trace={data} />;
}

function Loaded({ trace }: { trace: Trace }) {
  const { params } = place.value;
  const state = read(trace);
  const findField = useRef<HTMLInputElement>(null);
  const found = useMemo(() => find(trace, state.find), [trace, state.find]);
  const matches = useMemo(() => (found ? new Set(found) : undefined), [found]);
  const rows = useMemo(
    () => visible(trace, state.folding, state.only ? matches : undefined),
    [trace, params.get("level"), params.get("fold"), state.only, matches],
  );
  const selected = useMemo(
    () => trace.spans.find((span) => span.key === state.selected),
    [trace, state.selected],
  );

  const move = (by: number) => {
    const at = selected ? rows.indexOf(selected.index) : -1;
    const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
    if (next !== undefined) select(trace.spans[next]);
  };
  const unfoldTo = (index: number) => {
    for (let at = trace.spans[index]?.above ?? -1; at >= 0; at = trace.spans[at]?.above ?? -1) {
      const span = trace.spans[at];
      const { folding } = read(trace);
      if (span && folded(span, folding)) fold(span, folding);
    }
  };
  const step = (by: number) => {
    if (!found?.length) return;
    const at = found.indexOf(selected?.index ?? -1);
    const after =
      by > 0
        ? found.findIndex((index) => index > (selected?.index ?? -1))
        : found.findLastIndex((index) => index < (selected?.index ?? Infinity));
    const next =
      found[
        at >= 0 ? (at + by + found.length) % found.length : after >= 0 ? after : by > 0 ? 0 : found.length - 1
      ];
    if (next === undefined) return;
    unfoldTo(next);
    select(trace.spans[next]);
  };
  const sideways = (open: boolean) => {
    if (!selected) return;
    const closed = folded(selected, state.folding);
    if (selected.children && closed === open) fold(selected, state.folding);
    else if (!open && selected.above >= 0) select(trace.spans[selected.above]);
    else if (open && selected.children) select(trace.spans[selected.index + 1]);
  };
  const show = (view: View) => update({ view: view === "waterfall" ? null : view }, true);
  const clear = () => {
    if (state.selected) select(undefined);
    else if (state.find) update({ find: null, only: null });
    else if (state.zoomed) zoomTo(trace, undefined);
  };
  useShortcuts([
    { keys: ["j", "ArrowDown"], what: "Next span", run: () => move(1) },
    { keys: ["k", "ArrowUp"], what: "Previous span", run: () => move(-1) },
    { keys: ["PageDown"], what: "Twenty spans on", run: () => move(20) },
    { keys: ["PageUp"], what: "Twenty spans back", run: () => move(-20) },
    { keys: ["Home", "g"], what: "First span", run: () => select(trace.spans[rows[0] ?? 0]) },
    { keys: ["End", "G"], what: "Last span", run: () => select(trace.spans[rows.at(-1) ?? 0]) },
    { keys: ["l", "ArrowRight"], what: "Expand, or to the first child", run: () => sideways(true) },
    { keys: ["h", "ArrowLeft"], what: "Collapse, or to the parent", run: () => sideways(false) },
    {
      keys: ["Enter", " "],
      what: "Expand or collapse",
      run: () => selected?.children && fold(selected, state.folding),
    },
    { keys: ["/"], what: "Find", run: () => findField.current?.select() },
    { keys: ["n"], what: "Next match", run: () => step(1) },
    { keys: ["N", "p"], what: "Previous match", run: () => step(-1) },
    {
      keys: ["z"],
      what: "Zoom to the span",
      run: () => selected && zoomTo(trace, { from: selected.start, to: selected.until }),
    },
    { keys: ["0"], what: "Show all of the time", run: () => zoomTo(trace, undefined) },
    {
      keys: ["c"],
      what: "Critical path on or off",
      run: () => update({ critical: state.critical ? "off" : null }),
    },
    { keys: ["["], what: "Collapse all", run: () => foldFrom(1) },
    { keys: ["]"], what: "Expand all", run: () => foldFrom(undefined) },
    { keys: ["1"], what: "Waterfall", run: () => show("waterfall") },
    { keys: ["2"], what: "Flame", run: () => show("flame") },
    { keys: ["3"], what: "Statistics", run: () => show("statistics") },
    { keys: ["Escape"], what: "Close the details, then clear the find, then the zoom", run: clear },
  ]);

  const position = selected && found ? found.indexOf(selected.index) : -1;
  const allClosed = state.folding.level !== undefined && !state.folding.flipped.size;
  return (
    <div class={`trace ${selected ? "with-details" : ""}`}>
      <Header trace={trace} />
      <div class="toolbar" role="toolbar" aria-label="View">
        <div class="segments" role="group" aria-label="View">
          {(["waterfall", "flame", "statistics"] as const).map((view) => (
            <button type="button" key={view} aria-pressed={state.view === view} onClick={() => show(view)}>
              {view[0]?.toUpperCase() + view.slice(1)}
            </button>
          ))}
        </div>
        <div class="finder">
          <Icon name="search" size={13} />
          <input
            ref={findField}
            class="input"
            value={state.find}
            placeholder="Find: words, key=value, error, >20ms"
            aria-label="Find in the trace"
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => update({ find: event.currentTarget.value })}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              step(event.shiftKey ? -1 : 1);
            }}
          />
          {found && (
            <>
              <span class={`found ${found.length ? "" : "bad"}`} aria-live="polite">
                {position >= 0 ? `${count(position + 1)} of ` : ""}
                {count(found.length)}
              </span>
              <Tool icon="up" label="Previous match (N)" onClick={() => step(-1)} />
              <Tool icon="down" label="Next match (n)" onClick={() => step(1)} />
              <Tool
                icon="filter"
                label="Show matches only"
                pressed={state.only}
                onClick={() => update({ only: state.only ? null : "true" })}
              />
              <Tool icon="close" label="Clear" onClick={() => update({ find: null, only: null })} />
            </>
          )}
        </div>
        <span class="grow" />
        {state.zoomed && (
          <button type="button" class="button" onClick={() => zoomTo(trace, undefined)}>
            Show all
          </button>
        )}
        {state.view === "waterfall" && (
          <>
            <Tool
              icon="path"
              label="Critical path (c)"
              pressed={state.critical}
              onClick={() => update({ critical: state.critical ? "off" : null })}
            />
            <Tool
              icon={allClosed ? "expand" : "collapse"}
              label={allClosed ? "Expand all (])" : "Collapse all ([)"}
              onClick={() => foldFrom(allClosed ? undefined : 1)}
            />
          </>
        )}
      </div>
      {state.view !== "statistics" && <Minimap trace={trace} zoom={state.zoom} zoomed={state.zoomed} />}
      <div class="trace-body">
        {state.view === "waterfall" &&
          (rows.length ? (
            <Waterfall trace={trace} state={state} rows={rows} matches={matches} />
          ) : (
            <Message icon="search" title="No span matches" />
          ))}
        {state.view === "flame" && <Flame trace={trace} state={state} matches={matches} />}
        {state.view === "statistics" && (
          <Statistics
            trace={trace}
            onFind={(query) => update({ find: query, only: "true", view: null }, true)}
          />
        )}
        {selected && state.view !== "statistics" && (
          <Details key={selected.key} trace={trace} span={selected} />
        )}
      </div>
    </div>
  );
}

function Tool({
  icon,
  label,
  pressed,
  onClick,
}: {
  icon: IconName;
  label: string;
  pressed?: boolean;
  onClick: () => void;
}) {
  return (
    <button
      type="button"
      class="button bare tool"
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      onClick={onClick}
    >
      <Icon name={icon} size={14} />
    </button>
  );
}
