// `/`: the traces that match, as points over time and as a list.

import { useEffect, useLayoutEffect, useMemo, useState } from "preact/hooks";

import { api, type Summary } from "../api";
import { plural, typedDuration } from "../format";
import { useShortcuts } from "../keyboard";
import { useLoading } from "../loading";
import { navigate, place, update } from "../location";
import { Delete } from "../ui/delete";
import { chooseFile } from "../ui/drop";
import { Icon } from "../ui/icons";
import { Failure, Waiting } from "../ui/message";
import { NothingFound, NothingYet } from "./empty";
import { Filters } from "./filters";
import { merge, useLive } from "./live";
import { filtered, MOST, PAGE, toServer } from "./query";
import { arranged, Row, SORTS } from "./results";
import { Scatter, type Brush } from "./scatter";

interface Answer {
  traces: Summary[];
  complete: boolean;
}

// The answer and place in it that the reader left for a trace, for when they come back.
let left: { key: string; answer: Answer; scroll: number } | undefined;

const DISPLAY_ONLY = ["sort", "live", "compare"];

function searchKey(params: URLSearchParams): string {
  const rest = new URLSearchParams(params);
  for (const name of DISPLAY_ONLY) rest.delete(name);
  return rest.toString();
}

function narrow({ start, end, min, max }: Brush): void {
  update(
    {
      ...(end ? { start: String(Math.floor(start)), end: String(Math.ceil(end)), range: null } : {}),
      ...(max ? { min: typedDuration(Math.floor(min)), max: typedDuration(Math.ceil(max)) } : {}),
    },
    true,
  );
}

