// `/compare/<a>/<b>`: what the second trace did differently from the first.

import { useEffect, useMemo } from "preact/hooks";

import { api } from "../api";
import * as format from "../format";
import { useShortcuts } from "../keyboard";
import { useLoading } from "../loading";
import { navigate, place, update } from "../location";
import { prepare, serviceOf, type Trace } from "../trace/model";
import { Icon } from "../ui/icons";
import { Failure, Message, Waiting } from "../ui/message";
import { Swatch } from "../ui/swatch";
import { type Change, type Line, merge, type Side } from "./merge";

const CHANGES: Change[] = ["added", "removed", "slower", "faster", "same"];

export function CompareView({ a, b }: { a: string; b: string }) {
  const { data, error, again } = useLoading(`${a} ${b}`, async (signal) => {
    const [first, second] = await Promise.all([api.trace(a, signal), api.trace(b, signal)]);
    return [prepare(first), prepare(second)] as const;
  });
  useEffect(() => {
    document.title = "Compare · autotrace";
  }, []);
  useShortcuts([{ keys: ["x"], what: "Swap the traces", run: () => navigate(`/compare/${b}/${a}`) }]);
  if (error) return <Failure error={error} what="One of the traces" again={again} />;
  if (!data) return <Waiting what="both traces" />;
  return <Comparison a={data[0]} b={data[1]} />;
}

function Comparison({ a, b }: { a: Trace; b: Trace }) {
  const lines = useMemo(() => merge(a, b), [a, b]);
  const only = place.value.params.get("only") as Change | null;
  const counts = useMemo(
    () => new Map(CHANGES.map((change) => [change, lines.filter((line) => line.change === change).length])),
    [lines],
  );
  const largest = Math.max(1, ...lines.map((line) => Math.abs(line.delta)));
  const shown = only ? lines.filter((line) => line.change === only) : lines;
  return (
    <div class="compare">
      <header class="compare-head">
        <h1 class="visually-hidden">Compare two traces</h1>
        <Card letter="A" trace={a} />
        <button
          type="button"
          class="button"
          title="Swap (x)"
          aria-label="Swap the traces"
          onClick={() => navigate(`/compare/${b.id}/${a.id}`)}
        >
          <Icon name="compare" size={14} />
        </button>
        <Card letter="B" trace={b} than={a} />
      </header>
      <div class="segments compare-filter" role="group" aria-label="Show">
        <button type="button" aria-pressed={!only} onClick={() => update({ only: null })}>
          All {format.count(lines.length)}
        </button>
        {CHANGES.map((change) => (
          <button
            type="button"
            key={change}
            class={change}
            aria-pressed={only === change}
            disabled={!counts.get(change)}
            onClick={() => update({ only: change })}
          >
            {change[0]?.toUpperCase() + change.slice(1)} {format.count(counts.get(change) ?? 0)}
          </button>
        ))}
      </div>
      {shown.length ? (
        <div class="table-scroll">
          <table class="table compare-table" aria-label="Differences">
            <thead>
              <tr>
                <th>Service and operation</th>
                <th class="number">A</th>
                <th class="number">B</th>
                <th class="number">Difference</th>
                <th aria-label="Difference as a bar" />
              </tr>
            </thead>
            <tbody>
              {shown.map((line) => (
                <Row key={line.path} line={line} largest={largest} flat={Boolean(only)} />
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <Message title="No such difference" />
      )}
    </div>
  );
}

function Card({ letter, trace, than }: { letter: string; trace: Trace; than?: Trace }) {
  const root = trace.spans[0];
  const service = root ? serviceOf(trace, root) : "";
  const delta = than ? trace.duration - than.duration : 0;
  return (
    <a class="compare-card" href={`/trace/${trace.id}`}>
      <b>{letter}</b>
      <span class="compare-name">
        <Swatch service={service} /> <span class="muted">{service}</span> <strong>{root?.name}</strong>
      </span>
      <span class="muted">
        <strong>{format.duration(trace.duration)}</strong>
        {than && delta !== 0 && <span class={delta > 0 ? "bad" : "good"}> ({signed(delta)})</span>} ·{" "}
        {format.plural(trace.spans.length, "span")} · {format.plural(trace.errors, "error")} ·{" "}
        {format.moment(trace.start)}
      </span>
    </a>
  );
}

const signed = (us: number): string => `${us > 0 ? "+" : "−"}${format.duration(Math.abs(us))}`;

function Figure({ side }: { side: Side | undefined }) {
  if (!side) return <span class="muted">–</span>;
  return (
    <>
      {side.errors > 0 && <Icon name="error" size={12} label={format.plural(side.errors, "error")} />}{" "}
      {side.count > 1 && <span class="muted">{side.count} × </span>}
      {format.duration(side.count > 1 ? side.total / side.count : side.total)}
    </>
  );
}

function Row({ line, largest, flat }: { line: Line; largest: number; flat: boolean }) {
  const length = (Math.abs(line.delta) / largest) * 50;
  return (
    <tr class={`change ${line.change}`}>
      <td>
        <span
          class="stat-name"
          style={{ paddingLeft: flat ? undefined : `${Math.min(line.depth, 24) * 16}px` }}
        >
          <Swatch service={line.service} />
          <span class="muted">{line.service}</span>{" "}
          <span class="compare-operation">{line.name || "(no name)"}</span>
          {line.change !== "same" && <span class="tag">{line.change}</span>}
        </span>
      </td>
      <td class={`number ${line.a?.errors ? "bad" : ""}`}>
        <Figure side={line.a} />
      </td>
      <td class={`number ${line.b?.errors ? "bad" : ""}`}>
        <Figure side={line.b} />
      </td>
      <td class="number delta">
        {line.delta === 0 ? <span class="muted">0</span> : signed(line.delta)}
        {line.a && line.b && line.a.total > 0 && line.change !== "same" && (
          <span class="muted"> {format.share(Math.abs(line.delta), line.a.total)}</span>
        )}
      </td>
      <td class="diverging" aria-hidden="true">
        <i
          style={
            line.delta > 0 ? { left: "50%", width: `${length}%` } : { right: "50%", width: `${length}%` }
          }
        />
      </td>
    </tr>
  );
}