export function SearchView() {
  const { params } = place.value;
  const [again, setAgain] = useState(0);
  const [chosen, setChosen] = useState(-1);
  const key = searchKey(params);
  const { data, error, busy } = useLoading(`${key} ${again}`, (signal) =>
    api.traces(toServer(params), signal),
  );
  const answer = data ?? (left?.key === key ? left.answer : undefined);
  const watching = params.get("live") === "true";
  const nothingYet = Boolean(answer && !answer.traces.length && !filtered(params));
  const live = useLive(watching || nothingYet, `${key} ${again}`, () => toServer(params));
  const sort = params.get("sort") ?? "";
  const traces = useMemo(
    () =>
      arranged(live.traces.length ? merge(answer?.traces ?? [], live.traces) : (answer?.traces ?? []), sort),
    [answer, live.traces, sort],
  );
  const fresh = useMemo(() => new Set(live.traces.map((trace) => trace.id)), [live.traces]);
  const longest = useMemo(() => Math.max(1, ...traces.map((trace) => trace.duration)), [traces]);
  const picked = (params.get("compare") ?? "").split(",").filter(Boolean);

  useLayoutEffect(() => {
    const main = document.getElementById("main");
    if (main && left?.key === key) main.scrollTop = left.scroll;
  }, []);
  useEffect(() => {
    const main = document.getElementById("main");
    if (!main || !answer) return;
    left = { key, answer, scroll: main.scrollTop };
    const remember = () => left && (left.scroll = main.scrollTop);
    main.addEventListener("scroll", remember, { passive: true });
    return () => main.removeEventListener("scroll", remember);
  }, [key, answer]);

  const move = (by: number) => {
    const next = Math.min(traces.length - 1, Math.max(0, chosen + by));
    setChosen(next);
    document.querySelector(`[data-trace="${traces[next]?.id}"]`)?.scrollIntoView({ block: "nearest" });
  };
  useShortcuts([
    { keys: ["j", "ArrowDown"], what: "Next trace", run: () => move(1) },
    { keys: ["k", "ArrowUp"], what: "Previous trace", run: () => move(-1) },
    {
      keys: ["Enter"],
      what: "Open the trace",
      run: () => traces[chosen] && navigate(`/trace/${traces[chosen].id}`),
    },
    {
      keys: ["/"],
      what: "Filter by tags",
      run: () => document.querySelector<HTMLInputElement>('.filters input[name="tags"]')?.focus(),
    },
    { keys: ["r"], what: "Search again", run: () => setAgain(again + 1) },
    {
      keys: ["e"],
      what: "Errors only",
      run: () => update({ errors: params.get("errors") ? null : "true" }, true),
    },
    { keys: ["w"], what: "Watch live", run: () => update({ live: watching ? null : "true" }) },
  ]);

  const nothing = answer && !traces.length;
  if (nothingYet && !traces.length) {
    return (
      <div class="search">
        <NothingYet watching={live.connected} />
      </div>
    );
  }
  return (
    <div class="search">
      <h1 class="visually-hidden">Traces</h1>
      <Filters fresh={again} onSearch={() => setAgain((before) => before + 1)} />
      {error ? (
        <Failure error={error} what="The traces" again={() => setAgain((before) => before + 1)} />
      ) : !answer ? (
        <Waiting what="traces" />
      ) : nothing ? (
        <NothingFound />
      ) : (
        <>
          <Scatter traces={traces} onBrush={narrow} />
          <div class="results-head">
            <span aria-live="polite">
              <strong>{plural(traces.length, "trace")}</strong>
              {!answer.complete && <span class="muted"> — the newest; there are more</span>}
            </span>
            {busy && <span class="spinner" aria-hidden="true" />}
            <span class="grow" />
            {picked.length > 0 && (
              <span class="compare-bar">
                {picked.length < 2 ? (
                  <span class="muted">Choose another to compare</span>
                ) : (
                  <a class="button primary" href={`/compare/${picked[0]}/${picked[1]}`}>
                    <Icon name="compare" size={14} />
                    Compare
                  </a>
                )}
                <button type="button" class="button bare" onClick={() => update({ compare: null })}>
                  Cancel
                </button>
              </span>
            )}
            <label class="inline">
              <span class="visually-hidden">Order</span>
              <select
                class="input"
                value={sort}
                onChange={(event) => update({ sort: event.currentTarget.value }, true)}
              >
                {SORTS.map((one) => (
                  <option key={one.id} value={one.id}>
                    {one.title}
                  </option>
                ))}
              </select>
            </label>
            <button type="button" class="button" title="Import a file of traces" onClick={chooseFile}>
              <Icon name="upload" size={14} />
              <span class="label">Import</span>
            </button>
            <Delete onDone={() => setAgain((before) => before + 1)} />
            <LiveButton on={watching} connected={live.connected} />
          </div>
          <ol class="results" aria-label="Traces">
            {traces.map((trace, index) => (
              <Row
                key={trace.id}
                trace={trace}
                longest={longest}
                chosen={index === chosen}
                fresh={fresh.has(trace.id)}
                picked={picked.includes(trace.id)}
                onPick={(on) =>
                  update({
                    compare: (on
                      ? [...picked, trace.id].slice(-2)
                      : picked.filter((id) => id !== trace.id)
                    ).join(","),
                  })
                }
              />
            ))}
          </ol>
          {!answer.complete && answer.traces.length < MOST && (
            <p class="more">
              <button
                type="button"
                class="button"
                onClick={() =>
                  update({ limit: String(Math.min(MOST, (Number(params.get("limit")) || PAGE) * 2)) })
                }
              >
                Show more
              </button>
            </p>
          )}
        </>
      )}
    </div>
  );
}

function LiveButton({ on, connected }: { on: boolean; connected: boolean }) {
  return (
    <button
      type="button"
      class={`button live ${on ? "on" : ""} ${on && !connected ? "waiting-for" : ""}`}
      aria-pressed={on}
      title="Show traces as they arrive (w)"
      onClick={() => update({ live: on ? null : "true" })}
    >
      <i aria-hidden="true" />
      {on ? (connected ? "Live" : "Connecting") : "Live"}
    </button>
  );
}
